// What the page looks like before anything is known, so that nothing moves when it is.

import { h } from "./dom.js";
import { say } from "./words.js";

const bar = (width) => h("span", { class: `bone ${width}` });

const head = (...bars) => h("div", { class: "card-head" }, h("span", { class: "icon" }), h("div", { class: "about" }, bars));

const cards = (count) => h("div", { class: "cards" }, Array.from({ length: count }, () => h("div", { class: "card" }, head(bar("short"), bar("long")))));

/** The page's bones, and a word for those who do not see them. */
export function skeleton() {
  return [
    h("div", { class: "unseen", role: "status" }, h("h1", {}, say("step.loading"))),
    h("div", { class: "stack skeleton", "aria-hidden": "true" },
      h("div", { class: "summary" }, h("span", { class: "icon" }), h("div", { class: "about" }, bar("title"), bar("long"))),
      h("div", {}, h("h2", {}, say("page.ways")), h("p", { class: "hint" }, say("page.ways.what")), cards(3)),
      h("div", {}, h("h2", {}, say("page.spare")), h("p", { class: "hint" }, say("page.spare.what")), cards(1))),
  ];
}
