import assert from "node:assert/strict";

import {
  addKey, answerRegistration, answerVerification, ask, carryOut, fromOrigin, keysOf, must, overview, proofByKey, setUpApp,
} from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { story } from "./support/story.js";

const card = (page) => page.getByRole("article", { name: "Security keys" });
const press = (page, name) => card(page).getByRole("button", { name }).click();

async function open(page, origin) {
  await page.goto(`${origin}/demo`);
  await page.getByText("Only a password protects this account").waitFor();
  return usbPorts(page);
}

story("a security key is added, listed, renamed, proves its owner and is removed", async ({ page, origin, ear }) => {
  const ports = await open(page, origin);
  await ports.plugIn();
  await press(page, "Add a key");
  await page.getByRole("button", { name: "I have saved them" }).click();
  await card(page).getByText("Key 1").waitFor();
  const [key] = await keysOf(page);
  assert.equal(key.name, "Key 1");
  assert.equal(key.status, "active");
  assert.deepEqual(key.transports, ["usb"]);
  assert.equal(key.backed_up, false);
  assert.equal(key.last_used_at, null);

  const path = `/me/mfa/webauthn/${key.device_id}`;
  assert.equal((await must(page, "PATCH", path, { name: "The blue one" })).device.name, "The blue one");
  await page.getByRole("button", { name: "Refresh" }).click();
  await card(page).getByText("The blue one").waitFor();

  await setUpApp(page);
  const code = await proofByKey(page);
  assert.match(code, /^prf_/);
  assert.notEqual((await keysOf(page))[0].last_used_at, null);
  assert.deepEqual(await must(page, "POST", "/me/mfa/totp/disable", { code }), { enabled: false });
  await setUpApp(page);
  ear.expects(400, 401);
  assert.equal((await ask(page, "POST", "/me/mfa/totp/disable", { code })).body.code, "wrong_code");

  await press(page, "Remove The blue one");
  await card(page).getByText("Confirm first that it is you.").waitFor();
  await press(page, "Use a security key");
  await card(page).getByText("The blue one").waitFor({ state: "detached" });
  assert.deepEqual(await keysOf(page), []);
});

story("the same key cannot be added twice, and the page says so", async ({ page, origin, ear }) => {
  const ports = await open(page, origin);
  await ports.plugIn();
  await press(page, "Add a key");
  await page.getByRole("button", { name: "I have saved them" }).click();
  ear.expects(401);
  await press(page, "Add a key");
  await press(page, "Use a security key");
  await card(page).getByText("This key is already registered.").waitFor();
  assert.equal((await keysOf(page)).length, 1, "nothing is left of the second try");
});

story("two keys of one person both prove her", async ({ page, origin }) => {
  const ports = await open(page, origin);
  const first = await ports.plugIn();
  await addKey(page, "First");
  await first.leaveAlone();
  const second = await ports.plugIn();
  assert.equal((await addKey(page, "Second")).backup_codes, null);
  assert.deepEqual((await keysOf(page)).map((key) => key.name), ["First", "Second"]);

  for (const [one, other] of [[first, second], [second, first]]) {
    await one.touch();
    await other.leaveAlone();
    await setUpApp(page);
    await must(page, "POST", "/me/mfa/totp/disable", { code: await proofByKey(page) });
  }
  assert.ok((await keysOf(page)).every((key) => key.last_used_at !== null));
});

for (const [what, pin] of [["with a PIN", true], ["without a PIN", false]]) {
  story(`a key ${what} is added and proves its owner by a touch`, async ({ page, origin }) => {
    const ports = await open(page, origin);
    await ports.plugIn({ pin });
    const begun = await must(page, "POST", "/me/mfa/webauthn/register/begin");
    assert.equal(begun.publicKey.authenticatorSelection.userVerification, "discouraged");
    await addKey(page, "Mine");
    await setUpApp(page);
    await must(page, "POST", "/me/mfa/totp/disable", { code: await proofByKey(page) });
  });
}

story("a key that is built in is listed as such", async ({ page, origin }) => {
  const ports = await open(page, origin);
  await ports.plugIn({ pin: true, transport: "internal" });
  await addKey(page, "This computer");
  assert.deepEqual((await keysOf(page))[0].transports, ["internal"]);
  assert.match(await proofByKey(page), /^prf_/);
});

story("a ceremony that is cancelled leaves nothing", async ({ page, origin }) => {
  const ports = await open(page, origin);
  const key = await ports.plugIn();
  await key.leaveAlone();
  const begun = await must(page, "POST", "/me/mfa/webauthn/register/begin", { name: "Never" });
  assert.equal((await carryOut(page, "create", begun.publicKey, { abortMs: 300 })).error, "TimeoutError");
  assert.deepEqual(await key.credentials(), []);
  const { enabled, devices } = await overview(page);
  assert.equal(enabled, false);
  assert.deepEqual(devices.map((device) => device.status), ["pending"]);
  await must(page, "DELETE", `/me/mfa/webauthn/${begun.device_id}`);
  assert.deepEqual((await overview(page)).devices, []);
});

story("a key that nobody touches is given up in words, and leaves nothing", async ({ page, origin }) => {
  const ports = await open(page, origin);
  await (await ports.plugIn()).leaveAlone();
  // The server gives five minutes; this story has half a second.
  await page.route("**/webauthn/register/begin", async (route) => {
    const answer = await (await route.fetch()).json();
    await route.fulfill({ json: { ...answer, publicKey: { ...answer.publicKey, timeout: 500 } } });
  });
  await press(page, "Add a key");
  await card(page).getByText("It was cancelled, or took too long.").waitFor({ timeout: 30_000 });
  assert.deepEqual((await overview(page)).devices, []);
});

story("a registration answer is good for one use", async ({ page, origin, ear }) => {
  const ports = await open(page, origin);
  await ports.plugIn();
  const answer = await answerRegistration(page, "Once");
  await must(page, "POST", "/me/mfa/webauthn/register/complete", answer);
  ear.expects(404);
  assert.equal((await ask(page, "POST", "/me/mfa/webauthn/register/complete", answer)).status, 404);
  assert.equal((await keysOf(page)).length, 1);
});

story("a proof by key is good for one use", async ({ page, origin, ear }) => {
  const ports = await open(page, origin);
  await ports.plugIn();
  await addKey(page);
  const answer = await answerVerification(page);
  await must(page, "POST", "/me/mfa/webauthn/verify/complete", answer);
  ear.expects(404);
  assert.equal((await ask(page, "POST", "/me/mfa/webauthn/verify/complete", answer)).status, 404);
});

story("an answer that another page asked for is refused, and spends its ceremony", async ({ page, origin, ear }) => {
  const ports = await open(page, origin);
  await ports.plugIn();
  ear.expects(400, 404);
  const foreign = [`${origin}/`, origin.replace("localhost", "127.0.0.1"), "https://localhost", "http://localhost.evil.example", "null"];
  for (const other of foreign) {
    const answer = await answerRegistration(page);
    const refused = await ask(page, "POST", "/me/mfa/webauthn/register/complete", fromOrigin(answer, other));
    assert.deepEqual([refused.status, refused.body.code], [400, "webauthn_failed"], other);
    assert.equal((await ask(page, "POST", "/me/mfa/webauthn/register/complete", answer)).status, 404);
  }
  assert.equal((await overview(page)).enabled, false);

  await addKey(page);
  const answer = await answerVerification(page);
  const refused = await ask(page, "POST", "/me/mfa/webauthn/verify/complete", fromOrigin(answer, "https://evil.example"));
  assert.deepEqual([refused.status, refused.body.code], [400, "webauthn_failed"]);
});
