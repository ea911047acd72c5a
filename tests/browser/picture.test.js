import assert from "node:assert/strict";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { usbPorts } from "./support/authenticator.js";
import { picture, story } from "./support/story.js";
import { totp } from "./support/totp.js";

const README = fileURLToPath(new URL("../../packaging/images/", import.meta.url));
const MOST_BYTES = 150_000;

story("the demo page makes a good picture of a person with an app, a key and mail", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await page.getByRole("button", { name: "Add a key" }).click();
  await page.getByRole("button", { name: "I have saved them" }).click();
  const email = page.getByRole("article", { name: "Email" });
  await email.getByRole("button", { name: "Set up" }).click();
  await page.getByText(/Protected by .*email/).waitFor();
  const app = page.getByRole("article", { name: "Authenticator app" });
  await app.getByRole("button", { name: "Set up" }).click();
  const secret = (await page.locator(".secret").innerText()).replaceAll(" ", "");
  await app.getByRole("textbox").fill(totp(secret));
  await page.getByText(/Protected by .*authenticator app/).waitFor();
  await page.getByRole("heading", { name: "New authenticator app" }).waitFor();
  // Nothing has the focus, and the newest mail is folded like the others.
  for (const mail of await page.locator(".mail details[open] summary").all()) await mail.click();
  await page.evaluate(() => document.activeElement.blur());
  await page.evaluate(() => scrollTo(0, 0));
  const shot = await picture(page, "the README's");
  assert.ok(shot.length < MOST_BYTES, `${shot.length} bytes`);
  if (process.env.MFAD_PICTURE === "1") {
    await mkdir(README, { recursive: true });
    await writeFile(`${README}demo.png`, shot);
    assert.equal((await stat(`${README}demo.png`)).size, shot.length);
  }
}, { viewport: { width: 1120, height: 930 } });
