// A card: what there is, what one can do about it, and below it the step that somebody is in.

import { h, icon } from "./dom.js";
import { say } from "./words.js";

let cards = 0;

export class Card {
  constructor({ glyph, title, badge = null }) {
    const id = `card-${++cards}`;
    this.title = h("h3", { id, tabindex: "-1" }, title);
    this.badge = badge && h("span", { class: "badge" }, badge);
    this.words = h("div", { class: "hint" });
    this.state = h("span", { class: "state" });
    this.actions = h("div", { class: "actions" });
    this.news = h("div", { class: "news" });
    this.body = h("div", { class: "card-body" });
    this.place = h("div", { class: "step-place" });
    this.element = h("section", { class: "card", "aria-labelledby": id },
      h("div", { class: "card-head" }, icon(glyph),
        h("div", { class: "about" },
          h("div", { class: "title-line" }, this.title, this.badge, this.state), this.words),
        this.actions),
      this.news, this.body, this.place);
  }

  /** What is so: `on` is true, false or "trouble"; `state` a word or two; `words` a sentence. */
  show({ on = false, state = "", words = "", actions = [], body = [] }) {
    const had = this.element.contains(document.activeElement) ? document.activeElement.dataset.door : null;
    this.element.classList.toggle("on", on === true);
    this.element.classList.toggle("trouble", on === "trouble");
    this.state.textContent = state;
    this.words.replaceChildren(...[words].flat().filter(Boolean));
    this.actions.replaceChildren(...actions);
    this.badge?.toggleAttribute("hidden", on !== false);
    // A step that stands in a row is not taken away under somebody's hands.
    if (!this.body.querySelector(".step")) this.body.replaceChildren(...[body].flat().filter(Boolean));
    if (had) this.element.querySelector(`[data-door="${CSS.escape(had)}"]`)?.focus();
  }

  /** Shows a step, below everything or at the end of the row `within`. */
  openStep(element, within) {
    this.element.classList.add("busy");
    (within ?? this.place).append(element);
  }

  closeStep() {
    this.element.classList.remove("busy");
  }

  /** Says in the card what was just done. */
  tell(sentence) {
    this.tellElement(h("p", { class: "told" }, icon("check"), sentence));
  }

  tellElement(element) {
    this.news.replaceChildren(element);
  }
}

/** A button that opens the step `name`. */
export function opener(text, name, enter, { kind = "second", label = null } = {}) {
  return h("button", { type: "button", class: kind, "data-door": name, "aria-label": label, onclick: () => enter() }, text);
}

/** What stays and what goes, before something is removed. */
export function consequences(lost, left) {
  return h("div", { class: "consequences" }, h("p", {}, lost),
    left ? h("p", { class: "hint" }, left) : h("p", { class: "note warn" }, say("remains.nothing")));
}
