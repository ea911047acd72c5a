// One demo server for one test: its own port, store, issuer and mailbox.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const BINARY = process.env.MFAD_BINARY ?? fileURLToPath(new URL("../../../target/debug/mfad", import.meta.url));
const START_MS = 20_000;
const STOP_MS = 10_000;
const LINK = /Open\s+(http:\/\/localhost:\d+)\/demo/;

async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts a demo on a free port: `origin`, `log()`, `policy()`, and `stop()`, which wants a clean end. */
export async function startDemo() {
  const folder = await mkdtemp(join(tmpdir(), "mfad-browser-"));
  const child = spawn(BINARY, ["demo", "--listen", "127.0.0.1:0", "--data-dir", folder, "--log-format", "json", "--log", "info"],
    { stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  exited.catch(() => {});
  let said = "", log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => { log += text; });
  const printed = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the demo ended at its start with ${code}:\n${log}`)));
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      const link = LINK.exec(said);
      if (link) resolve(link[1]);
    });
  });
  const clear = () => rm(folder, { recursive: true, force: true });
  let origin;
  try {
    origin = await within(START_MS, "the demo's start", printed);
  } catch (error) {
    child.kill("SIGKILL");
    await clear();
    throw error;
  }
  return {
    origin,
    log: () => log,
    /** Gives an order about policy, as the operator does on the machine: `policy("set", "require-mfa", "all")`. */
    policy: (order, ...words) => promisify(execFile)(BINARY, ["policy", order, "--data-dir", folder, ...words]),
    async stop() {
      child.kill("SIGTERM");
      try {
        const [code, signal] = await within(STOP_MS, "the demo's end", exited);
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, log);
        const faults = log.split("\n").filter((line) => /"level":"(ERROR|WARN)"/.test(line));
        assert.deepEqual(faults, [], "the server's log holds neither faults nor warnings");
      } finally {
        child.kill("SIGKILL");
        await clear();
      }
    },
  };
}
