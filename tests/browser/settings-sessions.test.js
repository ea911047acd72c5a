// Where Alice is signed in: what she sees, signing one browser out, and all of them.

import assert from "node:assert/strict";

import { setUpApp } from "./support/account.js";
import { EYES, bearsReaders, fits, hasTargets, isAccessible, isInOrder } from "./support/looks.js";
import { app, card, isFocused, openSettings, press, tabAndPress } from "./support/settings.js";
import { picture, story } from "./support/story.js";

const sessions = (page) => card(page, "Sessions");
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
const SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

/** Opens the page in a browser of its own, which calls itself `userAgent`. */
async function elsewhere(context, origin, userAgent) {
  const other = await context.browser().newContext({ userAgent, locale: "en-GB", timezoneId: "UTC" });
  const page = await other.newPage();
  await openSettings(page, origin);
  return page;
}

/** Who is signed in, as the server tells the page. */
const isSignedIn = (page) => page.evaluate(async () => (await (await fetch("/auth/session")).json()).signed_in);

story("sessions are listed with this browser first, and another one is signed out", async ({ page, context, origin, ear }) => {
  ear.expects(404);
  await openSettings(page, origin);
  const phone = await elsewhere(context, origin, SAFARI);
  const office = await elsewhere(context, origin, FIREFOX);
  await page.reload();
  const rows = sessions(page).getByRole("listitem");
  await sessions(page).getByText("Firefox on Windows").waitFor();
  assert.equal(await rows.count(), 3);
  await rows.nth(0).getByText("Chrome on Linux").waitFor();
  await rows.nth(0).getByText("This browser").waitFor();
  assert.equal(await rows.nth(0).getByRole("button").count(), 0);
  assert.match(await rows.nth(1).innerText(), /^Firefox on Windows\nSigned in .+ · last used .+ · from 127\.0\.0\.1\nSign out$/);
  await rows.nth(2).getByText("Safari on iPhone").or(rows.nth(2).getByText("iPhone")).waitFor();

  await tabAndPress(page, sessions(page).getByRole("button", { name: "Sign out Firefox on Windows", exact: true }));
  await sessions(page).getByText("Firefox on Windows").waitFor({ state: "detached" });
  await page.getByRole("status").getByText("Firefox on Windows is signed out.").waitFor({ state: "attached" });
  assert.ok(await isFocused(sessions(page).getByRole("heading")));
  await card(page, "Recent activity").getByText("Browser signed out of this page").waitFor();
  assert.deepEqual([await isSignedIn(office), await isSignedIn(phone), await isSignedIn(page)], [false, true, true]);
  // The page there says so as soon as something is asked for.
  await press(office, app(office), "Set up an authenticator app");
  await office.getByText("You have been signed out.").waitFor();

  // What has ended by itself meanwhile is as good as signed out.
  await press(phone, phone, "Sign out");
  await phone.getByRole("heading", { name: "You are signed out" }).waitFor();
  await tabAndPress(page, sessions(page).getByRole("button", { name: /^Sign out .*iPhone$/ }));
  await sessions(page).getByText("iPhone").waitFor({ state: "detached" });
  assert.equal(await rows.count(), 1);
  await Promise.all([phone, office].map((other) => other.context().close()));
});

story("signing out everywhere signs this browser out too", async ({ page, context, origin }) => {
  await openSettings(page, origin);
  const office = await elsewhere(context, origin, FIREFOX);
  await tabAndPress(page, sessions(page).getByRole("button", { name: "Sign out everywhere", exact: true }));
  const heading = page.getByRole("heading", { name: "You are signed out" });
  await heading.waitFor();
  assert.ok(await isFocused(heading));
  assert.deepEqual((await context.cookies()).filter(({ name }) => name.includes("mfad_s")), []);
  assert.deepEqual([await isSignedIn(office), await isSignedIn(page)], [false, false]);
  await openSettings(page, origin);
  await card(page, "Recent activity").getByText("Signed out of this page everywhere").waitFor();
  assert.equal(await sessions(page).getByRole("listitem").count(), 1);
  await office.context().close();
});

story("turning the app off signs the other browsers out and not this one", async ({ page, context, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  const { backupCodes: [code] } = await setUpApp(page);
  await openSettings(page, origin);
  const office = await elsewhere(context, origin, FIREFOX);
  await page.reload();
  await sessions(page).getByText("Firefox on Windows").waitFor();
  await press(page, app(page), "Turn off your authenticator app");
  await press(page, app(page), "Backup code");
  await page.keyboard.type(code);
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app is turned off.").waitFor();
  await sessions(page).getByText("Firefox on Windows").waitFor({ state: "detached" });
  assert.deepEqual([await isSignedIn(office), await isSignedIn(page)], [false, true]);
  await office.context().close();
});

story("a list of sessions that does not come has its own way back, and a refusal is said at its row", async ({ page, context, origin, ear }) => {
  await openSettings(page, origin);
  const office = await elsewhere(context, origin, FIREFOX);
  ear.expectsOffline();
  await page.route("**/mfa/sessions", (route) => route.abort("internetdisconnected"), { times: 1 });
  await page.reload();
  await sessions(page).getByRole("alert").getByText("cannot be reached").waitFor();
  await press(page, sessions(page), "Try again");
  await sessions(page).getByText("Firefox on Windows").waitFor();
  await page.route("**/mfa/sessions/*", (route) => route.abort("internetdisconnected"), { times: 1 });
  await press(page, sessions(page), "Sign out Firefox on Windows");
  await sessions(page).getByRole("listitem").nth(1).getByRole("alert").getByText("cannot be reached").waitFor();
  await page.route("**/mfa/sessions", (route) => route.abort("internetdisconnected"), { times: 1 });
  await press(page, sessions(page), "Sign out everywhere");
  await sessions(page).getByRole("alert").getByText("cannot be reached").last().waitFor();
  assert.equal(await isSignedIn(office), true);
  await office.context().close();
});

for (const { name, ...eyes } of [...EYES, { name: "dark, 320 pixels wide", colorScheme: "dark", viewport: { width: 320, height: 640 } }]) {
  story(`sessions fit and are accessible: ${name}`, async ({ page, context, origin }) => {
    await openSettings(page, origin);
    const office = await elsewhere(context, origin, FIREFOX);
    const odd = await elsewhere(context, origin, `${"Werkzeug".repeat(12)} Linux`);
    await page.reload();
    await sessions(page).getByText("Firefox on Windows").waitFor();
    const what = "with sessions";
    await fits(page, what);
    await hasTargets(page, what);
    await isInOrder(page, what);
    await isAccessible(page, what);
    await picture(page, `look settings ${what} ${name}`, { fullPage: true });
    await bearsReaders(page, what);
    await Promise.all([office, odd].map((other) => other.context().close()));
  }, eyes);
}
