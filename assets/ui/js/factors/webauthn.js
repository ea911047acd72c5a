// Security keys and passkeys.

import { Card, consequences, opener } from "../card.js";
import { errorLine, h, icon } from "../dom.js";
import { Step, door, page } from "../page.js";
import { remains, standsInTheWay } from "../safety.js";
import { call } from "../session.js";
import { sentence, since } from "../time.js";
import { explain } from "../trouble.js";
import * as browser from "../webauthn.js";
import { say } from "../words.js";
import { showCodes } from "./backup-codes.js";

const card = new Card({ glyph: "key", title: say("keys.title"), badge: say("recommended") });
const LONGEST_NAME = 64;

/** What kind of key it is: the name of its icon, and of its words. */
function kindOf({ transports = [], backed_up: synced }) {
  if (synced) return "synced";
  if (transports.includes("internal")) return "laptop";
  if (transports.includes("hybrid")) return "phone";
  return transports.length > 0 ? "usb" : "key";
}

const path = (device) => `/webauthn/${encodeURIComponent(device.device_id)}`;

const rowOf = (device) => card.element.querySelector(`[data-key="${CSS.escape(device.device_id)}"]`);

/** A form with one box for a name. */
function nameForm({ value, placeholder, act, hint, error, required, submit }) {
  const input = h("input", {
    id: "key-name", maxlength: String(LONGEST_NAME), autocomplete: "off", spellcheck: "false", placeholder, required,
    "aria-describedby": "key-name-hint key-name-error",
  });
  input.value = value;
  const line = errorLine();
  line.id = "key-name-error";
  line.textContent = error ?? "";
  const form = h("form", {
    class: "name-form", novalidate: true,
    onsubmit(event) {
      event.preventDefault();
      const name = input.value.trim();
      if (required && !name) {
        line.textContent = say("keys.name.missing");
        input.setAttribute("aria-invalid", "true");
        input.focus();
        return;
      }
      submit(name);
    },
  }, h("label", { for: "key-name" }, say("keys.name")), hint && h("p", { class: "hint", id: "key-name-hint" }, hint),
  input, line, h("button", { type: "submit" }, act));
  form.input = input;
  return form;
}

function add(detail, { name: typed = "" } = {}) {
  let ceremony = null, name = typed, form = null;
  const step = Step.enter(card, {
    heading: say("keys.add.heading"), name: "webauthn.add",
    fields: () => ({ name: form?.isConnected ? form.input.value : name }), left: () => ceremony?.abort(),
  });
  if (!step) return;

  function ask(error) {
    form = nameForm({
      value: name, placeholder: say("keys.name.example"), hint: say("keys.name.hint"), act: say("keys.add.act"), error,
      submit(text) {
        name = text;
        step.load((code) => call("POST", "/webauthn/register/begin", { ...(name && { name }), ...(code && { code }) }), carryOut, { back: ask });
      },
    });
    step.show([form], form.input);
    if (error) form.querySelector("button").focus();
  }

  /** The browser asks for the key; what was begun is given up where nothing comes of it. */
  async function carryOut(begun) {
    ceremony = new AbortController();
    step.show([h("div", { class: "waiting" }, icon("key"), h("p", { role: "status" }, say("keys.add.waiting")))]);
    try {
      const credential = await browser.create(begun.publicKey, { signal: ceremony.signal });
      ceremony = null;
      const { device, backup_codes: codes } = await call("POST", "/webauthn/register/complete", {
        device_id: begun.device_id, challenge_id: begun.challenge_id, credential,
      });
      const done = say("keys.added", { name: device.name });
      if (codes) showCodes(step, codes, done);
      else await step.done(done);
    } catch (problem) {
      call("DELETE", path(begun)).catch(() => {});
      if (step.isOpen) ask(explain(problem));
    }
  }

  ask();
}

function rename(device, { name = device.name } = {}) {
  let form = null;
  const step = Step.enter(card, {
    heading: say("keys.rename.heading", device), name: "webauthn.rename", detail: device, within: rowOf(device),
    fields: () => ({ name: form?.isConnected ? form.input.value : name }),
  });
  if (!step) return;
  function ask(error) {
    form = nameForm({
      value: name, required: true, act: say("keys.rename.act"), error,
      submit(text) {
        name = text;
        step.load((code) => call("PATCH", path(device), { name, ...(code && { code }) }),
          ({ device: renamed }) => step.done(say("keys.renamed", renamed)), { back: ask });
      },
    });
    step.show([form], form.input);
    form.input.select();
  }
  ask();
}

function remove(device) {
  const step = Step.enter(card, {
    heading: say("keys.remove.heading", device), name: "webauthn.remove", detail: device, within: rowOf(device),
  });
  if (!step) return;
  if (standsInTheWay(page.overview, device)) {
    step.show([h("p", { class: "note warn" }, say("here.last_factor"))]);
    return;
  }
  function ask(error) {
    const line = errorLine();
    line.textContent = error ?? "";
    const act = h("button", {
      type: "button", class: "danger",
      onclick: () => step.load((code) => call("DELETE", path(device), code && { code }), () => step.done(say("keys.removed", device)), { back: ask }),
    }, say("keys.remove.act"));
    step.show([consequences(say("keys.remove.lost"), remains(page.overview, device)), line, h("div", { class: "actions" }, act)], error ? act : null);
  }
  ask();
}

function row(device) {
  const kind = kindOf(device);
  const facts = [say(`keys.kind.${kind}`), device.model !== device.name && device.model].filter(Boolean).join(" · ");
  return h("li", { "data-key": device.device_id }, icon(kind),
    h("div", { class: "about" }, h("strong", {}, h("bdi", {}, device.name)),
      h("span", { class: "hint" }, facts),
      h("span", { class: "hint" }, sentence(device.last_used_at ? "device.used" : "device.unused", { added: since(device.created_at), used: since(device.last_used_at) }))),
    h("div", { class: "actions" },
      opener(say("rename"), `rename ${device.device_id}`, () => rename(device), { kind: "plain", label: say("keys.rename.heading", device) }),
      opener(say("remove"), `remove ${device.device_id}`, () => remove(device), { kind: "plain danger", label: say("keys.remove.heading", device) })));
}

/** The card, and how it shows an overview. */
export function webauthn() {
  door("webauthn.add", add);
  /** A key may be gone by the time that somebody is back. */
  const ofKey = (enter) => (detail, fields) => {
    const device = page.overview.devices.find((one) => one.device_id === detail?.device_id);
    if (device) enter(device, fields);
  };
  door("webauthn.rename", ofKey(rename));
  door("webauthn.remove", ofKey(remove));
  return {
    element: card.element,
    show({ devices, policy }) {
      const keys = devices.filter(({ type, status }) => type === "webauthn" && status === "active");
      const offered = policy.allowed.includes("webauthn");
      const able = browser.isOffered();
      card.element.hidden = keys.length === 0 && !offered;
      card.show({
        on: keys.length > 0, state: keys.length > 0 ? say("keys.count", { count: keys.length }) : "",
        words: [h("p", {}, say("keys.what")), offered && !able && h("p", {}, say("key.unsupported")), !offered && h("p", {}, say("not_offered.any_more"))],
        actions: offered && able ? [opener(say("keys.add"), "webauthn.add", add, { label: say("keys.add.heading") })] : [],
        body: keys.length > 0 ? [h("ul", { class: "rows" }, keys.map(row))] : [],
      });
    },
  };
}
