// Where a recent sign-in is asked for: by an issuer that others wrote, which says when people signed in.

import assert from "node:assert/strict";

import { usbPorts } from "./support/authenticator.js";
import { isAccessible } from "./support/looks.js";
import { signInAtTheProvider, startWithProvider, withoutFonts } from "./support/provider.js";
import { app, enter, isFocused, keys, press, saveCodes, secretOn } from "./support/settings.js";
import { picture, story } from "./support/story.js";
import { totp } from "./support/totp.js";

const ADD = "Add a security key or passkey";
const WAYS = "Ways to confirm that it is you";

story("another sign-in, or a code, is asked for where the last one was long ago, and nobody loses their place", async ({ page, origin, site, ear }) => {
  await withoutFonts(page);
  // The issuer's page has no icon.
  ear.expects(401, 404);
  site.signedInAgo(3600);
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await signInAtTheProvider(page);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: WAYS }).waitFor();

  // Without a factor there is no code that could stand in.
  await press(page, app(page), "Set up an authenticator app");
  await app(page).getByText("Your sign-in was a while ago. Sign in again, and go on here.").waitFor();
  await isAccessible(page, "sign in again");
  await picture(page, "look settings sign in again", { fullPage: true });
  site.signedInAgo(0);
  const login = page.waitForRequest("**/auth/login?*");
  await enter(page, app(page).getByRole("button", { name: "Sign in again instead" }));
  assert.equal(new URL((await login).url()).search, "?return=%2F&fresh=1");
  await page.waitForURL(`${site.issuer}/**`);
  await signInAtTheProvider(page);
  await page.waitForURL(`${origin}/`);
  const group = app(page).getByRole("group", { name: "Set up an authenticator app" });
  await group.getByRole("textbox").waitFor();
  const secret = await secretOn(page);
  await group.getByRole("textbox").fill(totp(secret));
  await saveCodes(page);
  await app(page).getByText("Your authenticator app is set up.").waitFor();

  // With one, in a session where it was not proved, the sign-in would have had to be by it: a code does, and the
  // ceremony follows it.
  await page.context().clearCookies({ name: /mfad_session/ });
  await page.goto(`${origin}/`);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: WAYS }).waitFor();
  await (await usbPorts(page)).plugIn();
  await press(page, keys(page), ADD);
  await keys(page).getByText("Confirm first that it is you").waitFor();
  const box = keys(page).getByRole("textbox");
  assert.ok(await isFocused(box));
  await page.keyboard.type(totp(secret, { steps: 1 }));
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.press("Enter");

  // A new name goes along with that proof.
  await keys(page).getByText("is added.").waitFor();
  await press(page, keys(page), "Rename “Security key”");
  await page.keyboard.type("The blue one");
  await page.keyboard.press("Enter");
  await keys(page).getByText("It is called “The blue one” now.").waitFor();
  assert.equal(await page.getByText("You have been signed out.").isVisible(), false);
}, { start: () => startWithProvider("--require-recent-auth", "1m") });
