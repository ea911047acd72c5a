// Who has a factor proves it before anything about their factors changes, once in ten minutes.

import assert from "node:assert/strict";

import { keysOf, overview, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { isAccessible } from "./support/looks.js";
import { isFocused, keys, mail, newestCode, openSettings, press } from "./support/settings.js";
import { picture, story } from "./support/story.js";
import { totp } from "./support/totp.js";

const ADD = "Add a security key or passkey";
const WHY = "Confirm first that it is you. This keeps anyone who knows only your password from changing how you sign in.";

story("adding a key and naming it asks once, and so does all else within ten minutes", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  const { secret, backupCodes } = await setUpApp(page);
  await openSettings(page, origin);

  ear.expects(400, 401);
  await press(page, keys(page), ADD);
  await keys(page).getByText(WHY).waitFor();
  const box = keys(page).getByRole("textbox");
  assert.ok(await isFocused(box));
  await isAccessible(page, "a proof");
  await picture(page, "settings proof", { fullPage: true });
  await page.keyboard.type("000000");
  await keys(page).getByRole("alert").getByText("That code is not right.").waitFor();
  assert.equal((await keysOf(page)).length, 0);
  await page.keyboard.type(totp(secret, { steps: 1 }));
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.type("The blue one");
  await page.keyboard.press("Enter");
  await keys(page).getByText("“The blue one” is added.").waitFor();

  // A page that is loaded again is still in the same session.
  await page.reload();
  await press(page, keys(page), "Rename “The blue one”");
  await page.keyboard.type("The red one");
  await page.keyboard.press("Enter");
  await keys(page).getByText("It is called “The red one” now.").waitFor();
  await press(page, mail(page), "Set up codes by mail");
  await mail(page).getByRole("textbox").fill(await newestCode(page, origin));
  await mail(page).getByText("Codes by mail are set up.").waitFor();
  await press(page, keys(page), "Remove “The red one”");
  await press(page, keys(page), "Remove it");
  await keys(page).getByText("“The red one” is removed.").waitFor();
  assert.equal((await overview(page)).devices.length, 2);

  // Another session asks for itself.
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await openSettings(page, origin);
  await press(page, keys(page), ADD);
  await keys(page).getByText(WHY).waitFor();
  await press(page, keys(page), "Backup code");
  await page.keyboard.type(backupCodes[0]);
  await page.keyboard.press("Enter");
  await keys(page).getByText("The key is added.").waitFor();
});

story("who has a first factor from this page is not asked for it at once", async ({ page, origin }) => {
  await openSettings(page, origin);
  await (await usbPorts(page)).plugIn();
  await press(page, keys(page), ADD);
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.type("The first one");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "I have saved them" }).click();
  await keys(page).getByText("“The first one” is added.").waitFor();
  await press(page, mail(page), "Set up codes by mail");
  await mail(page).getByText("A mail was sent to").waitFor();
});
