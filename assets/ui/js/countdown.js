// Counts seconds down in an element, without speaking each of them.

import { clock } from "./words.js";

/**
 * Calls `show` with the time that is left, as a clock shows it, at once and each second, and `done` when it is over.
 * Gives what stops it. It counts by the clock, since a page that sleeps in a pocket hears no ticks.
 */
export function countdown(seconds, show, done) {
  const end = Date.now() + seconds * 1000;
  let timer = null;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left <= 0) return done();
    show(clock(left));
    timer = setTimeout(tick, 1000);
  };
  tick();
  return () => clearTimeout(timer);
}
