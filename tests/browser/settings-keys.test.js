import assert from "node:assert/strict";

import { addKey, keysOf, overview, proofByKey, proveInSession, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { story } from "./support/story.js";
import { codes, enter, isFocused, keys, openSettings, press, saveCodes } from "./support/settings.js";

const ADD = "Add a security key or passkey";
const selected = (page) => page.evaluate(() => {
  const { value, selectionStart, selectionEnd } = document.activeElement;
  return value.slice(selectionStart, selectionEnd);
});
const name = (page) => keys(page).getByRole("textbox", { name: "Name", exact: true });

async function withKeys(page, origin, ...names) {
  await page.goto(`${origin}/demo`);
  const ports = await usbPorts(page);
  let key = null;
  for (const one of names) {
    await key?.leaveAlone();
    key = await ports.plugIn();
    await addKey(page, one);
  }
  await openSettings(page, origin);
  await proveInSession(page, await proofByKey(page));
  return { ports, key };
}

story("a key is there before it is asked what to call it, and is called so if nobody says", async ({ page, origin }) => {
  const { key } = await withKeys(page, origin, "First");
  await page.getByText("if you lose this key, only backup codes are left").waitFor();
  await key.leaveAlone();
  const ports = await usbPorts(page);
  const inside = await ports.plugIn({ pin: true, transport: "internal" });
  await press(page, keys(page), ADD);
  await keys(page).getByText("The key is added. A name tells it from others later.").waitFor();
  assert.equal(await name(page).inputValue(), "Chrome on Linux");
  assert.ok(await isFocused(name(page)));
  assert.equal(await selected(page), "Chrome on Linux");
  assert.equal((await keysOf(page)).length, 2, "it is registered already");
  await press(page, keys(page), "Not now");
  await keys(page).getByText(/“.+” is added\./).waitFor();
  await keys(page).getByText("Built into a device").waitFor();
  await keys(page).getByText("2 added").waitFor();
  await page.getByRole("heading", { level: 1, name: "Your account is well protected" }).waitFor();
  await press(page, keys(page), "Remove “First”");
  await keys(page).getByText("You keep: 1 security key and 10 backup codes.").waitFor();
  await press(page, keys(page), "Cancel");

  // The next of the same kind bears another name, and whoever leaves in the middle loses nothing.
  await inside.leaveAlone();
  await ports.plugIn();
  await press(page, keys(page), ADD);
  await keys(page).getByText("The key is added.").waitFor();
  assert.equal(await name(page).inputValue(), "Security key 2", "the one before was not named");
  await page.reload();
  await keys(page).getByText("3 added").waitFor();
});

story("codes that came with a first key are shown, however its naming ends", async ({ page, origin }) => {
  await openSettings(page, origin);
  await (await usbPorts(page)).plugIn();
  const heading = page.getByRole("heading", { name: "Save your backup codes" });
  const ways = [
    () => page.keyboard.press("Escape"),
    () => press(page, keys(page), "Not now"),
    () => page.goBack(),
    () => press(page, page.getByRole("region", { name: "Email", exact: true }), "Set up codes by mail"),
  ];
  for (const leave of ways) {
    await press(page, keys(page), ADD);
    await keys(page).getByText("The key is added.").waitFor();
    await leave();
    await heading.waitFor();
    assert.ok(await isFocused(heading));
    assert.equal((await saveCodes(page)).length, 10);
    await keys(page).getByText("“Security key” is added.").waitFor();
    await press(page, keys(page), "Remove “Security key”");
    await press(page, keys(page), "Remove it");
    await keys(page).getByText("“Security key” is removed.").waitFor();
  }
});

story("a name that cannot be saved is not lost, and neither is the key", async ({ page, origin, ear }) => {
  const { key } = await withKeys(page, origin, "First");
  await key.leaveAlone();
  await (await usbPorts(page)).plugIn();
  await press(page, keys(page), ADD);
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.type(" ");
  await page.keyboard.press("Enter");
  await keys(page).getByRole("alert").getByText("Give it a name.").waitFor();
  await page.keyboard.type("The blue one");
  ear.expectsOffline();
  await page.context().setOffline(true);
  await page.keyboard.press("Enter");
  await keys(page).getByRole("alert").getByText("The server cannot be reached.").waitFor();
  assert.equal(await name(page).inputValue(), "The blue one");
  await page.context().setOffline(false);
  await page.keyboard.press("Enter");
  await keys(page).getByText("“The blue one” is added.").waitFor();
  assert.deepEqual((await keysOf(page)).map((one) => one.name).sort(), ["First", "The blue one"]);
});

story("a key proves who asks for new backup codes, and is said to be used", async ({ page, origin, ear }) => {
  await withKeys(page, origin, "Blue");
  await press(page, codes(page), "Make new ones");
  await enter(page, codes(page).getByRole("button", { name: "Use my key" }));
  await saveCodes(page);
  await keys(page).getByText("last used just now").waitFor();
});

story("the same key a second time is said, and nothing is left of the try", async ({ page, origin }) => {
  await withKeys(page, origin, "Blue");
  await press(page, keys(page), ADD);
  await keys(page).getByRole("alert").getByText("This key is already registered.").waitFor();
  assert.ok(await isFocused(keys(page).getByRole("button", { name: "Try again" })));
  assert.equal((await keysOf(page)).length, 1);
});

story("a key that is not touched is given up in words, by its time or by the person", async ({ page, origin }) => {
  await openSettings(page, origin);
  const key = await (await usbPorts(page)).plugIn();
  await key.leaveAlone();
  // Nobody waits for minutes here: the browser is asked to give up sooner.
  await page.route("**/webauthn/register/begin", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, publicKey: { ...answer.publicKey, timeout: 500 } } });
  }, { times: 1 });
  await press(page, keys(page), ADD);
  await keys(page).getByText("It was cancelled, or took too long.").waitFor({ timeout: 30_000 });
  assert.ok(await isFocused(keys(page).getByRole("button", { name: "Try again" })));
  await page.keyboard.press("Enter");
  await keys(page).getByText("Your browser asks for the key now.").waitFor();
  const gone = page.waitForResponse((response) => response.request().method() === "DELETE");
  await press(page, keys(page), "Cancel");
  assert.equal((await gone).status(), 200);
  assert.ok(await isFocused(keys(page).getByRole("button", { name: ADD })));
  assert.deepEqual((await overview(page)).devices, []);
  await key.touch();
  await press(page, keys(page), ADD);
  await keys(page).getByText("The key is added.").waitFor();
  await page.keyboard.press("Enter");
  await saveCodes(page);
});

story("whatever goes wrong with a key has a sentence", async ({ page, origin }) => {
  await openSettings(page, origin);
  const said = new Set();
  const names = ["NotAllowedError", "InvalidStateError", "SecurityError", "NotSupportedError", "ConstraintError", "NotReadableError",
    "UnknownError", "TimeoutError", "WhateverError"];
  for (const error of names) {
    await page.evaluate((error) => {
      navigator.credentials.create = () => Promise.reject(new DOMException("raw words of the browser", error));
    }, error);
    await enter(page, keys(page).getByRole("button", { name: said.size === 0 ? ADD : "Try again" }));
    const alert = keys(page).getByRole("alert").filter({ hasText: /\w/ });
    await page.waitForFunction((known) => {
      const text = document.querySelector(".step .error")?.textContent;
      return text && !known.includes(text);
    }, [...said]);
    said.add(await alert.innerText());
  }
  assert.equal(said.size, names.length);
  assert.ok([...said].every((words) => !/raw words|Error/.test(words)), [...said].join("\n"));
});

story("a browser without security keys is offered an app, and proves by other ways", async ({ page, origin, ear }) => {
  await page.addInitScript(() => { delete globalThis.PublicKeyCredential; });
  await openSettings(page, origin);
  await keys(page).getByText("This browser cannot use security keys here.").waitFor();
  assert.equal(await keys(page).getByRole("button").count(), 0);
  await page.locator(".summary").getByRole("button", { name: "Set up an app" }).waitFor();
});

story("synced passkeys, phones and models are told apart, and no name is markup", async ({ page, origin, ear }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, "<img src=x onerror=document.title='owned'>");
  await setUpApp(page);
  await page.route("**/api/v1/me/mfa", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const [key] = body.devices.filter(({ type }) => type === "webauthn");
    body.devices.push({ ...key, device_id: "mfa_b", name: "Cloud", backed_up: true }, { ...key, device_id: "mfa_c", name: "Pocket", transports: ["hybrid"] },
      { ...key, device_id: "mfa_d", name: "Stick", model: "YubiKey 5 NFC" });
    await route.fulfill({ response: answer, json: body });
  });
  await openSettings(page, origin);
  await keys(page).getByText("<img src=x onerror=document.title='owned'>", { exact: true }).waitFor();
  for (const words of ["Passkey, synced between your devices", "On a phone", "Security key · YubiKey 5 NFC"]) await keys(page).getByText(words).waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0);
  assert.equal(await page.title(), "Account security · mfad demo");
});
