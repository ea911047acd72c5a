// Alice's account: over the API from within the page, as the page itself asks.

import assert from "node:assert/strict";

import { totp } from "./totp.js";

/**
 * Asks the API from within the page with a persona's token, which says that they signed in with a second factor just
 * now: `{ status, body, headers }`.
 */
export function ask(page, method, path, body, persona = "alice") {
  return page.evaluate(async ({ method, path, body, persona }) => {
    const json = { "Content-Type": "application/json" };
    const grant = await fetch("/demo/api/token", { method: "POST", headers: json, body: JSON.stringify({ persona, second_factor: true }) });
    const { token } = await grant.json();
    const response = await fetch(`/api/v1${path}`, {
      method, headers: { Authorization: `Bearer ${token}`, ...(body ? json : {}) }, body: body && JSON.stringify(body),
    });
    return { status: response.status, body: await response.json(), headers: Object.fromEntries(response.headers) };
  }, { method, path, body, persona });
}

/** As `ask`, where only 200 will do. */
export async function must(page, method, path, body) {
  const answer = await ask(page, method, path, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

export const overview = (page) => must(page, "GET", "/me/mfa");
export const keysOf = async (page) => (await overview(page)).devices.filter((device) => device.type === "webauthn");

/** A token to paste. */
export function tokenOf(page, origin, persona = "alice") {
  return page.request.post(`${origin}/demo/api/token`, { data: { persona } })
    .then((response) => response.json()).then(({ token }) => token);
}

/** An authenticator app, set up without the page: its secret and the backup codes. */
export async function setUpApp(page) {
  const { secret } = await must(page, "POST", "/me/mfa/totp/enable");
  const { backup_codes: backupCodes } = await must(page, "POST", "/me/mfa/totp/confirm", { code: totp(secret) });
  return { secret, backupCodes };
}

/** Carries out a ceremony in the page and gives what it would send, or the name of the error. */
export function carryOut(page, kind, publicKey, { abortMs = null } = {}) {
  return page.evaluate(async ({ kind, publicKey, abortMs }) => {
    const signal = abortMs === null ? undefined : AbortSignal.timeout(abortMs);
    try {
      const credential = kind === "create"
        ? await navigator.credentials.create({ signal, publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
        : await navigator.credentials.get({ signal, publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
      return { credential: credential.toJSON() };
    } catch (error) {
      return { error: error.name };
    }
  }, { kind, publicKey, abortMs });
}

/** Begins a registration and lets the plugged-in key answer: what `register/complete` takes. */
export async function answerRegistration(page, name) {
  const begun = await must(page, "POST", "/me/mfa/webauthn/register/begin", name === undefined ? undefined : { name });
  const { credential, error } = await carryOut(page, "create", begun.publicKey);
  assert.equal(error, undefined);
  return { device_id: begun.device_id, challenge_id: begun.challenge_id, credential };
}

export async function addKey(page, name) {
  return must(page, "POST", "/me/mfa/webauthn/register/complete", await answerRegistration(page, name));
}

/** What `verify/complete` takes, by the plugged-in key. */
export async function answerVerification(page) {
  const begun = await must(page, "POST", "/me/mfa/webauthn/verify/begin");
  const { credential, error } = await carryOut(page, "get", begun.publicKey);
  assert.equal(error, undefined);
  return { challenge_id: begun.challenge_id, credential };
}

/** A one-time proof by the plugged-in key. */
export async function proofByKey(page) {
  const { code } = await must(page, "POST", "/me/mfa/webauthn/verify/complete", await answerVerification(page));
  return code;
}

/**
 * Proves a factor in the session of the settings page, as a user has who has just changed something there: `code` is
 * of one of hers. Nothing else comes of it.
 */
export async function proveInSession(page, code) {
  const statuses = await page.evaluate(async (code) => {
    const headers = { "Content-Type": "application/json", "X-Mfad": "1" };
    const path = "/api/v1/me/mfa/webauthn";
    const begun = await fetch(`${path}/register/begin`, { method: "POST", headers, body: JSON.stringify({ code }) });
    const { device_id: id } = await begun.json();
    const ended = await fetch(`${path}/${id}`, { method: "DELETE", headers });
    return [begun.status, ended.status];
  }, code);
  assert.deepEqual(statuses, [200, 200]);
}

/** The same answer as if another page had asked for it. */
export function fromOrigin(answer, origin) {
  const data = JSON.parse(Buffer.from(answer.credential.response.clientDataJSON, "base64url").toString("utf8"));
  const clientDataJSON = Buffer.from(JSON.stringify({ ...data, origin })).toString("base64url");
  return { ...answer, credential: { ...answer.credential, response: { ...answer.credential.response, clientDataJSON } } };
}
