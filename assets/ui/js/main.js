// The settings page: who is signed in, the cards, and what is above them where something is in the way.

import { stepOut } from "./back.js";
import { help } from "./brand.js";
import { activity } from "./cards/activity.js";
import { rules } from "./cards/rules.js";
import { sessions } from "./cards/sessions.js";
import { summary } from "./cards/summary.js";
import { trusted } from "./cards/trusted.js";
import { button, errorLine, h } from "./dom.js";
import { backupCodes } from "./factors/backup-codes.js";
import { email } from "./factors/email.js";
import { totp } from "./factors/totp.js";
import { webauthn } from "./factors/webauthn.js";
import { focusLanguages, offerLanguages, warnOfLanguages } from "./language.js";
import {
  PATIENCE_MS, beginHistory, close, door, goThrough, holds, isHeld, onOverview, onReading, place, refresh,
} from "./page.js";
import * as session from "./session.js";
import { skeleton } from "./skeleton.js";
import { explain } from "./trouble.js";
import { say } from "./words.js";

/** Somebody who comes back to the page after this long sees it anew. */
const STALE_MS = 60_000;

const content = document.querySelector("#content");
const banner = document.querySelector("#banner");
const account = document.querySelector("#account");

const top = summary();
const factors = [webauthn(), totp(), email()];
const codes = backupCodes();
const lists = [trusted(), sessions(() => leave(session.signOutEverywhere)), activity()];
const policy = rules();
let lookedAt = 0;

const screen = (...parts) => content.replaceChildren(...parts.flat().filter(Boolean));

const main = h("div", { class: "stack" }, top.element,
  h("section", { "aria-labelledby": "ways" }, h("h2", { id: "ways" }, say("page.ways")), h("p", { class: "hint" }, say("page.ways.what")),
    h("div", { class: "cards" }, factors.map(({ element }) => element))),
  h("section", { "aria-labelledby": "spare" }, h("h2", { id: "spare" }, say("page.spare")), h("p", { class: "hint" }, say("page.spare.what")),
    h("div", { class: "cards" }, codes.element)),
  lists.map(({ element }) => element), policy.element);

onOverview((overview) => {
  lookedAt = Date.now();
  for (const part of [top, ...factors, codes, ...lists, policy]) part.show(overview);
});
lists.forEach(({ load }) => onReading(load));

/** A box for a token, where the server signs nobody in. */
function tokenForm(done) {
  const error = errorLine();
  error.id = "token-error";
  const area = h("textarea", {
    id: "token", rows: "4", spellcheck: "false", autocapitalize: "off", autocomplete: "off", required: true, "aria-describedby": "token-hint token-error",
  });
  const act = h("button", { type: "submit" }, say("token.act"));
  return h("form", {
    class: "token-form", novalidate: true,
    async onsubmit(event) {
      event.preventDefault();
      error.textContent = "";
      if (!area.value.trim()) {
        error.textContent = say("token.missing");
        area.focus();
        return;
      }
      act.disabled = true;
      session.useToken(area.value.trim());
      try {
        await done();
        area.value = "";
      } catch (problem) {
        if (problem.status === 401) session.useToken(null);
        error.textContent = problem.status === 401 ? say("token.refused") : explain(problem);
        area.focus();
      } finally {
        act.disabled = false;
      }
    },
  }, h("label", { for: "token" }, say("token.label")), h("p", { class: "hint", id: "token-hint" }, say("token.hint")), area, error, act);
}

const hero = (title, ...parts) => {
  const heading = h("h1", { tabindex: "-1" }, title);
  screen(h("section", { class: "hero" }, heading, parts));
  return heading;
};

function signedOut(left = false) {
  who();
  const { kind } = session.session;
  const sentences = { token: "token.title", proxy: "session.proxy" };
  const reload = () => h("div", { class: "actions" }, button(say("session.reload"), () => location.reload()));
  const signIn = () => h("div", { class: "actions" }, h("a", { class: "button", href: session.signInUrl() }, say("session.sign_in")));
  const parts = { token: () => [tokenForm(show)], proxy: () => [h("p", {}, say("session.proxy.how")), reload(), help()] };
  const heading = hero(say(sentences[kind] ?? (left ? "session.left" : "session.title")),
    ...(parts[kind]?.() ?? [h("p", {}, say("session.why")), signIn()]));
  if (left) heading.focus();
}

/** The session ended while the page was open: nothing on it is touched. */
function over() {
  if (!content.contains(main) || !banner.hidden) return;
  const again = {
    token: () => tokenForm(async () => { await refresh(); banner.hidden = true; }),
    proxy: () => h("button", { type: "button", onclick: () => location.reload() }, say("session.reload")),
    cookie: () => h("button", { type: "button", onclick: () => session.signIn({ place: place() }) }, say("session.again")),
  }[session.session.kind]();
  banner.replaceChildren(h("p", {}, h("strong", {}, say("session.over")), " ", say(holds() ? "session.over.codes" : "session.over.how")),
    h("div", { class: "actions" }, again));
  banner.hidden = false;
  banner.scrollIntoView({ block: "nearest" });
}

async function leave(signOut) {
  const next = await signOut();
  close();
  if (next && /^https?:\/\//.test(next)) return location.assign(next);
  stepOut();
  signedOut(true);
}

/** Who is signed in, and the way out. */
function who() {
  const { kind, name } = session.session;
  account.replaceChildren(...[
    name && kind !== "none" && h("span", { class: "who" }, h("span", { class: "unseen" }, say("session.account"), " "), h("bdi", {}, name)),
    kind === "cookie" && button(say("session.sign_out"), () => leave(session.signOut), { kind: "plain", explain }),
  ].filter(Boolean));
}

/** Loads everything, and shows it: with the step that somebody was in before the page was loaded again. */
async function show() {
  await refresh();
  screen(main);
  who();
  // A token is nowhere but in this page's memory.
  if (session.session.kind === "token") warnOfLanguages(say("language.token"));
  const back = session.takePlace();
  if (back) goThrough(back.name, back.detail, back.fields);
}

async function start() {
  const patience = setTimeout(() => screen(skeleton()), PATIENCE_MS);
  try {
    await session.look();
    if (session.isNeeded()) return signedOut();
    await show();
  } catch (problem) {
    if (problem.status === 401) return signedOut();
    const retry = button(say("step.retry"), start);
    hero(say("page.failed"), h("p", { role: "alert" }, explain(problem)), h("div", { class: "actions" }, retry), help());
    return retry.focus();
  } finally {
    clearTimeout(patience);
  }
}

session.onOver(over);
door("language", focusLanguages);
offerLanguages(() => {
  if (isHeld()) return false;
  if (content.contains(main)) session.keepPlace(place() ?? { name: "language" });
  return true;
});

// What a page shows only once is not there any more when somebody goes back to it.
addEventListener("pagehide", () => {
  close();
  session.useToken(null);
  screen();
});
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  stepOut();
  start();
});
addEventListener("beforeunload", (event) => { if (holds()) event.preventDefault(); });
// Another page may have changed what this one shows.
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !content.contains(main) || !banner.hidden || place() || Date.now() - lookedAt < STALE_MS) return;
  refresh().catch(() => {});
});
beginHistory();
start();
