// A demo whose clock a test can turn: Debian's libfaketime tells the server, and nobody else, what time it is.

import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { DEMO_IS_READY, startServer } from "./demo.js";

/** A clock that goes on for longer than this at once is noticed, as README says of it. */
const BELIEVED_AT_ONCE = 600;
export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export async function library() {
  for (const folder of ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]) {
    const found = await readdir(join(folder, "faketime")).catch(() => []);
    const name = found.find((file) => file.startsWith("libfaketimeMT.so"));
    if (name) return join(folder, "faketime", name);
  }
  throw new Error("There is no libfaketime. Install it: apt-get install faketime");
}

/**
 * What `story` starts: a demo with `words` on its command line, whose clock goes `behind` seconds behind the browser's.
 * It has `goOn(seconds)`, `catchUp()`, which makes both the same, and `now()`, the server's time in ms since 1970.
 */
export const startWithClock = (behind, ...words) => async () => {
  const preload = await library();
  let offset = -behind, file = null;
  const tell = () => writeFile(file, `${offset < 0 ? "" : "+"}${offset}s\n`);
  const demo = await startServer(
    (folder) => ["demo", "--listen", "127.0.0.1:0", "--data-dir", folder, ...words],
    DEMO_IS_READY,
    async (folder) => {
      file = `${folder}.clock`;
      await tell();
      return { LD_PRELOAD: preload, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
    },
  );
  return {
    ...demo,
    now: () => Date.now() + offset * 1000,
    goOn(seconds) {
      if (seconds > BELIEVED_AT_ONCE) demo.leaps();
      offset += seconds;
      return tell();
    },
    catchUp() {
      offset = 0;
      return tell();
    },
  };
};
