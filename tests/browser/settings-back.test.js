// The browser's Back and Forward buttons, and loading anew.

import assert from "node:assert/strict";

import { addKey, proofByKey, proveInSession, overview } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { app, codes, isFocused, keys, mail, openSettings, press, saveCodes, secretOn } from "./support/settings.js";
import { story } from "./support/story.js";
import { totp } from "./support/totp.js";

const SET_UP = "Set up an authenticator app";
const opener = (page) => app(page).getByRole("button", { name: SET_UP });
const step = (page) => page.locator(".step");
const clean = (page, origin) => page.evaluate(() => ({ url: location.href, state: history.state }))
  .then((here) => assert.deepEqual(here, { url: `${origin}/`, state: null }));

story("Back closes the open step, and the next time it leaves", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await openSettings(page, origin);
  await press(page, app(page), SET_UP);
  const secret = await secretOn(page);
  assert.deepEqual(await page.evaluate(() => history.state), { step: { name: "totp.add", device_id: null } });
  assert.equal(page.url(), `${origin}/`, "nothing of it is in the address");
  await page.goBack();
  await step(page).waitFor({ state: "detached" });
  assert.ok(await isFocused(opener(page)));
  assert.ok(!(await page.content()).includes(secret));
  await clean(page, origin);

  // Forward leads into it again, as if it had been opened anew.
  await page.goForward();
  await app(page).getByRole("textbox").waitFor();
  assert.ok(await isFocused(page.getByRole("heading", { name: SET_UP })));
  await page.goBack();
  await step(page).waitFor({ state: "detached" });
  await page.goBack();
  await page.waitForFunction((origin) => location.href !== `${origin}/`, origin);
});

story("a step that ends by itself, by Cancel or in favour of another leaves no place behind", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await openSettings(page, origin);
  const places = () => page.evaluate(() => history.length);
  await press(page, app(page), SET_UP);
  const most = await places();
  await press(page, app(page), "Cancel");
  await page.waitForFunction(() => history.state === null);
  await press(page, app(page), SET_UP);
  await app(page).getByRole("textbox").waitFor();
  await press(page, mail(page), "Set up codes by mail");
  await mail(page).getByText("A mail was sent").first().waitFor();
  assert.equal(await step(page).count(), 1);
  // The next one is opened before the browser is back from the last.
  await page.evaluate((name) => {
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true }));
    document.querySelector(`[aria-label="${name}"]`).click();
  }, SET_UP);
  await app(page).getByRole("textbox").waitFor();
  await page.waitForFunction(() => history.state?.step.name === "totp.add");
  assert.equal(await step(page).count(), 1);
  await page.goBack();
  await step(page).waitFor({ state: "detached" });
  assert.equal(await places(), most);
  await press(page, app(page), SET_UP);
  await app(page).getByRole("textbox").fill(totp(await secretOn(page)));
  await saveCodes(page);
  await app(page).getByText("Your authenticator app is set up.").waitFor();
  await page.waitForFunction(() => history.state === null);
  assert.equal(await places(), most);
});

story("Back stays while backup codes are on the screen, and says why", async ({ page, origin }) => {
  await openSettings(page, origin);
  await press(page, app(page), SET_UP);
  await app(page).getByRole("textbox").fill(totp(await secretOn(page)));
  const heading = page.getByRole("heading", { name: "Save your backup codes" });
  await heading.waitFor();
  const shown = await page.locator(".codes li").allInnerTexts();
  for (const leave of [() => page.goBack(), () => page.keyboard.press("Escape"), () => page.goBack()]) {
    await leave();
    await app(page).getByRole("alert").getByText("Save your backup codes first.").waitFor();
    assert.ok(await isFocused(heading));
    assert.deepEqual(await page.locator(".codes li").allInnerTexts(), shown);
  }
  assert.ok(!JSON.stringify(await page.evaluate(() => [history.state, location.href])).includes(shown[0]));
  await saveCodes(page);
  await app(page).getByText("Your authenticator app is set up.").waitFor();
  await page.waitForFunction(() => history.state === null);
  await codes(page).getByText("10 of 10 left").waitFor();
});

story("what is loaded anew shows no step, and Forward finds none for a key that is gone", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
  await openSettings(page, origin);
  await proveInSession(page, await proofByKey(page));
  await press(page, keys(page), "Rename “Blue”");
  assert.doesNotMatch(JSON.stringify(await page.evaluate(() => history.state)), /Blue/, "names stay on the page");
  await page.reload();
  await keys(page).getByText("1 added").waitFor();
  await page.waitForFunction(() => history.state === null);
  assert.equal(await step(page).count(), 0);
  await page.goForward();
  await keys(page).getByRole("group", { name: "Rename “Blue”" }).waitFor();
  await page.goBack();
  await step(page).waitFor({ state: "detached" });
  await press(page, keys(page), "Remove “Blue”");
  await press(page, keys(page), "Remove it");
  await keys(page).getByText("“Blue” is removed.").waitFor();
  await page.waitForFunction(() => history.state === null);
  await page.goForward();
  await page.waitForFunction(() => history.state === null);
  assert.equal(await step(page).count(), 0);
  assert.deepEqual((await overview(page)).devices, []);
});

story("a ceremony that Back leaves is given up", async ({ page, origin }) => {
  await openSettings(page, origin);
  const key = await (await usbPorts(page)).plugIn();
  await key.leaveAlone();
  await press(page, keys(page), "Add a security key or passkey");
  await keys(page).getByText("Your browser asks for the key now.").waitFor();
  const gone = page.waitForResponse((response) => response.request().method() === "DELETE");
  await page.goBack();
  assert.equal((await gone).status(), 200);
  assert.deepEqual((await overview(page)).devices, []);
});
