import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { overview } from "./support/account.js";
import { fits, isAccessible } from "./support/looks.js";
import { mailAbout, takeApart } from "./support/mail.js";
import { DESK, PHONE, picture, story } from "./support/story.js";

const card = (page) => page.getByRole("article", { name: "Email" });
const mailbox = (page) => page.getByRole("complementary", { name: "Mailbox" });

async function setUp(page, origin) {
  await page.goto(`${origin}/demo`);
  await card(page).getByRole("button", { name: "Set up" }).click();
  await page.getByText("Protected by email").waitFor();
  const codes = await page.locator(".codes li").allInnerTexts();
  await page.getByRole("button", { name: "I have saved them" }).click();
  return codes;
}

story("a mailed code arrives in the mailbox, is typed, and sets email up", async ({ page, origin }) => {
  await setUp(page, origin);
  const letter = mailbox(page).getByRole("article").filter({ hasText: "Your code for" });
  assert.match(await letter.locator("strong").innerText(), /^\d{6}$/);
  await letter.getByText("To alice@example.com").waitFor();
  const [device] = (await overview(page)).devices;
  assert.deepEqual([device.type, device.status], ["email", "active"]);
  assert.ok(!device.name.includes("alice@"), "the address is masked");
  await mailbox(page).getByRole("heading", { name: "New email codes on your" }).waitFor();
});

story("a mail can be read, saved as it came, and cleared away", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await mailbox(page).getByText("No mail yet.").waitFor();
  assert.equal(await mailbox(page).getByRole("button", { name: "Clear" }).isVisible(), false);
  await setUp(page, origin);
  const letter = mailbox(page).getByRole("article").filter({ hasText: "Your code for" });
  await letter.getByText("Read the mail").click();
  await letter.getByText("It works once").waitFor();
  const saving = page.waitForEvent("download");
  await letter.getByRole("link", { name: "Save as a file for a mail program" }).click();
  const saved = await saving;
  assert.match(saved.suggestedFilename(), /\.eml$/);
  const { head, text } = takeApart(await readFile(await saved.path()));
  assert.match(head, /^To: .*alice@example\.com/m);
  assert.match(text, /It works once/);
  await mailbox(page).getByRole("button", { name: "Clear" }).click();
  await mailbox(page).getByText("No mail yet.").waitFor();
  assert.equal(await mailbox(page).getByRole("button", { name: "Clear" }).isVisible(), false);
});

story("email is turned off by a backup code where no mail may leave yet", async ({ page, origin, ear }) => {
  const codes = await setUp(page, origin);
  ear.expects(429);
  await card(page).getByRole("button", { name: "Turn off" }).click();
  await card(page).getByRole("alert").filter({ hasText: "No mail left:" }).waitFor();
  await card(page).getByRole("textbox").fill(codes[0]);
  await card(page).getByRole("button", { name: "Turn off" }).click();
  await page.getByText("Only a password protects this account").waitFor();
});

story("a wrong code by mail is said in words", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  ear.expects(400);
  // The page types what arrives; here nothing does.
  await page.route("**/demo/api/mails", (route) => route.fulfill({ json: { mails: [] } }));
  await card(page).getByRole("button", { name: "Set up" }).click();
  await card(page).getByLabel(/mailed to a.*@example\.com/).waitFor();
  const { code } = await page.request.get(`${origin}/demo/api/mails`).then((answer) => answer.json()).then(({ mails }) => mails[0]);
  await card(page).getByRole("textbox").fill(code === "000000" ? "000001" : "000000");
  await card(page).getByText("That code is not right.").waitFor();
  await card(page).getByRole("textbox").fill(code);
  await page.getByText("Protected by email").waitFor();
});

story("mails read well as text and as HTML, in light and dark, wide and narrow", async ({ page, context, origin }) => {
  await setUp(page, origin);
  const reader = await context.newPage();
  for (const subject of ["Your code for", "New email codes on your"]) {
    const { text, html, code } = await mailAbout(page, subject);
    for (const part of [text, html]) {
      assert.ok(!/https?:|href=|src=|<script/i.test(part), "no links, no pictures, no scripts");
      if (code) assert.equal(part.split(code).length, 2, "the code stands there once");
      assert.ok(!/\{\{|\{%|undefined/.test(part));
    }
    assert.ok(text.split("\n").every((line) => line.length <= 78), text);
    assert.ok(!/\n{3,}|[ \t]+$/m.test(text.replace(/^-- $/m, "--")), `no gaps in the text:\n${text}`);
    await reader.setViewportSize(DESK);
    await reader.setContent(`<pre style="font-size: 14px"></pre>`);
    await reader.locator("pre").evaluate((pre, text) => { pre.textContent = text; }, text);
    await picture(reader, `mail ${subject} text`);
    for (const colorScheme of ["light", "dark"]) {
      for (const viewport of [DESK, PHONE]) {
        const what = `mail ${subject} ${colorScheme} ${viewport.width}`;
        await reader.emulateMedia({ colorScheme });
        await reader.setViewportSize(viewport);
        await reader.setContent(html);
        await fits(reader, what);
        await picture(reader, what);
        // A mail is read within a page that has the landmarks and headings.
        await isAccessible(reader, what, ["region", "landmark-one-main", "page-has-heading-one"]);
      }
    }
  }
});
