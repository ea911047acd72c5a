// The pages in the longest words on the narrowest screens: stories that are the same for each language and width.

import { addKey, setUpApp } from "./account.js";
import { usbPorts } from "./authenticator.js";
import { fits, isAccessible } from "./looks.js";
import { card, enter, newestCode, openSettings, press, secretOn } from "./settings.js";
import { openPrompt } from "./sign-in.js";
import { picture, story } from "./story.js";
import { totp } from "./totp.js";
import { LANGUAGES, wordsOf } from "./words.js";

/** Both pages in one language, in a window of that many pixels. */
export function fitsNarrowly(language, width) {
  const say = wordsOf(language);
  const eyes = { locale: LANGUAGES[language], viewport: { width, height: 740 } };
  const look = (page) => async (what) => {
    await fits(page, what);
    await isAccessible(page, what);
    await picture(page, `look ${language} ${what} ${width} pixels wide`, { fullPage: true });
  };

  story(`the settings page fits in ${language}, ${width} pixels wide`, async ({ page, origin, ear }) => {
    const at = look(page);
    ear.expects(400);
    const [app, mail, keys, codes] = ["totp.title", "email.title", "keys.title", "codes.title"].map((key) => card(page, say(key)));
    await page.goto(origin);
    await page.getByRole("link", { name: say("session.sign_in"), exact: true }).waitFor();
    await at("signed out");
    await openSettings(page, origin, say);
    await page.getByText(say("activity.none")).waitFor();
    await at("with nothing");
    await press(page, app, say("totp.add.heading"));
    const secret = await secretOn(page);
    await at("setting up an app");
    await app.getByRole("textbox").fill(totp(secret));
    await page.getByText(say("codes.save.why")).waitFor();
    await at("with backup codes");
    await enter(page, page.getByRole("button", { name: say("codes.saved") }));
    await app.getByText(say("totp.added")).waitFor();
    await press(page, mail, say("email.add.heading"));
    await mail.getByRole("textbox").waitFor();
    await mail.getByText(say("email.missing"), { exact: true }).click();
    await at("waiting for a mail");
    await mail.getByRole("textbox").fill(await newestCode(page, origin));
    await mail.getByText(say("email.added")).waitFor();
    await page.goto(`${origin}/demo`);
    await (await usbPorts(page)).plugIn();
    await addKey(page, "Blue & green, the one that I keep at home for a rainy day");
    await openSettings(page, origin, say);
    await page.getByRole("heading", { name: say("safety.good") }).waitFor();
    await at("with everything");
    await press(page, app, say("totp.remove.heading"));
    await at("turning off the app");
    await press(page, app, say("step.cancel"));
    await press(page, app, say("totp.replace.heading"));
    await press(page, app, say("prove.backup_code"));
    await app.getByRole("textbox").fill("AAAA-BBBB-CCCC-DDDD");
    await page.keyboard.press("Enter");
    await app.getByText(say("problem.wrong_code")).waitFor();
    await at("after a wrong code");
    await press(page, app, say("step.cancel"));
    await press(page, codes, say("codes.renew"));
    await at("making new codes");
    await press(page, codes, say("step.cancel"));
    const name = "Blue & green, the one that I keep at home for a rainy day";
    await press(page, keys, say("keys.remove.heading", { name }));
    await at("removing a key");
  }, eyes);

  story(`the page in the middle of a sign-in fits in ${language}, ${width} pixels wide`, async ({ page, origin, ear }) => {
    const at = look(page);
    ear.expects(400);
    await page.goto(`${origin}/demo`);
    await setUpApp(page);
    await (await usbPorts(page)).plugIn();
    await addKey(page, "Blue");
    await openPrompt(page, origin, { remember: true });
    await page.getByRole("heading", { name: say("prompt.webauthn") }).waitFor();
    await at("asked for a key");
    await enter(page, page.getByRole("button", { name: say("prompt.another_way") }));
    await at("asked for another way");
    await enter(page, page.getByRole("button", { name: say("prompt.totp") }));
    await page.getByRole("textbox").fill("000000");
    await page.getByText(say("problem.wrong_code")).waitFor();
    await at("asked again after a wrong code");
    await page.goto(`${origin}/auth/callback`);
    await page.getByRole("heading", { name: say("sign_in.failed") }).waitFor();
    await page.getByText(say("sign_in.over")).waitFor();
    await at("a dead end");
  }, eyes);
}
