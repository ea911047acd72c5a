// Elements without markup: text is only ever text here.

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

const SHAPES = {
  phone: ["M8 2.5h8a1.5 1.5 0 0 1 1.5 1.5v16a1.5 1.5 0 0 1-1.5 1.5H8A1.5 1.5 0 0 1 6.5 20V4A1.5 1.5 0 0 1 8 2.5z", "M10.5 18.5h3"],
  mail: ["M4 5.5h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1v-11a1 1 0 0 1 1-1z", "M3.5 7l8.5 6 8.5-6"],
  key: ["M15 9.5m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M11.3 13L4 20.3", "M6.5 18l2.5 2.5"],
  list: ["M9 6.5h11", "M9 12h11", "M9 17.5h11", "M4.5 6.5h.5", "M4.5 12h.5", "M4.5 17.5h.5"],
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

/** A button that is off while its deed is under way, and shows why it failed in `error`. */
export function button(text, deed, { kind = "", error = null, label = null } = {}) {
  return h("button", {
    type: "button", class: kind, "aria-label": label,
    async onclick({ currentTarget }) {
      if (error) error.textContent = "";
      currentTarget.disabled = true;
      try {
        await deed();
      } catch (problem) {
        if (error) error.textContent = problem.message;
        else throw problem;
      } finally {
        currentTarget.disabled = false;
      }
    },
  }, text);
}

export function errorLine() {
  return h("p", { class: "error", role: "alert" });
}

let forms = 0;

/**
 * One box for a code. With `digits` it submits itself at six; a wrong code is
 * selected, so that the next one replaces it. `extra` stands beside the button.
 */
export function codeForm({ label, act, deed, digits = false, extra = null, kind = "" }) {
  const id = `code-${++forms}`;
  const error = errorLine();
  error.id = `${id}-error`;
  const input = h("input", {
    id, class: digits ? "code" : "code wide", autocomplete: "one-time-code", inputmode: digits ? "numeric" : "text",
    maxlength: "64", spellcheck: "false", autocapitalize: "off", required: true, "aria-describedby": error.id,
    placeholder: digits ? "000000" : null,
    oninput() {
      if (digits && /^\d{6}$/.test(input.value.replace(/[\s-]/g, ""))) form.requestSubmit();
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
      error.textContent = "";
      try {
        await deed(code);
      } catch (problem) {
        error.textContent = problem.message;
        input.focus();
        input.select();
      } finally {
        submit.disabled = false;
      }
    },
  }, h("label", { for: id }, label), h("div", { class: "row" }, input, submit, extra), error);
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
    const area = h("textarea", { readonly: true, "aria-label": "Copy this" });
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
    made.textContent = copied ? "Copied" : "Shown below";
    setTimeout(() => { made.textContent = text; }, 1600);
  }, { kind, label });
  return made;
}

export function when(time) {
  return time ? new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "never";
}
