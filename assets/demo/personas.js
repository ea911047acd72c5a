// Who can call, with tokens to copy and lines for the shell.

import { grantFor } from "./api.js";
import { copyButton, h } from "./ui/dom.js";

const BASE = location.origin;
const JSON_HEADER = "-H 'Content-Type: application/json'";
const AUTH = "-H \"Authorization: Bearer $TOKEN\"";

const fetchToken = (persona) =>
  `TOKEN=$(curl -s ${BASE}/demo/api/token ${JSON_HEADER} -d '{"persona":"${persona}"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')`;
const get = (path) => `curl -s ${BASE}/api/v1${path} ${AUTH}`;
const post = (path, body) => `curl -s -X POST ${BASE}/api/v1${path} ${AUTH}${body ? ` ${JSON_HEADER} -d '${body}'` : ""}`;

const PERSONAS = [
  {
    id: "alice", initial: "A", name: "Alice Example", role: "A person, alice@example.com. May use /api/v1/me/…",
    lines: [
      ["Fetch a token", fetchToken("alice")],
      ["The overview", get("/me/mfa")],
      ["Authenticator app: begin", post("/me/mfa/totp/enable")],
      ["Authenticator app: confirm with a code", post("/me/mfa/totp/confirm", '{"code":"123456"}')],
      ["Email: mail a code", post("/me/mfa/email/enable")],
      ["Email: confirm with the code", post("/me/mfa/email/confirm", '{"code":"123456"}')],
      ["New backup codes", post("/me/mfa/backup-codes/regenerate", '{"code":"123456"}')],
      ["The history", get("/me/mfa/events?limit=20")],
    ],
  },
  {
    id: "login-service", initial: "L", name: "Login service", secret: true,
    role: "A program, client credentials with scope mfa:verify. Has no factors of its own.",
    lines: [
      ["Fetch a token, as a program does (copy the secret first)",
        `SECRET=…\nTOKEN=$(curl -s ${BASE}/demo/issuer/token -u "demo-login-service:$SECRET" -d grant_type=client_credentials | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`],
      ["Alice’s password was right: does she need more?",
        `CHALLENGE=$(${post("/mfa/challenges", '{"subject":"alice","amr":["pwd"]}')} | tee /dev/stderr | sed 's/.*"challenge_id":"\\([^"]*\\)".*/\\1/')`],
      ["Mail her a code", post("/mfa/challenges/$CHALLENGE/email")],
      ["Is her answer right?", post("/mfa/challenges/$CHALLENGE/verify", '{"method":"totp","code":"123456"}')],
      ["What has become of it", get("/mfa/challenges/$CHALLENGE")],
      ["All in one, for programs that can do no more", post("/mfa/verify", '{"subject":"alice","code":"123456"}')],
      ["The keys that sign results", `curl -s ${BASE}/.well-known/jwks.json`],
      ["A program is nobody's account: 403", get("/me/mfa")],
    ],
  },
  {
    id: "olga", initial: "O", name: "Olga Operator", role: "An operator, scope mfa:admin. A person with an account of their own.",
    lines: [
      ["Fetch a token", fetchToken("olga")],
      ["Their own overview", get("/me/mfa")],
      ["Their own history", get("/me/mfa/events?limit=20")],
    ],
  },
];

function card(persona) {
  const fallback = h("div");
  const copies = [copyButton("Copy token", async () => (await grantFor(persona.id)).token,
    { kind: "second", fallback, label: `Copy token for ${persona.name}` })];
  if (persona.secret) {
    copies.push(copyButton("Copy secret", async () => (await grantFor(persona.id)).client_secret,
      { kind: "second", fallback, label: "Copy secret of the login service" }));
  }
  const lines = persona.lines.map(([what, line]) => h("div", { class: "line" },
    h("div", { class: "what" }, h("span", {}, what), copyButton("Copy", () => line, { fallback, label: `Copy: ${what}` })),
    h("pre", { tabindex: "0" }, h("code", {}, line))));
  return h("article", { class: "card" },
    h("div", { class: "card-head" }, h("span", { class: "avatar", "aria-hidden": "true" }, persona.initial),
      h("div", { class: "words" }, h("h3", {}, persona.name), h("p", {}, persona.role)),
      h("div", { class: "actions" }, copies)),
    fallback,
    h("details", {}, h("summary", {}, "Lines for the shell"), h("div", { class: "lines" }, lines)));
}

export function start() {
  document.querySelector("#personas").append(...PERSONAS.map(card));
}
