// All that the pages say, in the reader's language where there is one of theirs.

import en from "./words/en.js";

const LANGUAGES = { en };

/** The language of `say`, for the `lang` of the page. */
export const language = (navigator.languages ?? []).map((tag) => tag.split("-")[0].toLowerCase())
  .find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";

const find = (key) => LANGUAGES[language][key] ?? en[key];

/** What `key` says, `{name}` being `values.name`; the key itself where nobody wrote anything. */
export function say(key, values = {}) {
  const words = find(key) ?? key;
  if (typeof words === "function") return words(values);
  return words.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** A refusal in words: by its code, or else as the server says it. */
export function inWords(problem) {
  const key = problem.status === 0 ? "problem.unreachable" : `problem.${problem.code}`;
  return find(key) ? say(key, problem.body ?? {}) : problem.message;
}

/** Seconds as a clock shows them: `1:05`. */
export function clock(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
