// What has happened to the account, the newest first.

import { button, errorLine, h, icon } from "../dom.js";
import { page } from "../page.js";
import { call } from "../session.js";
import { at, dayOf } from "../time.js";
import { explain } from "../trouble.js";
import { isSaid, say } from "../words.js";

/** Lines that are shown more for each "older". */
const PAGE = 20;
/** Records that are asked for at once: many may be one line. */
const READ = 50;
/** Shown at first; the rest of what was read is for "older". */
const AT_FIRST = 5;
/** Pages that are asked for at once, at the most, in search of lines that say anything to people. */
const MOST_PAGES = 4;
/** Steps on the way to something: of interest only where they were refused. */
const STEPS = new Set(["totp.enable", "totp.replace", "email.enable", "email.send", "webauthn.begin", "webauthn.cancel", "webauthn.challenge",
  "webauthn.verify", "login.challenge", "login.email", "login.webauthn"]);
const GLYPHS = { totp: "phone", email: "mail", webauthn: "key", backup_codes: "list", factor: "safe", session: "browser", trusted_device: "browser", login: "door" };

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

/** Where and by what it was, in a few words each. */
const facts = (event) => [
  event.outcome === "done" && event.factor && say("activity.by", { factor: say(`kind.${event.factor}`) }),
  event.service && say("activity.at", { service: event.service }),
  event.ip && say("activity.from", { ip: event.ip }),
].filter(Boolean);

const NAMING_MS = 10 * 60 * 1000;
const isNaming = (renamed, added) => renamed.action === "webauthn.rename" && renamed.outcome === "done" && added.action === "webauthn.register"
  && added.outcome === "done" && renamed.device_id === added.device_id && new Date(renamed.at) - new Date(added.at) < NAMING_MS;

const isGuess = ({ action, outcome }) => outcome === "refused" || action === "factor.lock";

/** Lines that say the same one after another on a day are one, with how often it was. Wrong codes and locks take turns. */
function fold(events) {
  const lines = [];
  for (const event of events) {
    const line = { event, says: words(event), facts: facts(event), day: dayOf(event.at), times: event.count, leftOut: event.left_out };
    const before = lines.at(-1);
    // A new key is named right after it is added: that is one piece of news.
    const isNamed = before && isNaming(before.event, event);
    if (isNamed) lines.pop();
    const isSame = (other) => other.day === line.day && other.event.outcome === event.outcome && other.says === line.says
      && other.facts.join() === line.facts.join() && other.leftOut === 0;
    const near = before && isGuess(event) && isGuess(before.event) ? lines.slice(-2).reverse() : lines.slice(-1);
    const same = isNamed ? null : near.find(isSame);
    if (same) {
      same.times += line.times;
      same.leftOut = line.leftOut;
    } else {
      lines.push(line);
    }
  }
  return lines;
}

function row({ event, says, facts: known, times, leftOut }) {
  const refused = event.outcome === "refused";
  const often = times > 1 && h("span", { class: "times" }, say("activity.times", { count: times }));
  return h("li", { class: refused ? "refused" : null }, icon(refused ? "alert" : GLYPHS[event.action.split(".")[0]] ?? "safe"),
    h("div", { class: "about" }, h("span", { class: "says" }, says, often && " ", often),
      h("span", { class: "hint" }, at(event.at), known.map((fact) => ` · ${fact}`)),
      leftOut > 0 && h("span", { class: "hint" }, say("activity.left_out", { count: leftOut }))));
}

/** A list for each day, the newest first. */
function days(lines) {
  const made = [];
  for (const line of lines) {
    if (made.at(-1)?.day !== line.day) {
      const id = `day-${made.length}`;
      const list = h("ul", { class: "rows", "aria-labelledby": id });
      made.push({ day: line.day, list, element: h("div", { class: "day" }, h("h3", { id }, line.day), list) });
    }
    made.at(-1).list.append(row(line));
  }
  return made.map(({ element }) => element);
}

export function activity() {
  const box = h("div", { class: "days" });
  const error = errorLine();
  const older = button(say("activity.older"), more, { kind: "second", error, explain });
  const empty = h("p", { class: "empty", hidden: true }, say("activity.none"));
  const element = h("section", { "aria-labelledby": "activity" },
    h("h2", { id: "activity" }, say("activity.title")), h("p", { class: "hint" }, say("activity.what")),
    box, empty, error, h("div", { class: "actions" }, older));
  let read = [], shown = 0, cursor = null;

  /** Reads on until there are `wanted` lines, or none are left. */
  async function fetchTo(wanted) {
    for (let pages = 0; pages < MOST_PAGES && fold(read).length < wanted && cursor !== null; pages += 1) {
      const answer = await call("GET", `/events?limit=${READ}${cursor === "" ? "" : `&cursor=${cursor}`}`);
      read.push(...answer.events.filter(isNews));
      cursor = answer.next_cursor;
    }
  }

  function render(upTo) {
    const lines = fold(read);
    shown = Math.min(upTo, lines.length);
    box.replaceChildren(...days(lines.slice(0, shown)));
    box.hidden = shown === 0;
    empty.hidden = shown > 0 || cursor !== null;
    older.hidden = shown >= lines.length && cursor === null;
    older.textContent = say(cursor === "" ? "step.retry" : "activity.older");
  }

  async function more() {
    const before = shown;
    await fetchTo(shown + PAGE);
    render(before + PAGE);
    const first = box.querySelectorAll("li")[before];
    if (first) {
      first.tabIndex = -1;
      first.focus();
    }
  }

  return {
    element,
    async load() {
      [read, cursor] = [[], ""];
      let said = "";
      try {
        await fetchTo(AT_FIRST);
      } catch (problem) {
        said = explain(problem);
      }
      return () => {
        error.textContent = said;
        render(AT_FIRST);
      };
    },
    show() {},
  };
}
