import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { must, setUpApp } from "./support/account.js";
import { startDemo } from "./support/demo.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { app, openSettings, press } from "./support/settings.js";
import { openPrompt } from "./support/sign-in.js";
import { picture, story } from "./support/story.js";

const folder = mkdtempSync(join(tmpdir(), "mfad-brand-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name, text) {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const wordmark = (mark, words) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 176 40" width="176" height="40">
  <path fill="${mark}" d="M20 2 36 11v18L20 38 4 29V11zM20 11l-8 4.5v9l8 4.5 8-4.5v-9z"/>
  <text x="48" y="28" font-family="sans-serif" font-size="24" font-weight="700" fill="${words}">Nordlicht</text></svg>`;
const LOGO = file("logo.svg", wordmark("#6d28d9", "#1e1b4b"));
const LOGO_DARK = file("logo-dark.svg", wordmark("#c4b5fd", "#f5f3ff"));
/** What would tell of itself if any of it ran or was loaded. */
const HOSTILE = file("hostile.svg", `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" onload="fetch('/healthz?onload')">
  <script>fetch("/healthz?script"); alert("script")</script>
  <script xlink:href="/healthz?linked"/>
  <image href="/healthz?image" width="9" height="9"/>
  <style>@import url("/healthz?import"); rect { fill: url("/healthz?fill"); }</style>
  <foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="/healthz?frame"></iframe>
    <img xmlns="http://www.w3.org/1999/xhtml" src="/healthz?img" onerror="fetch('/healthz?onerror')"/></foreignObject>
  <rect width="9" height="9"/></svg>`);
const HELP = "https://help.example.org/mfa?from=mfad";

const branded = () => startDemo("--logo-file", LOGO, "--logo-dark-file", LOGO_DARK, "--accent-color", "#6d28d9",
  "--support-url", HELP, "--contact", "security@example.org");

for (const { name, ...eyes } of EYES) {
  story(`pages in a strong brand fit and are accessible: ${name}`, async ({ page, origin, ear }) => {
    const look = async (what) => {
      const logo = page.getByRole("img", { name: "mfad demo" });
      await logo.waitFor();
      assert.ok(await logo.evaluate((image) => image.complete && image.naturalWidth > 0), `${what}: the logo is there`);
      const shown = await logo.evaluate((image) => image.currentSrc);
      assert.match(shown, eyes.colorScheme === "dark" ? /\/logo-dark\.svg$/ : /\/logo\.svg$/);
      const { height } = await logo.boundingBox();
      assert.ok(height <= 32, `${what}: the logo is ${height} pixels high`);
      await fits(page, what);
      await isAccessible(page, what);
      await picture(page, `look brand ${what} ${name}`, { fullPage: true });
    };
    const help = () => page.locator("#help");
    await page.goto(`${origin}/`);
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await look("signed out");
    await page.goto(`${origin}/demo`);
    await setUpApp(page);
    await openSettings(page, origin);
    assert.equal(await help().getAttribute("href"), HELP);
    await look("settings");
    await press(page, app(page), "Turn off your authenticator app");
    await look("settings in a step");
    await page.goto(`${origin}/demo`);
    await openPrompt(page, origin, { remember: true });
    await page.getByLabel("Remember this browser for").waitFor();
    assert.equal(await help().getAttribute("href"), HELP);
    assert.equal(await page.title(), "Confirm that it is you · mfad demo");
    await look("prompt");
    await page.goto("about:blank");
    await page.goto(`${origin}/prompt/`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await help().waitFor();
    await look("prompt without a sign-in");
    ear.expects(400, 503);
    await page.goto(`${origin}/auth/callback?error=access_denied`);
    await help().waitFor();
    await look("dead end");
    await page.route("**/auth/session", (route) => route.fulfill({ status: 503, json: { code: "unavailable", detail: "words" } }), { times: 1 });
    await page.goto(`${origin}/`);
    await page.getByText("Your settings could not be loaded").waitFor();
    assert.equal(await page.getByRole("link", { name: "Help" }).count(), 2, "where it went wrong, and at the foot");
    await look("not loaded");
  }, { ...eyes, start: branded });
}

story("mails name whom to tell", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await must(page, "POST", "/me/mfa/email/enable");
  const { mails } = await (await page.request.get(`${origin}/demo/api/mails`)).json();
  assert.match(mails[0].text.replaceAll(/\s+/g, " "), /tell security@example\.org/);
}, { start: branded });

story("a logo runs nothing and loads nothing, in the page and by its own address", async ({ page, origin, context }) => {
  await page.goto(`${origin}/`);
  const logo = page.getByRole("img", { name: "mfad demo" });
  await logo.waitFor();
  const address = await logo.evaluate((image) => image.currentSrc);
  const alone = await context.browser().newContext();
  try {
    const opened = await alone.newPage();
    // What the policy blocks is a request to the browser, but nothing answers it.
    const answered = [], dialogs = [];
    opened.on("response", (response) => answered.push(response.url()));
    opened.on("dialog", async (dialog) => { dialogs.push(dialog.message()); await dialog.dismiss(); });
    const answer = await opened.goto(address);
    assert.equal(answer.headers()["content-type"], "image/svg+xml");
    await opened.waitForLoadState("networkidle");
    await picture(opened, "look brand a hostile logo by itself");
    const strange = answered.filter((url) => url !== address);
    assert.deepEqual({ strange, dialogs }, { strange: [], dialogs: [] });
  } finally {
    await alone.close();
  }
}, { start: () => startDemo("--logo-file", HOSTILE) });

story("without a brand the pages wear the mark and the name", async ({ page, origin }) => {
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  await page.getByRole("banner").getByText("mfad demo").waitFor();
  assert.equal(await page.locator("#help").count(), 0);
  assert.equal(await page.locator("img").count(), 0);
  assert.match(await page.locator("link[rel=icon]").getAttribute("href"), /^\/assets\/.*\/icon\.svg$/);
  await picture(page, "look brand none");
});
