// What has happened to the account, the newest first.

import { button, errorLine, h, icon } from "../dom.js";
import { page } from "../page.js";
import { call } from "../session.js";
import { since } from "../time.js";
import { explain } from "../trouble.js";
import { isSaid, say } from "../words.js";

const PAGE = 20;
/** Shown at first; the rest of what was read is for "older". */
const AT_FIRST = 5;
/** Pages that are asked for at once, at the most, in search of lines that say anything to people. */
const MOST_PAGES = 4;
/** Steps on the way to something: of interest only where they were refused. */
const STEPS = new Set(["totp.enable", "totp.replace", "email.enable", "email.send", "webauthn.begin", "webauthn.challenge", "webauthn.verify",
  "login.challenge", "login.email", "login.webauthn"]);
const GLYPHS = { totp: "phone", email: "mail", webauthn: "key", backup_codes: "list", factor: "safe", trusted_device: "browser", login: "door" };

const isNews = ({ action, outcome }) => outcome === "refused" || !STEPS.has(action);

/** What a line says: by action and outcome, and why where it was refused. */
function words({ action, outcome, reason, service, factor, device_id: id }) {
  const device = page.overview?.devices.find((one) => one.device_id === id);
  const values = { service, name: device?.type === "webauthn" ? device.name : null, factor: factor && say(`kind.${factor}`) };
  if (outcome === "done") {
    const key = values.name && isSaid(`did.${action}.named`) ? `did.${action}.named` : `did.${action}`;
    return isSaid(key) ? say(key, values) : say("did.other", { action });
  }
  const what = isSaid(`tried.${action}`) ? say(`tried.${action}`, values) : say("did.other", { action });
  const why = isSaid(`why.${reason}`) ? say(`why.${reason}`) : reason;
  return say("refused", { what, why });
}

function line(event) {
  const about = [
    event.outcome === "done" && event.factor && say("activity.by", { factor: say(`kind.${event.factor}`) }),
    event.service && say("activity.at", { service: event.service }),
    event.ip && say("activity.from", { ip: event.ip }),
  ].filter(Boolean).join(" · ");
  const glyph = GLYPHS[event.action.split(".")[0]] ?? "safe";
  return h("li", { class: event.outcome === "refused" ? "refused" : null }, icon(event.outcome === "refused" ? "alert" : glyph),
    h("div", { class: "about" }, h("span", {}, words(event)), h("span", { class: "hint" }, since(event.at), about && ` · ${about}`)));
}

export function activity() {
  const list = h("ul", { class: "rows boxed", "aria-labelledby": "activity" });
  const error = errorLine();
  const older = button(say("activity.older"), more, { kind: "second", error, explain });
  const element = h("section", { "aria-labelledby": "activity" },
    h("h2", { id: "activity" }, say("activity.title")), h("p", { class: "hint" }, say("activity.what")),
    list, h("p", { class: "empty", hidden: true }, say("activity.none")), error, h("div", { class: "actions" }, older));
  const empty = element.querySelector(".empty");
  let read = [], shown = 0, cursor = null;

  /** Reads on until there are `wanted` lines, or none are left. */
  async function fetchTo(wanted) {
    for (let pages = 0; pages < MOST_PAGES && read.length < wanted && cursor !== null; pages += 1) {
      const answer = await call("GET", `/events?limit=${PAGE}${cursor === "" ? "" : `&cursor=${cursor}`}`);
      read.push(...answer.events.filter(isNews));
      cursor = answer.next_cursor;
    }
  }

  function render(upTo) {
    shown = Math.min(upTo, read.length);
    list.replaceChildren(...read.slice(0, shown).map(line));
    list.hidden = shown === 0;
    empty.hidden = shown > 0;
    older.hidden = shown >= read.length && cursor === null;
  }

  async function more() {
    const before = shown;
    await fetchTo(shown + PAGE);
    render(before + PAGE);
    const first = list.children[before];
    if (first) {
      first.tabIndex = -1;
      first.focus();
    }
  }

  return {
    element,
    async load() {
      [read, cursor] = [[], ""];
      try {
        await fetchTo(AT_FIRST);
        error.textContent = "";
      } catch (problem) {
        error.textContent = explain(problem);
      }
      render(AT_FIRST);
    },
    show() {},
  };
}
