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

for (const { name: eyes, ...options } of EYES) {
  story(`everything by keyboard alone: ${eyes}`, async ({ page, context, origin, ear }) => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.addInitScript(() => {
      globalThis.printed = 0;
      globalThis.print = () => { globalThis.printed += 1; };
    });
    ear.expects(400);
    const at = async (what) => {
      await fits(page, what);
      await hasTargets(page, what);
      await isInOrder(page, what);
      await isAccessible(page, what);
      await picture(page, `journey ${what} ${eyes}`, { fullPage: true });
    };
    const press = (within, name) => tabAndPress(page, within.getByRole("button", { name, exact: true }));
    const type = async (box, text) => {
      await tabTo(page, box);
      await page.keyboard.type(text);
    };
    const said = async (within, text) => {
      await within.getByText(text).first().waitFor();
      assert.ok(await isFocused(within.getByRole("heading", { level: 3 }).first()), "the focus is where the news is");
    };
    const byBackupCode = async (within, code) => {
      await press(within, "Backup code");
      await page.keyboard.type(code);
      await page.keyboard.press("Enter");
    };
    const saved = async (within) => {
      const heading = page.getByRole("heading", { name: "Save your backup codes" });
      await heading.waitFor();
      assert.ok(await isFocused(heading));
      const shown = await page.locator(".codes li").allInnerTexts();
      await at(`codes of ${await within.getByRole("heading").first().innerText()}`);
      await press(within, "Copy");
      await within.getByRole("button", { name: "Copied" }).waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), shown.join("\n"));
      const saving = page.waitForEvent("download");
      await press(within, "Download");
      const text = await readFile(await (await saving).path(), "utf8");
      assert.ok(shown.every((code) => text.includes(code)), text);
      const before = await page.evaluate(() => globalThis.printed);
      await press(within, "Print");
      assert.equal(await page.evaluate(() => globalThis.printed), before + 1);
      await press(within, "I have saved them");
      return shown;
    };

    // In.
    await page.goto(`${origin}/`);
    await tabAndPress(page, page.getByRole("link", { name: "Sign in", exact: true }));
    await tabAndPress(page, page.getByRole("button", { name: /Alice Example/ }));
    await page.getByText("Nothing has happened yet.").waitFor();
    await page.getByText("A second factor is up to you, but wise.").waitFor();
    await at("nothing");

    // An app.
    await press(app(page), "Set up an authenticator app");
    const first = await secretOn(page);
    const box = (within) => within.getByRole("textbox");
    await type(box(app(page)), wrongTotp(first));
    await app(page).getByRole("alert").getByText("That code is not right.").waitFor();
    assert.ok(await isFocused(box(app(page))));
    await at("a wrong code");
    await page.keyboard.type(totp(first));
    const [one, two, three] = await saved(app(page));
    await said(app(page), "Your authenticator app is set up.");

    // Mail, and no mail.
    await press(mail(page), "Set up codes by mail");
    await mail(page).getByText("A mail was sent to").waitFor();
    assert.ok(await isFocused(box(mail(page))));
    await tabTo(page, mail(page).getByText("The mail does not arrive?"));
    await page.keyboard.press("Enter");
    await mail(page).getByText("Look into the folder for spam").waitFor();
    await at("a mail on its way");
    await page.keyboard.press("Shift+Tab");
    await type(box(mail(page)), await newestCode(page, origin));
    await said(mail(page), "Codes by mail are set up.");
    await press(mail(page), "Turn off codes by mail");
    await mail(page).getByText("You keep: your authenticator app and 10 backup codes.").waitFor();
    await byBackupCode(mail(page), one);
    await said(mail(page), "Codes by mail are turned off.");

    // A key.
    await (await usbPorts(page)).plugIn();
    await tabAndPress(page, page.locator(".summary").getByRole("button", { name: "Add a security key" }));
    await keys(page).getByText("The key is added.").waitFor();
    await at("naming a key");
    await page.keyboard.type("The blue one");
    await page.keyboard.press("Enter");
    await said(keys(page), "“The blue one” is added.");
    await press(keys(page), "Rename “The blue one”");
    await page.keyboard.type("The red one");
    await page.keyboard.press("Enter");
    await said(keys(page), "It is called “The red one” now.");

    // The key in place of a code: another app, and other backup codes.
    await press(app(page), "Replace your authenticator app");
    await tabAndPress(page, app(page).getByRole("button", { name: "Use my key" }));
    await page.getByText("Until this is done, your present app goes on working.").waitFor();
    const second = await secretOn(page);
    assert.notEqual(second, first);
    await type(box(app(page)), totp(second));
    await said(app(page), "The new app has taken the place of the old one.");
    await press(codes(page), "Make new ones");
    await tabAndPress(page, codes(page).getByRole("button", { name: "Use my key" }));
    const fresh = await saved(codes(page));
    assert.ok(!fresh.includes(two) && !fresh.includes(three));
    await said(codes(page), "You have new backup codes.");

    // A sign-in elsewhere, from a browser that is to be trusted.
    const challenge = await openPrompt(page, origin, { remember: true, context: { app: "Wiki", user_agent: await page.evaluate(() => navigator.userAgent) } });
    await tabTo(page, page.getByLabel("Remember this browser for"));
    await page.keyboard.press("Space");
    await tabAndPress(page, page.getByRole("button", { name: "Use my key" }));
    await outcomeOf(page, challenge);
    await openSettings(page, origin);
    const trusted = region(page, "Trusted browsers");
    await trusted.getByText("Like this browser").waitFor();
    await at("everything");
    await press(trusted, "Remove Chrome on Linux");
    await trusted.getByText("No browser is trusted.").waitFor();
    assert.ok(await isFocused(trusted.getByRole("heading")));

    // What has happened.
    const activity = region(page, "Recent activity");
    await activity.getByText("Trusted browser removed").waitFor();
    await press(activity, "Show older");
    await activity.getByText("Authenticator app set up").last().waitFor();
    assert.ok(await isFocused(activity.getByRole("listitem").nth(5)));
    assert.equal(await activity.getByRole("heading", { level: 3 }).first().innerText().then((day) => day.toLowerCase()), "today");

    // Out of everything, and out.
    await press(keys(page), "Remove “The red one”");
    await press(keys(page), "Remove it");
    await said(keys(page), "“The red one” is removed.");
    await press(app(page), "Turn off your authenticator app");
    await app(page).getByText("Nothing else is left").waitFor();
    await byBackupCode(app(page), fresh[0]);
    await said(app(page), "Your authenticator app is turned off.");
    assert.equal((await overview(page)).enabled, false);
    await card(page, "Backup codes").getByText("They come with your first second factor").waitFor();
    await tabAndPress(page, page.getByRole("button", { name: "Sign out" }));
    const heading = page.getByRole("heading", { name: "You are signed out" });
    await heading.waitFor();
    assert.ok(await isFocused(heading));
    await at("out");
    const kept = await page.content();
    assert.ok([first, second, one, ...fresh].every((word) => !kept.includes(word)), "what was shown once is gone");
  }, { ...options, ms: JOURNEY_MS });
}
