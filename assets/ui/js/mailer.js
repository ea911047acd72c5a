// A mail with a code: sent, sent again after a while, and what to do where it does not come.

import { countdown } from "./countdown.js";
import { errorLine, h } from "./dom.js";
import { explain } from "./trouble.js";
import { say } from "./words.js";

/** When another mail may leave, whatever it is for: the server counts by person. */
let nextAt = 0;

/** Sends a mail; where it is too soon for another, gives when it is not. */
export async function mailed(send) {
  try {
    return await send();
  } catch (problem) {
    const { retry_after: wait, resend_after: apart, code_live: isLive } = problem.code === "rate_limited" ? problem.body ?? {} : {};
    if (!wait || !apart) throw problem;
    // If it is only the mail before that keeps another from leaving, that one may be here by now. One that was sent for
    // something else has a code that does nothing here.
    return { sent_to: null, resend_after: wait, unsent: true, isLive, often: wait > apart };
  }
}

/**
 * `send` asks the server for a mail, and `box` gives the box for its code. With `sent`, what
 * `mailed` gave, that was done already. Gives the `element`, and what moves the `focus` to where it is needed.
 */
export function mailer({ send, box, sent = null }) {
  const element = h("div", { class: "mailer" });
  const said = h("p", { class: "hint", role: "status", tabindex: "-1" });
  const error = errorLine();
  const ask = h("button", { type: "button", onclick: again }, say("email.send"));
  let form = null, stop = () => {};

  function wait() {
    stop();
    ask.disabled = true;
    stop = countdown((nextAt - Date.now()) / 1000, (clock) => { ask.textContent = say("email.again_in", { clock }); }, () => {
      ask.textContent = say("email.again");
      ask.disabled = false;
    });
  }

  function tell({ sent_to: to, resend_after: seconds, unsent = false, isLive = true, often = false }) {
    nextAt = Date.now() + seconds * 1000;
    if (!isLive) return tellOfNone();
    if (!form) {
      form = box();
      ask.className = "second";
      const tips = ["spam", "wait", "address"].map((tip) => h("li", {}, say(`email.missing.${tip}`)));
      element.replaceChildren(said, form, error, h("div", { class: "actions" }, ask),
        h("details", {}, h("summary", {}, say("email.missing")), h("ul", { class: "tips" }, tips)));
    }
    form.setEnabled(true);
    said.textContent = unsent ? say(often ? "email.often" : "email.recent") : say("email.sent", { email: to });
    wait();
  }

  /** There is no code to type: the box stays away, or takes nothing, until there is one. */
  function tellOfNone() {
    if (form) form.setEnabled(false);
    else element.replaceChildren(said, error, h("div", { class: "actions" }, ask));
    said.textContent = say("email.elsewhere");
    wait();
  }

  async function again() {
    error.textContent = "";
    said.textContent = say("email.sending");
    ask.disabled = true;
    try {
      tell(await mailed(send));
      focus();
    } catch (problem) {
      said.textContent = "";
      error.textContent = explain(problem);
      ask.disabled = false;
      ask.focus();
    }
  }

  /** To where something can be done, or to what says when. */
  function focus() {
    if (form?.isEnabled()) form.focusBox();
    else if (ask.disabled) said.focus();
    else ask.focus();
  }

  if (sent) tell(sent);
  else element.append(h("p", { class: "hint" }, say("email.send.hint")), said, h("div", { class: "actions" }, ask), error);
  return { element, focus };
}
