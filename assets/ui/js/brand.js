// Whose pages these are, as their markup says it.

import { h } from "./dom.js";

const foot = document.querySelector("#help");

/** The service's name. */
export const service = document.querySelector("meta[name='application-name']").content;

/** A link to those who help, for where somebody needs them; null where nobody said who that is. */
export function help() {
  if (!foot) return null;
  const link = foot.cloneNode(true);
  link.removeAttribute("id");
  return h("p", { class: "help" }, link);
}
