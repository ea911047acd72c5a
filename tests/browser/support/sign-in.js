// A sign-in, as a login service opens it and reads what came of it.

import assert from "node:assert/strict";

import { ask } from "./account.js";

/** A challenge for Alice; the page has to be one of the demo's. */
export async function openChallenge(page, members = {}) {
  const { status, body } = await ask(page, "POST", "/mfa/challenges", { subject: "alice", amr: ["pwd"], ...members }, "login-service");
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** Opens the hosted page for Alice, and gives the challenge. */
export async function openPrompt(page, origin, members = {}) {
  const challenge = await openChallenge(page, { return_url: `${origin}/demo/returned`, state: "ours", context: { app: "Wiki" }, ...members });
  assert.match(challenge.prompt_url, /\/prompt\/#prm_[a-z2-7]{26}$/);
  await page.goto(challenge.prompt_url);
  return challenge;
}

/** What has become of it, once the person is back. */
export async function outcomeOf(page, { challenge_id: id }) {
  await page.waitForURL("**/demo/returned?*");
  const query = new URL(page.url()).searchParams;
  assert.equal(query.get("challenge_id"), id);
  assert.equal(query.get("state"), "ours");
  const { status, body } = await ask(page, "GET", `/mfa/challenges/${id}`, undefined, "login-service");
  assert.equal(status, 200);
  return { ...body, error: query.get("error") };
}

/** The newest mailed code, as soon as there is one that is not among `seen`. */
export async function mailedCode(page, origin, seen = []) {
  for (let tries = 0; tries < 100; tries += 1) {
    const { mails } = await (await page.request.get(`${origin}/demo/api/mails`)).json();
    const fresh = mails.find(({ code }) => code && !seen.includes(code));
    if (fresh) return fresh.code;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no mail came");
}
