import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { addKey, must, overview, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { PHONE, story } from "./support/story.js";
import { app, codes, enter, isFocused, openSettings, press, saveCodes, secretOn, tabTo } from "./support/settings.js";
import { totp, wrongTotp, wrongTotps } from "./support/totp.js";

const BACKUP_CODE = /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/;
const nextStep = { steps: 1 };
const begin = (page) => press(page, app(page), "Set up an authenticator app");
const box = (page) => app(page).getByRole("textbox");
const hasApp = async (page) => (await overview(page)).devices.some(({ type, status }) => type === "totp" && status === "active");

async function withApp(page, origin) {
  await page.goto(`${origin}/demo`);
  const set = await setUpApp(page);
  await openSettings(page, origin);
  return set;
}

story("an app is set up by keyboard alone, and its backup codes are saved", async ({ page, context, origin, ear }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.addInitScript(() => {
    globalThis.printed = 0;
    globalThis.print = () => { globalThis.printed += 1; };
  });
  await openSettings(page, origin);
  await page.getByRole("heading", { level: 1, name: "Only your password protects this account" }).waitFor();
  await tabTo(page, app(page).getByRole("button"));
  await page.keyboard.press("Enter");
  const secret = await secretOn(page);
  assert.ok(await isFocused(page.getByRole("heading", { name: "Set up an authenticator app" })));
  assert.deepEqual(await page.locator(".secret span").evaluateAll((groups) => groups.map((group) => group.textContent.length)), Array(8).fill(4));
  assert.match(await page.getByAltText("QR code").getAttribute("src"), /^data:image\/png;base64,/);
  assert.equal(await page.getByRole("link", { name: "Open an app on this device" }).getAttribute("href").then((uri) => new URL(uri).searchParams.get("secret")), secret);
  await tabTo(page, app(page).getByRole("button", { name: "Copy the key" }));
  await page.keyboard.press("Enter");
  await app(page).getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await tabTo(page, box(page));
  await page.keyboard.type(totp(secret));

  const heading = page.getByRole("heading", { name: "Save your backup codes" });
  await heading.waitFor();
  assert.ok(await isFocused(heading));
  const shown = await page.locator(".codes li").allInnerTexts();
  assert.equal(new Set(shown).size, 10);
  shown.forEach((code) => assert.match(code, BACKUP_CODE));
  await tabTo(page, app(page).getByRole("button", { name: "Copy", exact: true }));
  await page.keyboard.press("Enter");
  await app(page).getByRole("button", { name: "Copied" }).waitFor();
  assert.deepEqual(await page.evaluate(() => navigator.clipboard.readText()).then((text) => text.split("\n")), shown);
  const saving = page.waitForEvent("download");
  await tabTo(page, app(page).getByRole("button", { name: "Download" }));
  await page.keyboard.press("Enter");
  const file = await saving;
  assert.equal(file.suggestedFilename(), "backup-codes.txt");
  const text = await readFile(await file.path(), "utf8");
  assert.ok(shown.every((code) => text.includes(code)), text);
  assert.ok(text.startsWith(`Backup codes for ${new URL(origin).host}\r\n`));
  await tabTo(page, app(page).getByRole("button", { name: "Print" }));
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => globalThis.printed), 1);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator(".codes").evaluate((list) => getComputedStyle(list).visibility), "visible");
  assert.equal(await page.locator(".summary").evaluate((part) => getComputedStyle(part).visibility), "hidden");
  await page.emulateMedia({ media: null });
  await tabTo(page, page.getByRole("button", { name: "I have saved them" }));
  await page.keyboard.press("Enter");

  await app(page).getByText("Your authenticator app is set up.").waitFor();
  assert.ok(await isFocused(app(page).getByRole("heading", { name: "Authenticator app" })));
  await page.getByRole("status").getByText("Your authenticator app is set up.").waitFor();
  await page.getByRole("heading", { level: 1, name: "Your account is protected" }).waitFor();
  await codes(page).getByText("10 of 10 left").waitFor();
  const kept = await page.content();
  assert.ok([secret, ...shown].every((word) => !kept.includes(word)), "what was shown once is gone");
}, { colorScheme: "dark", viewport: PHONE });

story("a wrong code is said at its box and selected, and the next one replaces it", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  await begin(page);
  const secret = await secretOn(page);
  ear.expects(400);
  await box(page).pressSequentially(wrongTotp(secret));
  await app(page).getByRole("alert").getByText("That code is not right.").waitFor();
  assert.ok(await isFocused(box(page)));
  assert.equal(await box(page).getAttribute("aria-invalid"), "true");
  const code = totp(secret);
  await page.keyboard.insertText(`${code.slice(0, 3)} ${code.slice(3)}`);
  await saveCodes(page);
  assert.ok(await hasApp(page));
});

for (const [name, minutes, words] of [["ahead", 10, "10 minutes fast"], ["behind", -5, "5 minutes slow"]]) {
  story(`a phone's clock that is ${name} is said in words`, async ({ page, origin, ear }) => {
    await openSettings(page, origin);
    await begin(page);
    ear.expects(400);
    await box(page).fill(totp(await secretOn(page), { steps: minutes * 2 }));
    await app(page).getByRole("alert").getByText(`Your phone’s clock is ${words}.`).waitFor();
  });
}

story("cancelling, by button or Escape, leads back to where one came from, and shows no secret any more", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  const opener = app(page).getByRole("button", { name: "Set up an authenticator app" });
  for (const leave of [() => press(page, app(page), "Cancel"), async () => { await box(page).focus(); await page.keyboard.press("Escape"); }]) {
    await enter(page, opener);
    const secret = await secretOn(page);
    await leave();
    assert.ok(await isFocused(opener));
    assert.ok(!(await page.content()).includes(secret));
  }
});

story("another app takes the place of the first, which is good until then", async ({ page, origin, ear }) => {
  const { secret } = await withApp(page, origin);
  await press(page, app(page), "Replace your authenticator app");
  assert.ok(await isFocused(box(page)));
  await page.keyboard.type(totp(secret, nextStep));
  await page.getByText("Until this is done, your present app goes on working.").waitFor();
  const other = await secretOn(page);
  assert.notEqual(other, secret);
  assert.ok(await hasApp(page));
  await box(page).fill(totp(other));
  await app(page).getByText("The new app has taken the place of the old one.").waitFor();
  assert.equal(await page.locator(".codes").count(), 0, "backup codes stay as they are");
});

story("turning the app off says what is lost and left, and takes a backup code", async ({ page, origin, ear }) => {
  const { backupCodes: [code] } = await withApp(page, origin);
  await press(page, app(page), "Turn off your authenticator app");
  await app(page).getByText("Nothing else is left: only your password will protect this account").waitFor();
  await press(page, app(page), "Backup code");
  assert.ok(await isFocused(box(page)));
  await page.keyboard.type(code.toLowerCase().replaceAll("-", ""));
  assert.equal(await box(page).inputValue(), code);
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app is turned off.").waitFor();
  await page.getByRole("heading", { level: 1, name: "Only your password protects this account" }).waitFor();
  assert.equal((await overview(page)).enabled, false);
});

story("what stays is named, and a key proves who asks", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  await setUpApp(page);
  await openSettings(page, origin);
  await page.getByRole("heading", { level: 1, name: "Your account is well protected" }).waitFor();
  await press(page, app(page), "Turn off your authenticator app");
  await app(page).getByText("You keep: 1 security key and 10 backup codes.").waitFor();
  const use = app(page).getByRole("button", { name: "Use my key" });
  assert.ok(await isFocused(use));
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app is turned off.").waitFor();
  assert.equal(await hasApp(page), false);
});

story("too many wrong codes close the box with a clock, another way goes on, and the box opens again", async ({ page, origin, ear }) => {
  const { secret, backupCodes: [code] } = await withApp(page, origin);
  ear.expects(400, 429);
  await press(page, app(page), "Replace your authenticator app");
  const wrong = wrongTotps(secret, 6);
  for (const code of wrong.slice(0, 5)) {
    const judged = page.waitForResponse("**/totp/replace");
    await box(page).fill(code);
    await judged;
    await app(page).getByRole("alert").getByText("That code is not right.").waitFor();
  }
  await app(page).getByText("That code is not right. 0 tries are left.").waitFor();
  await box(page).fill(wrong[5]);
  const clock = app(page).getByText(/Too many wrong answers\. You can try this way again in 0:\d\d\./);
  await clock.waitFor();
  const before = await clock.innerText();
  await page.waitForFunction((text) => !document.body.innerText.includes(text), before);
  assert.ok(await isFocused(clock), "the focus is where the box was");
  await press(page, app(page), "Backup code");
  await press(page, app(page), "Authenticator app");
  await clock.waitFor();
  await app(page).getByText("You can try again now.").waitFor({ timeout: 40_000 });
  await press(page, app(page), "Backup code");
  await box(page).fill(code);
  await page.keyboard.press("Enter");
  await page.getByText("Until this is done, your present app goes on working.").waitFor();
});

story("an app that is off after far too many wrong codes is brought back by another way", async ({ page, origin, ear }) => {
  await page.route("**/api/v1/me/mfa", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    for (const device of body.devices ?? []) if (device.type === "totp") device.status = "disabled";
    await route.fulfill({ response: answer, json: body });
  });
  const { backupCodes: [code] } = await withApp(page, origin);
  await page.getByRole("heading", { level: 1, name: "One of your second factors is off" }).waitFor();
  await app(page).getByText("Off: too many wrong codes").waitFor();
  await enter(page, page.locator(".summary").getByRole("button", { name: "Bring it back" }));
  await app(page).getByText("If that was not you, somebody knows your password: change it.").waitFor();
  assert.equal(await app(page).getByRole("button", { name: "Authenticator app" }).count(), 0, "it does not bring itself back");
  await page.unrouteAll();
  await box(page).fill(code);
  await page.keyboard.press("Enter");
  await app(page).getByText("Your authenticator app works again.").waitFor();
  await app(page).getByText("On", { exact: true }).waitFor();
});

story("new backup codes are made by the app's code and never by a backup code, and few that are left are said", async ({ page, origin, ear }) => {
  const { secret, backupCodes } = await withApp(page, origin);
  for (const code of backupCodes.slice(0, 7)) await must(page, "POST", "/me/mfa/totp/replace", { code });
  await page.reload();
  await openSettings(page, origin);
  await codes(page).getByText("3 of 10 left").waitFor();
  await page.getByText("You are about to run out of backup codes.").waitFor();
  await enter(page, page.getByRole("button", { name: "Make new codes" }));
  await codes(page).getByText("The codes that you have now will stop working.").waitFor();
  assert.equal(await codes(page).getByRole("button", { name: "Backup code" }).count(), 0);
  await page.keyboard.type(totp(secret, nextStep));
  const fresh = await saveCodes(page);
  assert.ok(fresh.every((code) => !backupCodes.includes(code)));
  await codes(page).getByText("You have new backup codes. The old ones no longer work.").waitFor();
  await codes(page).getByText("10 of 10 left").waitFor();
});

story("codes that are on the screen are not left by mistake, and going back shows neither them nor a secret", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  await begin(page);
  const secret = await secretOn(page);
  await page.goto(`${origin}/demo`);
  await page.goBack();
  await page.getByRole("heading", { name: "Ways to confirm" }).waitFor();
  assert.ok(!(await page.content()).includes(secret));
  await openSettings(page, origin);
  await begin(page);
  await box(page).fill(totp(await secretOn(page)));
  const heading = page.getByRole("heading", { name: "Save your backup codes" });
  await heading.waitFor();
  const [code] = await page.locator(".codes li").allInnerTexts();
  await press(page, page.getByRole("region", { name: "Email", exact: true }), "Set up codes by mail");
  assert.ok(await isFocused(heading), "the codes come first");
  const asked = [];
  page.on("dialog", (dialog) => { asked.push(dialog.type()); dialog.accept(); });
  await page.goto(`${origin}/demo`);
  assert.deepEqual(asked, ["beforeunload"]);
  await page.goBack();
  await page.getByRole("heading", { name: "Ways to confirm" }).waitFor();
  assert.ok(!(await page.content()).includes(code));
});
