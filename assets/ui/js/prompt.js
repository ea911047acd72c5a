// The page on which somebody answers in the middle of a sign-in. Its only state is the token behind the # of its
// address, which stays there until the end, so that the page can be loaded anew.

import { ask } from "./api.js";
import { service } from "./brand.js";
import { countdown } from "./countdown.js";
import { button, errorLine, h } from "./dom.js";
import { offerLanguages } from "./language.js";
import { isKnown, isUsable, way } from "./prompt/ways.js";
import { explainIn } from "./trouble.js";
import { say } from "./words.js";

const explain = explainIn(null);
const TOKEN = /^#(prm_[a-z2-7]{26})$/;
/** Waiting is shown after this, lest it flickers. */
const PATIENCE_MS = 300;
/** How often at most the server is asked whether the sign-in is still open. */
const LOOK_AGAIN_MS = 15_000;

const title = document.querySelector("#title");
const content = document.querySelector("#content");
const news = document.querySelector("#news");

let token = null;
/** What the server says of the sign-in. */
let view = null;
/** The way in front, and whether this browser is to be remembered: kept in the history while the page is loaded again. */
let inFront = null;
/** Ends what the step on the screen has under way. */
let leave = () => {};
let expiry = null;

const post = (path, members = {}) => ask("POST", `/api/v1/prompt/${path}`, { body: { prompt: token, ...members } });

function screen(heading, ...parts) {
  leave();
  leave = () => {};
  title.textContent = heading;
  document.title = `${heading} · ${service}`;
  content.replaceChildren(...parts.flat().filter(Boolean));
}

/** Says to those who listen what the others see. */
function announce(text) {
  news.textContent = text;
}

/** Only addresses that can be gone to: never a script's. */
function address(text) {
  try {
    const url = new URL(text);
    return ["https:", "http:"].includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** The end of the page, for better or worse. */
function end(heading, sentence, returnTo) {
  clearTimeout(expiry);
  const back = address(returnTo);
  screen(heading, h("p", {}, sentence),
    back && h("p", {}, h("a", { class: "button", href: back.href }, say("prompt.back", { host: back.host }))));
  title.focus();
}

/** Brings the person back; the page with its token leaves the history. */
function goBack(heading, returnTo) {
  const back = address(returnTo);
  end(heading, back ? say("prompt.leaving", { host: back.host }) : "", returnTo);
  if (back) location.replace(back.href);
}

/** Whether a refusal ends the sign-in; if so, that is on the screen. */
function isOver(problem) {
  const back = problem.body?.return_to;
  if (problem.status === 404) end(say("prompt.worn_out"), say("prompt.worn_out.how"));
  else if (problem.code === "challenge_expired") end(say("prompt.expired"), explain(problem), back);
  else if (problem.code === "challenge_closed") end(say("prompt.closed"), explain(problem), back);
  else if (problem.body?.tries_left === 0) end(say("prompt.closed"), say("prompt.closed.tries"), back);
  else return false;
  return true;
}

/** Does it, unless that turns out to be impossible for good: then the page has ended, and `null` is given. */
async function unlessOver(deed) {
  try {
    return await deed();
  } catch (problem) {
    if (!isOver(problem)) throw problem;
    return null;
  }
}

async function cancel() {
  const gone = await unlessOver(() => post("cancel"));
  if (gone) goBack(say("prompt.cancelled"), gone.return_to);
}

const fact = (name, value) => value && h("div", {}, h("dt", {}, say(name)), h("dd", {}, h("bdi", {}, value)));

function facts() {
  const asks = view.app ? say("prompt.app_by", { app: view.app, service: view.service }) : view.service;
  return h("dl", { class: "facts" }, fact("prompt.asked_by", asks), fact("prompt.account", view.account),
    fact("prompt.returns_to", view.return_host));
}

const rememberBox = (checked) => h("label", { class: "check" }, h("input", { type: "checkbox", id: "remember", checked }),
  say("prompt.remember", { count: view.remember_days }));

/** The sign-in, with one way of answering in front and the others behind a button. */
function answering() {
  const ways = view.methods.filter(isKnown).map((method) => ({
    method, name: say(`prompt.${method}`), open: way(method, view), lockedUntil: 0,
  }));
  const place = h("section", { class: "way", "aria-labelledby": "way" });
  const others = h("div", { class: "others" });
  const error = errorLine();

  /** Does it, unless the sign-in is over or the way is locked: that is on the screen then, and `null` is given. */
  async function unlessLocked(chosen, deed) {
    try {
      return await unlessOver(deed);
    } catch (problem) {
      if (problem.code !== "locked" || !problem.body.retry_after) throw problem;
      chosen.lockedUntil = Date.now() + problem.body.retry_after * 1000;
      front(chosen);
      return null;
    }
  }

  /** What a way of answering can do. */
  const deskOf = (chosen) => ({
    post: (path) => unlessLocked(chosen, () => post(path)),
    async answer(proof) {
      const remember = content.querySelector("#remember")?.checked ?? false;
      const right = await unlessLocked(chosen, () => post("verify", { method: chosen.method, ...proof, remember }));
      if (right) goBack(say("prompt.right"), right.return_to);
    },
  });

  /** In place of a way that takes no answers for a while. */
  function locked(chosen) {
    const line = h("p", { class: "note warn", role: "timer" });
    const seconds = (chosen.lockedUntil - Date.now()) / 1000;
    const stop = countdown(seconds, (clock) => { line.textContent = say("prompt.locked", { clock }); }, () => {
      announce(say("prompt.unlocked"));
      front(chosen);
    });
    announce(line.textContent);
    return { parts: [line], stop };
  }

  function front(chosen) {
    leave();
    inFront = chosen?.method ?? null;
    const step = !chosen ? { parts: [h("p", { class: "note warn" }, say("prompt.nothing_left"))] }
      : chosen.lockedUntil > Date.now() ? locked(chosen) : chosen.open(deskOf(chosen));
    leave = step.stop ?? (() => {});
    place.replaceChildren(...[chosen && h("h2", { id: "way" }, chosen.name), ...step.parts].filter(Boolean));
    list(ways.filter((other) => other !== chosen));
    (place.querySelector("input, button") ?? others.querySelector("button") ?? title).focus();
    step.start?.();
  }

  function list(rest) {
    const choices = h("ul", { id: "others", hidden: true }, rest.map((other) => h("li", {}, isUsable(other.method)
      ? button(other.name, () => front(other), { kind: "second" })
      : h("p", { class: "hint" }, say("refused", { what: other.name, why: say("key.unsupported") })))));
    const toggle = h("button", {
      type: "button", class: "plain", "aria-expanded": "false", "aria-controls": "others",
      onclick() {
        choices.hidden = !choices.hidden;
        toggle.setAttribute("aria-expanded", String(!choices.hidden));
        if (!choices.hidden) choices.querySelector("button")?.focus();
      },
    }, say("prompt.another_way"));
    others.replaceChildren(...(rest.length > 0 ? [toggle, choices] : []));
  }

  const { way: before, remember } = history.state ?? {};
  history.replaceState(null, "");
  const usable = ways.filter(({ method }) => isUsable(method));
  const first = usable.find(({ method }) => method === before) ?? usable[0];
  screen(say("prompt.title"), facts(),
    view.started_elsewhere && h("p", { class: "note warn", role: "alert" }, say("prompt.elsewhere")),
    first && view.may_remember && rememberBox(remember), place, others,
    h("div", { class: "end" }, button(say("prompt.cancel"), cancel, { kind: "plain", error, explain }), error));
  front(first);
}

/** Asks again when the sign-in should be over: the clocks may differ, and the server's counts. */
function watch() {
  clearTimeout(expiry);
  const left = Date.parse(view.expires_at) - Date.now();
  expiry = setTimeout(async () => {
    try {
      if (await unlessOver(() => post("open"))) watch();
    } catch {
      watch();
    }
  }, Math.max(left, LOOK_AGAIN_MS) + 500);
}

async function open() {
  const patience = setTimeout(() => screen(say("prompt.title"), h("p", { class: "hint", role: "status" }, say("prompt.loading"))), PATIENCE_MS);
  try {
    view = await unlessOver(() => post("open"));
  } catch (problem) {
    clearTimeout(patience);
    const retry = button(say("prompt.retry"), open);
    screen(say("prompt.failed"), h("p", { role: "alert" }, explain(problem)), h("p", {}, retry));
    return retry.focus();
  } finally {
    clearTimeout(patience);
  }
  if (!view) return;
  answering();
  watch();
}

function start() {
  clearTimeout(expiry);
  view = null;
  token = TOKEN.exec(location.hash)?.[1] ?? null;
  if (token) open();
  else end(say("prompt.no_token"), say("prompt.no_token.how"));
}

offerLanguages(() => {
  history.replaceState({ way: inFront, remember: content.querySelector("#remember")?.checked ?? false }, "");
});
// Another sign-in's address, typed over this one's.
addEventListener("hashchange", start);
start();
