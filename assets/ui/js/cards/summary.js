// How safe the account is, in a sentence, and the one next step.

import { h, icon } from "../dom.js";
import { goThrough } from "../page.js";
import { judge } from "../safety.js";
import { on, sentence } from "../time.js";
import { say } from "../words.js";

export function summary() {
  const title = h("h1", { id: "safety", tabindex: "-1" });
  const words = h("div", { class: "about" });
  const element = h("section", { class: "summary", "aria-labelledby": "safety" });
  return {
    element, title,
    show(overview) {
      const { level, title: name, words: saying, next } = judge(overview);
      title.textContent = say(name);
      const { required, grace_until: grace } = overview.policy;
      words.replaceChildren(title, h("p", {}, say(saying)),
        ...(required && grace ? [h("p", { class: "grace" }, ...sentence("policy.grace", { date: on(grace) }))] : []));
      element.className = `summary ${level}`;
      element.replaceChildren(icon(level === "good" || level === "fair" ? "safe" : "unsafe"), words,
        ...(next ? [h("div", { class: "next" }, h("p", {}, h("strong", {}, say("next")), " ", say(next.why)),
          h("button", { type: "button", onclick: () => goThrough(next.door) }, say(next.act)))] : []));
    },
  };
}
