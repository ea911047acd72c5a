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

  return (desk) => {
    const form = codeBox(desk, {
      label: say("prompt.email.label", { email: view.email ?? "" }), digits: true, hint: say("prompt.digits.hint"),
    });
    const said = h("p", { class: "hint", role: "status" }, lastSaid);
    const error = errorLine();
    const again = h("button", { type: "button", class: "second", onclick: send }, say("prompt.email.again"));
    let stop = () => {};

    function tell(text, seconds) {
      said.textContent = lastSaid = text;
      nextAt = Date.now() + seconds * 1000;
      wait();
    }

    function wait() {
      again.disabled = true;
      stop = countdown((nextAt - Date.now()) / 1000, (clock) => { again.textContent = say("prompt.email.again_in", { clock }); }, () => {
        again.textContent = say("prompt.email.again");
        again.disabled = false;
      });
    }

    async function send() {
      again.disabled = true;
      error.textContent = "";
      said.textContent = say("prompt.email.sending");
      form.querySelector("input").focus();
      try {
        const sent = await desk.post("email");
        if (sent) tell(say("prompt.email.sent", { email: sent.sent_to }), sent.resend_after);
      } catch (problem) {
        if (problem.code === "rate_limited" && problem.body.retry_after) return tell(say("prompt.email.recent"), problem.body.retry_after);
        said.textContent = "";
        error.textContent = explain(problem);
        again.disabled = false;
      }
    }

    return {
      parts: [form, said, error, h("div", { class: "actions" }, again)],
      start: () => (nextAt === null ? send() : wait()),
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
