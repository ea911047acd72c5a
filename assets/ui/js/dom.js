// Elements without markup: text is only ever text here.

import { countdown } from "./countdown.js";
import { locale, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element; a key that starts with "on" is a listener, children are nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SHIELD = "M12 3l7.5 2.8v5.7c0 4.6-3.1 7.9-7.5 9.5-4.4-1.6-7.5-4.9-7.5-9.5V5.8z";
const SHAPES = {
  phone: ["M8 2.5h8a1.5 1.5 0 0 1 1.5 1.5v16a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 20V4A1.5 1.5 0 0 1 8 2.5z", "M10.5 18.5h3"],
  mail: ["M4 5.5h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1z", "M3.5 7l8.5 6 8.5-6"],
  key: ["M15 9.5m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M11.3 13L4 20.3", "M6.5 18l2.5 2.5"],
  list: ["M9 6.5h11", "M9 12h11", "M9 17.5h11", "M4.5 6.5h.5", "M4.5 12h.5", "M4.5 17.5h.5"],
  safe: [SHIELD, "M8.5 12l2.5 2.5 4.5-5"],
  unsafe: [SHIELD, "M12 8v4.5", "M12 15.7v.1"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  alert: ["M12 4l9 15.5H3z", "M12 10v4.5", "M12 17v.1"],
  laptop: ["M5.5 5h13a1 1 0 0 1 1 1v9.5h-15V6a1 1 0 0 1 1-1z", "M2.5 18.5h19"],
  usb: ["M8 9.5h8V20a1.5 1.5 0 0 1-1.5 1.5h-5A1.5 1.5 0 0 1 8 20z", "M9.5 9.5v-7h5v7", "M12 15v.1"],
  synced: ["M7 18.5a4 4 0 0 1-.6-7.95 6 6 0 0 1 11.5.95A3.6 3.6 0 0 1 17.5 18.5z"],
  browser: ["M4.5 5h15a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z", "M3.5 9.5h17", "M6.5 7.3v-.1", "M9 7.3v-.1"],
  door: ["M13.5 4h5a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1h-5", "M4 12h11", "M11.5 8.5L15 12l-3.5 3.5"],
};

/** A line drawing in the text's colour, nothing for screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({
    viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.7",
    "stroke-linecap": "round", "stroke-linejoin": "round",
  })) svg.setAttribute(key, value);
  for (const shape of SHAPES[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", shape);
    svg.append(path);
  }
  return h("span", { class: "icon", "aria-hidden": "true" }, svg);
}

/** A button that is off while its deed is under way, and shows in `error` why it failed, as `explain` puts it. */
export function button(text, deed, { kind = "", error = null, label = null, explain = ({ message }) => message } = {}) {
  return h("button", {
    type: "button", class: kind, "aria-label": label,
    async onclick({ currentTarget: pressed }) {
      if (error) error.textContent = "";
      pressed.disabled = true;
      try {
        await deed();
      } catch (problem) {
        if (error) error.textContent = explain(problem);
        else throw problem;
      } finally {
        pressed.disabled = false;
        // What is off loses the focus; nobody shall have to look for it.
        if (document.activeElement === document.body) pressed.focus();
      }
    },
  }, text);
}

export function errorLine() {
  return h("p", { class: "error", role: "alert" });
}

let forms = 0;

const bare = (code) => code.replace(/[\s-]/g, "");

/** Puts what is typed at the end of a box into capitals and groups of four. */
function group(input, { inputType }) {
  if (inputType?.startsWith("delete") || input.selectionEnd !== input.value.length) return;
  input.value = bare(input.value).toUpperCase().replace(/(.{4})(?=.)/g, "$1-");
}

/**
 * One box for a code, with `hint` below it. With `digits` it submits itself at the sixth; with `groups` it is a
 * backup code's. A refused code is selected, so that the next one replaces it, and `explain` gives the sentence. After
 * a used code the box takes nothing until the next one appears. `extra` stands next to the button.
 */
export function codeForm({
  label, act, deed, digits = false, groups = false, hint = null, extra = null, kind = "", explain = ({ message }) => message,
}) {
  const id = `code-${++forms}`;
  const error = errorLine();
  error.id = `${id}-error`;
  const next = h("p", { class: "hint", role: "timer" });
  const news = h("p", { class: "hint", role: "status" });
  let refused = null;
  const input = h("input", {
    id, class: digits ? "code" : "code wide", autocomplete: groups ? "off" : "one-time-code", inputmode: digits ? "numeric" : "text",
    maxlength: "64", spellcheck: "false", autocapitalize: groups ? "characters" : "off", required: true,
    "aria-describedby": hint ? `${error.id} ${id}-hint` : error.id,
    oninput(event) {
      if (groups) group(input, event);
      // What was refused is not sent again because a blank went into it.
      if (digits && /^\d{6}$/.test(bare(input.value)) && bare(input.value) !== refused) form.requestSubmit();
    },
  });
  const submit = h("button", { type: "submit", class: kind }, act);
  const form = h("form", {
    class: "code-form", novalidate: true,
    async onsubmit(event) {
      event.preventDefault();
      if (submit.disabled) return;
      const code = input.value.trim();
      if (!code) return input.focus();
      submit.disabled = true;
      error.textContent = news.textContent = "";
      input.removeAttribute("aria-invalid");
      try {
        await deed(code);
      } catch (problem) {
        refused = problem.status === 400 ? bare(code) : null;
        error.textContent = explain(problem);
        if (refused) input.setAttribute("aria-invalid", "true");
        input.focus();
        input.select();
        if (problem.code === "code_used" && problem.body?.retry_after) awaitNext(problem.body.retry_after);
      } finally {
        submit.disabled = input.readOnly || input.disabled;
      }
    },
  }, h("label", { for: id }, label), h("div", { class: "row" }, input, submit, extra), error, next, news,
  hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
  /** Takes nothing for a while. The box keeps the focus, and so stays where people and screen readers are. */
  function awaitNext(seconds) {
    input.readOnly = true;
    countdown(seconds, (clock) => { next.textContent = say("problem.code_used.next", { clock }); }, () => {
      input.readOnly = submit.disabled = false;
      input.value = error.textContent = next.textContent = "";
      input.removeAttribute("aria-invalid");
      news.textContent = say("problem.code_used.over");
    });
  }
  /** Whether it takes a code at all: not while there is none that could be typed. */
  form.setEnabled = (isEnabled) => {
    input.disabled = submit.disabled = !isEnabled;
    if (!isEnabled) input.value = "";
  };
  form.isEnabled = () => !input.disabled;
  /** Types a code for the person. */
  form.fill = (code) => {
    input.value = code;
    input.dispatchEvent(new Event("input"));
    input.focus();
  };
  return form;
}

/** Puts text on the clipboard, or shows it selected in `fallback` where the browser refuses. */
export async function copy(text, fallback) {
  try {
    await navigator.clipboard.writeText(text);
    fallback.replaceChildren();
    return true;
  } catch {
    const area = h("textarea", { readonly: true, "aria-label": say("copy.this") });
    area.value = text;
    fallback.replaceChildren(area);
    area.focus();
    area.select();
    return false;
  }
}

/** A button that copies what `fetchText` gives and says so for a moment. */
export function copyButton(text, fetchText, { kind = "small", fallback, label = null } = {}) {
  const place = fallback ?? h("div");
  const made = button(text, async () => {
    const copied = await copy(await fetchText(), place);
    made.textContent = say(copied ? "copied" : "copy.below");
    setTimeout(() => { made.textContent = text; }, 1600);
  }, { kind, label });
  return made;
}

export function when(time) {
  return time ? new Date(time).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" }) : say("never");
}
