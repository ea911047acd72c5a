// The authenticator app.

import { Card, consequences, opener } from "../card.js";
import { codeBox } from "../code-box.js";
import { copyButton, h } from "../dom.js";
import { Step, door, page } from "../page.js";
import { prove } from "../prove.js";
import { remains, standsInTheWay } from "../safety.js";
import { call } from "../session.js";
import { sentence, since } from "../time.js";
import { say } from "../words.js";
import { showCodes } from "./backup-codes.js";

const card = new Card({ glyph: "phone", title: say("totp.title") });

/** The secret, as a picture and as text, and the box for the first code. */
function showSecret(step, pending, replacing) {
  const groups = pending.secret.match(/.{1,4}/g).map((group) => h("span", {}, group));
  const fallback = h("div");
  const box = codeBox({
    of: "totp", label: say("totp.code.label"), act: say(replacing ? "totp.replace.act" : "totp.add.act"), digits: true,
    hint: say("prove.digits.hint"),
    async deed(code) {
      const confirmed = await call("POST", "/totp/confirm", { code });
      const done = say(replacing ? "totp.replaced" : "totp.added");
      if (confirmed.backup_codes) showCodes(step, confirmed.backup_codes, done);
      else await step.done(done);
    },
  });
  step.show([
    h("ol", { class: "steps" },
      h("li", {}, h("p", {}, say("totp.step.app"))),
      h("li", {}, h("p", {}, say("totp.step.scan")),
        h("div", { class: "scan" },
          h("img", { src: pending.qr_code, alt: say("totp.qr") }),
          h("div", { class: "by-hand" }, h("p", { class: "hint" }, say("totp.by_hand")),
            h("p", { class: "secret", translate: "no" }, groups),
            h("div", { class: "actions" },
              copyButton(say("totp.copy"), () => pending.secret, { kind: "second small", fallback }),
              pending.otpauth_uri.startsWith("otpauth://")
                && h("a", { class: "button second small", href: pending.otpauth_uri }, say("totp.open"))),
            fallback))),
      h("li", {}, box)),
    replacing && h("p", { class: "hint" }, say("totp.replace.until")),
  ]);
}

function add() {
  const step = Step.enter(card, { heading: say("totp.add.heading"), name: "totp.add" });
  step?.load((code) => call("POST", "/totp/enable", code && { code }), (pending) => showSecret(step, pending, false));
}

function replace() {
  const step = Step.enter(card, { heading: say("totp.replace.heading"), name: "totp.replace" });
  if (!step) return;
  const proving = prove(page.overview, {
    act: say("totp.replace.continue"), avoid: "totp",
    deed: async (code) => showSecret(step, await call("POST", "/totp/replace", { code }), true),
  });
  step.show([h("p", {}, say("totp.replace.why")), proving]);
  proving.focusFirst();
}

function remove() {
  const device = page.overview.devices.find(({ type }) => type === "totp");
  const step = Step.enter(card, { heading: say("totp.remove.heading"), name: "totp.remove" });
  if (!step) return;
  if (standsInTheWay(page.overview, device)) {
    step.show([h("p", { class: "note warn" }, say("here.last_factor"))]);
    return;
  }
  const proving = prove(page.overview, {
    act: say("totp.remove.act"), kind: "danger",
    deed: async (code) => {
      await call("POST", "/totp/disable", { code });
      await step.done(say("totp.removed"));
    },
  });
  step.show([consequences(say("totp.remove.lost"), remains(page.overview, device)), proving]);
  proving.focusFirst();
}

function unlock() {
  const step = Step.enter(card, { heading: say("totp.unlock.heading"), name: "totp.unlock" });
  if (!step) return;
  const proving = prove(page.overview, {
    act: say("unlock.act"), without: "totp",
    deed: async (code) => {
      await call("POST", "/unlock", { type: "totp", code });
      await step.done(say("totp.unlocked"));
    },
  });
  step.show([h("p", {}, say("unlock.why")), proving]);
  proving.focusFirst();
}

/** The card, and how it shows an overview. */
export function totp() {
  door("totp.add", add);
  door("totp.replace", replace);
  door("totp.remove", remove);
  door("totp.unlock", unlock);
  return {
    element: card.element,
    show({ devices, policy }) {
      const device = devices.find(({ type, status }) => type === "totp" && status !== "pending");
      const offered = policy.allowed.includes("totp");
      card.element.hidden = !device && !offered;
      if (!device) {
        card.show({ words: say("totp.none"), actions: [opener(say("set_up"), "totp.add", add, { label: say("totp.add.heading") })] });
        return;
      }
      const off = device.status === "disabled";
      card.show({
        on: off ? "trouble" : true,
        state: say(off ? "state.off" : "state.on"),
        words: [h("p", {}, off ? say("totp.disabled")
          : sentence(device.last_used_at ? "device.used" : "device.unused", { added: since(device.created_at), used: since(device.last_used_at) })),
        !offered && h("p", {}, say("not_offered.any_more"))],
        actions: [
          off && opener(say("unlock"), "totp.unlock", unlock, { label: say("totp.unlock.heading") }),
          offered && opener(say("replace"), "totp.replace", replace, { label: say("totp.replace.heading") }),
          opener(say("turn_off"), "totp.remove", remove, { kind: "second danger", label: say("totp.remove.heading") }),
        ].filter(Boolean),
      });
    },
  };
}
