// What the pages say in a language, read from where they read it.

import { readFileSync } from "node:fs";

/** The languages, each with what a browser set to it would ask for. */
export const LANGUAGES = { en: "en-GB", nl: "nl-BE", de: "de-AT", fr: "fr-CA", es: "es-MX" };

/** `say(key, values)` for a language. */
export function wordsOf(language) {
  const words = JSON.parse(readFileSync(new URL(`../../../assets/words/${language}.json`, import.meta.url), "utf8"));
  const forms = new Intl.PluralRules(language);
  return (key, values = {}) => {
    const said = words[key];
    if (said === undefined) throw new Error(`nothing is said for ${key}`);
    const sentence = typeof said === "string" ? said : said[forms.select(values.count)] ?? said.other;
    return sentence.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  };
}
