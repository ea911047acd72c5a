// The ways of answering. Each is opened on a desk, where it can `post` and `answer`, and gives its `parts`, what it
// begins once they are on the screen (`start`), and what ends that (`stop`).

import { countdown } from "../countdown.js";
import { button, codeForm, errorLine, h } from "../dom.js";
import { explainIn } from "../trouble.js";
import * as webauthn from "../webauthn.js";
import { say } from "../words.js";

const explain = explainIn(null);
const WAYS = { totp, email, webauthn: key, backup_code: backupCode };

/** Whether this page knows the way. */
export const isKnown = (method) => Object.hasOwn(WAYS, method);
/** Whether this browser can go it. */
export const isUsable = (method) => method !== "webauthn" || webauthn.isOffered();
/** Its `open(desk)`, for the sign-in in `view`. */
export const way = (method, view) => WAYS[method](view);

const codeBox = (desk, options) => codeForm({
  act: say("prompt.continue"), explain, deed: (code) => desk.answer({ code }), ...options,
});

function totp() {
  return (desk) => ({
    parts: [codeBox(desk, { label: say("prompt.totp.label"), digits: true, hint: say("prompt.digits.hint") })],
  });
}

function backupCode() {
  return (desk) => ({
    parts: [codeBox(desk, { label: say("prompt.backup_code.label"), groups: true, hint: say("prompt.backup_code.hint") })],
  });
}

function email(view) {
  // Whoever comes back to this way has had their mail.
  let nextAt = null, lastSaid = "";
  /** Whether there is a code that this sign-in takes. One that was mailed for another is no answer here. */
  let codeLive = true;

  return (desk) => {
    const form = codeBox(desk, {
      label: say("prompt.email.label", { email: view.email ?? "" }), digits: true, hint: say("prompt.digits.hint"),
    });
    const said = h("p", { class: "hint", role: "status", tabindex: "-1" }, lastSaid);
    const error = errorLine();
    const again = h("button", { type: "button", class: "second", onclick: send }, say("prompt.email.again"));
    let stop = () => {};

    function tell(text, seconds, isLive) {
      said.textContent = lastSaid = text;
      codeLive = isLive;
      nextAt = Date.now() + seconds * 1000;
      wait();
      if (!isLive) said.focus();
    }

    function wait() {
      form.setEnabled(codeLive);
      again.disabled = true;
      stop = countdown((nextAt - Date.now()) / 1000, (clock) => { again.textContent = say("prompt.email.again_in", { clock }); }, () => {
        again.textContent = say("prompt.email.again");
        again.disabled = false;
        if (document.activeElement === said) again.focus();
      });
    }

    async function send() {
      again.disabled = true;
      error.textContent = "";
      said.textContent = say("prompt.email.sending");
      form.querySelector("input").focus();
      try {
        const sent = await desk.post("email");
        if (!sent) return;
        tell(say("prompt.email.sent", { email: sent.sent_to }), sent.resend_after, true);
        form.querySelector("input").focus();
      } catch (problem) {
        const { retry_after: seconds, code_live: isLive = false } = problem.body ?? {};
        if (problem.code === "rate_limited" && seconds) {
          return tell(say(isLive ? "prompt.email.recent" : "prompt.email.elsewhere"), seconds, isLive);
        }
        said.textContent = "";
        error.textContent = explain(problem);
        again.disabled = false;
      }
    }

    return {
      parts: [form, said, error, h("div", { class: "actions" }, again)],
      start() {
        if (nextAt === null) return send();
        wait();
        return codeLive || said.focus();
      },
      stop: () => stop(),
    };
  };
}

function key() {
  return (desk) => {
    const error = errorLine();
    const said = h("p", { class: "hint", role: "status" });
    const ceremony = new AbortController();
    const use = button(say("prompt.webauthn.use"), async () => {
      try {
        const begun = await desk.post("webauthn");
        if (!begun || ceremony.signal.aborted) return;
        said.textContent = say("prompt.webauthn.waiting");
        const credential = await webauthn.get(begun.publicKey, { signal: ceremony.signal });
        await desk.answer({ credential });
      } finally {
        said.textContent = "";
      }
    }, { kind: "wide", error, explain });
    return { parts: [h("p", { class: "hint" }, say("prompt.webauthn.hint")), use, said, error], stop: () => ceremony.abort() };
  };
}
