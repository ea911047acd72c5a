import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

import { EYES, fits, isAccessible } from "./support/looks.js";
import { picture, story } from "./support/story.js";

const CLIENT = "mfad-settings";

/** Opens the issuer's page as a client does, with PKCE. */
async function begin(page, origin, extra = {}) {
  const verifier = randomBytes(32).toString("base64url");
  const state = randomBytes(16).toString("base64url");
  const redirectUri = `${origin}/auth/callback`;
  const query = new URLSearchParams({
    client_id: CLIENT, redirect_uri: redirectUri, response_type: "code", scope: "openid email", state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256", ...extra,
  });
  const response = await page.goto(`${origin}/demo/issuer/authorize?${query}`);
  return { verifier, state, redirectUri, response };
}

/** Presses the button, and gives what the browser takes back to the client. */
async function end(page, ear, redirectUri, button) {
  // What is there did not begin this sign-in, and says so.
  ear.expects(400, 401, 404);
  const back = page.waitForRequest((request) => request.url().startsWith(`${redirectUri}?`));
  await page.getByRole("button", { name: button }).click();
  return Object.fromEntries(new URL((await back).url()).searchParams);
}

const redeem = (page, origin, { code, verifier, redirectUri }) => page.request.post(`${origin}/demo/issuer/token`, {
  form: { grant_type: "authorization_code", client_id: CLIENT, code, code_verifier: verifier, redirect_uri: redirectUri },
});

story("Alice signs in at the demo issuer, and the code that comes back is good for a token", async ({ page, origin, ear }) => {
  const { verifier, state, redirectUri } = await begin(page, origin);
  await page.getByRole("heading", { name: "Who are you today?" }).waitFor();
  const { code, ...rest } = await end(page, ear, redirectUri, /Alice Example/);
  assert.deepEqual(rest, { state, iss: `${origin}/demo/issuer` });
  const granted = await redeem(page, origin, { code, verifier, redirectUri });
  assert.equal(granted.status(), 200, await granted.text());
  const { access_token: token } = await granted.json();
  const answer = await page.request.get(`${origin}/api/v1/me/mfa`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(answer.status(), 200, await answer.text());
  assert.equal((await redeem(page, origin, { code, verifier, redirectUri })).status(), 400, "a code is good for one use");
});

story("whoever lacks the verifier gets no token for the code", async ({ page, origin, ear }) => {
  const { redirectUri } = await begin(page, origin);
  const { code } = await end(page, ear, redirectUri, /Alice Example/);
  const stolen = await redeem(page, origin, { code, verifier: randomBytes(32).toString("base64url"), redirectUri });
  assert.deepEqual([stolen.status(), (await stolen.json()).error], [400, "invalid_grant"]);
});

story("a hinted persona has the focus, and a cancelled sign-in says so", async ({ page, origin, ear }) => {
  const { state, redirectUri } = await begin(page, origin, { login_hint: "olga@example.com" });
  const olga = page.getByRole("button", { name: /Olga Operator/ });
  assert.equal(await olga.evaluate((button) => button === document.activeElement), true);
  const back = await end(page, ear, redirectUri, "Cancel");
  assert.deepEqual([back.error, back.state, back.code], ["access_denied", state, undefined]);
});

story("nobody is sent to an address that the client did not register", async ({ page, origin, ear }) => {
  ear.expects(400);
  const { response } = await begin(page, origin, { redirect_uri: "https://evil.example/" });
  assert.equal(response.status(), 400);
  await page.getByRole("heading", { name: "This sign-in cannot go on" }).waitFor();
  assert.ok(page.url().startsWith(origin));
  await isAccessible(page, "the dead end");
});

for (const { name, ...eyes } of EYES) {
  story(`the sign-in page fits and is accessible: ${name}`, async ({ page, origin }) => {
    await begin(page, origin, { login_hint: "alice" });
    await fits(page, "the sign-in page");
    await isAccessible(page, "the sign-in page");
    await picture(page, `look issuer ${name}`);
  }, eyes);
}
