// What a login service does: open a challenge, forward the answer, read the outcome. Here, or on the hosted page.

import { service } from "./api.js";
import { load } from "./factors.js";
import { onCode } from "./mailbox.js";
import { members, result, shortened } from "./outcome.js";
import * as phone from "./phone.js";
import { STATE } from "./state.js";
import { button, codeForm, errorLine, h } from "./ui/dom.js";
import * as webauthn from "./ui/webauthn.js";

const PEOPLE = { alice: "Alice", olga: "Olga" };
const NAMES = { totp: "Authenticator app", email: "Email", webauthn: "Security key", backup_code: "Backup code" };
const LABELS = { totp: "The six digits from the app", email: "The code from the mail", backup_code: "A backup code" };
const MOST_LINES = 12;

const place = document.querySelector("#challenge");
const step = h("div", { class: "sign-in-step" });
const lines = h("div", { class: "lines" });
const wire = h("details", { hidden: true }, h("summary", {}, "What was asked and answered"), lines);
let person = "alice";
let stopListening = () => {};

function show(...parts) {
  stopListening();
  stopListening = () => {};
  step.replaceChildren(...parts.flat().filter(Boolean));
}

/** Shows what goes over the wire, the newest first. */
function tell(request, body, status, answer) {
  const text = [request, body && JSON.stringify(body), `→ ${status || "no answer"}`, answer && JSON.stringify(shortened(answer), null, 2)];
  lines.prepend(h("pre", { tabindex: "0" }, h("code", {}, text.filter(Boolean).join("\n"))));
  while (lines.childElementCount > MOST_LINES) lines.lastElementChild.remove();
  wire.hidden = false;
}

async function post(path, body, status = 200) {
  const request = `POST /api/v1/mfa${path}`;
  try {
    const answer = await service.post(path, body);
    tell(request, body, status, answer);
    return answer;
  } catch (problem) {
    tell(request, body, problem.status, problem.body);
    throw problem;
  }
}

function idle(line = "The password was right. Is more needed?") {
  const error = errorLine();
  const who = h("select", { id: "who", onchange: () => { person = who.value; } },
    Object.entries(PEOPLE).map(([id, name]) => h("option", { value: id, selected: id === person }, name)));
  show(h("p", {}, line), h("p", { class: "who-signs-in" }, h("label", { for: "who" }, "Who signs in"), who),
    h("div", { class: "actions" }, button("Start a sign-in", () => open(), { error }),
      button("Answer on the hosted page", hosted, { kind: "second", error })), error);
}

/** Says what the server decided where that is not to ask. */
function decided({ decision }) {
  const name = PEOPLE[person];
  const sentences = {
    allow: `The server says allow: nothing more is asked of ${name}. Set up a factor above and try again.`,
    enroll: `The server says enroll: ${name} has to set up a factor first.`,
    deny: `The server says deny: ${name} is turned away.`,
  };
  idle(sentences[decision] ?? `The server says ${decision}.`);
  step.querySelector("button").focus();
}

const asked = () => ({ subject: person, reason: "login", amr: ["pwd"], context: { app: "The demo" } });

async function open() {
  lines.replaceChildren();
  const challenge = await post("/challenges", asked(), 201);
  if (challenge.decision === "challenge") choose(challenge);
  else decided(challenge);
}

async function hosted() {
  lines.replaceChildren();
  const state = crypto.randomUUID();
  const challenge = await post("/challenges", { ...asked(), return_url: `${location.origin}/demo/returned`, state, remember: true }, 201);
  if (!challenge.prompt_url) return decided(challenge);
  sessionStorage.setItem(STATE, state);
  location.assign(challenge.prompt_url);
}

function choose(challenge) {
  const error = errorLine();
  show(h("p", {}, "The server says ", h("strong", {}, "challenge"), `. How does ${PEOPLE[person]} answer?`),
    h("div", { class: "actions" },
      challenge.methods.filter((method) => method !== "webauthn" || webauthn.isOffered())
        .map((method, index) => button(NAMES[method] ?? method, () => answer(challenge, method), { kind: index ? "second" : "", error })),
      button("Cancel", () => { idle(); step.querySelector("button").focus(); }, { kind: "plain" })),
    error);
  step.querySelector("button").focus();
}

async function verify(challenge, proof) {
  // Whoever is let in by the answer is named with it, so that it cannot be another's.
  const outcome = await post(`/challenges/${challenge.challenge_id}/verify`, { subject: person, ...proof });
  const again = button("Once more", () => { idle(); step.querySelector("button").focus(); }, { kind: "second" });
  show(h("p", { class: "pill on", role: "status" }, "Signed in"), members(outcome), await result(outcome.token, challenge.challenge_id),
    h("div", { class: "actions" }, again));
  again.focus();
  await load();
}

async function answer(challenge, method) {
  if (method === "webauthn") {
    const { publicKey } = await post(`/challenges/${challenge.challenge_id}/webauthn`);
    return verify(challenge, { method, credential: await webauthn.get(publicKey) });
  }
  let early = null;
  const deaf = onCode((code) => { early = code; });
  try {
    if (method === "email") await post(`/challenges/${challenge.challenge_id}/email`);
  } finally {
    deaf();
  }
  const form = codeForm({
    label: LABELS[method] ?? "Code", act: "Verify", digits: method !== "backup_code", groups: method === "backup_code",
    extra: button("Another way", () => choose(challenge), { kind: "plain" }),
    deed: (code) => verify(challenge, { method, code }),
  });
  const typed = method === "totp" && phone.hasAccount()
    ? h("p", { class: "phone" }, "No phone at hand?", button("Type the code of this page’s phone", async () => form.fill((await phone.code()).code), { kind: "small" }))
    : null;
  show(form, typed);
  if (method === "email") stopListening = onCode((code) => form.fill(code));
  if (early) form.fill(early);
  else form.querySelector("input").focus();
}

export function start() {
  place.append(step, wire);
  idle();
}
