// Browsers that need no second factor.

import { browserOf } from "../browser.js";
import { button, errorLine, h, icon } from "../dom.js";
import { announce } from "../page.js";
import { call } from "../session.js";
import { on, sentence, since } from "../time.js";
import { explain } from "../trouble.js";
import { say } from "../words.js";

export function trusted() {
  const title = h("h2", { id: "trusted", tabindex: "-1" }, say("trusted.title"));
  const place = h("div", {});
  const element = h("section", { "aria-labelledby": "trusted" }, title, h("p", { class: "hint" }, say("trusted.what")), place);

  async function remove(device, name) {
    try {
      await call("DELETE", `/trusted-devices/${encodeURIComponent(device.id)}`);
    } catch (problem) {
      // Gone already, by its time or from another page.
      if (problem.status !== 404) throw problem;
    }
    announce(say("trusted.removed", { name }));
    await load();
    title.focus();
  }

  function row(device) {
    const name = browserOf(device.user_agent);
    const error = errorLine();
    const facts = { service: h("bdi", {}, device.service), until: on(device.expires_at), used: since(device.last_used_at) };
    return h("li", {}, icon("browser"),
      h("div", { class: "about" }, h("strong", { title: device.user_agent }, h("bdi", {}, name)),
        h("span", { class: "hint" }, sentence("trusted.where", facts)),
        device.last_used_at && h("span", { class: "hint" }, sentence("trusted.used", facts)), error),
      h("div", { class: "actions" },
        button(say("trusted.remove"), () => remove(device, name), { kind: "plain danger", label: say("trusted.remove.label", { name }), error, explain })));
  }

  async function load() {
    try {
      const { devices } = await call("GET", "/trusted-devices");
      place.replaceChildren(devices.length > 0 ? h("ul", { class: "rows boxed" }, devices.map(row)) : h("p", { class: "empty" }, say("trusted.none")));
    } catch (problem) {
      const error = h("p", { class: "error", role: "alert" }, explain(problem));
      place.replaceChildren(error, button(say("step.retry"), load, { kind: "second" }));
    }
  }

  return {
    element, load,
    show({ policy }) { element.hidden = policy.trusted_device_days === 0; },
  };
}
