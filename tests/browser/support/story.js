// A test: a demo of its own, a fresh browser profile, and an ear for everything that the browser complains of.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

import { startDemo } from "./demo.js";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const TEST_MS = 90_000;
const WAIT_MS = 10_000;
/** Where pictures go: those of failed tests, and those for people to judge. */
export const PICTURES = fileURLToPath(new URL("../../../target/browser/", import.meta.url));
export const DESK = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

const OPTIONS = [
  "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // Nothing that a page might ask for leaves this machine.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

let browser = null;

async function theBrowser() {
  if (!existsSync(CHROMIUM)) throw new Error(`There is no ${CHROMIUM}. Install it: apt-get install chromium`);
  browser ??= await chromium.launch({ executablePath: CHROMIUM, args: OPTIONS, headless: true, chromiumSandbox: false });
  return browser;
}

after(() => browser?.close());

/** Collects what goes wrong in a page, and what the story said would. */
class Ear {
  #heard = [];
  #expected = new Set();
  #offline = false;

  /** Answers of these statuses are part of the story. */
  expects(...statuses) {
    statuses.forEach((status) => this.#expected.add(status));
  }

  /** That the server is not there for a while is part of the story. */
  expectsOffline() {
    this.#offline = true;
  }

  hear(kind, text) {
    if (this.#offline && /net::ERR_(INTERNET_DISCONNECTED|CONNECTION_REFUSED)/.test(text)) return;
    const refused = /the server responded with a status of (\d+)/.exec(text);
    if (refused && this.#expected.has(Number(refused[1]))) return;
    this.#heard.push(`${kind}: ${text}`);
  }

  complaints() {
    return this.#heard;
  }

  /** Waits until something that begins with `start` was heard, and for what `page` says together with it. */
  async hears(start, page) {
    for (const end = Date.now() + WAIT_MS; !this.#heard.some((complaint) => complaint.startsWith(start));) {
      if (Date.now() > end) throw new Error(`no ${start} was heard:\n${this.#heard.join("\n")}`);
      await page.evaluate(() => new Promise((go) => { setTimeout(go, 10); }));
    }
    // What the page has said before it answers this arrives before the answer.
    await page.evaluate(() => new Promise((go) => { requestAnimationFrame(() => setTimeout(go)); }));
  }

  /** What was heard so far, which fails nothing any more. */
  forget() {
    return this.#heard.splice(0);
  }
}

async function openPage(context, ear) {
  // An event tells of violations that the console may pass over.
  await context.exposeBinding("tellViolation", (_, text) => ear.hear("violation", text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      globalThis.tellViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("pageerror", (error) => ear.hear("pageerror", String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      ear.hear(`console ${message.type()}`, `${message.text()} (${message.location().url})`);
    }
  });
  return page;
}

const fileName = (name) => name.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "").slice(0, 100);

/** Writes a PNG for people under target/browser/. */
export async function picture(page, name, options = {}) {
  await mkdir(PICTURES, { recursive: true });
  return page.screenshot({ path: `${PICTURES}${fileName(name)}.png`, ...options });
}

/**
 * A test in the browser. `play` gets `page`, `context`, `origin`, `ear`, and `site`: the demo, or what `start` started;
 * whatever the browser or the server complains of beside what the story expects fails it.
 */
export function story(
  name, play, { colorScheme = "light", viewport = DESK, locale = "en-GB", start = startDemo, ms = TEST_MS } = {},
) {
  test(name, { timeout: ms }, async () => {
    const site = await start();
    const ear = new Ear();
    let context;
    try {
      context = await (await theBrowser()).newContext({
        viewport, colorScheme, reducedMotion: "reduce", locale, timezoneId: "UTC", serviceWorkers: "block",
      });
      const page = await openPage(context, ear);
      try {
        await play({ page, context, origin: site.origin, ear, site });
        assert.deepEqual(ear.complaints(), [], "the browser complains of nothing");
      } catch (error) {
        await picture(page, `failed ${name}`, { fullPage: true }).catch(() => {});
        await writeFile(`${PICTURES}${fileName(`failed ${name}`)}.log`, [...ear.complaints(), site.log()].join("\n")).catch(() => {});
        throw error;
      }
    } finally {
      await context?.close();
      await site.stop();
    }
  });
}
