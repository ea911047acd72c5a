import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import { isAccessible, fits } from "./support/looks.js";
import { signInAtTheProvider, startWithProvider, withoutFonts } from "./support/provider.js";
import { picture, story } from "./support/story.js";

const SESSION = "__Host-mfad_session";
const NOT_PROTECTED = "Only your password protects this account";

/** What scripts of the page can see of who is signed in. */
const seen = (page) => page.evaluate(async () => ({
  cookie: document.cookie, local: { ...localStorage }, session: { ...sessionStorage }, databases: await indexedDB.databases(),
  url: location.pathname + location.search + location.hash,
}));
const nothing = { cookie: "", local: {}, session: {}, databases: [], url: "/" };

async function cookies(context) {
  return Object.fromEntries((await context.cookies()).filter(({ name }) => name.includes("mfad_s")).map((cookie) => [cookie.name, cookie]));
}

/** Signs Alice in at the demo's issuer: one click there. */
async function signInAtTheDemo(page, origin) {
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Who are you today?" }).waitFor();
  await page.getByRole("button", { name: /Alice Example/ }).click();
  await page.waitForURL(`${origin}/`);
  await page.getByText("Alice Example", { exact: true }).waitFor();
}

/** Asks as the page's script would, and gives the status. */
const asked = (page, path, options = {}) => page.evaluate(async ({ path, options }) => {
  const answer = await fetch(path, options);
  return answer.status;
}, { path, options });

/** Serves one page on another port of `host`. */
async function elsewhere(html, host, play) {
  const other = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(html);
  }).listen(0, "127.0.0.1");
  await once(other, "listening");
  try {
    await play(`http://${host}:${other.address().port}/`);
  } finally {
    other.closeAllConnections();
    other.close();
  }
}

story("Alice signs in with one click, and her browser holds nothing but a cookie that no script sees", async ({ page, context, origin }) => {
  await signInAtTheDemo(page, origin);
  await page.getByText(NOT_PROTECTED).waitFor();
  await page.getByLabel("Access token").waitFor({ state: "hidden" });
  assert.deepEqual(await seen(page), nothing);
  assert.doesNotMatch(await page.content(), /eyJ/);
  const held = await cookies(context);
  assert.deepEqual(Object.keys(held), [SESSION]);
  const { domain, path, expires, httpOnly, secure, sameSite } = held[SESSION];
  assert.deepEqual({ domain, path, expires, httpOnly, secure, sameSite },
    { domain: "localhost", path: "/", expires: -1, httpOnly: true, secure: true, sameSite: "Lax" });

  await page.reload();
  await page.getByText("Alice Example", { exact: true }).waitFor();
  await fits(page, "signed in");
  await isAccessible(page, "signed in");
  await picture(page, "look settings signed in");

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("link", { name: "Sign in" }).waitFor();
  assert.deepEqual(await cookies(context), {});
  await fits(page, "signed out");
  await isAccessible(page, "signed out");
});

story("who cancels is told so, and can begin again", async ({ page, origin, ear }) => {
  ear.expects(400);
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("The sign-in was cancelled.").waitFor();
  await fits(page, "a dead end");
  await isAccessible(page, "a dead end");
  await picture(page, "look sign-in dead end");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.getByRole("button", { name: /Alice Example/ }).click();
  await page.getByText("Alice Example", { exact: true }).waitFor();
});

story("no page elsewhere changes or reads anything by Alice's cookie, be it a neighbour on the same host", async ({ page, context, origin, ear }) => {
  ear.expects(401, 403);
  await signInAtTheDemo(page, origin);
  const enable = `${origin}/api/v1/me/mfa/totp/enable`;
  const form = `<!doctype html><title>Another</title><form method="post" action="${enable}"></form><a href="${origin}/api/v1/me/mfa">x</a>`;
  for (const [host, status] of [["localhost", 403], ["127.0.0.1", 401]]) {
    await elsewhere(form, host, async (place) => {
      const stranger = await context.newPage();
      const post = async () => {
        await stranger.goto(place);
        const answered = stranger.waitForResponse(enable);
        await stranger.evaluate(() => document.querySelector("form").submit());
        await stranger.waitForURL(enable);
        return (await answered).status();
      };
      // Chromium sends a Lax cookie with a POST of the same site, and with a link of any.
      assert.equal(await post(), status, host);
      await stranger.goto(place);
      const read = stranger.waitForResponse(`${origin}/api/v1/me/mfa`);
      await stranger.locator("a").click();
      assert.equal((await read).status(), 403, host);
      await stranger.waitForURL(`${origin}/api/v1/me/mfa`);
      await stranger.goto(place);
      for (const options of [
        { method: "POST", credentials: "include", mode: "no-cors" },
        { method: "POST", credentials: "include", headers: { "X-Mfad": "1" } },
        { method: "DELETE", credentials: "include" },
        { credentials: "include" },
      ]) {
        const reached = await stranger.evaluate(({ enable, options }) => fetch(enable, options).then(({ type }) => type, () => "refused"), { enable, options });
        assert.notEqual(reached, "cors", JSON.stringify(options));
        assert.notEqual(reached, "basic", JSON.stringify(options));
      }
      await stranger.close();
    });
  }
  // Our own page needs its own header as well.
  await page.goto(`${origin}/`);
  assert.equal(await asked(page, "/api/v1/me/mfa/totp/enable", { method: "POST" }), 403);
  const overview = await page.evaluate(() => fetch("/api/v1/me/mfa").then((answer) => answer.json()));
  assert.deepEqual(overview.devices, []);
  assert.equal(await asked(page, "/api/v1/me/mfa/totp/enable", { method: "POST", headers: { "X-Mfad": "1" } }), 200);
});

story("a sign-in that another browser began ends in no session", async ({ page, context, origin, ear }) => {
  ear.expects(400);
  // What an attacker stops short of, and has Alice's browser end.
  const attacker = await context.browser().newContext();
  const stop = { maxRedirects: 0 };
  const begun = await attacker.request.get(`${origin}/auth/login`, stop);
  const form = await (await attacker.request.get(begun.headers().location)).text();
  const hidden = (name) => new RegExp(`name="${name}" value="([^"]+)"`).exec(form)[1];
  const back = await attacker.request.post(`${origin}/demo/issuer/sign-in`, {
    ...stop, form: { request: hidden("request"), csrf: hidden("csrf"), persona: "olga" },
  });
  const link = back.headers().location;
  assert.ok(link.startsWith(`${origin}/auth/callback?code=`), link);
  await attacker.close();
  await page.goto(link);
  await page.getByText("did not begin in this browser").waitFor();
  assert.deepEqual(await cookies(context), {});
  await signInAtTheDemo(page, origin);
});

story("with an issuer that others wrote, on another site: signed in, renewed, out", async ({ page, context, origin, site, ear }) => {
  await withoutFonts(page);
  // It has no icon.
  ear.expects(404);
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.waitForURL(`${site.issuer}/**`);
  await signInAtTheProvider(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.waitForURL(`${origin}/`);
  await page.getByText("Alice Example", { exact: true }).waitFor();
  await page.getByText(NOT_PROTECTED).waitFor();
  assert.deepEqual(await seen(page), nothing);
  assert.deepEqual(Object.keys(await cookies(context)), [SESSION]);

  // Time is what this is about: the tokens are good for twelve seconds, and are renewed ten before their end.
  for (const turn of [1, 2]) {
    await page.waitForTimeout(2_500);
    const statuses = await page.evaluate(() => Promise.all(Array.from({ length: 20 }, () => fetch("/api/v1/me/mfa").then(({ status }) => status))));
    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(site.renewals(), turn, "twenty at once are one renewal");
  }

  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.waitForURL(`${site.issuer}/session/end?*`);
  assert.doesNotMatch(page.url(), /eyJ|id_token/);
  assert.deepEqual(await cookies(context), {});
  await page.getByRole("button", { name: "Yes, sign me out" }).click();
  await page.waitForURL(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).waitFor();
}, { start: startWithProvider });

story("with an issuer that others wrote a fresh sign-in asks anew", async ({ page, origin, site, ear }) => {
  await withoutFonts(page);
  ear.expects(404);
  await page.goto(`${origin}/auth/login`);
  await signInAtTheProvider(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("Alice Example", { exact: true }).waitFor();
  // Who is signed in there comes back at once.
  await page.goto(`${origin}/auth/login?return=/%3Fagain`);
  await page.waitForURL(`${origin}/?again`);
  await page.goto(`${origin}/auth/login?fresh=1&return=/%3Ffresh`);
  await page.waitForURL(`${site.issuer}/**`);
  await signInAtTheProvider(page);
  await page.waitForURL(`${origin}/?fresh`);
  await page.getByText("Alice Example", { exact: true }).waitFor();
}, { start: startWithProvider });
