// What a login service does: open a challenge, forward the answer, read the outcome.

import { service } from "./api.js";
import { button, codeForm, errorLine, h } from "./dom.js";
import { load } from "./factors.js";
import { onCode } from "./mailbox.js";
import * as phone from "./phone.js";
import * as webauthn from "./webauthn.js";

const place = document.querySelector("#challenge");
const NAMES = { totp: "Authenticator app", email: "Email", webauthn: "Security key", backup_code: "Backup code" };
const LABELS = { totp: "The six digits from the app", email: "The code from the mail", backup_code: "A backup code" };
let stopListening = () => {};

function show(...parts) {
  stopListening();
  stopListening = () => {};
  place.replaceChildren(...parts.flat().filter(Boolean));
}

function idle(line = "Alice’s password was right. Does she need more?") {
  const error = errorLine();
  show(h("p", {}, line), h("div", { class: "actions" }, button("Start a sign-in", open, { error })), error);
}

async function open() {
  const challenge = await service.post("", { subject: "alice", reason: "login", amr: ["pwd"] });
  if (challenge.decision === "challenge") return choose(challenge);
  const sentences = {
    allow: "The server says allow: nothing more is asked of her. Set up a factor above and try again.",
    enroll: "The server says enroll: she has to set up a factor first.",
    deny: "The server says deny.",
  };
  idle(sentences[challenge.decision] ?? `The server says ${challenge.decision}.`);
}

function choose(challenge) {
  const error = errorLine();
  show(h("p", {}, "The server says ", h("strong", {}, "challenge"), ". How does Alice prove herself?"),
    h("div", { class: "actions" },
      challenge.methods.filter((method) => method !== "webauthn" || webauthn.isOffered())
        .map((method, index) => button(NAMES[method] ?? method, () => answer(challenge, method), { kind: index ? "second" : "", error })),
      button("Cancel", () => idle(), { kind: "plain" })),
    error);
}

async function verify(challenge, proof) {
  const outcome = await service.post(`/${challenge.challenge_id}/verify`, proof);
  // The signed result is the service's; the page shows what it says and drops it.
  const { token, ...said } = outcome;
  const claims = typeof token === "string" ? readClaims(token) : null;
  show(h("p", { class: "pill on" }, "Signed in"),
    h("dl", { class: "outcome" }, Object.entries(said).map(([name, value]) =>
      [h("dt", {}, name), h("dd", {}, Array.isArray(value) ? value.join(", ") : String(value))])),
    claims && h("details", {}, h("summary", {}, "What the signed result says"),
      h("pre", { tabindex: "0" }, h("code", {}, JSON.stringify(claims, null, 2)))),
    h("div", { class: "actions" }, button("Once more", () => idle(), { kind: "second" })));
  load();
}

function readClaims(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (c) => c.charCodeAt(0))));
  } catch {
    return null;
  }
}

async function answer(challenge, method) {
  if (method === "webauthn") {
    const { publicKey } = await service.post(`/${challenge.challenge_id}/webauthn`);
    return verify(challenge, { method, credential: await webauthn.get(publicKey) });
  }
  let early = null;
  const deaf = onCode((code) => { early = code; });
  if (method === "email") await service.post(`/${challenge.challenge_id}/email`);
  deaf();
  const form = codeForm({
    label: LABELS[method] ?? "Code", act: "Verify", digits: method !== "backup_code",
    extra: button("Another way", () => choose(challenge), { kind: "plain" }),
    deed: (code) => verify(challenge, { method, code }),
  });
  const typed = method === "totp" && phone.hasAccount()
    ? h("p", { class: "phone" }, "No phone at hand? ", button("Type the code of this page’s phone", async () => form.fill((await phone.code()).code), { kind: "small" }))
    : null;
  show(form, typed);
  if (method === "email") stopListening = onCode((code) => form.fill(code));
  if (early) form.fill(early);
  else form.querySelector("input").focus();
}

export function start() {
  idle();
}
