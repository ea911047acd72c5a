import assert from "node:assert/strict";

import { addKey, ask, must, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { SOON_RESENT } from "./support/demo.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { openChallenge } from "./support/sign-in.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";

const panel = (page) => page.getByRole("region", { name: "Sign in with it" });
const press = (page, name, options = {}) => panel(page).getByRole("button", { name, ...options }).click();
const holds = (page) => panel(page).getByText("A service may believe it.").waitFor();
const nextStep = { steps: 1 };

async function begin(page, origin) {
  await page.goto(`${origin}/demo`);
  await press(page, "Start a sign-in");
}

/** What the panel shows of the answer: `{ name: value }`. */
function shown(page) {
  return page.locator(".outcome").evaluate((list) => Object.fromEntries(
    [...list.querySelectorAll("dt")].map((name) => [name.textContent, name.nextElementSibling.textContent])));
}

story("somebody without a factor is let in, and the panel says why", async ({ page, origin }) => {
  await begin(page, origin);
  await panel(page).getByText("The server says allow: nothing more is asked of Alice.").waitFor();
  await panel(page).getByLabel("Who signs in").selectOption("Olga");
  await press(page, "Answer on the hosted page");
  await panel(page).getByText("nothing more is asked of Olga.").waitFor();
});

story("Alice signs in by her app through the API, and the result is taken apart and checked", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  await begin(page, origin);
  await panel(page).getByText("The server says challenge").waitFor();
  await press(page, "Authenticator app");
  await panel(page).getByLabel("The six digits from the app").fill(totp(secret, nextStep));
  await panel(page).getByText("Signed in", { exact: true }).waitFor();
  await holds(page);
  assert.equal(await panel(page).locator(".checks .bad").count(), 0);
  const said = await shown(page);
  assert.deepEqual([said.verified, said.result, said.method, said.amr], ["true", "true", "totp", "pwd, otp, mfa"]);
  assert.match(said.token, /^.{16}…$/, "the result itself is the service's");
  await panel(page).getByText("Its header and claims").click();
  await panel(page).getByText('"typ": "mfa+jwt"').waitFor();
  await panel(page).getByText('"sub": "alice"').waitFor();
  await press(page, "Once more");
  await panel(page).getByRole("button", { name: "Start a sign-in" }).waitFor();
});

story("a result that was tampered with is not to be believed", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  await page.route("**/api/v1/mfa/challenges/*/verify", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const [header, claims, signature] = body.token.split(".");
    const changed = { ...JSON.parse(Buffer.from(claims, "base64url")), sub: "olga", aud: "another" };
    await route.fulfill({ response: answer, json: { ...body, token: `${header}.${Buffer.from(JSON.stringify(changed)).toString("base64url")}.${signature}` } });
  });
  await begin(page, origin);
  await press(page, "Authenticator app");
  await panel(page).getByRole("textbox").fill(totp(secret, nextStep));
  await panel(page).getByText("A service must not believe it.").waitFor();
  assert.equal(await panel(page).locator(".checks .bad").count(), 2);
});

story("a wrong answer is said in words, and its body can be read", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  await begin(page, origin);
  await press(page, "Authenticator app");
  ear.expects(400);
  await panel(page).getByRole("textbox").fill(wrongTotp(secret));
  await panel(page).getByRole("alert").getByText("That code is not right.").waitFor();
  await panel(page).getByText("What was asked and answered").click();
  const body = await panel(page).locator("details pre").first().innerText();
  for (const part of ["→ 400", '"code": "wrong_code"', '"verified": false', '"result": false', '"tries_left": 4']) assert.ok(body.includes(part), `${part} in ${body}`);
  await press(page, "Another way");
  await press(page, "Authenticator app");
  await panel(page).getByRole("textbox").fill(totp(secret, nextStep));
  await holds(page);
});

story("a key and a backup code answer through the API", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  const { backup_codes: [code] } = await addKey(page, "Blue");
  await begin(page, origin);
  await press(page, "Security key");
  await holds(page);
  assert.equal((await shown(page)).method, "webauthn");
  await press(page, "Once more");
  await press(page, "Start a sign-in");
  await press(page, "Backup code");
  await panel(page).getByRole("textbox").fill(code);
  await press(page, "Verify");
  await holds(page);
  assert.deepEqual([(await shown(page)).method, (await shown(page)).backup_codes_remaining], ["backup_code", "9"]);
});

story("a mailed code answers through the API, typed from the mailbox", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await page.getByRole("article", { name: "Email" }).getByRole("button", { name: "Set up" }).click();
  await page.getByText("Protected by email").waitFor();
  await page.getByRole("button", { name: "I have saved them" }).click();
  await press(page, "Start a sign-in");
  await press(page, "Email");
  await holds(page);
  await press(page, "Once more");
  await press(page, "Start a sign-in");
  // Another mail may leave a while after the one before: after as long as the page says, which is what this is about.
  ear.expects(429);
  await press(page, "Email");
  const [, seconds] = /Wait (\d+) s/.exec(await panel(page).getByRole("alert").filter({ hasText: "Wait" }).innerText());
  await page.waitForTimeout((Number(seconds) + 1) * 1000);
  await press(page, "Email");
  await holds(page);
  assert.equal((await shown(page)).method, "email");
}, { start: SOON_RESENT.start });

story("Alice answers on the hosted page and is back with the outcome", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  await press(page, "Answer on the hosted page");
  await page.waitForURL("**/prompt/#prm_*");
  await page.getByText("The demo, through demo-login-service").waitFor();
  await page.getByLabel("Remember this browser for").check();
  await page.getByRole("textbox").fill(totp(secret, nextStep));
  await page.waitForURL("**/demo/returned?*");
  await page.getByText("Signed in", { exact: true }).waitFor();
  await page.getByText("The state is the one that this browser was sent away with.").waitFor();
  await page.getByText("A service may believe it.").waitFor();
  assert.match((await shown(page)).device_token, /…$/);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.reload();
  await page.getByText("The state is not one that this browser waits for").waitFor();
});

story("who is brought back without an answer, or with another's state, is not signed in", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  await press(page, "Answer on the hosted page");
  await page.getByRole("button", { name: "Cancel and go back" }).click();
  await page.waitForURL("**/demo/returned?*error=access_denied*");
  await page.getByText("Not signed in: cancelled").waitFor();
  await page.getByText("The address says: access_denied").waitFor();

  const { challenge_id: id } = await openChallenge(page);
  const { status } = await ask(page, "POST", `/mfa/challenges/${id}/verify`, { method: "totp", code: totp(secret, nextStep) }, "login-service");
  assert.equal(status, 200);
  await page.goto(`${origin}/demo/returned?challenge_id=${id}&state=guessed`);
  await page.getByText("The state is not one that this browser waits for").waitFor();
  assert.equal(await page.locator(".pill.on").count(), 0);

  ear.expects(404);
  await page.goto(`${origin}/demo/returned?challenge_id=${encodeURIComponent("<img src=x onerror=alert(1)>")}`);
  await page.getByRole("button", { name: "Ask again" }).waitFor();
  await page.goto(`${origin}/demo/returned`);
  await page.getByText("The address names no challenge.").waitFor();
});

for (const { name, ...eyes } of EYES) {
  story(`the sign-in panel fits and is accessible at every step: ${name}`, async ({ page, origin, ear }) => {
    const look = async (what) => {
      await fits(page, what);
      await isAccessible(page, what);
      await picture(page, `look sign-in ${what} ${name}`, { fullPage: true });
    };
    await page.goto(`${origin}/demo`);
    const { secret } = await setUpApp(page);
    await must(page, "POST", "/me/mfa/email/enable");
    await begin(page, origin);
    await look("methods");
    await press(page, "Authenticator app");
    ear.expects(400);
    await panel(page).getByRole("textbox").fill(wrongTotp(secret));
    await panel(page).getByRole("alert").getByText("That code is not right.").waitFor();
    await panel(page).getByText("What was asked and answered").click();
    await look("wrong");
    await panel(page).getByRole("textbox").fill(totp(secret, nextStep));
    await holds(page);
    await panel(page).getByText("Its header and claims").click();
    await look("outcome");
    await press(page, "Once more");
    await press(page, "Answer on the hosted page");
    await page.getByRole("button", { name: "Cancel and go back" }).click();
    await page.getByText("Not signed in: cancelled").waitFor();
    await look("returned cancelled");
    const { challenge_id: id } = await openChallenge(page);
    assert.equal((await ask(page, "POST", `/mfa/challenges/${id}/verify`, { method: "totp", code: totp(secret) }, "login-service")).status, 400);
    await page.goto(`${origin}/demo/returned?challenge_id=${id}`);
    await page.getByText("Not signed in: pending").waitFor();
    await look("returned with another's state");
  }, eyes);
}
