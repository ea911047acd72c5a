// A demo whose store was lost and brought back from a copy, with what Alice had set up.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

import { BINARY, DEMO_IS_READY, startServer } from "./demo.js";
import { totp } from "./totp.js";

const mfad = (...words) => promisify(execFile)(BINARY, words);

/** A port that nobody has: people are those of one issuer, whose address must be the same after the restore. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Sets up an app for Alice over the API of the demo at `origin`. */
async function setUpApp(origin) {
  const json = { "Content-Type": "application/json" };
  const grant = await fetch(`${origin}/demo/api/token`, { method: "POST", headers: json, body: JSON.stringify({ persona: "alice" }) });
  const { token } = await grant.json();
  const post = async (path, body) => {
    const answer = await fetch(`${origin}/api/v1/me/mfa/totp${path}`, {
      method: "POST", headers: { Authorization: `Bearer ${token}`, ...(body ? json : {}) }, body: body && JSON.stringify(body),
    });
    assert.equal(answer.status, 200, path);
    return answer.json();
  };
  const { secret } = await post("/enable");
  await post("/confirm", { code: totp(secret) });
}

/** Runs a demo for as long as `deed(origin)` takes. */
async function during(words, deed) {
  const child = spawn(BINARY, words, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "exit");
  let said = "";
  for await (const text of child.stdout.setEncoding("utf8")) {
    said += text;
    const origin = DEMO_IS_READY(said);
    if (!origin) continue;
    try {
      await deed(origin);
    } finally {
      child.kill("SIGTERM");
    }
    break;
  }
  const [code] = await ended;
  assert.equal(code, 0, said);
}

/** What a story starts: Alice's app was set up, a copy was made, the disk was lost, and the copy was brought back. */
export async function startRestored() {
  const port = await freePort();
  const words = (folder) => ["demo", "--listen", `127.0.0.1:${port}`, "--data-dir", folder];
  return startServer(words, DEMO_IS_READY, async (folder) => {
    await during(words(folder), setUpApp);
    const copy = join(folder, "copy");
    await mfad("backup", copy, "--data-dir", folder);
    await Promise.all(["mfad.redb", "mfad.witness"].map((name) => rm(join(folder, name))));
    await mfad("restore", copy, "--data-dir", folder);
    return {};
  });
}
