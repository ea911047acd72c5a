// What went wrong, in words.

import { Problem } from "./api.js";
import { KeyTrouble } from "./webauthn.js";
import { inWords, say } from "./words.js";

/**
 * What puts a refusal into words, those of `here` first where a page has words of its own. What is a fault of the page
 * itself also goes to the console.
 */
export const explainIn = (here) => (problem) => {
  if (problem instanceof Problem) return inWords(problem, here);
  if (problem instanceof KeyTrouble) return problem.message;
  reportError(problem);
  return say("fault");
};

/** As the settings page says it. */
export const explain = explainIn("here");
