import { addKey, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { app, codes, keys, mail, openSettings, press, saveCodes, secretOn } from "./support/settings.js";
import { picture, story } from "./support/story.js";
import { totp, wrongTotp } from "./support/totp.js";

for (const { name, ...eyes } of [...EYES, { name: "light, 320 pixels wide", colorScheme: "light", viewport: { width: 320, height: 640 } }]) {
  const look = (page) => async (what) => {
    await fits(page, what);
    await isAccessible(page, what);
    await picture(page, `look settings ${what} ${name}`, { fullPage: true });
  };

  story(`the settings page fits and is accessible from nothing to an app and its codes: ${name}`, async ({ page, origin, ear }) => {
    const at = look(page);
    ear.expects(400);
    await page.goto(`${origin}/`);
    await page.getByRole("link", { name: "Sign in" }).waitFor();
    await at("signed out");
    await openSettings(page, origin);
    await page.getByText("Nothing has happened yet.").waitFor();
    await at("with nothing");
    await press(page, app(page), "Set up an authenticator app");
    const secret = await secretOn(page);
    await at("setting up an app");
    await app(page).getByRole("textbox").fill(wrongTotp(secret));
    await app(page).getByText("That code is not right.").waitFor();
    await at("after a wrong code");
    await app(page).getByRole("textbox").fill(totp(secret));
    await page.getByText("They are shown only now.").waitFor();
    await at("with backup codes");
    await saveCodes(page);
    await app(page).getByText("Your authenticator app is set up.").waitFor();
    await at("with an app");
    await press(page, app(page), "Replace your authenticator app");
    await at("replacing the app");
    await press(page, app(page), "Cancel");
    await press(page, app(page), "Turn off your authenticator app");
    await at("turning off the app");
    await press(page, app(page), "Backup code");
    await at("turning off the app by a backup code");
    await press(page, app(page), "Cancel");
    await press(page, codes(page), "Make new ones");
    await at("making new codes");
  }, eyes);

  story(`the settings page fits and is accessible with keys and mail: ${name}`, async ({ page, origin }) => {
    const at = look(page);
    await page.goto(`${origin}/demo`);
    await openSettings(page, origin);
    await press(page, mail(page), "Set up codes by mail");
    await page.getByText("A mail was sent to").waitFor();
    await page.getByText("The mail does not arrive?").click();
    await at("waiting for a mail");
    await press(page, mail(page), "Cancel");
    const ports = await usbPorts(page);
    const key = await ports.plugIn();
    await press(page, keys(page), "Add a security key or passkey");
    await at("naming a key");
    await key.leaveAlone();
    await page.keyboard.press("Enter");
    await page.getByText("Your browser asks for the key now.").waitFor();
    await at("waiting for a key");
    await press(page, keys(page), "Cancel");
    await page.goto(`${origin}/demo`);
    await key.touch();
    await addKey(page, "A name as long as a name may be, for a key of which one has many");
    await key.leaveAlone();
    await ports.plugIn({ pin: true, transport: "internal" });
    await addKey(page, "x".repeat(64));
    await setUpApp(page);
    await openSettings(page, origin);
    await at("with everything");
    await press(page, keys(page), `Rename “${"x".repeat(64)}”`);
    await at("renaming a key");
    await press(page, keys(page), "Cancel");
    await press(page, keys(page), `Remove “${"x".repeat(64)}”`);
    await at("removing a key");
    await press(page, keys(page), "Cancel");
    await press(page, app(page), "Turn off your authenticator app");
    await at("proving by key");
  }, eyes);
}
