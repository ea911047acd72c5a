// What went wrong, in the settings page's words.

import { Problem } from "./api.js";
import { KeyTrouble } from "./webauthn.js";
import { inWords, say } from "./words.js";

/** A refusal in words. What is a fault of the page itself also goes to the console. */
export function explain(problem) {
  if (problem instanceof Problem || problem instanceof KeyTrouble) return inWords(problem, "here");
  reportError(problem);
  return say("here.fault");
}
