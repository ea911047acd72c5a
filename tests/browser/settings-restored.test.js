// What somebody sees whose backup codes became void when the service was restored from a backup.

import assert from "node:assert/strict";

import { fits, isAccessible } from "./support/looks.js";
import { app, codes, openSettings } from "./support/settings.js";
import { PHONE, picture, story } from "./support/story.js";
import { startRestored } from "./support/restored.js";

story("void backup codes are said where they are shown, in the history and by mail", async ({ page, origin }) => {
  await openSettings(page, origin);
  await app(page).getByText("On", { exact: true }).waitFor();
  await codes(page).getByText("No longer good").waitFor();
  await codes(page).getByText("nobody can tell which of your codes were used since it was made").waitFor();
  const summary = page.locator(".summary");
  await summary.getByText("Your backup codes no longer work: the service was restored from a backup.").waitFor();
  await summary.getByRole("button", { name: "Make new codes" }).waitFor();
  const activity = page.getByRole("region", { name: "Recent activity" });
  await activity.getByText("Backup codes no longer good, since the service was restored from a backup").waitFor();
  await fits(page, "void codes");
  await isAccessible(page, "void codes");
  await picture(page, "look settings restored", { fullPage: true });
  await page.setViewportSize(PHONE);
  await fits(page, "void codes on a phone");
  await picture(page, "look settings restored phone", { fullPage: true });

  await page.goto(`${origin}/demo`);
  const mails = page.getByRole("heading", { name: /^Your backup codes for .* no longer work$/ });
  await mails.first().waitFor();
  assert.equal(await mails.count(), 1, "one mail");
}, { start: startRestored });
