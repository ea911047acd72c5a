// Codes by mail.

import { Card, consequences, opener } from "../card.js";
import { codeBox } from "../code-box.js";
import { h } from "../dom.js";
import { mailed, mailer } from "../mailer.js";
import { Step, door, page } from "../page.js";
import { prove } from "../prove.js";
import { remains, standsInTheWay } from "../safety.js";
import { call } from "../session.js";
import { sentence, since } from "../time.js";
import { say } from "../words.js";
import { showCodes } from "./backup-codes.js";

const card = new Card({ glyph: "mail", title: say("email.title") });

function showBox(step, sent) {
  const mail = mailer({
    sent, send: () => call("POST", "/email/enable"),
    box: () => codeBox({
      of: "email", label: say("email.code.label"), act: say("email.add.act"), digits: true, hint: say("prove.digits.hint"),
      async deed(code) {
        const confirmed = await call("POST", "/email/confirm", { code });
        if (confirmed.backup_codes) showCodes(step, confirmed.backup_codes, say("email.added"));
        else await step.done(say("email.added"));
      },
    }),
  });
  step.show([mail.element]);
  mail.focus();
}

function add() {
  const step = Step.enter(card, { heading: say("email.add.heading"), name: "email.add" });
  step?.load((code) => mailed(() => call("POST", "/email/enable", code && { code })), (sent) => showBox(step, sent), { waiting: "email.sending" });
}

function remove() {
  const device = page.overview.devices.find(({ type }) => type === "email");
  const step = Step.enter(card, { heading: say("email.remove.heading"), name: "email.remove" });
  if (!step) return;
  if (standsInTheWay(page.overview, device)) {
    step.show([h("p", { class: "note warn" }, say("here.last_factor"))]);
    return;
  }
  const proving = prove(page.overview, {
    act: say("email.remove.act"), kind: "danger",
    deed: async (code) => {
      await call("POST", "/email/disable", { code });
      await step.done(say("email.removed"));
    },
  });
  step.show([consequences(say("email.remove.lost", { email: device.name }), remains(page.overview, device)), proving]);
  proving.focusFirst();
}

function unlock() {
  const step = Step.enter(card, { heading: say("email.unlock.heading"), name: "email.unlock" });
  if (!step) return;
  const proving = prove(page.overview, {
    act: say("unlock.act"), without: "email",
    deed: async (code) => {
      await call("POST", "/unlock", { type: "email", code });
      await step.done(say("email.unlocked"));
    },
  });
  step.show([h("p", {}, say("unlock.why")), proving]);
  proving.focusFirst();
}

/** The card, and how it shows an overview. */
export function email() {
  door("email.add", add);
  door("email.remove", remove);
  door("email.unlock", unlock);
  return {
    element: card.element,
    show({ devices, policy }) {
      const device = devices.find(({ type, status }) => type === "email" && status !== "pending");
      const offered = policy.allowed.includes("email");
      card.element.hidden = !device && !offered;
      const recovery = policy.email === "recovery" && h("p", {}, say("email.recovery"));
      if (!device) {
        card.show({
          words: [h("p", {}, say("email.none")), recovery],
          actions: [opener(say("set_up"), "email.add", add, { label: say("email.add.heading") })],
        });
        return;
      }
      const off = device.status === "disabled";
      card.show({
        on: off ? "trouble" : true,
        state: say(off ? "state.off" : "state.on"),
        words: [
          h("p", {}, off ? say("email.disabled") : sentence(device.last_used_at ? "email.used" : "email.unused",
            { email: h("bdi", {}, device.name), used: since(device.last_used_at) })),
          recovery, !offered && h("p", {}, say("not_offered.any_more")),
        ],
        actions: [
          off && opener(say("unlock"), "email.unlock", unlock, { label: say("email.unlock.heading") }),
          opener(say("turn_off"), "email.remove", remove, { kind: "second danger", label: say("email.remove.heading") }),
        ].filter(Boolean),
      });
    },
  };
}
