import assert from "node:assert/strict";

import { must, setUpApp } from "./support/account.js";
import { app, openSettings, press } from "./support/settings.js";
import { openPrompt, outcomeOf } from "./support/sign-in.js";
import { story } from "./support/story.js";
import { totp } from "./support/totp.js";

/** Longer than a time step, and than a phone that is fast makes it. */
const NEXT_CODE_MS = 65_000;
const isFocused = (locator) => locator.evaluate((element) => document.activeElement === element);

/** The box in `place` says that its code was used, and takes nothing until the next one appears; then it is empty. */
async function waitsForNextCode(place, said) {
  const box = place.getByRole("textbox");
  await place.getByRole("alert").getByText(said).waitFor();
  await place.getByRole("timer").getByText(/^The next one appears in \d:\d\d\.$/).waitFor();
  assert.equal(await box.isEditable(), false);
  assert.ok(await isFocused(box), "the focus stays where it was");
  await place.getByRole("status").getByText("There is a new code now.").waitFor({ timeout: NEXT_CODE_MS });
  assert.equal(await box.isEditable(), true);
  assert.equal(await box.inputValue(), "");
  assert.equal(await place.getByRole("alert").getByText(said).count(), 0);
  assert.ok(await isFocused(box));
}

story("on the demo, the code that has just set up the app costs nothing at the first sign-in", async ({ page, origin, ear }) => {
  ear.expects(400);
  await page.goto(`${origin}/demo`);
  const card = page.getByRole("article", { name: "Authenticator app" });
  await card.getByRole("button", { name: "Set up" }).click();
  const secret = (await card.locator(".secret").innerText()).replace(/\s/g, "");
  const code = totp(secret);
  await card.getByRole("textbox").fill(code);
  await page.getByRole("button", { name: "I have saved them" }).click();

  const panel = page.getByRole("region", { name: "Sign in with it" });
  await panel.getByRole("button", { name: "Start a sign-in" }).click();
  await panel.getByRole("button", { name: "Authenticator app" }).click();
  await panel.getByRole("textbox").fill(code);
  await waitsForNextCode(panel, "That code was already used.");
  await panel.getByText("What was asked and answered").click();
  const answer = await panel.locator("details pre").first().innerText();
  for (const part of ["→ 400", '"code": "code_used"', '"verified": false', '"retry_after": ']) assert.ok(answer.includes(part), `${part} in ${answer}`);
  assert.ok(!answer.includes("tries_left"), answer);
  await panel.getByRole("textbox").fill(totp(secret));
  await panel.getByText("A service may believe it.").waitFor();
}, { ms: 150_000 });

story("the hosted page and the settings page wait for the next code with whoever types a used one", async ({ page, origin, ear }) => {
  ear.expects(400);
  await page.goto(`${origin}/demo`);
  const { secret } = await setUpApp(page);
  const { backup_codes: [spare] } = await must(page, "POST", "/me/mfa/backup-codes/regenerate", { code: totp(secret, { steps: 1 }) });
  const challenge = await openPrompt(page, origin);
  const used = "That code was already used. Wait for the next one.";
  const content = page.locator("#content");
  const box = content.getByRole("textbox");
  await box.fill(totp(secret));
  await waitsForNextCode(content, used);
  await box.fill(totp(secret));
  assert.equal((await outcomeOf(page, challenge)).status, "verified");

  await openSettings(page, origin);
  await press(page, app(page), "Turn off your authenticator app");
  await app(page).getByRole("textbox").fill(totp(secret));
  await app(page).getByRole("alert").getByText(used).waitFor();
  assert.equal(await app(page).getByRole("textbox").isEditable(), false);
  // Another way is open meanwhile; of its codes none appears by itself.
  await must(page, "POST", "/me/mfa/totp/replace", { code: spare });
  await press(page, app(page), "Backup code");
  await app(page).getByRole("textbox").fill(spare);
  await page.keyboard.press("Enter");
  await app(page).getByRole("alert").getByText("That code was already used. Each one works once.").waitFor();
  assert.equal(await app(page).getByRole("textbox").isEditable(), true);
}, { ms: 150_000 });
