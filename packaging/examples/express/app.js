// A login page in Express: it checks the password, and asks for the second factor in a form of its own.
//
//   (umask 077 && mfad service add portal --config mfad.toml > portal.key)
//   npm install
//   MFAD_URL=http://localhost:8080 MFAD_SERVICE=portal MFAD_KEY_FILE=portal.key node app.js
//
// Then open http://localhost:3000 and sign in as alice, password alice.

import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import express from "express";
import session from "express-session";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { MFAD_SERVICE: SERVICE, MFAD_KEY_FILE, PORT = "3000" } = process.env;
const MFAD = process.env.MFAD_URL.replace(/\/$/, "");
const KEY = readFileSync(MFAD_KEY_FILE, "utf8").trim();
const tokenKeys = createRemoteJWKSet(new URL(`${MFAD}/.well-known/jwks.json`));
// Your own people stand here.
const salt = randomBytes(16);
const hash = (password) => scryptSync(password, salt, 32);
const people = new Map(["alice", "bob", "carol"].map((name) => [name, hash(name)]));

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.codePointAt(0)};`);
const page = (text, body = "") =>
  `<!doctype html><html lang="en"><title>Portal</title><p role="status">${escape(text)}</p>${body}`;
const LOGIN = `<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>`;
// A security key needs WebAuthn in the page (…/webauthn) or mfad's own page, which the Flask example uses.
const METHODS = { totp: "Code from the app", email: "Code by mail", backup_code: "Backup code" };

function codeForm({ methods }) {
  const choice = (method) => `<option value="${method}">${METHODS[method]}</option>`;
  return `<form method="post" action="/code">
<select name="method" aria-label="How">${methods.filter((m) => METHODS[m]).map(choice).join("")}</select>
<label>Code <input name="code" autocomplete="one-time-code" required></label><button>Go on</button></form>
${methods.includes("email") ? '<form method="post" action="/email"><button>Mail me a code</button></form>' : ""}`;
}

/** Asks mfad. Gives status and body; throws where there is no answer, which lets nobody in. */
async function mfad(path, body) {
  const answer = await fetch(`${MFAD}/api/v1/mfa${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
    signal: AbortSignal.timeout(10_000),
  });
  return { status: answer.status, body: await answer.json() };
}

/** Whether mfad says, for this service, that this person has answered this challenge. */
async function proved(token, { user, id }) {
  const { payload } = await jwtVerify(token, tokenKeys, {
    issuer: MFAD,
    audience: SERVICE,
    algorithms: ["ES256"],
    typ: "mfa+jwt",
    requiredClaims: ["sub", "iat", "exp", "challenge_id"],
  });
  return payload.sub === user && payload.challenge_id === id;
}

const app = express();
app.disable("x-powered-by");
app.use(express.urlencoded({ extended: false, limit: "8kb" }));
app.use(
  session({
    name: "portal",
    secret: randomBytes(32).toString("hex"),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: "lax", secure: MFAD.startsWith("https:") },
  }),
);
/** A new session with these members, so that nobody goes on with one that they were given. */
const begin = (req, members) =>
  new Promise((done, failed) =>
    req.session.regenerate((error) => (error ? failed(error) : done(Object.assign(req.session, members)))),
  );

app.get("/", (req, res) => {
  const { user } = req.session;
  res.send(user ? page(`Hello ${user}`, '<form method="post" action="/logout"><button>Sign out</button></form>') : page("Who are you?", LOGIN));
});

app.post("/login", async (req, res) => {
  const { name = "", password = "" } = req.body ?? {};
  const expected = people.get(name);
  if (!expected || !timingSafeEqual(expected, hash(password))) {
    return res.status(401).send(page("Name or password is not right.", LOGIN));
  }
  const context = { ip: req.ip, user_agent: req.get("user-agent"), app: "Portal" };
  const { status, body } = await mfad("/challenges", { subject: name, amr: ["pwd"], context });
  if (status !== 201) throw new Error(`mfad opens no challenge: ${status} ${body.code}`);
  switch (body.decision) {
    case "allow":
      await begin(req, { user: name });
      return res.redirect("/");
    case "challenge":
      await begin(req, { pending: { user: name, id: body.challenge_id, methods: body.methods } });
      return res.send(page("One more step.", codeForm(body)));
    case "enroll":
      return res.status(403).send(page("You need a second factor before you can sign in.", `<a href="${escape(MFAD)}/">Set one up</a>`));
    default:
      return res.status(403).send(page("You may not sign in here."));
  }
});

/** Sends mfad something about the challenge of this session; `good` answers where it went well. */
const step = (path, question, good) => async (req, res) => {
  const { pending } = req.session;
  if (!pending) return res.redirect("/");
  const { status, body } = await mfad(`/challenges/${encodeURIComponent(pending.id)}${path}`, question(req.body ?? {}, pending));
  if (status < 300) return good(req, res, pending, body);
  // The challenge may be over: the way back is open.
  res.status(status === 429 ? 429 : 401).send(page(body.detail, `${codeForm(pending)}<a href="/">Start again</a>`));
};

app.post("/email", step("/email", () => ({}), (req, res, pending) => res.send(page("A code is on its way.", codeForm(pending)))));

app.post(
  "/code",
  // With the name of whoever would be let in, mfad takes an answer to their own challenge and to no other.
  step("/verify", ({ method, code }, { user }) => ({ method, code, subject: user }), async (req, res, pending, body) => {
    if (body.verified !== true || !(await proved(body.token, pending))) throw new Error("mfad's answer proves nothing");
    await begin(req, { user: pending.user });
    res.redirect("/");
  }),
);

app.post("/logout", (req, res) => req.session.destroy(() => res.redirect("/")));

app.use((error, req, res, next) => {
  console.error(`${error}`);
  if (res.headersSent) return next(error);
  res.status(503).send(page("The second factor cannot be asked for at the moment.", LOGIN));
});

app.listen(Number(PORT), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`listening on http://localhost:${PORT}`);
});
