// Wherever somebody has to prove themselves: by what they have, the best way first, the others behind a word.

import { help } from "./brand.js";
import { codeBox } from "./code-box.js";
import { button, errorLine, h } from "./dom.js";
import { mailer } from "./mailer.js";
import { call, session, signIn } from "./session.js";
import { explain } from "./trouble.js";
import * as webauthn from "./webauthn.js";
import { say } from "./words.js";

/** The way that was gone last is offered first the next time. */
let usual = null;

/** The ways that the person has. `backup` allows backup codes, `without` leaves out a kind. */
export function waysOf(overview, { backup = true, without = null } = {}) {
  const has = (type) => overview.devices.some((device) => device.type === type && device.status === "active");
  const ways = [];
  if (has("webauthn") && webauthn.isOffered()) ways.push("webauthn");
  if (has("totp")) ways.push("totp");
  // Mailed codes are taken where no app gives any.
  if (has("email") && !has("totp")) ways.push("email");
  if (backup && overview.backup_codes?.remaining > 0) ways.push("backup_code");
  return ways.filter((way) => way !== without);
}

/** A security key's one-time proof, which any `code` takes. */
async function proofByKey(signal) {
  const begun = await call("POST", "/webauthn/verify/begin");
  const credential = await webauthn.get(begun.publicKey, { signal });
  return (await call("POST", "/webauthn/verify/complete", { challenge_id: begun.challenge_id, credential })).code;
}

/** A way on the screen: its `parts`, and where the focus goes. */
function show(way, { act, kind, deed }) {
  const box = (options) => codeBox({ of: way, act, kind, deed, ...options });
  if (way === "totp") {
    const form = box({ label: say("prove.totp.label"), digits: true, hint: say("prove.digits.hint") });
    return { parts: [form], focus: form.focusBox };
  }
  if (way === "backup_code") {
    const form = box({ label: say("prove.backup_code.label"), groups: true, hint: say("prove.backup_code.hint") });
    return { parts: [form], focus: form.focusBox };
  }
  if (way === "email") {
    const mail = mailer({
      send: () => call("POST", "/email/send"),
      box: () => box({ label: say("email.code.label"), digits: true, hint: say("prove.digits.hint") }),
    });
    return { parts: [mail.element], focus: mail.focus };
  }
  const error = errorLine();
  const said = h("p", { class: "hint", role: "status" });
  const use = button(say("prove.webauthn.use"), async () => {
    try {
      said.textContent = say("prove.webauthn.waiting");
      const code = await proofByKey();
      said.textContent = "";
      await deed(code);
    } finally {
      said.textContent = "";
    }
  }, { kind, error, explain });
  return { parts: [h("p", { class: "hint" }, say("prove.webauthn.hint")), use, said, error], focus: () => use.focus() };
}

/**
 * Asks for a proof, and calls `deed` with it: a code, or what stands for one. `act` is what its button says. `avoid` is a
 * kind that is not put first, since what it is asked for is often that it is gone. The element has `focusFirst()`.
 */
export function prove(overview, { act, deed, kind = "", backup = true, without = null, avoid = null }) {
  const ways = waysOf(overview, { backup, without });
  const place = h("div", { class: "prove" });
  const others = h("p", { class: "others" });

  function front(way, focus) {
    const shown = show(way, {
      act, kind,
      deed: async (code) => {
        await deed(code);
        usual = way === "backup_code" ? usual : way;
      },
    });
    const rest = ways.filter((other) => other !== way);
    others.replaceChildren(...(rest.length === 0 ? [] : [h("span", { class: "hint" }, say("prove.others")),
      ...rest.map((other) => button(say(`prove.${other}`), () => front(other, true), { kind: "plain" }))]));
    place.replaceChildren(...shown.parts, others);
    place.focusFirst = shown.focus;
    if (focus) shown.focus();
  }

  if (ways.length === 0) {
    const none = h("p", { class: "note warn", tabindex: "-1" }, say("prove.none"));
    place.append(...[none, help()].filter(Boolean));
    place.focusFirst = () => none.focus();
  } else {
    const order = [...(ways.includes(usual) ? [usual] : []), ...ways];
    front(order.find((way) => way !== avoid && way !== "backup_code") ?? order[0], false);
  }
  return place;
}

/**
 * What is shown where the server asks for a proof first: of a factor, if there is one, or else a more recent sign-in
 * (RFC 9470). Where there is a factor that this browser cannot use, another sign-in may still show one.
 */
export function stepUp(overview, place, deed) {
  const ways = waysOf(overview);
  const again = session.kind === "cookie"
    && button(say("step_up.again"), () => signIn({ fresh: true, place }), { kind: ways.length > 0 ? "plain" : "" });
  return h("div", { class: "step-up" },
    h("p", {}, say(overview.enabled ? "step_up.code" : "step_up.sign_in")),
    overview.enabled && prove(overview, { act: say("step_up.act"), deed }),
    again && h("div", { class: "actions" }, again),
    !again && ways.length === 0 && h("p", { class: "hint" }, say("step_up.elsewhere")));
}
