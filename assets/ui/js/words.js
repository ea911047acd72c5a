// All that the pages say, in the reader's language where there is one of theirs.

import en from "./words/en.js";

const LANGUAGES = { en };

/** The language of `say`, for the `lang` of the page. */
export const language = (navigator.languages ?? []).map((tag) => tag.split("-")[0].toLowerCase())
  .find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";

/** The reader's own kind of that language: how they write dates and lists. */
export const locale = (navigator.languages ?? []).find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;

const find = (key) => LANGUAGES[language][key] ?? en[key];

/** What `key` says, `{name}` being `values.name`; the key itself where nobody wrote anything. */
export function say(key, values = {}) {
  const words = find(key) ?? key;
  if (typeof words === "function") return words(values);
  return words.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** Whether there are words of that name. */
export const isSaid = (key) => find(key) !== undefined;

/** A refusal in words: by its code, or else as the server says it. `here` names the words that a page has of its own. */
export function inWords(problem, here = null) {
  const name = problem.status === 0 ? "unreachable" : problem.code;
  const key = [`${here}.${name}`, `problem.${name}`].find(isSaid);
  return key ? say(key, problem.body ?? {}) : problem.message;
}

/** `one, two and three`, as the language joins them. */
export const joined = (items) => new Intl.ListFormat(locale).format(items);

/** Seconds as a clock shows them: `1:05`. */
export function clock(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
