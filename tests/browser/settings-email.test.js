import assert from "node:assert/strict";

import { overview } from "./support/account.js";
import { SOON_RESENT } from "./support/demo.js";
import { story } from "./support/story.js";
import { card, isFocused, mail, newestCode, openSettings, press, saveCodes } from "./support/settings.js";

const BEGIN = "Set up codes by mail";
const END = "Turn off codes by mail";
const box = (page) => mail(page).getByRole("textbox");
const sent = (page) => mail(page).getByText("A mail was sent to");

/** Waits until another mail may leave, as the button's clock says. */
async function sendAnother(page) {
  const again = mail(page).getByRole("button", { name: "Send another mail", exact: true });
  await again.waitFor({ timeout: SOON_RESENT.ms });
  await again.focus();
  await page.keyboard.press("Enter");
}

story("email is set up by keyboard alone, with a second mail where the first is not found", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  await press(page, mail(page), BEGIN);
  await sent(page).waitFor();
  assert.ok(await isFocused(box(page)));
  assert.ok(!(await mail(page).innerText()).includes("alice@"), "the address is masked");
  const first = await newestCode(page, origin);
  await mail(page).getByText(/Send another mail \(0:\d\d\)/).waitFor();
  assert.equal(await mail(page).getByRole("button", { name: "Send another mail" }).isDisabled(), true);
  await page.keyboard.press("Escape");
  // Whoever comes back at once is told that a mail is on its way, and that another has to wait.
  ear.expects(429, 400);
  await press(page, mail(page), BEGIN);
  await mail(page).getByText("A mail was sent a moment ago. If it is there, type its code.").waitFor();
  await sendAnother(page);
  await sent(page).waitFor();
  assert.ok(await isFocused(box(page)));
  const second = await newestCode(page, origin, first);
  if (first !== second) {
    await page.keyboard.type(first);
    await mail(page).getByRole("alert").getByText("That code is not right.").waitFor();
  }
  await page.keyboard.type(second);
  assert.equal((await saveCodes(page)).length, 10);
  await mail(page).getByText("Codes by mail are set up.").waitFor();
  await page.getByRole("heading", { level: 1, name: "Your account is protected, but only by email" }).waitFor();
}, { start: SOON_RESENT.start });

story("email is turned off by a mailed code, which is sent when it is asked for", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  await press(page, mail(page), BEGIN);
  await sent(page).waitFor();
  const first = await newestCode(page, origin);
  await page.keyboard.type(first);
  await saveCodes(page);
  await press(page, mail(page), END);
  await mail(page).getByText("Nothing else is left").waitFor();
  const send = mail(page).getByRole("button", { name: "Send me a code" });
  assert.ok(await isFocused(send));
  ear.expects(429);
  await page.keyboard.press("Enter");
  await mail(page).getByText("A mail was sent a moment ago.").waitFor();
  await sendAnother(page);
  await sent(page).waitFor();
  await page.keyboard.type(await newestCode(page, origin, first));
  await mail(page).getByText("Codes by mail are turned off.").waitFor();
  assert.equal((await overview(page)).enabled, false);
}, { start: SOON_RESENT.start });

for (const [code, words] of [
  ["email_unknown", "No email address of yours is known."],
  ["email_unverified", "Your email address has not been confirmed yet."],
  ["email_refused", "The mail server does not take mail for your address."],
  ["not_offered", "This cannot be set up here"],
]) {
  story(`where no mail can be sent (${code}) it is said what to do`, async ({ page, origin, ear }) => {
    await openSettings(page, origin);
    ear.expects(409);
    await page.route("**/email/enable", (route) => route.fulfill({ status: 409, json: { code, detail: "the server's words" } }), { times: 1 });
    await press(page, mail(page), BEGIN);
    await mail(page).getByRole("alert").getByText(words).waitFor();
    await press(page, mail(page), "Try again");
    await sent(page).waitFor();
  });
}

story("where there is no app a mailed code is offered as a proof, and no backup code for backup codes", async ({ page, origin, ear }) => {
  await openSettings(page, origin);
  await press(page, mail(page), BEGIN);
  await sent(page).waitFor();
  await page.keyboard.type(await newestCode(page, origin));
  await saveCodes(page);
  await press(page, card(page, "Backup codes"), "Make new ones");
  await card(page, "Backup codes").getByRole("button", { name: "Send me a code" }).waitFor();
  assert.equal(await card(page, "Backup codes").getByRole("button", { name: "Backup code", exact: true }).count(), 0);
});
