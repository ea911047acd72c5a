import assert from "node:assert/strict";

import { addKey, must, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { SOON_RESENT } from "./support/demo.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { mailedCode, openChallenge, openPrompt, outcomeOf } from "./support/sign-in.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";

const MARKUP = "<img src=x onerror=document.title='owned'>";
const MOST_BYTES = 40_000;

const box = (page) => page.getByRole("textbox");
const press = (page, name) => page.getByRole("button", { name }).click();
const isFocused = (locator) => locator.evaluate((element) => document.activeElement === element);
const nextStep = { steps: 1 };

async function withApp(page, origin) {
  await page.goto(`${origin}/demo`);
  return setUpApp(page);
}

async function setUpEmail(page, origin) {
  await must(page, "POST", "/me/mfa/email/enable");
  const code = await mailedCode(page, origin);
  return { code, ...await must(page, "POST", "/me/mfa/email/confirm", { code }) };
}

/** The server's answer to the page's `path`, changed on its way. */
function changeAnswer(page, path, change) {
  return page.route(`**/api/v1/prompt/${path}`, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, json: { ...await answer.json(), ...change } });
  });
}

function refuse(page, path, status, problem) {
  return page.route(`**/api/v1/prompt/${path}`, (route) => route.fulfill({
    status, contentType: "application/problem+json", body: JSON.stringify({ type: "about:blank", title: "Refused", status, ...problem }),
  }));
}

story("an app's code is typed where the focus is, and brings the person back", async ({ page, origin }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  await page.getByText("Wiki, through demo-login-service").waitFor();
  await page.getByText("alice", { exact: true }).waitFor();
  await box(page).waitFor();
  assert.deepEqual(await box(page).evaluate(({ autocomplete, inputMode }) => [autocomplete, inputMode]), ["one-time-code", "numeric"]);
  await page.keyboard.type(totp(secret, nextStep));
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.method, outcome.error], ["verified", "totp", null]);
  assert.deepEqual(outcome.amr, ["pwd", "otp", "mfa"]);
  await page.goBack();
  assert.equal(new URL(page.url()).pathname, "/demo", "the page with its token has left the history");
});

story("a code is pasted with a blank in it", async ({ page, origin }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  const code = totp(secret, nextStep);
  await box(page).fill(` ${code.slice(0, 3)} ${code.slice(3)} `);
  assert.equal((await outcomeOf(page, challenge)).status, "verified");
});

for (const [what, forgets] of [["", false], [", in a browser that cannot read or write the ceremony's JSON", true]]) {
  story(`a security key is used with the keyboard alone${what}`, async ({ page, origin }) => {
    await page.goto(`${origin}/demo`);
    await (await usbPorts(page)).plugIn();
    await addKey(page, "Blue");
    if (forgets) {
      await page.addInitScript(() => {
        delete PublicKeyCredential.parseRequestOptionsFromJSON;
        delete PublicKeyCredential.prototype.toJSON;
      });
    }
    const challenge = await openPrompt(page, origin);
    await page.getByRole("heading", { name: "Security key or passkey" }).waitFor();
    await page.keyboard.press("Enter");
    const outcome = await outcomeOf(page, challenge);
    assert.deepEqual([outcome.status, outcome.method], ["verified", "webauthn"]);
  });
}

/** Has a mail sent for a first sign-in, and opens a second one, which cannot have its own yet. */
async function openSecondPrompt(page, origin, ear, before = async () => {}) {
  await page.goto(`${origin}/demo`);
  // The mail that set the factor up holds none of a sign-in back.
  const { code } = await setUpEmail(page, origin);
  await openPrompt(page, origin);
  await page.getByText(/A mail was sent to a•+@example\.com/).waitFor();
  const first = await mailedCode(page, origin, [code]);
  await page.goto(`${origin}/demo`);
  await before();
  ear.expects(429);
  const challenge = await openPrompt(page, origin);
  await page.getByText("A mail was sent a moment ago. Its code is not for this sign-in").waitFor();
  return { challenge, seen: [code, first] };
}

story("a code that was mailed for another sign-in cannot be typed, and a fresh one by the keyboard alone", async ({ page, origin, ear }) => {
  const { challenge, seen } = await openSecondPrompt(page, origin, ear);
  await page.getByRole("heading", { name: "Email" }).waitFor();
  await page.getByLabel(/mailed to a•+@example\.com/).waitFor();
  assert.equal(await box(page).isDisabled(), true);
  assert.equal(await page.getByRole("button", { name: "Continue" }).isDisabled(), true);
  const again = page.getByRole("button", { name: "Send another mail" });
  assert.match(await again.innerText(), /\(\d:\d\d\)/);
  assert.equal(await again.isDisabled(), true);
  await page.getByRole("button", { name: "Send another mail", exact: true, disabled: false }).waitFor({ timeout: SOON_RESENT.ms });
  assert.equal(await isFocused(again), true);
  await page.keyboard.press("Enter");
  await page.getByText(/A mail was sent to a•+@example\.com/).waitFor();
  await page.getByRole("button", { name: /Send another mail \(\d:\d\d\)/ }).waitFor();
  assert.equal(await isFocused(box(page)), true);
  await page.keyboard.type(await mailedCode(page, origin, seen));
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.method], ["verified", "email"]);
}, { start: SOON_RESENT.start });

story("a backup code is reached by the keyboard alone, and typed in any case and grouping", async ({ page, origin }) => {
  const { backupCodes: [code] } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  await box(page).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  assert.equal(await isFocused(page.getByRole("button", { name: "Try another way" })), true);
  await page.keyboard.press("Enter");
  assert.equal(await isFocused(page.getByRole("button", { name: "Backup code" })), true);
  await page.keyboard.press("Enter");
  await page.keyboard.type(code.toLowerCase().replaceAll("-", ""));
  assert.equal(await box(page).inputValue(), code);
  await page.keyboard.press("Enter");
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.method, outcome.backup_codes_remaining], ["backup_code", 9]);
});

story("a wrong code is selected, the tries are counted, and the right one still counts", async ({ page, origin, ear }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  ear.expects(400);
  const wrong = wrongTotp(secret);
  await box(page).pressSequentially(wrong);
  await page.getByRole("alert").getByText("That code is not right. 4 tries are left.").waitFor();
  assert.equal(await isFocused(box(page)), true);
  assert.equal(await box(page).evaluate((input) => input.selectionEnd - input.selectionStart), 6);
  assert.equal(await box(page).getAttribute("aria-invalid"), "true");
  let sent = 0;
  page.on("request", (request) => { sent += request.url().endsWith("/verify") ? 1 : 0; });
  await page.keyboard.press("End");
  await page.keyboard.type(" ");
  assert.equal(sent, 0, "a blank makes no new code of a refused one");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type(totp(secret, nextStep));
  assert.equal((await outcomeOf(page, challenge)).status, "verified");
  assert.equal(sent, 1);
});

story("five wrong codes end the sign-in, and the next one finds the app locked, with a clock", async ({ page, origin, ear }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  ear.expects(400, 429);
  const wrong = wrongTotp(secret);
  await box(page).fill(wrong);
  for (const left of ["4 tries are", "3 tries are", "2 tries are", "1 try is"]) {
    await page.getByText(`${left} left.`).waitFor();
    await page.keyboard.press("Enter");
  }
  await page.getByRole("heading", { name: "This sign-in is over" }).waitFor();
  await page.getByRole("link", { name: /^Back to localhost/ }).click();
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.error], ["failed", "failed"]);

  await page.clock.install();
  await openPrompt(page, origin);
  await box(page).fill(totp(secret, nextStep));
  const clock = page.getByRole("timer");
  await clock.getByText(/You can try this way again in \d+:\d\d/).waitFor();
  assert.equal(await isFocused(page.getByRole("button", { name: "Try another way" })), true);
  const before = await clock.innerText();
  await page.clock.runFor(2_000);
  assert.notEqual(await clock.innerText(), before);
  await press(page, "Try another way");
  await press(page, "Backup code");
  await page.getByLabel("One of your backup codes").waitFor();
  await press(page, "Try another way");
  await press(page, "Authenticator app");
  await clock.waitFor();
  await page.clock.runFor(3_600_000);
  await page.getByLabel("The six digits that your app shows").waitFor();
  await page.getByRole("status").getByText("You can try again now.").waitFor({ state: "attached" });
});

story("a mail that is asked for too soon is refused with a clock", async ({ page, origin, ear }) => {
  await openSecondPrompt(page, origin, ear, () => page.clock.install());
  const again = page.getByRole("button", { name: "Send another mail" });
  await page.clock.runFor(61_000);
  assert.equal(await again.isDisabled(), false);
  await again.click();
  await page.getByRole("button", { name: /Send another mail \(\d:\d\d\)/ }).waitFor();
  assert.equal(await again.isDisabled(), true);
});

story("a page that is loaded again takes the code that was mailed for its sign-in", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  const { code } = await setUpEmail(page, origin);
  const challenge = await openPrompt(page, origin);
  await page.getByText(/A mail was sent to a•+@example\.com/).waitFor();
  ear.expects(429);
  await page.reload();
  await page.getByText("A mail was sent a moment ago. If it is here, type its code.").waitFor();
  assert.equal(await isFocused(box(page)), true);
  await page.keyboard.type(await mailedCode(page, origin, [code]));
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.method], ["verified", "email"]);
});

story("going to another way and back sends no second mail", async ({ page, origin, ear }) => {
  await openSecondPrompt(page, origin, ear);
  let asked = 0;
  page.on("request", (request) => { asked += request.url().endsWith("/prompt/email") ? 1 : 0; });
  await press(page, "Try another way");
  await press(page, "Backup code");
  await press(page, "Try another way");
  await press(page, "Email");
  await page.getByText("A mail was sent a moment ago.").waitFor();
  await page.getByRole("button", { name: /Send another mail \(/ }).waitFor();
  assert.equal(await box(page).isDisabled(), true);
  assert.equal(asked, 0);
});

story("a sign-in that is given up brings the person back", async ({ page, origin }) => {
  await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  await press(page, "Cancel and go back");
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.error], ["cancelled", "access_denied"]);
});

story("a sign-in that is over says so, with the way back", async ({ page, origin, ear }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin);
  await box(page).fill(totp(secret, nextStep));
  await outcomeOf(page, challenge);
  ear.expects(409);
  await page.goto(challenge.prompt_url);
  await page.getByRole("heading", { name: "This sign-in is over" }).waitFor();
  const over = new URL(await page.getByRole("link", { name: "Back to localhost" }).getAttribute("href"));
  assert.deepEqual([over.searchParams.get("error"), over.searchParams.get("state")], ["closed", null]);

  const back = `${origin}/demo/returned?challenge_id=${challenge.challenge_id}&error=expired`;
  await openPrompt(page, origin);
  await refuse(page, "verify", 409, { code: "challenge_expired", detail: "It took too long.", return_to: back });
  await box(page).fill("000000");
  await page.getByRole("heading", { name: "This sign-in took too long" }).waitFor();
  assert.equal(await isFocused(page.getByRole("heading")), true);
  assert.equal(await page.getByRole("link", { name: "Back to localhost" }).getAttribute("href"), back);
});

story("the page finds out by itself that its time is over", async ({ page, origin, ear }) => {
  await withApp(page, origin);
  await page.clock.install();
  await openPrompt(page, origin);
  await box(page).waitFor();
  ear.expects(409);
  await refuse(page, "open", 409, { code: "challenge_expired", detail: "It took too long.", return_to: `${origin}/demo/returned` });
  await page.clock.runFor(6 * 60_000);
  await page.getByRole("heading", { name: "This sign-in took too long" }).waitFor();
});

story("an address that leads nowhere says so, and no script's address is followed", async ({ page, origin, ear }) => {
  ear.expects(404, 409);
  await page.goto(`${origin}/prompt/`);
  await page.getByRole("heading", { name: "This address is not whole" }).waitFor();
  for (const hash of ["#prm_", "#prm_<img src=x onerror=alert(1)>", `#${"prm_"}${"A".repeat(26)}`]) {
    await page.goto(`${origin}/prompt/${hash}`);
    await page.getByRole("heading", { name: "This address is not whole" }).waitFor();
  }
  await page.goto(`${origin}/prompt#prm_${"a".repeat(26)}`);
  await page.getByRole("heading", { name: "This link is no longer good" }).waitFor();
  await refuse(page, "open", 409, { code: "challenge_closed", detail: "It is over.", return_to: "javascript:document.title='owned'" });
  await page.goto(`${origin}/prompt/#prm_${"b".repeat(26)}`);
  await page.getByRole("heading", { name: "This sign-in is over" }).waitFor();
  assert.equal(await page.getByRole("link").count(), 0);
  assert.doesNotMatch(await page.title(), /owned/);
});

story("the page can be loaded anew, and another sign-in's address typed over it", async ({ page, origin }) => {
  const { secret } = await withApp(page, origin);
  const other = await openChallenge(page, { return_url: `${origin}/demo/returned`, state: "ours", context: { app: "The other" } });
  await openPrompt(page, origin);
  await page.getByText("Wiki, through").waitFor();
  await page.reload();
  await page.getByText("Wiki, through").waitFor();
  await page.goto(other.prompt_url);
  await page.getByText("The other, through").waitFor();
  await box(page).fill(totp(secret, nextStep));
  assert.equal((await outcomeOf(page, other)).status, "verified");
});

story("where the server cannot be reached nothing typed is lost, and the next try counts", async ({ page, origin }) => {
  const { backupCodes: [code] } = await withApp(page, origin);
  const challenge = await openChallenge(page, { return_url: `${origin}/demo/returned`, state: "ours" });
  await page.addInitScript(() => {
    const real = globalThis.fetch;
    globalThis.fetch = (path, ...rest) => (globalThis.offline ? Promise.reject(new TypeError("Failed to fetch")) : real(path, ...rest));
    globalThis.offline = location.pathname.startsWith("/prompt");
  });
  await page.goto(challenge.prompt_url);
  await page.getByText("The server cannot be reached.").waitFor();
  assert.equal(await isFocused(page.getByRole("button", { name: "Try again" })), true);
  await page.evaluate(() => { globalThis.offline = false; });
  await page.keyboard.press("Enter");
  await box(page).waitFor();
  await press(page, "Try another way");
  await press(page, "Backup code");
  await page.evaluate(() => { globalThis.offline = true; });
  await box(page).fill(code);
  await page.keyboard.press("Enter");
  await page.getByText("Nothing is lost: try again.").waitFor();
  assert.equal(await box(page).inputValue(), code);
  await page.evaluate(() => { globalThis.offline = false; });
  await page.keyboard.press("Enter");
  assert.equal((await outcomeOf(page, challenge)).method, "backup_code");
});

story("names that are markup are shown as text", async ({ page, origin }) => {
  await withApp(page, origin);
  await openPrompt(page, origin, { context: { app: MARKUP } });
  await page.getByText(MARKUP).waitFor();
  await page.unrouteAll();
  await changeAnswer(page, "open", { service_name: MARKUP, service: MARKUP, account: MARKUP, return_host: MARKUP, email: MARKUP });
  await page.reload();
  await page.locator(".facts").getByText(MARKUP).first().waitFor();
  assert.equal(await page.locator("main img").count(), 0);
  assert.notEqual(await page.title(), "owned");
});

story("nothing is kept in the browser by the hosted page", async ({ page, context, origin }) => {
  await withApp(page, origin);
  await openPrompt(page, origin, { remember: true });
  await page.getByLabel("Remember this browser for").check();
  const kept = await page.evaluate(async () => ({
    local: { ...localStorage }, session: { ...sessionStorage }, databases: await indexedDB.databases(), caches: await caches.keys(),
    cookie: document.cookie, history: history.state, search: location.search,
  }));
  assert.deepEqual(kept, { local: {}, session: {}, databases: [], caches: [], cookie: "", history: null, search: "" });
  assert.deepEqual(await context.cookies(), []);
});

story("a browser that is to be remembered is not asked the next time", async ({ page, origin }) => {
  const { secret } = await withApp(page, origin);
  const challenge = await openPrompt(page, origin, { remember: true });
  await page.getByLabel("Remember this browser for").check();
  await box(page).fill(totp(secret, nextStep));
  const { device_token: deviceToken } = await outcomeOf(page, challenge);
  assert.equal((await openChallenge(page, { device_token: deviceToken })).decision, "allow");
  await openPrompt(page, origin);
  await box(page).waitFor();
  assert.equal(await page.getByRole("checkbox").count(), 0, "only where the service offers it");
});

story("a browser without security keys says so, and offers the next way", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  await page.addInitScript(() => { delete globalThis.PublicKeyCredential; });
  await openPrompt(page, origin);
  await page.getByRole("heading", { name: "Backup code" }).waitFor();
  await press(page, "Try another way");
  await page.getByText("This browser cannot use security keys here.").waitFor();
  await changeAnswer(page, "open", { methods: ["webauthn"] });
  await page.reload();
  await page.getByText("There is no way to answer in this browser.").waitFor();
});

story("whatever goes wrong with a key has a sentence, and the next try counts", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  const challenge = await openPrompt(page, origin);
  const use = page.getByRole("button", { name: "Use my key" });
  const real = await page.evaluateHandle(() => navigator.credentials.get);
  const names = ["NotAllowedError", "InvalidStateError", "SecurityError", "NotSupportedError", "ConstraintError", "NotReadableError",
    "UnknownError", "TimeoutError", "WhateverError"];
  const said = new Set();
  for (const name of names) {
    await page.evaluate((name) => {
      navigator.credentials.get = () => Promise.reject(new DOMException("raw words of the browser", name));
    }, name);
    await use.click();
    await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
    said.add(await page.getByRole("alert").filter({ hasText: /\w/ }).innerText());
    assert.equal(await isFocused(use), true, name);
  }
  assert.equal(said.size, names.length);
  assert.ok([...said].every((words) => !/raw words|Error/.test(words)), [...said].join("\n"));
  await page.evaluate((real) => { navigator.credentials.get = real; }, real);
  ear.expects(400);
  await page.route("**/prompt/verify", (route) => {
    const body = route.request().postDataJSON();
    body.credential.response.signature = `AAAA${body.credential.response.signature.slice(4)}`;
    return route.continue({ postData: JSON.stringify(body) });
  }, { times: 1 });
  await use.click();
  await page.getByText("That key’s answer was not right. 4 tries are left.").waitFor();
  await use.click();
  assert.equal((await outcomeOf(page, challenge)).method, "webauthn");
});

story("the hosted page says that it needs JavaScript where there is none", async ({ page, context, origin }) => {
  const bare = await context.browser().newContext({ javaScriptEnabled: false });
  const reader = await bare.newPage();
  await reader.goto(`${origin}/prompt/#prm_${"a".repeat(26)}`);
  assert.match(await reader.locator("noscript").innerText(), /This page needs JavaScript\./);
  await bare.close();
  await page.goto(`${origin}/demo`);
});

story("the hosted page is small", async ({ page, origin }) => {
  await withApp(page, origin);
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0, requests = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => { bytes += encodedDataLength; requests += 1; });
  await openPrompt(page, origin);
  await box(page).waitFor();
  await page.waitForLoadState("networkidle");
  console.log(`the hosted page: ${bytes} bytes in ${requests} answers`);
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`);
});

for (const { name, ...eyes } of [...EYES, { name: "dark, 320 pixels wide", colorScheme: "dark", viewport: { width: 320, height: 640 } }]) {
  story(`the hosted page fits and is accessible in every state: ${name}`, async ({ page, origin, ear }) => {
    const look = async (what) => {
      await fits(page, what);
      await isAccessible(page, what);
      await picture(page, `look prompt ${what} ${name}`, { fullPage: true });
    };
    const { secret } = await withApp(page, origin);
    const ports = await usbPorts(page);
    const usb = await ports.plugIn();
    await addKey(page, "Blue");
    await setUpEmail(page, origin);
    ear.expects(400, 409, 429, 404, 503);
    const challenge = await openPrompt(page, origin, { remember: true, context: { app: "An app with a name as long as some of them have" } });
    await page.getByText("Remember this browser").waitFor();
    const goTo = async (way) => {
      if (await page.getByRole("heading", { name: way }).isVisible()) return;
      await press(page, "Try another way");
      await look(`others before ${way}`);
      await press(page, way);
    };
    await goTo("Security key or passkey");
    await look("key");
    await usb.leaveAlone();
    await press(page, "Use my key");
    await page.getByText("Waiting for your key").waitFor();
    await look("key waits");
    await goTo("Email");
    await page.getByText(/A mail was sent/).waitFor();
    await look("email");
    await goTo("Backup code");
    await box(page).pressSequentially("7k3mabcd1234wxyz");
    await look("backup code");
    await goTo("Authenticator app");
    await look("app");
    await box(page).fill(wrongTotp(secret));
    await page.getByText("4 tries are left.").waitFor();
    await look("wrong");
    await refuse(page, "verify", 429, { code: "locked", detail: "Locked.", retry_after: 754 });
    await box(page).fill("111111");
    await page.getByRole("timer").waitFor();
    await look("locked");
    await page.unrouteAll();
    await changeAnswer(page, "open", { started_elsewhere: true });
    await page.reload();
    await page.getByText("was started from another place").waitFor();
    await look("started elsewhere");
    await page.unrouteAll();
    for (const [what, status, problem] of [
      ["expired", 409, { code: "challenge_expired", detail: "It took too long.", return_to: `${origin}/demo/returned?error=expired` }],
      ["closed", 409, { code: "challenge_closed", detail: "It is over.", return_to: `${origin}/demo/returned?error=closed` }],
      ["worn out", 404, { code: "not_found", detail: "No such thing." }],
      ["down", 503, { code: "unavailable", detail: "Busy.", retry_after: 5 }],
    ]) {
      await refuse(page, "open", status, problem);
      await page.reload();
      await page.getByRole("heading", { name: "Confirm that it is you" }).waitFor({ state: "detached" });
      await look(what);
      await page.unrouteAll();
    }
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    await page.route("**/prompt/open", async (route) => { await held; await route.continue(); });
    await page.goto("about:blank");
    await page.goto(challenge.prompt_url);
    await page.getByText("Loading…").waitFor();
    await look("loading");
    release();
    await page.getByText("Remember this browser").waitFor();
  }, eyes);
}
