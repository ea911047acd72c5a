// One server for one test: its own port and store; the demo also has its own issuer and mailbox.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const BINARY = process.env.MFAD_BINARY ?? fileURLToPath(new URL("../../../target/debug/mfad", import.meta.url));
const START_MS = 20_000;
const STOP_MS = 10_000;
/** The disk is full from the first byte on; what else this process writes goes to pipes. */
const FULL = "0:unlimited", EMPTY = "unlimited:unlimited";
const LINK = /Open\s+(http:\/\/localhost:\d+)\/demo/;

async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Starts `mfad` with a folder of its own: `origin`, `log()`, `policy()`, and `stop()`, which wants a clean end and a log
 * without complaints, beside those that `fillDisk()` brought about until `freeDisk()`. `ready` finds the origin in what it wrote
 * to standard output and error; `environment` gives variables for it.
 */
export async function startServer(argumentsIn, ready, environment = () => ({})) {
  const folder = await mkdtemp(join(tmpdir(), "mfad-browser-"));
  const words = [...argumentsIn(folder), "--log-format", "json", "--log", "info"];
  // A write beyond a limit shall fail, as on a full disk, and not end the process.
  const child = spawn("/bin/sh", ["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", BINARY, ...words], {
    stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...await environment(folder) },
  });
  const limit = (bytes) => promisify(execFile)("prlimit", ["--pid", String(child.pid), `--fsize=${bytes}`]);
  let wasFull = false, leapt = false;
  const exited = once(child, "exit");
  exited.catch(() => {});
  let said = "", log = "";
  const started = new Promise((resolve, reject) => {
    const look = () => {
      const origin = ready(said, log);
      if (origin) resolve(origin);
    };
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the server ended at its start with ${code}:\n${log}`)));
    child.stderr.setEncoding("utf8").on("data", (text) => { log += text; look(); });
    child.stdout.setEncoding("utf8").on("data", (text) => { said += text; look(); });
  });
  const clear = () => Promise.all([folder, `${folder}.clock`].map((path) => rm(path, { recursive: true, force: true })));
  let origin;
  try {
    origin = await within(START_MS, "the server's start", started);
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
    async fillDisk() {
      wasFull = true;
      await limit(FULL);
    },
    /** Its clock leaps forward, which it must say. */
    leaps() { leapt = true; },
    freeDisk: () => limit(EMPTY),
    async stop() {
      child.kill("SIGTERM");
      try {
        const [code, signal] = await within(STOP_MS, "the server's end", exited);
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, log);
        const complaints = log.split("\n").filter((line) => /"level":"(ERROR|WARN)"/.test(line));
        const leaps = complaints.filter((line) => line.includes("the clock has leapt forward"));
        assert.equal(leaps.length > 0, leapt, "a clock that leapt is in the log, and no other");
        const faults = complaints.filter((line) => !leaps.includes(line));
        if (wasFull) assert.ok(faults.length > 0, "a full disk is in the log");
        else assert.deepEqual(faults, [], "the server's log holds neither faults nor warnings");
      } finally {
        child.kill("SIGKILL");
        await clear();
      }
    },
  };
}

/** Finds the demo's origin in what it says. */
export const DEMO_IS_READY = (said) => LINK.exec(said)?.[1];

/** Starts a demo on a free port, with `more` arguments. */
export const startDemo = (...more) => startServer(
  (folder) => ["demo", "--listen", "127.0.0.1:0", "--data-dir", folder, ...more], DEMO_IS_READY,
);

/**
 * For stories that need a second mail: long enough to meet the wait on a busy machine, and short enough to sit it out. `start`
 * begins a demo with it, and `ms` is how long a page may have to wait.
 */
export const SOON_RESENT = { start: () => startDemo("--email-resend-after", "15s"), ms: 20_000 };
