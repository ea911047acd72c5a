import assert from "node:assert/strict";

import { addKey, setUpApp, tokenOf } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { fitsNarrowly } from "./support/narrow.js";
import { startWithProvider } from "./support/provider.js";
import { card, enter, isFocused, openSettings, press, secretOn, tabTo } from "./support/settings.js";
import { openPrompt, outcomeOf } from "./support/sign-in.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";
import { LANGUAGES, wordsOf } from "./support/words.js";

const COOKIE = "mfad_language";

const switcher = (page, say) => page.getByRole("group", { name: say("language"), exact: true });
const choice = (page, name) => page.locator("#languages").getByRole("button", { name, exact: true });

/** Chooses as the keyboard does, on the page that `say` is the language of. */
async function choose(page, say, name) {
  await switcher(page, say).waitFor();
  await tabTo(page, choice(page, name));
  await page.keyboard.press("Enter");
}

/** Alice has a key already. */
async function withKey(page, origin) {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "Blue");
}

for (const [language, locale] of Object.entries(LANGUAGES)) {
  const say = wordsOf(language);

  story(`a browser that asks for ${locale} gets the pages in ${language} with the first answer, and no other words`, async ({ page, context, origin }) => {
    const loaded = [];
    page.on("request", (request) => { if (/\/words\//.test(request.url())) loaded.push(request.url().split("/").at(-1)); });
    for (const [path, kind, title, noscript] of [["/", "settings", "page.title", "page.noscript"], ["/prompt/", "prompt", "prompt.title", "prompt.noscript"]]) {
      loaded.length = 0;
      const response = await page.goto(origin + path);
      const headers = response.headers();
      assert.equal(headers["content-language"], language);
      assert.equal(headers.vary, "accept-encoding, accept-language, cookie");
      const html = await response.text();
      for (const part of [`<html lang="${language}" data-page="${kind}">`, `<title>${say(title)} · mfad demo</title>`, `>${say(noscript)}</p></noscript>`, `/js/words/${kind}/${language}.js">`]) {
        assert.ok(html.includes(part), part);
      }
      await switcher(page, say).waitFor();
      assert.equal(await page.evaluate(() => document.documentElement.lang), language);
      assert.deepEqual(loaded, [`${language}.js`], path);
      assert.deepEqual(await page.locator("#languages [aria-current]").evaluateAll((all) => all.map(({ lang }) => lang)), [language]);
    }
    await page.getByRole("heading", { name: say("prompt.no_token") }).waitFor();
    assert.deepEqual(await context.cookies(), [], "nothing is kept of somebody who has chosen nothing");
    await page.goto(origin);
    await page.getByRole("heading", { name: say("session.title") }).waitFor();

    const without = await context.browser().newContext({ javaScriptEnabled: false, locale });
    try {
      const plain = await without.newPage();
      await plain.goto(`${origin}/`);
      assert.equal(await plain.locator("noscript").innerText(), say("page.noscript"));
      assert.equal(await plain.locator("#languages").isVisible(), false);
      await plain.goto(`${origin}/prompt/`);
      assert.equal(await plain.locator("noscript").innerText(), say("prompt.noscript"));
    } finally {
      await without.close();
    }
  }, { locale });

  story(`somebody who reads ${language} signs in, sets up an app, and reads times and refusals as they are written there`, async ({ page, origin, ear }) => {
    ear.expects(400);
    await openSettings(page, origin, say);
    await page.getByRole("heading", { level: 1, name: say("safety.none") }).waitFor();
    const app = card(page, say("totp.title"));
    await press(page, app, say("totp.add.heading"));
    const secret = await secretOn(page);
    await page.keyboard.press("Tab");
    await app.getByRole("textbox").fill(wrongTotp(secret));
    await app.getByText(say("problem.wrong_code")).waitFor();
    await app.getByRole("textbox").fill(totp(secret));
    await page.getByText(say("codes.save.why")).waitFor();
    await enter(page, page.getByRole("button", { name: say("codes.saved") }));
    await app.getByText(say("totp.added")).waitFor();
    await page.getByText(say("did.totp.confirm"), { exact: true }).waitFor();
    await page.getByText(say("codes.left", { remaining: 10, total: 10 })).waitFor();
    const allowed = ["totp", "email", "webauthn"].map((kind) => say(`kind.${kind}`));
    await page.getByText(say("policy.allowed", { list: new Intl.ListFormat(locale).format(allowed) })).waitFor();
    await page.getByText(say("policy.trusted", { count: 30 })).waitFor();
    const whole = await app.locator("time").first().getAttribute("title");
    const year = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short", timeZone: "UTC" });
    const iso = await app.locator("time").first().getAttribute("datetime");
    assert.equal(whole, year.format(new Date(iso)));
  }, { locale });
}

story("a browser that asks for none of ours gets the language of the settings", async ({ page, origin }) => {
  const response = await page.goto(origin);
  assert.equal(response.headers()["content-language"], "fr");
  await page.getByRole("heading", { name: wordsOf("fr")("session.title") }).waitFor();
}, { locale: "pt-BR", start: () => startWithProvider("--language", "fr") });

story("another language is chosen by the keyboard, and what somebody was typing is still there", async ({ page, context, origin }) => {
  const [english, german] = [wordsOf("en"), wordsOf("de")];
  await withKey(page, origin);
  await openSettings(page, origin, english);
  await press(page, card(page, english("keys.title")), english("keys.rename.heading", { name: "Blue" }));
  await page.getByRole("textbox").fill("Blau & grün");
  await choose(page, english, "Deutsch");
  await page.getByRole("heading", { name: german("keys.rename.heading", { name: "Blue" }) }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
  assert.equal(await page.title(), `${german("page.title")} · mfad demo`);
  assert.equal(await page.getByRole("textbox").inputValue(), "Blau & grün");
  assert.equal(await isFocused(page.getByRole("textbox")), true);
  const cookie = (await context.cookies()).find(({ name }) => name === COOKIE);
  const { value, path, sameSite, httpOnly } = cookie;
  assert.deepEqual({ value, path, sameSite, httpOnly }, { value: "de", path: "/", sameSite: "Lax", httpOnly: false });
  const days = (cookie.expires - Date.now() / 1000) / 86_400;
  assert.ok(days > 364 && days < 366, `${days} days`);
  assert.deepEqual(await page.evaluate(() => ({ ...sessionStorage })), {});

  // Without a step, the focus stays with the choice.
  await press(page, card(page, german("keys.title")), german("step.cancel"));
  await choose(page, german, "Français");
  await page.getByRole("heading", { name: wordsOf("fr")("safety.on") }).waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-current") === "true");
  await page.goto(`${origin}/prompt/`);
  await page.getByRole("heading", { name: wordsOf("fr")("prompt.no_token") }).waitFor();
});

story("backup codes that are shown only once are not thrown away for another language", async ({ page, origin }) => {
  const say = wordsOf("en");
  await openSettings(page, origin, say);
  const app = card(page, say("totp.title"));
  await press(page, app, say("totp.add.heading"));
  await app.getByRole("textbox").fill(totp(await secretOn(page)));
  const heading = page.getByRole("heading", { name: say("codes.save.heading") });
  await heading.waitFor();
  const shown = await page.locator(".codes li").allInnerTexts();
  await choose(page, say, "Español");
  await page.getByText(say("codes.first")).waitFor({ state: "attached" });
  assert.equal(await isFocused(heading), true);
  assert.deepEqual(await page.locator(".codes li").allInnerTexts(), shown);
  await enter(page, page.getByRole("button", { name: say("codes.saved") }));
  await app.getByText(say("totp.added")).waitFor();
  await choose(page, say, "Español");
  await page.getByRole("heading", { name: wordsOf("es")("safety.on") }).waitFor();
});

story("a token that was pasted is asked for again, as the page says beforehand, and the step goes on", async ({ page, origin }) => {
  const [english, dutch] = [wordsOf("en"), wordsOf("nl")];
  await page.route("**/auth/session", (route) => route.fulfill({ json: { signed_in: false, sign_in_url: null } }));
  await withKey(page, origin);
  const token = await tokenOf(page, origin);
  const paste = async (say) => {
    await page.getByLabel(say("token.label")).fill(token);
    await enter(page, page.getByRole("button", { name: say("token.act") }));
  };
  await page.goto(origin);
  await paste(english);
  await page.getByText(english("language.token")).waitFor();
  await press(page, card(page, english("keys.title")), english("keys.rename.heading", { name: "Blue" }));
  await page.getByRole("textbox").fill("Rood");
  await choose(page, english, "Nederlands");
  await paste(dutch);
  await page.getByRole("heading", { name: dutch("keys.rename.heading", { name: "Blue" }) }).waitFor();
  assert.equal(await page.getByRole("textbox").inputValue(), "Rood");
  assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage })), /eyJ/);
});

story("in the middle of a sign-in another language is chosen, and the sign-in goes on as it was", async ({ page, origin }) => {
  const [english, spanish] = [wordsOf("en"), wordsOf("es")];
  await page.goto(`${origin}/demo`);
  const { backupCodes: [code] } = await setUpApp(page);
  const challenge = await openPrompt(page, origin, { remember: true });
  await page.getByLabel(english("prompt.remember", { count: 30 })).check();
  await enter(page, page.getByRole("button", { name: english("prompt.another_way") }));
  await enter(page, page.getByRole("button", { name: english("prompt.backup_code") }));
  await page.getByRole("heading", { name: english("prompt.backup_code") }).waitFor();
  await choose(page, english, "Español");
  await page.getByRole("heading", { name: spanish("prompt.backup_code") }).waitFor();
  assert.equal(page.url(), challenge.prompt_url);
  assert.equal(await page.getByLabel(spanish("prompt.remember", { count: 30 })).isChecked(), true);
  assert.equal(await isFocused(page.getByRole("textbox")), true);
  await page.keyboard.type(code);
  await page.keyboard.press("Enter");
  const outcome = await outcomeOf(page, challenge);
  assert.deepEqual([outcome.status, outcome.method], ["verified", "backup_code"]);
});

// The longest words on the narrowest screen; tests/browser/sweep has the other languages and widths.
fitsNarrowly("de", 320);

story("the choice can be seen and made in forced colours", async ({ page, origin }) => {
  const say = wordsOf("en");
  await page.emulateMedia({ forcedColors: "active" });
  await openSettings(page, origin, say);
  await choose(page, say, "Nederlands");
  await page.getByRole("heading", { name: wordsOf("nl")("safety.none") }).waitFor();
  await picture(page, "look languages forced colours", { fullPage: true });
});
