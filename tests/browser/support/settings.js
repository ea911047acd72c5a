// The settings page, by keyboard.

import assert from "node:assert/strict";

import { wordsOf } from "./words.js";

/** Opens the page, in the language of `say`, and signs Alice in at the demo's issuer, if she is not. */
export async function openSettings(page, origin, say = wordsOf("en")) {
  await page.goto(`${origin}/`);
  const signIn = page.getByRole("link", { name: say("session.sign_in"), exact: true });
  const ways = page.getByRole("heading", { level: 2, name: say("page.ways") });
  await signIn.or(ways).waitFor();
  if (await signIn.isVisible()) {
    await enter(page, signIn);
    await enter(page, page.getByRole("button", { name: /Alice Example/ }));
  }
  await ways.waitFor();
}

/** A card by its title. */
export const card = (page, name) => page.getByRole("region", { name, exact: true });
export const app = (page) => card(page, "Authenticator app");
export const mail = (page) => card(page, "Email");
export const keys = (page) => card(page, "Security keys and passkeys");
export const codes = (page) => card(page, "Backup codes");

/** Presses a button as the keyboard does. */
export async function enter(page, button) {
  await button.focus();
  await page.keyboard.press("Enter");
}

/** Presses the button `name` in `within`. */
export const press = (page, within, name) => enter(page, within.getByRole("button", { name, exact: true }));

/** The secret on the screen. */
export const secretOn = (page) => page.locator(".secret").innerText().then((text) => text.replaceAll(/\s/g, ""));

/** Ends the showing of backup codes; gives them. */
export async function saveCodes(page) {
  await page.locator(".codes").waitFor();
  const shown = await page.locator(".codes li").allInnerTexts();
  await enter(page, page.getByRole("button", { name: "I have saved them" }));
  return shown;
}

export const isFocused = (locator) => locator.evaluate((element) => document.activeElement === element);

const MOST_TABS = 120;

/** Goes on with the Tab key to `locator`, as somebody without a mouse has to, who sees where they are. */
export async function tabTo(page, locator) {
  await locator.first().waitFor();
  for (let presses = 0; presses < MOST_TABS; presses += 1) {
    if (await isFocused(locator.first())) {
      const seen = await locator.first().evaluate((element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return { outline: getComputedStyle(element).outlineStyle, inView: bottom > 0 && top < innerHeight };
      });
      assert.deepEqual(seen, { outline: "solid", inView: true }, `the focus on ${locator} is seen`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not lead to ${locator}`);
}

/** Tabs to a button and presses it. */
export async function tabAndPress(page, locator) {
  await tabTo(page, locator);
  await page.keyboard.press("Enter");
}

/** The code of the newest mail in the demo's mailbox, once it is another one than `before`. */
export async function newestCode(page, origin, before = null) {
  for (let tries = 0; tries < 50; tries += 1) {
    const { mails } = await (await page.request.get(`${origin}/demo/api/mails`)).json();
    const code = mails.find((mail) => mail.code)?.code;
    if (code && code !== before) return code;
    await page.waitForTimeout(100);
  }
  throw new Error("no mail with a code has come");
}
