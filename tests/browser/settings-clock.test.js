// What only time brings about, with a server whose clock is turned.

import assert from "node:assert/strict";

import { ask, must, tokenOf } from "./support/account.js";
import { DAY, HOUR, MINUTE, startWithClock } from "./support/clock.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { app, enter, isFocused, mail, newestCode, openSettings, press, saveCodes, tabAndPress, tabTo } from "./support/settings.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotps } from "./support/totp.js";

/** Misses in a row after which a way is off. */
const FAR_TOO_MANY = 100;

async function setUpAppThen(page, site) {
  const { secret } = await must(page, "POST", "/me/mfa/totp/enable");
  const { backup_codes: backupCodes } = await must(page, "POST", "/me/mfa/totp/confirm", { code: totp(secret, { at: site.now() }) });
  return { secret, backupCodes };
}

/** A wrong code of Alice's, as the API judges it. */
async function miss(page, origin, code) {
  const token = await tokenOf(page, origin);
  const answer = await page.request.post(`${origin}/api/v1/me/mfa/totp/disable`, { data: { code }, headers: { Authorization: `Bearer ${token}` } });
  return answer.status();
}

for (const { name: eyes, ...options } of EYES) {
  story(`an app that is off after a hundred wrong codes is brought back by keyboard: ${eyes}`, async ({ page, origin, ear, site }) => {
    await page.goto(`${origin}/demo`);
    const { secret, backupCodes: [code] } = await setUpAppThen(page, site);
    for (let misses = 1; misses <= FAR_TOO_MANY; misses += 1) {
      const wrong = totp(secret, { at: site.now() }) === "000000" ? "000001" : "000000";
      assert.equal(await miss(page, origin, wrong), 400, `the miss ${misses} is judged`);
      if (misses >= 5) await site.goOn(HOUR + 1);
    }
    await site.catchUp();
    await openSettings(page, origin);
    await page.getByRole("heading", { level: 1, name: "One of your second factors is off" }).waitFor();
    await app(page).getByText("Off: too many wrong codes").waitFor();
    const activity = page.getByRole("region", { name: "Recent activity" });
    await activity.getByText("Turning off the authenticator app: wrong code").first().waitFor();
    await activity.getByText(/^\d+ times$/).first().waitFor();
    await fits(page, "an app that is off");
    await isAccessible(page, "an app that is off");
    await picture(page, `look settings off for real ${eyes}`, { fullPage: true });

    await tabAndPress(page, page.locator(".summary").getByRole("button", { name: "Bring it back" }));
    await app(page).getByText("If that was not you, somebody knows your password: change it.").waitFor();
    assert.equal(await app(page).getByRole("button", { name: "Authenticator app" }).count(), 0, "it does not bring itself back");
    await tabTo(page, app(page).getByRole("textbox"));
    await page.keyboard.type(code);
    await page.keyboard.press("Enter");
    await app(page).getByText("Your authenticator app works again.").waitFor();
    await app(page).getByText("On", { exact: true }).waitFor();

    // The rest of the history stands below the days on which it was.
    await tabAndPress(page, activity.getByRole("button", { name: "Show older" }));
    const days = activity.getByRole("heading", { level: 3 });
    await days.nth(4).waitFor();
    const names = await days.allInnerTexts();
    assert.deepEqual(names.slice(0, 2).map((name) => name.toLowerCase()), ["today", "yesterday"]);
    assert.ok(names.slice(2).every((name) => /^\w+ \d+ \w+$/.test(name)), names.join());
    for (const time of await activity.locator("time").all()) {
      assert.ok(Date.parse(await time.getAttribute("datetime")) <= Date.now());
      assert.match(await time.getAttribute("title"), /\d{4}.*\d\d:\d\d/);
    }
  }, { ...options, start: startWithClock(FAR_TOO_MANY * (HOUR + 1)) });
}

story("who was away for too long signs in again and goes on", async ({ page, origin, ear, site }) => {
  await openSettings(page, origin);
  await press(page, app(page), "Set up an authenticator app");
  await app(page).getByRole("textbox").fill("12345");
  ear.expects(401);
  await site.goOn(31 * MINUTE);
  await app(page).getByRole("textbox").press("Enter");
  await page.getByText("You have been signed out.").waitFor();
  assert.equal(await app(page).getByRole("textbox").inputValue(), "12345");
  await isAccessible(page, "signed out by time");
  await enter(page, page.getByRole("button", { name: "Sign in again" }));
  await enter(page, page.getByRole("button", { name: /Alice Example/ }));
  await app(page).getByRole("group", { name: "Set up an authenticator app" }).getByRole("textbox").waitFor();
}, { start: startWithClock(HOUR) });

story("a mailed code that is too old is said to be so, and another one is good", async ({ page, origin, ear, site }) => {
  await openSettings(page, origin);
  await press(page, mail(page), "Set up codes by mail");
  await mail(page).getByText("A mail was sent to").waitFor();
  const first = await newestCode(page, origin);
  await site.goOn(11 * MINUTE);
  ear.expects(400);
  await page.keyboard.type(first);
  await mail(page).getByRole("alert").getByText("That code is too old. Ask for a new one.").waitFor();
  assert.ok(await isFocused(mail(page).getByRole("textbox")));
  await press(page, mail(page), "Cancel");
  await press(page, mail(page), "Set up codes by mail");
  await mail(page).getByText("A mail was sent to").waitFor();
  await page.keyboard.type(await newestCode(page, origin, first));
  await saveCodes(page);
  await mail(page).getByText("Codes by mail are set up.").waitFor();
}, { start: startWithClock(HOUR) });

story("a lock is there for whoever comes back to the page, and a trusted way is not asked for", async ({ page, origin, ear, site }) => {
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpAppThen(page, site);
  ear.expects(400, 429);
  for (const code of wrongTotps(secret, 5)) await ask(page, "POST", "/me/mfa/totp/disable", { code });
  await openSettings(page, origin);
  await press(page, app(page), "Turn off your authenticator app");
  await page.keyboard.type("000000");
  const clock = app(page).getByText(/You can try this way again in 0:\d\d\./);
  await clock.waitFor();
  assert.ok(await isFocused(clock));
  await isAccessible(page, "locked");
  const before = await clock.innerText();
  await page.waitForFunction((text) => !document.body.innerText.includes(text), before);
  await site.goOn(MINUTE);
  await press(page, app(page), "Backup code");
  await press(page, app(page), "Authenticator app");
  await clock.waitFor();
}, { start: startWithClock(DAY) });
