import assert from "node:assert/strict";

import { must, overview } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { isAccessible } from "./support/looks.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";

const BACKUP_CODE = /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/i;
const app = (page) => page.getByRole("article", { name: "Authenticator app" });
const backup = (page) => page.getByRole("article", { name: "Backup codes" });
const secretOn = (page) => page.locator(".secret").innerText().then((text) => text.replaceAll(" ", ""));

async function open(page, origin) {
  await page.goto(`${origin}/demo`);
  await page.getByText("Only a password protects this account").waitFor();
}

story("Alice sets up an app by clicking, sees ten backup codes once, and turns it off", async ({ page, origin }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const secret = await secretOn(page);
  assert.match(secret, /^[A-Z2-7]{32}$/);
  assert.match(await page.getByAltText("QR code for the authenticator app").getAttribute("src"), /^data:image\/png;base64,/);
  await app(page).getByLabel("The six digits that the app shows").pressSequentially(totp(secret));
  await page.getByText("Protected by an authenticator app").waitFor();

  const codes = await backup(page).locator(".codes li").allInnerTexts();
  assert.equal(new Set(codes).size, 10);
  codes.forEach((code) => assert.match(code, BACKUP_CODE));
  await backup(page).getByRole("button", { name: "I have saved them" }).click();
  await backup(page).getByText("10 of 10 left.").waitFor();
  await page.reload();
  await backup(page).getByText("10 of 10 left.").waitFor();
  const shown = await page.content();
  assert.ok(codes.every((code) => !shown.includes(code)), "what was shown once is not shown again");
  assert.ok(!shown.includes(secret));

  await app(page).getByRole("button", { name: "Turn off" }).click();
  await app(page).getByRole("textbox").fill(codes[3]);
  await app(page).getByRole("button", { name: "Turn off" }).click();
  await page.getByText("Only a password protects this account").waitFor();
  assert.equal((await overview(page)).enabled, false);
});

story("a wrong code is said in words, at its box, and the next one replaces it", async ({ page, origin, ear }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const secret = await secretOn(page);
  const box = app(page).getByRole("textbox");
  ear.expects(400);
  await box.pressSequentially(wrongTotp(secret));
  await app(page).getByRole("alert").getByText("That code is not right.").waitFor();
  assert.equal(await box.evaluate((input) => document.activeElement === input), true);
  assert.equal(await box.evaluate((input) => document.querySelector(`#${input.getAttribute("aria-describedby")}`).textContent),
    "That code is not right.");
  await page.keyboard.type(totp(secret));
  await page.getByText("Protected by an authenticator app").waitFor();
});

story("a code typed with a space in it is taken", async ({ page, origin }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const code = totp(await secretOn(page));
  await app(page).getByRole("textbox").fill(`${code.slice(0, 3)} ${code.slice(3)}`);
  await page.getByText("Protected by an authenticator app").waitFor();
});

story("the page's own phone shows the codes that any app would", async ({ page, origin }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const secret = await secretOn(page);
  const digits = app(page).locator(".digits");
  await digits.getByText(/\d{3} \d{3}/).waitFor();
  const near = [-1, 0, 1].map((steps) => totp(secret, { steps }));
  assert.ok(near.includes((await digits.innerText()).replace(" ", "")));
  await app(page).getByRole("button", { name: "Type it" }).click();
  await page.getByText("Protected by an authenticator app").waitFor();
});

story("an app is set up and turned off by keyboard alone", async ({ page, origin }) => {
  await open(page, origin);
  const tabTo = async (target) => {
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press("Tab");
      if (await target.evaluate((element) => element === document.activeElement)) {
        const outline = await target.evaluate((element) => getComputedStyle(element).outlineStyle);
        assert.notEqual(outline, "none", "the focus is seen");
        return;
      }
    }
    assert.fail(`forty tabs do not reach ${target}`);
  };
  await tabTo(app(page).getByRole("button", { name: "Set up" }));
  await page.keyboard.press("Enter");
  const box = app(page).getByRole("textbox");
  await box.waitFor();
  assert.equal(await box.evaluate((input) => input === document.activeElement), true, "the box has the focus");
  const secret = await secretOn(page);
  await page.keyboard.type(totp(secret));
  const saved = backup(page).getByRole("button", { name: "I have saved them" });
  await saved.waitFor();
  assert.equal(await saved.evaluate((button) => button === document.activeElement), true, "the codes have the focus");
  await page.keyboard.press("Enter");
  await tabTo(app(page).getByRole("button", { name: "Turn off" }));
  await page.keyboard.press("Enter");
  await page.keyboard.type(totp(secret, { steps: 1 }));
  await page.keyboard.press("Enter");
  await page.getByText("Only a password protects this account").waitFor();
});

story("new backup codes take the place of the old ones", async ({ page, origin, ear }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const secret = await secretOn(page);
  await app(page).getByRole("textbox").fill(totp(secret));
  await backup(page).getByText("Shown once:").waitFor();
  const old = await backup(page).locator(".codes li").allInnerTexts();
  await backup(page).getByRole("button", { name: "I have saved them" }).click();
  await backup(page).getByRole("button", { name: "Make new ones" }).click();
  await backup(page).getByRole("textbox").fill(totp(secret, { steps: 1 }));
  await page.keyboard.press("Enter");
  await backup(page).getByText("Shown once:").waitFor();
  const fresh = await backup(page).locator(".codes li").allInnerTexts();
  assert.equal(new Set([...old, ...fresh]).size, 20);
  await backup(page).getByRole("button", { name: "I have saved them" }).click();

  await app(page).getByRole("button", { name: "Turn off" }).click();
  ear.expects(400);
  await app(page).getByRole("textbox").fill(old[0]);
  await page.keyboard.press("Enter");
  await app(page).getByText("That code is not right.").waitFor();
  await must(page, "POST", "/me/mfa/totp/disable", { code: fresh[0] });
});

story("who has an app proves it before a key is added, and before it is removed", async ({ page, origin, ear }) => {
  await open(page, origin);
  await app(page).getByRole("button", { name: "Set up" }).click();
  const secret = await secretOn(page);
  await app(page).getByRole("textbox").pressSequentially(totp(secret));
  await backup(page).getByText("Shown once:").waitFor();
  const codes = await backup(page).locator(".codes li").allInnerTexts();
  await backup(page).getByRole("button", { name: "I have saved them" }).click();

  await (await usbPorts(page)).plugIn();
  ear.expects(400, 401);
  const keys = page.getByRole("article", { name: "Security keys" });
  await keys.getByRole("button", { name: "Add a key" }).click();
  await keys.getByText("Confirm first that it is you.").waitFor();
  await isAccessible(page, "a proof on the demo's page");
  await picture(page, "demo proof", { fullPage: true });
  await keys.getByRole("textbox").fill("nonsense");
  await keys.getByRole("button", { name: "Confirm" }).click();
  await keys.getByRole("alert").getByText("That code is not right.").waitFor();
  assert.equal((await overview(page)).devices.length, 1);
  await keys.getByRole("textbox").fill(codes[0]);
  await keys.getByRole("button", { name: "Confirm" }).click();
  await keys.getByText("Key 1").waitFor();

  await keys.getByRole("button", { name: "Remove Key 1" }).click();
  await keys.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await overview(page)).devices.length, 2);
  await keys.getByRole("button", { name: "Remove Key 1" }).click();
  await keys.getByRole("textbox").fill(codes[1]);
  await keys.getByRole("button", { name: "Confirm" }).click();
  await keys.getByText("Key 1").waitFor({ state: "detached" });
  assert.equal((await overview(page)).devices.length, 1);
});
