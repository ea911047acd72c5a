// What the demo's page asks for. Tokens live in this module's memory and nowhere else.

import { ask } from "./ui/api.js";

const kept = new Map();
const EARLY_MS = 5 * 60 * 1000;

/** A fresh grant for a persona: token, expiry, and for the service its secret. */
export function grantFor(persona) {
  return ask("POST", "/demo/api/token", { body: { persona } });
}

async function tokenFor(persona) {
  const known = kept.get(persona);
  if (known && known.until > Date.now()) return known.token;
  const grant = await grantFor(persona);
  kept.set(persona, { token: grant.token, until: Date.now() + grant.expires_in * 1000 - EARLY_MS });
  return grant.token;
}

async function call(persona, method, path, body) {
  try {
    return await ask(method, `/api/v1${path}`, { body, token: await tokenFor(persona) });
  } catch (problem) {
    // The demo was started again and has another key. What lacks a proof is not the token's fault.
    const isForgotten = problem.status === 401 && problem.code !== "insufficient_user_authentication";
    if (!isForgotten || !kept.delete(persona)) throw problem;
    return ask(method, `/api/v1${path}`, { body, token: await tokenFor(persona) });
  }
}

/** Alice's own endpoints. */
export const me = {
  overview: () => call("alice", "GET", "/me/mfa"),
  post: (path, body) => call("alice", "POST", `/me/mfa/${path}`, body),
  removeKey: (id, body) => call("alice", "DELETE", `/me/mfa/webauthn/${encodeURIComponent(id)}`, body),
};

export const mailbox = {
  list: () => ask("GET", "/demo/api/mails"),
  clear: () => ask("DELETE", "/demo/api/mails"),
};

/** What a login service asks, with its own token. */
export const service = {
  get: (path) => call("login-service", "GET", `/mfa${path}`),
  post: (path, body) => call("login-service", "POST", `/mfa${path}`, body),
  /** The keys that sign results. */
  keys: () => ask("GET", "/.well-known/jwks.json"),
};
