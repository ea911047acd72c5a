import assert from "node:assert/strict";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { addKey, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { openSettings } from "./support/settings.js";
import { picture, story } from "./support/story.js";

const README = fileURLToPath(new URL("../../packaging/images/", import.meta.url));
const MOST_BYTES = 150_000;

story("the settings page makes a good picture of a person with keys and an app", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  const ports = await usbPorts(page);
  const blue = await ports.plugIn();
  await addKey(page, "Blue key on my key ring");
  await blue.leaveAlone();
  await ports.plugIn({ pin: true, transport: "internal" });
  await addKey(page, "This laptop");
  await setUpApp(page);
  await openSettings(page, origin);
  await page.getByText("Security key “This laptop” added").waitFor();
  await page.evaluate(() => document.activeElement.blur());
  const shot = await picture(page, "the README's");
  assert.ok(shot.length < MOST_BYTES, `${shot.length} bytes`);
  if (process.env.MFAD_PICTURE === "1") {
    await mkdir(README, { recursive: true });
    await writeFile(`${README}settings.png`, shot);
    assert.equal((await stat(`${README}settings.png`)).size, shot.length);
  }
}, { viewport: { width: 1000, height: 838 } });
