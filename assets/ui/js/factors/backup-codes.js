// Backup codes: shown once, counted ever after.

import { Card, opener } from "../card.js";
import { button, copyButton, h } from "../dom.js";
import { Step, door, page, refreshOrSay } from "../page.js";
import { prove, waysOf } from "../prove.js";
import { FEW_CODES } from "../safety.js";
import { call } from "../session.js";
import { on } from "../time.js";
import { say } from "../words.js";

const card = new Card({ glyph: "list", title: say("codes.title") });

const asText = (codes) => [say("codes.file.title", { host: location.host }), say("codes.file.how"), "", ...codes, ""].join("\r\n");

/** Hands the codes over as a file, which never leaves this machine. */
function download(codes) {
  const url = URL.createObjectURL(new Blob([asText(codes)], { type: "text/plain" }));
  h("a", { href: url, download: say("codes.file.name") }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** Shows codes in `step`, which stays until somebody says that they are safe; then it says `done`. */
export function showCodes(step, codes, done) {
  if (!step.isOpen) return;
  step.holds = true;
  step.onward = null;
  step.left = () => {};
  step.title(say("codes.save.heading"));
  const fallback = h("div");
  const saved = button(say("codes.saved"), () => step.done(done));
  step.show([
    h("div", { class: "to-print" },
      h("p", { class: "print-only" }, say("codes.file.title", { host: location.host })),
      h("p", {}, say("codes.save.why")),
      h("ul", { class: "codes", translate: "no", tabindex: "0", "aria-label": say("codes.title") }, codes.map((code) => h("li", {}, code)))),
    h("div", { class: "actions" },
      copyButton(say("codes.copy"), () => codes.join("\n"), { kind: "second", fallback }),
      button(say("codes.download"), () => download(codes), { kind: "second" }),
      button(say("codes.print"), () => print(), { kind: "second" })),
    fallback,
    h("div", { class: "actions" }, saved),
  ], null, { wayOut: null });
  refreshOrSay(step.card);
}

function renew() {
  const step = Step.enter(card, { heading: say("codes.renew.heading"), name: "backup_codes.renew" });
  if (!step) return;
  const proving = prove(page.overview, {
    act: say("codes.renew.act"), backup: false,
    deed: async (code) => {
      const { backup_codes: codes } = await call("POST", "/backup-codes/regenerate", { code });
      showCodes(step, codes, say("codes.renewed"));
    },
  });
  step.show([h("p", {}, say("codes.renew.lost")), waysOf(page.overview, { backup: false }).length === 0 ? h("p", { class: "note warn" }, say("codes.renew.none")) : proving]);
  if (proving.isConnected) proving.focusFirst();
}

/** The card, and how it shows an overview. */
export function backupCodes() {
  door("backup_codes.renew", renew);
  return {
    element: card.element,
    show({ backup_codes: set }) {
      if (!set) {
        card.show({ words: say("codes.none") });
        return;
      }
      const few = set.remaining <= FEW_CODES;
      card.show({
        on: few ? "trouble" : true,
        state: say(set.remaining > 0 ? "codes.left" : set.voided_at ? "codes.left.void" : "codes.left.none", set),
        words: [h("p", {}, say(set.remaining === 0 && set.voided_at ? "codes.void" : few ? "codes.few" : "codes.what")), set.created_at && h("p", {}, say("codes.made"), " ", on(set.created_at))],
        actions: [opener(say("codes.renew"), "backup_codes.renew", renew)],
      });
    },
  };
}
