// A code box that closes while its kind of factor is locked, with a clock, and opens again by itself.

import { countdown } from "./countdown.js";
import { codeForm, h } from "./dom.js";
import { explain } from "./trouble.js";
import { say } from "./words.js";

/** Until when which kind is locked: the server counts by person and kind, whatever the box is for. */
const lockedUntil = new Map();

/** As `codeForm`, for codes of `of`; gives an element with `focusBox()`. */
export function codeBox({ of, deed, ...options }) {
  const place = h("div", { class: "code-box" });
  const form = codeForm({
    ...options, explain,
    async deed(code) {
      try {
        await deed(code);
      } catch (problem) {
        if (problem.code !== "locked" || !problem.body?.retry_after) throw problem;
        lockedUntil.set(of, Date.now() + problem.body.retry_after * 1000);
        wait();
      }
    },
  });
  const input = form.querySelector("input");

  function wait() {
    const left = (lockedUntil.get(of) - Date.now()) / 1000;
    const said = h("p", { class: "note warn locked", tabindex: "-1" });
    const stop = countdown(left, (clock) => {
      if (!said.isConnected && said.textContent) return stop();
      said.textContent = say("locked", { clock });
    }, () => {
      if (!said.isConnected) return;
      const here = document.activeElement === said;
      input.value = "";
      place.replaceChildren(form, h("p", { class: "hint", role: "status" }, say("unlocked")));
      if (here) input.focus();
    });
    const here = place.contains(document.activeElement);
    place.replaceChildren(h("div", { role: "alert" }, said));
    if (here) said.focus();
  }

  place.replaceChildren(form);
  if ((lockedUntil.get(of) ?? 0) > Date.now() + 1000) wait();
  Object.assign(place, { setEnabled: form.setEnabled, isEnabled: form.isEnabled });
  place.focusBox = () => place.querySelector("input, .locked").focus();
  return place;
}
