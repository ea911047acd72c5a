// What the server asks of the person, and allows.

import { h } from "../dom.js";
import { on, sentence } from "../time.js";
import { joined, say } from "../words.js";

export function rules() {
  const list = h("ul", { class: "plain-list" });
  const element = h("section", { class: "quiet-card", "aria-labelledby": "rules" }, h("h2", { id: "rules" }, say("policy.title")), list);
  return {
    element,
    show({ policy }) {
      const kinds = policy.allowed.map((kind) => say(`kind.${kind}`));
      const lines = [
        say(policy.required ? "policy.required" : "policy.free"),
        policy.grace_until && sentence("policy.grace", { date: on(policy.grace_until) }),
        kinds.length > 0 ? say("policy.allowed", { list: joined(kinds) }) : say("policy.allowed.none"),
        policy.email === "recovery" && say("policy.email.recovery"),
        say(policy.trusted_device_days > 0 ? "policy.trusted" : "policy.trusted.none", { count: policy.trusted_device_days }),
      ];
      list.replaceChildren(...lines.filter(Boolean).map((line) => h("li", {}, line)));
    },
  };
}
