// Both pages in every language on narrow screens, beside the one language that runs with the other tests.

import { fitsNarrowly } from "../support/narrow.js";

for (const [language, width] of [["de", 360], ["fr", 320], ["fr", 360], ["nl", 320], ["nl", 360], ["es", 320], ["es", 360]]) {
  fitsNarrowly(language, width);
}
