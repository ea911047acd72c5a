import assert from "node:assert/strict";

import { addKey, must, setUpApp, tokenOf } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { isAccessible } from "./support/looks.js";
import { story } from "./support/story.js";
import { app, enter, isFocused, keys, mail, openSettings, press, saveCodes, secretOn } from "./support/settings.js";
import { openPrompt, outcomeOf } from "./support/sign-in.js";
import { totp } from "./support/totp.js";

const nextStep = { steps: 1 };
const ADD = "Add a security key or passkey";
const TURN_OFF = "Turn off your authenticator app";
const refusal = (status, code, members = {}) => (route) => route.fulfill({ status, json: { code, detail: "the server's words", ...members } });

async function withApp(page, origin) {
  await page.goto(`${origin}/demo`);
  const set = await setUpApp(page);
  await openSettings(page, origin);
  return set;
}

story("a server that cannot be reached loses nothing that was typed", async ({ page, context, origin, ear }) => {
  const { backupCodes: [code] } = await withApp(page, origin);
  await press(page, app(page), TURN_OFF);
  await press(page, app(page), "Backup code");
  const box = app(page).getByRole("textbox");
  await box.fill(code);
  ear.expectsOffline();
  await context.setOffline(true);
  await page.keyboard.press("Enter");
  await app(page).getByText("The server cannot be reached. Nothing is lost: try again.").waitFor();
  assert.equal(await box.inputValue(), code);
  await context.setOffline(false);
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app is turned off.").waitFor();
});

story("a page that cannot be loaded says so and can be tried again; each list has its own way back", async ({ page, origin, ear, site }) => {
  await page.goto(`${origin}/demo`);
  await openSettings(page, origin);
  // The page itself comes, and nothing of what it asks for.
  ear.expectsOffline();
  for (const path of ["**/auth/**", "**/api/**"]) await page.route(path, (route) => route.abort("internetdisconnected"));
  await page.reload();
  await page.getByRole("heading", { name: "Your settings could not be loaded" }).waitFor();
  await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  assert.ok(await isFocused(page.getByRole("button", { name: "Try again" })));
  await page.unrouteAll();
  await page.route("**/trusted-devices", (route) => route.abort("internetdisconnected"), { times: 1 });
  await page.route("**/events?*", (route) => route.abort("internetdisconnected"), { times: 1 });
  await page.keyboard.press("Enter");
  const lists = page.getByRole("region", { name: "Trusted browsers" });
  await press(page, lists, "Try again");
  await lists.getByText("No browser is trusted.").waitFor();
  const activity = page.getByRole("region", { name: "Recent activity" });
  await activity.getByRole("alert").getByText("cannot be reached").waitFor();
  assert.equal(await activity.getByText("Nothing has happened yet.").isVisible(), false);
  await press(page, activity, "Try again");
  await activity.getByText("Nothing has happened yet.").waitFor();
});

story("the page's bones are shown after a moment, and nothing moves when it is there", async ({ page, origin }) => {
  let go;
  const late = new Promise((resolve) => { go = resolve; });
  await page.goto(`${origin}/demo`);
  await setUpApp(page);
  await openSettings(page, origin);
  const whereIs = (heading) => page.getByRole("heading", { name: heading, includeHidden: true }).evaluate((element) => element.getBoundingClientRect().toJSON());
  await page.route("**/auth/session", async (route) => { await late; await route.continue(); });
  await page.reload();
  await page.getByRole("status").getByText("Loading…").waitFor({ state: "attached" });
  await isAccessible(page, "the bones");
  const before = await whereIs("Ways to confirm that it is you");
  const still = await page.locator(".skeleton").evaluate((bones) => getComputedStyle(bones).animationName);
  assert.equal(still, "none", "nothing moves for whom motion is unwelcome");
  go();
  await app(page).getByText("On", { exact: true }).waitFor();
  const after = await whereIs("Ways to confirm that it is you");
  assert.deepEqual([after.x, after.width, after.height], [before.x, before.width, before.height]);
  assert.ok(Math.abs(after.y - before.y) < 90, `from ${before.y} to ${after.y}`);
});

story("who is signed out in the middle signs in again and comes back to what was typed", async ({ page, context, origin, ear }) => {
  await withApp(page, origin);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  await page.reload();
  await press(page, keys(page), "Rename “Blue”");
  await page.keyboard.type("The blue one");
  ear.expects(401);
  await context.clearCookies();
  await page.keyboard.press("Enter");
  await page.getByText("You have been signed out.").waitFor();
  await keys(page).getByText("You are signed out.").waitFor();
  assert.equal(await keys(page).getByRole("textbox").inputValue(), "The blue one");
  await enter(page, page.getByRole("button", { name: "Sign in again" }));
  await enter(page, page.getByRole("button", { name: /Alice Example/ }));
  const box = keys(page).getByRole("textbox");
  await box.waitFor();
  assert.equal(await box.inputValue(), "The blue one");
  assert.ok(await isFocused(box));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "the place is kept no longer than it takes");
  await page.keyboard.press("Enter");
  // Another session proves it for itself.
  await keys(page).getByText("Confirm first that it is you.").waitFor();
  await press(page, keys(page), "Use my key");
  await keys(page).getByText("It is called “The blue one” now.").waitFor();
});

story("who is signed out before a key was asked for comes back, and the browser asks when they say so", async ({ page, context, origin, ear }) => {
  await openSettings(page, origin);
  await (await usbPorts(page)).plugIn();
  ear.expects(401);
  await context.clearCookies();
  await press(page, keys(page), ADD);
  await enter(page, page.getByRole("button", { name: "Sign in again" }));
  await enter(page, page.getByRole("button", { name: /Alice Example/ }));
  const go = keys(page).getByRole("button", { name: "Continue" });
  await go.waitFor();
  assert.ok(await isFocused(go));
  await page.keyboard.press("Enter");
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.press("Enter");
  await saveCodes(page);
});

story("where nobody is signed in by the server, a token is pasted, and a new one where it is over", async ({ page, origin, ear }) => {
  ear.expects(401);
  await page.route("**/auth/session", (route) => route.fulfill({ json: { signed_in: false, sign_in_url: null } }));
  const token = await tokenOf(page, origin);
  await page.goto(`${origin}/`);
  const paste = async (text) => {
    await page.getByLabel("Access token").fill(text);
    await enter(page, page.getByRole("button", { name: "Show my settings" }));
  };
  await paste("not.a.token");
  await page.getByRole("alert").getByText("This token is not accepted.").waitFor();
  await paste(token);
  await page.getByRole("heading", { name: "Only your password protects this account" }).waitFor();
  await press(page, app(page), "Set up an authenticator app");
  await app(page).getByRole("textbox").fill("12345");
  await page.route("**/totp/confirm", refusal(401, "invalid_token"), { times: 1 });
  await page.keyboard.press("Enter");
  await page.getByText("You have been signed out.").waitFor();
  await paste(token);
  await page.getByText("You have been signed out.").waitFor({ state: "hidden" });
  assert.equal(await app(page).getByRole("textbox").inputValue(), "12345");
  assert.doesNotMatch(await page.content(), /eyJ/);
  await page.reload();
  assert.equal(await page.getByLabel("Access token").inputValue(), "");
});

story("where a proxy signs people in, the page has no sign-in of its own", async ({ page, origin, ear }) => {
  ear.expects(401);
  await page.route("**/auth/session", (route) => route.fulfill({ json: { signed_in: false, sign_in_url: null, proxy: true } }));
  await page.goto(`${origin}/`);
  await page.getByText("The server in front of this page did not say who you are.").waitFor();
  await page.getByRole("button", { name: "Load again" }).waitFor();
});

story("what the administrator asks is said, and the last factor that counts is not let go", async ({ page, origin, ear, site }) => {
  await site.policy("set", "require-mfa", "all");
  await site.policy("set", "allow-factor", "totp", "email");
  await site.policy("set", "email-factor", "recovery");
  await site.policy("set", "trusted-device-days", "0");
  await openSettings(page, origin);
  await page.getByRole("heading", { level: 1, name: "You need a second factor" }).waitFor();
  await page.getByText("A second factor is required of you.").waitFor();
  await page.getByText("You can set up: authenticator app and email code.").waitFor();
  await page.getByText("No browser can be trusted").waitFor();
  assert.equal(await keys(page).isVisible(), false);
  assert.equal(await page.getByRole("region", { name: "Trusted browsers" }).isVisible(), false);
  await mail(page).getByText("For recovery on this page only").waitFor();
  await enter(page, page.locator(".summary").getByRole("button", { name: "Set up an app" }));
  await app(page).getByRole("textbox").fill(totp(await secretOn(page)));
  await saveCodes(page);
  await press(page, app(page), TURN_OFF);
  await app(page).getByText("this is the last one that counts").waitFor();
  assert.equal(await app(page).getByRole("textbox").count(), 0, "no code is asked for in vain");
  await press(page, app(page), "Cancel");
  await site.policy("set", "allow-factor", "webauthn");
  await page.reload();
  await openSettings(page, origin);
  await app(page).getByText("This kind is no longer offered here.").waitFor();
  assert.equal(await app(page).getByRole("button", { name: "Replace your authenticator app" }).count(), 0);
});

story("the server's own refusals are in people's words", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  await openSettings(page, origin);
  ear.expects(409, 429, 404, 500);
  for (const [status, code, members, words] of [
    [409, "last_factor", {}, "this is the last one that counts"],
    [429, "rate_limited", { retry_after: 120 }, "Wait 2 minutes, then try again."],
    [404, "not_found", {}, "That is not there any more."],
    [500, "internal", {}, "Something broke on the server."],
  ]) {
    await page.route("**/webauthn/mfa_*", refusal(status, code, members), { times: 1 });
    await press(page, keys(page), "Remove “Blue”");
    await press(page, keys(page), "Remove it");
    await keys(page).getByRole("alert").getByText(words).waitFor();
    await press(page, keys(page), "Cancel");
  }
});

story("a trusted browser is listed where it was chosen, and is let go", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  const challenge = await openPrompt(page, origin, { remember: true, context: { app: "Wiki", user_agent: await page.evaluate(() => navigator.userAgent) } });
  await page.getByLabel("Remember this browser for").check();
  await page.getByRole("textbox").fill(totp(secret, nextStep));
  await outcomeOf(page, challenge);
  await openSettings(page, origin);
  const trusted = page.getByRole("region", { name: "Trusted browsers" });
  await trusted.getByText("Chrome on Linux").waitFor();
  await trusted.getByText(/At demo-login-service · until \d+ \w+ \d{4}/).waitFor();
  await page.getByRole("region", { name: "Recent activity" }).getByText("Signed in").waitFor();
  await page.getByText(/by authenticator app · at demo-login-service/).waitFor();
  await press(page, trusted, "Remove Chrome on Linux");
  await trusted.getByText("No browser is trusted.").waitFor();
  assert.ok(await isFocused(trusted.getByRole("heading")));
  assert.deepEqual((await must(page, "GET", "/me/mfa/trusted-devices")).devices, []);
});

story("recent activity is in people's words, and older lines come when they are asked for", async ({ page, origin, ear }) => {
  await withApp(page, origin);
  await (await usbPorts(page)).plugIn();
  for (let number = 1; number <= 9; number += 1) {
    const { device } = await addKey(page, `Key ${number}`);
    await must(page, "DELETE", `/me/mfa/webauthn/${device.device_id}`);
  }
  await page.reload();
  await openSettings(page, origin);
  const activity = page.getByRole("region", { name: "Recent activity" });
  const lines = activity.getByRole("listitem");
  await lines.first().waitFor();
  assert.equal(await lines.count(), 5);
  await press(page, activity, "Show older");
  await activity.getByText("Authenticator app set up").waitFor();
  assert.equal(await lines.count(), 19);
  assert.ok(await isFocused(lines.nth(5)));
  assert.equal(await activity.getByRole("button", { name: "Show older" }).isVisible(), false);
  assert.doesNotMatch(await activity.innerText(), /webauthn\.|totp\.|undefined|null|\{/);
});

story("the first view of the settings page is small, and nothing of it is found late", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await setUpApp(page);
  await openSettings(page, origin);
  await page.getByText("Authenticator app set up").waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  const requests = new Map();
  session.on("Network.requestWillBeSent", ({ requestId, request, initiator, timestamp }) => {
    requests.set(requestId, { path: new URL(request.url).pathname, found: initiator.type, begun: timestamp });
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength, timestamp }) => {
    bytes += encodedDataLength;
    if (requests.has(requestId)) requests.get(requestId).done = timestamp;
  });
  await page.reload();
  await page.getByText("Authenticator app set up").waitFor();
  const all = [...requests.values()];
  console.log(`the settings page: ${bytes} bytes in ${all.length} answers`);
  assert.ok(bytes < 100_000, `${bytes} bytes`);
  // The page names all its parts: none waits for another one to be read.
  const late = all.filter(({ path, found }) => path.startsWith("/assets/") && !path.endsWith("/icon.svg") && found !== "parser");
  assert.deepEqual(late, []);
  // Who is signed in, and then everything at once: nothing waits for another answer.
  const [who] = all.filter(({ path }) => path === "/auth/session");
  const data = all.filter(({ path }) => path.startsWith("/api/"));
  assert.deepEqual(data.map(({ path }) => path).sort(), ["/api/v1/me/mfa", "/api/v1/me/mfa/events", "/api/v1/me/mfa/sessions", "/api/v1/me/mfa/trusted-devices"]);
  assert.ok(data.every(({ begun }) => begun > who.begun));
  assert.ok(Math.max(...data.map(({ begun }) => begun)) < Math.min(...data.map(({ done }) => done)), "they are under way together");
});

story("a server whose disk is full says so, and nothing that was typed is lost", async ({ page, origin, ear, site }) => {
  const { backupCodes: [code] } = await withApp(page, origin);
  await press(page, app(page), TURN_OFF);
  await press(page, app(page), "Backup code");
  const box = app(page).getByRole("textbox");
  await box.fill(code);
  ear.expects(503);
  await site.fillDisk();
  await page.keyboard.press("Enter");
  await app(page).getByRole("alert").getByText("The server is busy with itself for a moment. Nothing is lost: try again.").waitFor();
  assert.equal(await box.inputValue(), code);
  await isAccessible(page, "a full disk");
  await site.freeDisk();
  while (!(await page.request.get(`${origin}/readyz`)).ok()) await page.waitForTimeout(100);
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app is turned off.").waitFor();
});

story("the settings page says that it needs JavaScript where there is none", async ({ page, context, origin }) => {
  const bare = await context.browser().newContext({ javaScriptEnabled: false });
  const reader = await bare.newPage();
  await reader.goto(`${origin}/`);
  assert.match(await reader.locator("noscript").innerText(), /This page needs JavaScript\./);
  await bare.close();
  await page.goto(`${origin}/demo`);
});
