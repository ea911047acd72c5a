// What the cards share: the overview, the one step that is open, and how news is told.

import { stepIn, stepOut, watchBack } from "./back.js";
import { help } from "./brand.js";
import { button, errorLine, h } from "./dom.js";
import { stepUp } from "./prove.js";
import { call } from "./session.js";
import { explain } from "./trouble.js";
import { say } from "./words.js";

/** Waiting is shown after this, lest it flickers. */
export const PATIENCE_MS = 300;

const news = document.querySelector("#news");
const listeners = new Set();
const lists = new Set();
const doors = new Map();
let open = null;
let headings = 0;

export const page = { overview: null };

/** Says to those who listen what the others see. */
export function announce(text) {
  news.textContent = "";
  setTimeout(() => { news.textContent = text; }, 50);
}

/** Calls `changed` with each overview. */
export function onOverview(changed) {
  listeners.add(changed);
}

/** Calls `load` with each reading of the overview, at the same time: it gives what then shows what it has read. */
export function onReading(load) {
  lists.add(load);
}

/** Reads everything anew, and lets all cards know: one way to the server and back. */
export async function refresh() {
  const loading = [...lists].map((load) => load());
  page.overview = await call("GET", "");
  for (const changed of listeners) changed(page.overview);
  for (const loaded of loading) loaded.then((show) => show());
}

/** A way into a step by its name: from another card, or after another sign-in. */
export function door(name, enter) {
  doors.set(name, enter);
}

/** Enters a step, and says whether it is open. With `fields` somebody comes back to it, and had typed these. */
export function goThrough(name, detail = null, fields = undefined) {
  doors.get(name)?.(detail, fields);
  return open !== null;
}

/** Where the person is, so that they can come back there. */
export const place = () => open && { name: open.name, detail: open.detail, fields: open.fields() };

/** Whether something is on the screen that is never shown again. */
export const holds = () => open?.holds ?? false;

/** As `holds`; if so, somebody who would leave it behind is led back to it. */
export const isHeld = () => open?.insists() ?? false;

/** Closes the open step and forgets what it showed. */
export function close() {
  open?.close();
}

/** From now on the browser's Back button closes a step. */
export function beginHistory() {
  watchBack({
    isOpen: () => open,
    closed() {
      if (isHeld()) return false;
      open.cancel();
      return true;
    },
    reopen: ({ name, device_id: id }) => page.overview !== null && goThrough(name, id && { device_id: id }, {}),
  });
}

/** What somebody is in the middle of, within a card. There is one at a time. */
export class Step {
  /** `within` is the row that it is about, `fields` gives what was typed so far, `left` is called when it is closed without having been done. */
  static enter(card, { heading, name, detail = null, within = null, fields = () => ({}), left = () => {} }) {
    const opener = document.activeElement;
    if (isHeld()) return null;
    if (open?.onward) open.onward();
    open?.close();
    const step = new Step();
    Object.assign(step, { card, name, detail, fields, left, opener, holds: false, onward: null });
    step.heading = h("h3", { tabindex: "-1", id: `step-${++headings}` }, heading);
    step.body = h("div", { class: "step-body" });
    step.warning = h("div", { class: "warning" });
    step.element = h("div", {
      class: "step", role: "group", "aria-labelledby": step.heading.id,
      onkeydown: (event) => { if (event.key === "Escape" && !step.insists()) { event.preventDefault(); step.cancel(); } },
    }, step.heading, step.warning, step.body);
    open = step;
    stepIn(name, detail);
    document.querySelectorAll(".told").forEach((told) => told.remove());
    card.openStep(step.element, within);
    step.heading.focus({ preventScroll: true });
    step.element.scrollIntoView({ block: "nearest" });
    return step;
  }

  get isOpen() {
    return open === this;
  }

  /**
   * Whether it stays, whatever the person is about to do: what it `holds` is shown only now. It says so, or goes
   * `onward` to where that is shown. (What has an `onward` is done already, and ends there instead of being cancelled.)
   */
  insists() {
    if (!this.holds) return false;
    if (this.onward) {
      this.onward();
    } else {
      this.heading.focus();
      this.warning.replaceChildren(h("p", { class: "note warn", role: "alert" }, say("codes.first")));
    }
    return true;
  }

  /** Shows its parts, and a way out below them, which `wayOut` names. */
  show(parts, focus = null, { wayOut = "step.cancel" } = {}) {
    if (!this.isOpen) return;
    this.body.replaceChildren(...[parts].flat(2).filter(Boolean));
    if (wayOut) {
      const leave = () => this.insists() || this.cancel();
      this.body.append(h("div", { class: "way-out" }, button(say(wayOut), leave, { kind: "plain" })));
    }
    (focus ?? this.heading).focus({ preventScroll: focus === null });
    this.element.scrollIntoView({ block: "nearest" });
  }

  title(text) {
    this.heading.textContent = text;
  }

  /**
   * Does `deed(code)`: at first without a code, and with one where the server asks for it. Goes on to `then` with what
   * that gave. Where it fails, `back` shows again what led here, with the sentence; without `back` it can be tried
   * again here.
   */
  async load(deed, then, { back = null, waiting = "step.loading", code } = {}) {
    const patience = setTimeout(() => this.show(h("p", { class: "hint", role: "status" }, say(waiting))), PATIENCE_MS);
    let given;
    try {
      given = await deed(code);
    } catch (problem) {
      clearTimeout(patience);
      if (!this.isOpen) return;
      if (problem.code === "insufficient_user_authentication") {
        const proving = stepUp(page.overview, place(), async (proof) => {
          const answer = await deed(proof);
          if (this.isOpen) then(answer);
        });
        this.show(proving, proving.querySelector("input, button"));
      } else if (back) {
        back(explain(problem));
      } else {
        const again = button(say("step.retry"), () => this.load(deed, then, { waiting, code }), { kind: "second" });
        this.show([h("p", { class: "error", role: "alert" }, explain(problem)), h("div", { class: "actions" }, again), help()]);
      }
      return;
    } finally {
      clearTimeout(patience);
    }
    if (this.isOpen) then(given);
  }

  close() {
    if (!this.isOpen) return;
    open = null;
    this.left();
    this.body.replaceChildren();
    this.element.remove();
    this.card.closeStep();
  }

  /** Closed by the person: the focus goes back to where they came from. */
  cancel() {
    if (this.onward) return this.onward();
    this.close();
    stepOut();
    const opener = this.opener?.isConnected && this.opener !== document.body ? this.opener : this.card.title;
    opener.focus();
    if (document.activeElement !== opener) this.card.title.focus();
  }

  /** It is done: says so, and shows what is so now. */
  async done(sentence) {
    this.left = () => {};
    this.close();
    stepOut();
    this.card.tell(sentence);
    this.card.title.focus();
    announce(sentence);
    await refreshOrSay(this.card);
  }
}

/** Reads the overview anew after something was done, which stays done whatever comes of that. */
export async function refreshOrSay(card) {
  try {
    await refresh();
  } catch (problem) {
    const error = errorLine();
    const again = button(say("step.retry"), async () => { await refresh(); line.remove(); }, { kind: "second", error, explain });
    const line = h("div", { class: "told trouble" }, h("p", {}, say("page.stale"), " ", explain(problem)), again, error);
    card.tellElement(line);
  }
}
