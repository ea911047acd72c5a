// Security keys and passkeys.

import { browserOf } from "../browser.js";
import { Card, consequences, opener } from "../card.js";
import { errorLine, h, icon } from "../dom.js";
import { Step, door, page, refreshOrSay } from "../page.js";
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
function nameForm({ value, hint = null, error, submit }) {
  const input = h("input", {
    id: "key-name", maxlength: String(LONGEST_NAME), autocomplete: "off", spellcheck: "false", required: true,
    "aria-describedby": hint ? "key-name-hint key-name-error" : "key-name-error",
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
      if (!name) {
        line.textContent = say("keys.name.missing");
        input.setAttribute("aria-invalid", "true");
        input.focus();
        return;
      }
      submit(name);
    },
  }, hint && h("p", { id: "key-name-hint" }, hint), h("label", { for: "key-name" }, say("keys.name")),
  h("div", { class: "row" }, input, h("button", { type: "submit" }, say("keys.rename.act"))), line);
  form.input = input;
  return form;
}

/** Has the person name `device` in `step`, and goes on to `then` with what it is called. */
function askName(step, device, { name, hint, wayOut }, then) {
  let form = null;
  step.fields = () => ({ name: form?.isConnected ? form.input.value : name });
  function ask(error) {
    form = nameForm({
      value: name, hint, error,
      submit(text) {
        name = text;
        if (name === device.name) return then(device);
        step.load((code) => call("PATCH", path(device), { name, ...(code && { code }) }), ({ device: renamed }) => then(renamed), { back: ask });
      },
    });
    step.show([form], form.input, { wayOut });
    form.input.select();
  }
  ask();
}

/** What to call a new key: by its model, by the browser that it is built into, or by its kind; with a number where that name is taken. */
function nameFor(device) {
  const kind = kindOf(device);
  const name = device.model ?? (kind === "laptop" ? browserOf(navigator.userAgent) : say(`keys.name.${kind}`));
  const taken = new Set(page.overview.devices.filter(({ device_id: id }) => id !== device.device_id).map((other) => other.name));
  let number = 2, free = name;
  while (taken.has(free)) free = `${name} ${number++}`;
  return free;
}

function add(_, comingBack) {
  let ceremony = null;
  const step = Step.enter(card, { heading: say("keys.add.heading"), name: "webauthn.add", left: () => ceremony?.abort() });
  if (!step) return;

  const begin = () => step.load((code) => call("POST", "/webauthn/register/begin", code && { code }), carryOut, { back: ask });

  /** A browser asks for a key where the person has just done something: who comes back to this says so first. */
  function ask(error) {
    const line = errorLine();
    line.textContent = error ?? "";
    const go = h("button", { type: "button", onclick: begin }, say(error ? "step.retry" : "keys.add.act"));
    step.show([h("p", {}, say("keys.add.how")), line, h("div", { class: "actions" }, go)], go);
  }

  /** The browser asks for the key; what was begun is given up where nothing comes of it. */
  async function carryOut(begun) {
    ceremony = new AbortController();
    step.show([h("div", { class: "waiting" }, icon("key"), h("p", { role: "status" }, say("keys.add.waiting")))]);
    try {
      const credential = await browser.create(begun.publicKey, { signal: ceremony.signal });
      ceremony = null;
      const registered = await call("POST", "/webauthn/register/complete", {
        device_id: begun.device_id, challenge_id: begun.challenge_id, credential,
      });
      name(registered);
    } catch (problem) {
      call("DELETE", path(begun)).catch(() => {});
      if (step.isOpen) ask(explain(problem));
    }
  }

  /** The key is registered, whatever the person does now; codes that came with it are shown in any case. */
  function name({ device, backup_codes: codes }) {
    if (!step.isOpen) return refreshOrSay(card);
    let called = device;
    const finish = () => {
      const done = say("keys.added", called);
      if (codes) showCodes(step, codes, done);
      else step.done(done);
    };
    Object.assign(step, { name: "webauthn.rename", detail: device, holds: Boolean(codes), onward: finish });
    step.title(say("keys.name.heading"));
    askName(step, device, { name: nameFor(device), hint: say("keys.name.hint"), wayOut: "keys.name.skip" }, (renamed) => {
      called = renamed;
      finish();
    });
  }

  if (comingBack) ask();
  else begin();
}

function rename(device, { name = device.name } = {}) {
  const step = Step.enter(card, { heading: say("keys.rename.heading", device), name: "webauthn.rename", detail: device, within: rowOf(device) });
  if (step) askName(step, device, { name }, (renamed) => step.done(say("keys.renamed", renamed)));
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
