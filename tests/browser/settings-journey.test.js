// Everything that a person can do on the page, one after another, with the keyboard alone and in everybody's eyes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { overview } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { EYES, fits, hasTargets, isAccessible, isInOrder } from "./support/looks.js";
import { app, card, codes, isFocused, keys, mail, newestCode, openSettings, secretOn, tabAndPress, tabTo } from "./support/settings.js";
import { openPrompt, outcomeOf } from "./support/sign-in.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";

const JOURNEY_MS = 240_000;
const region = (page, name) => page.getByRole("region", { name, exact: true });
const box = (within) => within.getByRole("textbox");

/** A person who has a keyboard and no mouse. */
class Keyboard {
  constructor(page, eyes) {
    this.page = page;
    this.eyes = eyes;
  }

  /** Checks what is shown now, and keeps a picture of it. */
  async at(what) {
    await fits(this.page, what);
    await hasTargets(this.page, what);
    await isInOrder(this.page, what);
    await isAccessible(this.page, what);
    await picture(this.page, `journey ${what} ${this.eyes}`, { fullPage: true });
  }

  async press(within, name) {
    await tabAndPress(this.page, within.getByRole("button", { name, exact: true }));
  }

  async type(box, text) {
    await tabTo(this.page, box);
    await this.page.keyboard.type(text);
  }

  /** Types where the focus is already. */
  async enter(text) {
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
  }

  async said(within, text) {
    await within.getByText(text).first().waitFor();
    assert.ok(await isFocused(within.getByRole("heading", { level: 3 }).first()), "the focus is where the news is");
  }

  async byBackupCode(within, code) {
    await this.press(within, "Backup code");
    await this.enter(code);
  }

  /** Copies, downloads and prints the backup codes that are shown, and gives them. */
  async saved(within) {
    const { page } = this;
    const heading = page.getByRole("heading", { name: "Save your backup codes" });
    await heading.waitFor();
    assert.ok(await isFocused(heading));
    const shown = await page.locator(".codes li").allInnerTexts();
    await this.at(`codes of ${await within.getByRole("heading").first().innerText()}`);
    await this.press(within, "Copy");
    await within.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), shown.join("\n"));
    const saving = page.waitForEvent("download");
    await this.press(within, "Download");
    const text = await readFile(await (await saving).path(), "utf8");
    assert.ok(shown.every((code) => text.includes(code)), text);
    const before = await page.evaluate(() => globalThis.printed);
    await this.press(within, "Print");
    assert.equal(await page.evaluate(() => globalThis.printed), before + 1);
    await this.press(within, "I have saved them");
    return shown;
  }
}

async function signIn(page, origin, keyboard) {
  await page.goto(`${origin}/`);
  await tabAndPress(page, page.getByRole("link", { name: "Sign in", exact: true }));
  await tabAndPress(page, page.getByRole("button", { name: /Alice Example/ }));
  await page.getByText("Nothing has happened yet.").waitFor();
  await page.getByText("A second factor is up to you, but wise.").waitFor();
  await keyboard.at("nothing");
}

/** Gives the app's secret and the backup codes. */
async function setUpApp(page, keyboard) {
  await keyboard.press(app(page), "Set up an authenticator app");
  const secret = await secretOn(page);
  await keyboard.type(box(app(page)), wrongTotp(secret));
  await app(page).getByRole("alert").getByText("That code is not right.").waitFor();
  assert.ok(await isFocused(box(app(page))));
  await keyboard.at("a wrong code");
  await page.keyboard.type(totp(secret));
  const backupCodes = await keyboard.saved(app(page));
  await keyboard.said(app(page), "Your authenticator app is set up.");
  return { secret, backupCodes };
}

async function setUpMailAndTurnItOff(page, origin, keyboard, backupCode) {
  await keyboard.press(mail(page), "Set up codes by mail");
  await mail(page).getByText("A mail was sent to").waitFor();
  assert.ok(await isFocused(box(mail(page))));
  await tabTo(page, mail(page).getByText("The mail does not arrive?"));
  await page.keyboard.press("Enter");
  await mail(page).getByText("Look into the folder for spam").waitFor();
  await keyboard.at("a mail on its way");
  await page.keyboard.press("Shift+Tab");
  await keyboard.type(box(mail(page)), await newestCode(page, origin));
  await keyboard.said(mail(page), "Codes by mail are set up.");
  await keyboard.press(mail(page), "Turn off codes by mail");
  await mail(page).getByText("You keep: your authenticator app and 10 backup codes.").waitFor();
  await keyboard.byBackupCode(mail(page), backupCode);
  await keyboard.said(mail(page), "Codes by mail are turned off.");
}

async function addAndRenameKey(page, keyboard) {
  await (await usbPorts(page)).plugIn();
  await tabAndPress(page, page.locator(".summary").getByRole("button", { name: "Add a security key" }));
  await keys(page).getByText("The key is added.").waitFor();
  await keyboard.at("naming a key");
  await keyboard.enter("The blue one");
  await keyboard.said(keys(page), "“The blue one” is added.");
  await keyboard.press(keys(page), "Rename “The blue one”");
  await keyboard.enter("The red one");
  await keyboard.said(keys(page), "It is called “The red one” now.");
}

/** Gives the new app's secret. */
async function replaceAppByKey(page, keyboard, before) {
  await keyboard.press(app(page), "Replace your authenticator app");
  await tabAndPress(page, app(page).getByRole("button", { name: "Use my key" }));
  await page.getByText("Until this is done, your present app goes on working.").waitFor();
  const secret = await secretOn(page);
  assert.notEqual(secret, before);
  await keyboard.type(box(app(page)), totp(secret));
  await keyboard.said(app(page), "The new app has taken the place of the old one.");
  return secret;
}

/** Gives the new backup codes. */
async function renewCodesByKey(page, keyboard, before) {
  await keyboard.press(codes(page), "Make new ones");
  await tabAndPress(page, codes(page).getByRole("button", { name: "Use my key" }));
  const fresh = await keyboard.saved(codes(page));
  assert.ok(before.every((code) => !fresh.includes(code)));
  await keyboard.said(codes(page), "You have new backup codes.");
  return fresh;
}

/** A sign-in elsewhere, from a browser that is to be trusted, and is not any more. */
async function trustBrowserAndForgetIt(page, origin, keyboard) {
  const challenge = await openPrompt(page, origin, { remember: true, context: { app: "Wiki", user_agent: await page.evaluate(() => navigator.userAgent) } });
  await tabTo(page, page.getByLabel("Remember this browser for"));
  await page.keyboard.press("Space");
  await tabAndPress(page, page.getByRole("button", { name: "Use my key" }));
  await outcomeOf(page, challenge);
  await openSettings(page, origin);
  const trusted = region(page, "Trusted browsers");
  await trusted.getByText("Like this browser").waitFor();
  await keyboard.at("everything");
  await keyboard.press(trusted, "Remove Chrome on Linux");
  await trusted.getByText("No browser is trusted.").waitFor();
  assert.ok(await isFocused(trusted.getByRole("heading")));
}

async function readActivity(page, keyboard) {
  const activity = region(page, "Recent activity");
  await activity.getByText("Trusted browser removed").waitFor();
  await keyboard.press(activity, "Show older");
  await activity.getByText("Authenticator app set up").last().waitFor();
  assert.ok(await isFocused(activity.getByRole("listitem").nth(5)));
  assert.equal(await activity.getByRole("heading", { level: 3 }).first().innerText().then((day) => day.toLowerCase()), "today");
}

async function turnEverythingOff(page, keyboard, backupCode) {
  await keyboard.press(keys(page), "Remove “The red one”");
  await keyboard.press(keys(page), "Remove it");
  await keyboard.said(keys(page), "“The red one” is removed.");
  await keyboard.press(app(page), "Turn off your authenticator app");
  await app(page).getByText("Nothing else is left").waitFor();
  await keyboard.byBackupCode(app(page), backupCode);
  await keyboard.said(app(page), "Your authenticator app is turned off.");
  assert.equal((await overview(page)).enabled, false);
  await card(page, "Backup codes").getByText("They come with your first second factor").waitFor();
}

async function signOut(page, keyboard) {
  await tabAndPress(page, page.getByRole("button", { name: "Sign out", exact: true }));
  const heading = page.getByRole("heading", { name: "You are signed out" });
  await heading.waitFor();
  assert.ok(await isFocused(heading));
  await keyboard.at("out");
}

for (const { name: eyes, ...options } of EYES) {
  story(`everything by keyboard alone: ${eyes}`, async ({ page, context, origin, ear }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.addInitScript(() => {
      globalThis.printed = 0;
      globalThis.print = () => { globalThis.printed += 1; };
    });
    ear.expects(400);
    const keyboard = new Keyboard(page, eyes);
    await signIn(page, origin, keyboard);
    const { secret: first, backupCodes } = await setUpApp(page, keyboard);
    await setUpMailAndTurnItOff(page, origin, keyboard, backupCodes[0]);
    await addAndRenameKey(page, keyboard);
    const second = await replaceAppByKey(page, keyboard, first);
    const fresh = await renewCodesByKey(page, keyboard, backupCodes);
    await trustBrowserAndForgetIt(page, origin, keyboard);
    await readActivity(page, keyboard);
    await turnEverythingOff(page, keyboard, fresh[0]);
    await signOut(page, keyboard);
    const kept = await page.content();
    assert.ok([first, second, ...backupCodes, ...fresh].every((word) => !kept.includes(word)), "what was shown once is gone");
  }, { ...options, ms: JOURNEY_MS });
}
