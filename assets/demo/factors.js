// Alice's account: one card a factor, over the public API alone.

import { me } from "./api.js";
import { button, codeForm, copyButton, errorLine, h, icon, when } from "./ui/dom.js";
import { onCode } from "./mailbox.js";
import * as phone from "./phone.js";
import * as webauthn from "./ui/webauthn.js";

const account = document.querySelector("#account");
const cards = document.querySelector("#cards");

/** What each card is in the middle of: a function that gives its step, or nothing. */
const steps = { totp: null, email: null, webauthn: null, backup: null };
/** Backup codes that were just shown: the server never shows them again. */
let freshCodes = null;
let overview = null;
let stopListening = () => {};

function enter(card, step) {
  stopListening();
  for (const name of Object.keys(steps)) steps[name] = name === card ? step : null;
  render();
  cards.querySelector(".step input")?.focus();
}

async function leave(answer) {
  stopListening();
  if (answer?.backup_codes) freshCodes = answer.backup_codes;
  for (const name of Object.keys(steps)) steps[name] = null;
  await load();
  // The button that had the focus is gone.
  (cards.querySelector(".step button") ?? document.querySelector("#try-title")).focus({ preventScroll: !freshCodes });
}

const cancel = () => button("Cancel", () => enter(null, null), { kind: "plain" });
const active = (type) => overview.devices.filter((device) => device.type === type && device.status === "active");

function card({ name, glyph, title, words, on, actions = [], error, body = [] }) {
  const step = steps[name]?.();
  return h("article", { class: on ? "card on" : "card", "aria-label": title },
    h("div", { class: "card-head" }, icon(glyph),
      h("div", { class: "words" }, h("h3", {}, title), h("p", {}, words)),
      step ? null : h("div", { class: "actions" }, actions)),
    error, body, step && h("div", { class: "step" }, step));
}

/** Shows the page's own phone, with a button that types its code. */
function phoneLine(form) {
  if (!phone.hasAccount()) return null;
  const digits = h("span", { class: "digits", "aria-live": "off" }, "······");
  const left = h("span", { class: "quiet" });
  const line = h("p", { class: "phone" }, h("span", {}, "No phone at hand? Here:"), digits, left,
    button("Type it", async () => form.fill((await phone.code()).code), { kind: "small" }));
  const tick = async () => {
    if (!phone.hasAccount()) return;
    const now = await phone.code();
    digits.textContent = `${now.code.slice(0, 3)} ${now.code.slice(3)}`;
    left.textContent = `works once, next in ${now.left} s`;
    if (line.isConnected) setTimeout(tick, 1000);
  };
  queueMicrotask(tick);
  return line;
}

/** A code box with whatever can type into it: the page's phone, or the mailbox. */
function proof(options, mailed = false) {
  const form = codeForm({ digits: false, ...options });
  stopListening();
  stopListening = mailed ? onCode((code) => form.fill(code)) : () => {};
  return [form, mailed ? null : phoneLine(form)];
}

/** Asks for a mail, and hears its code even where that is here before the answer is. */
async function mailed(path, body) {
  let early = null;
  const deaf = onCode((code) => { early = code; });
  try {
    const sent = await me.post(path, body);
    return { sent, early };
  } finally {
    deaf();
  }
}

/** A security key's one-time proof, which any `code` takes. */
async function proofByKey() {
  const { challenge_id, publicKey } = await me.post("webauthn/verify/begin");
  const credential = await webauthn.get(publicKey);
  return (await me.post("webauthn/verify/complete", { challenge_id, credential })).code;
}

/**
 * Does `deed()`, and goes on to `then` with what that gave. A user who has a factor is asked for it first, in the card
 * `name`: then it is `deed({ code })`.
 */
async function proven(name, deed, then) {
  try {
    return await then(await deed());
  } catch (problem) {
    if (problem.code !== "insufficient_user_authentication") throw problem;
  }
  const goOn = async (code) => then(await deed({ code }));
  const byMail = active("totp").length === 0 && active("email").length > 0;
  let early = null, unsent = null;
  if (byMail) {
    try { ({ early } = await mailed("email/send")); } catch (problem) { unsent = problem.message; }
  }
  const byKey = active("webauthn").length > 0 && webauthn.isOffered();
  const error = errorLine();
  const label = byMail ? "A mailed code, or a backup code" : active("totp").length > 0 ? "A code from the app, or a backup code" : "A backup code";
  enter(name, () => {
    const parts = proof({ label, act: "Confirm", extra: cancel(), deed: goOn }, byMail);
    if (early) queueMicrotask(() => parts[0].fill(early));
    return [
      h("p", {}, h("strong", {}, "Confirm first that it is you. "), "Otherwise anyone who knows the password could add a factor of their own."),
      byKey && h("div", { class: "actions" }, button("Use a security key", async () => goOn(await proofByKey()), { error })), error,
      ...parts, unsent && h("p", { class: "error", role: "alert" }, `No mail left: ${unsent}`),
    ];
  });
}

function totp() {
  const [device] = active("totp");
  const error = errorLine();
  const begin = () => proven("totp", (code) => me.post("totp/enable", code), (pending) => {
    phone.scan(pending);
    enter("totp", () => [
      h("ol", { class: "steps" },
        h("li", {}, h("p", {}, "Scan this with an authenticator app, or type the key."),
          h("div", { class: "scan" }, h("img", { src: pending.qr_code, alt: "QR code for the authenticator app" }),
            h("div", {}, h("span", { class: "quiet small-text" }, "Key"),
              h("span", { class: "secret" }, pending.secret.replace(/(.{4})(?=.)/g, "$1 ")),
              copyButton("Copy key", () => pending.secret)))),
        h("li", {}, proof({
          label: "The six digits that the app shows", act: "Confirm", digits: true, extra: cancel(),
          deed: async (code) => leave(await me.post("totp/confirm", { code })),
        }))),
    ]);
  });
  const remove = () => enter("totp", () => proof({
    label: "To turn it off: a code from the app, or a backup code", act: "Turn off", kind: "danger", extra: cancel(),
    deed: async (code) => { await me.post("totp/disable", { code }); phone.forget(); await leave(); },
  }));
  return card({
    name: "totp", glyph: "phone", title: "Authenticator app", on: device, error,
    words: device ? `On since ${when(device.created_at)}. Last used: ${when(device.last_used_at)}.` : "Six digits from an app on the phone.",
    actions: [device ? button("Turn off", remove, { kind: "danger", error }) : button("Set up", begin, { error })],
  });
}

function email() {
  const [device] = active("email");
  const error = errorLine();
  const begin = () => proven("email", (code) => mailed("email/enable", code), ({ sent, early }) => {
    enter("email", () => {
      const parts = proof({
        label: `The code that was mailed to ${sent.sent_to}`, act: "Confirm", digits: true, extra: cancel(),
        deed: async (code) => leave(await me.post("email/confirm", { code })),
      }, true);
      if (early) queueMicrotask(() => parts[0].fill(early));
      return [...parts, h("p", { class: "quiet small-text" }, "It arrives in the mailbox on this page and is typed for you.")];
    });
  });
  const remove = async () => {
    // Where there is no app, only a mailed code or a backup code proves who asks.
    const byMail = active("totp").length === 0;
    let early = null, unsent = null;
    if (byMail) {
      // A backup code will do where no mail may leave yet.
      try { ({ early } = await mailed("email/send")); } catch (problem) { unsent = problem.message; }
    }
    enter("email", () => {
      const parts = proof({
        label: byMail ? "To turn it off: a mailed code, or a backup code" : "To turn it off: a code from the app, or a backup code",
        act: "Turn off", kind: "danger", extra: cancel(),
        deed: async (code) => { await me.post("email/disable", { code }); await leave(); },
      }, byMail);
      if (early) queueMicrotask(() => parts[0].fill(early));
      return [...parts, unsent && h("p", { class: "error", role: "alert" }, `No mail left: ${unsent}`)];
    });
  };
  return card({
    name: "email", glyph: "mail", title: "Email", on: device, error,
    words: device ? `Codes go to ${device.name}. Last used: ${when(device.last_used_at)}.` : "A code by mail. Better than nothing, weaker than the others.",
    actions: [device ? button("Turn off", remove, { kind: "danger", error }) : button("Set up", begin, { kind: "second", error })],
  });
}

function keys() {
  const devices = active("webauthn");
  const error = errorLine();
  const name = `Key ${devices.length + 1}`;
  const add = () => proven("webauthn", (code) => me.post("webauthn/register/begin", { name, ...code }), async (ceremony) => {
    let credential;
    try {
      credential = await webauthn.create(ceremony.publicKey);
    } catch (problem) {
      await me.removeKey(ceremony.device_id);
      throw problem;
    }
    await leave(await me.post("webauthn/register/complete", {
      device_id: ceremony.device_id, challenge_id: ceremony.challenge_id, credential,
    }));
  });
  const remove = (device) => () => proven("webauthn", (code) => me.removeKey(device.device_id, code), () => leave());
  const rows = devices.map((device) => h("li", {},
    h("span", {}, device.name, h("br"), h("span", { class: "quiet small-text" }, `Added ${when(device.created_at)}`)),
    button("Remove", remove(device), { kind: "danger", error, label: `Remove ${device.name}` })));
  return card({
    name: "webauthn", glyph: "key", title: "Security keys", on: devices.length > 0, error,
    words: webauthn.isOffered() ? "The strongest: no false page can fool it." : "This browser cannot use security keys.",
    actions: webauthn.isOffered() ? [button("Add a key", add, { kind: devices.length ? "second" : "", error })] : [],
    body: devices.length ? [h("ul", { class: "keys" }, rows)] : [],
  });
}

function backup() {
  const set = overview.backup_codes;
  const error = errorLine();
  if (freshCodes) {
    steps.backup = () => [
      h("p", {}, h("strong", {}, "Shown once: "), "keep them somewhere safe. Each works once, in place of a code."),
      h("ul", { class: "codes" }, freshCodes.map((code) => h("li", {}, code))),
      h("div", { class: "actions" }, button("I have saved them", () => { freshCodes = null; enter(null, null); }),
        copyButton("Copy all", () => freshCodes.join("\n"), { kind: "second" })),
    ];
  }
  const renew = () => enter("backup", () => proof({
    label: "For new backup codes: a code from a factor that is on", act: "Make new codes", extra: cancel(),
    deed: async (code) => leave(await me.post("backup-codes/regenerate", { code })),
  }));
  return card({
    name: "backup", glyph: "list", title: "Backup codes", on: set, error,
    words: set ? `${set.remaining} of ${set.total} left.` : "They come with the first factor.",
    actions: set ? [button("Make new ones", renew, { kind: "second", error })] : [],
  });
}

const KINDS = { totp: "an authenticator app", email: "email", webauthn: "a security key" };

function render() {
  if (!overview) return;
  const on = [...new Set(overview.devices.filter((device) => device.status === "active").map((device) => KINDS[device.type] ?? device.type))];
  account.replaceChildren(h("p", { class: overview.enabled ? "pill on" : "pill" },
    overview.enabled ? `Protected by ${new Intl.ListFormat("en").format(on)}` : "Only a password protects this account"));
  cards.replaceChildren(totp(), keys(), email(), backup(),
    h("details", {}, h("summary", {}, "The overview as the API gives it"),
      h("pre", { tabindex: "0" }, h("code", {}, JSON.stringify(overview, null, 2)))));
}

export async function load() {
  try {
    overview = await me.overview();
    render();
  } catch (problem) {
    account.replaceChildren(h("p", { class: "error" }, problem.message));
    if (!overview) cards.replaceChildren();
  }
}

export function start() {
  document.querySelector("#reload").addEventListener("click", load);
  return load();
}
