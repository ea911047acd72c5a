// Where the user is signed in to this page.

import { browserOf } from "../browser.js";
import { button, errorLine, h, icon } from "../dom.js";
import { announce, refresh } from "../page.js";
import { call, session } from "../session.js";
import { sentence, since } from "../time.js";
import { explain } from "../trouble.js";
import { say } from "../words.js";

/** `leaveEverywhere` signs out in every browser, this one included. */
export function sessions(leaveEverywhere) {
  const title = h("h2", { id: "sessions", tabindex: "-1" }, say("sessions.title"));
  const place = h("div", {});
  const element = h("section", { "aria-labelledby": "sessions" }, title, h("p", { class: "hint" }, say("sessions.what")), place);

  /** What has ended already, by its time or from another page, is as good as signed out. */
  async function signOut({ id }, name) {
    try {
      await call("DELETE", `/sessions/${encodeURIComponent(id)}`);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
    }
    announce(say("sessions.signed_out", { name }));
    await refresh();
    title.focus();
  }

  function row(one) {
    const name = browserOf(one.user_agent);
    const error = errorLine();
    const times = { since: since(one.created_at), used: since(one.last_used_at) };
    // The way out of this browser is at the top of the page.
    const act = one.current ? null : h("div", { class: "actions" },
      button(say("session.sign_out"), () => signOut(one, name), { kind: "plain danger", label: say("sessions.sign_out.label", { name }), error, explain }));
    return h("li", {}, icon("browser"),
      h("div", { class: "about" },
        h("div", { class: "title-line" }, h("strong", { title: one.user_agent }, h("bdi", {}, name)), one.current && h("span", { class: "badge" }, say("sessions.this"))),
        h("span", { class: "hint" }, sentence("sessions.where", times), one.ip && ` · ${say("activity.from", { ip: one.ip })}`), error),
      act);
  }

  function list(all) {
    const error = errorLine();
    const ordered = [...all].sort((one, other) => other.current - one.current);
    return [h("ul", { class: "rows boxed", "aria-labelledby": "sessions" }, ordered.map(row)), error,
      h("div", { class: "actions" }, button(say("sessions.everywhere"), leaveEverywhere, { kind: "second", error, explain }))];
  }

  async function load() {
    if (session.kind !== "cookie") return () => {};
    try {
      const { sessions: all } = await call("GET", "/sessions");
      return () => place.replaceChildren(...list(all));
    } catch (problem) {
      const error = h("p", { class: "error", role: "alert" }, explain(problem));
      const again = button(say("step.retry"), async () => (await load())(), { kind: "second" });
      return () => place.replaceChildren(error, again);
    }
  }

  return {
    element, load,
    show() { element.hidden = session.kind !== "cookie"; },
  };
}
