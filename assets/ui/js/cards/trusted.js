// Browsers that need no second factor.

import { browserOf } from "../browser.js";
import { button, errorLine, h, icon } from "../dom.js";
import { announce, refresh } from "../page.js";
import { call } from "../session.js";
import { on, sentence, since } from "../time.js";
import { explain } from "../trouble.js";
import { say } from "../words.js";

export function trusted() {
  const title = h("h2", { id: "trusted", tabindex: "-1" }, say("trusted.title"));
  const place = h("div", {});
  const element = h("section", { "aria-labelledby": "trusted" }, title, h("p", { class: "hint" }, say("trusted.what")), place);

  /** What is gone already, by its time or from another page, is as good as removed. */
  async function forget(device) {
    try {
      await call("DELETE", `/trusted-devices/${encodeURIComponent(device.id)}`);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
  }

  async function removed(sentence) {
    announce(sentence);
    await refresh();
    title.focus();
  }

  async function remove(device, name) {
    await forget(device);
    await removed(say("trusted.removed", { name }));
  }

  async function removeAll(devices) {
    for (const device of devices) await forget(device);
    await removed(say("trusted.removed_all"));
  }

  function row(device) {
    const name = browserOf(device.user_agent);
    const error = errorLine();
    const times = { until: on(device.expires_at), used: since(device.last_used_at) };
    const alike = device.user_agent && navigator.userAgent.startsWith(device.user_agent) && h("span", { class: "badge", title: say("trusted.alike.why") }, say("trusted.alike"));
    return h("li", {}, icon("browser"),
      h("div", { class: "about" }, h("div", { class: "title-line" }, h("strong", { title: device.user_agent }, h("bdi", {}, name)), alike),
        h("span", { class: "hint" }, sentence("trusted.where", { service: h("bdi", {}, device.service), ...times })),
        device.last_used_at && h("span", { class: "hint" }, sentence("trusted.used", times)), error),
      h("div", { class: "actions" },
        button(say("trusted.remove"), () => remove(device, name), { kind: "plain danger", label: say("trusted.remove.label", { name }), error, explain })));
  }

  function list(devices) {
    if (devices.length === 0) return [h("p", { class: "empty" }, say("trusted.none"))];
    const rows = h("ul", { class: "rows boxed", "aria-labelledby": "trusted" }, devices.map(row));
    if (devices.length === 1) return [rows];
    const error = errorLine();
    return [rows, error, h("div", { class: "actions" }, button(say("trusted.remove_all"), () => removeAll(devices), { kind: "second", error, explain }))];
  }

  async function load() {
    try {
      const { devices } = await call("GET", "/trusted-devices");
      return () => place.replaceChildren(...list(devices));
    } catch (problem) {
      const error = h("p", { class: "error", role: "alert" }, explain(problem));
      const again = button(say("step.retry"), async () => (await load())(), { kind: "second" });
      return () => place.replaceChildren(error, again);
    }
  }

  return {
    element, load,
    show({ policy }) { element.hidden = policy.trusted_device_days === 0; },
  };
}
