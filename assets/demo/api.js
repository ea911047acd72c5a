// The only place that fetches. Tokens live in this module's memory and nowhere else.

/** A refusal, in the server's words. */
export class Problem extends Error {
  constructor(status, body) {
    super(sentence(status, body));
    this.status = status;
    this.code = body?.code ?? null;
  }
}

function sentence(status, body) {
  if (Array.isArray(body?.detail)) {
    return body.detail.map(({ loc, msg }) => `${loc?.at(-1) ?? "request"}: ${msg}`).join("; ");
  }
  if (typeof body?.detail === "string") {
    return body.retry_after ? `${body.detail} (Wait ${body.retry_after} s.)` : body.detail;
  }
  if (status === 0) return "The server does not answer. Is the demo still running?";
  return status === 404 ? "The server does not offer this." : `The server answered with status ${status}.`;
}

async function ask(method, path, { body, token } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit", cache: "no-store",
    });
  } catch {
    throw new Problem(0, null);
  }
  const read = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, read);
  return read;
}

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
    // The demo was started anew and has another key.
    if (problem.status !== 401 || !kept.delete(persona)) throw problem;
    return ask(method, `/api/v1${path}`, { body, token: await tokenFor(persona) });
  }
}

/** Alice's own endpoints. */
export const me = {
  overview: () => call("alice", "GET", "/me/mfa"),
  post: (path, body) => call("alice", "POST", `/me/mfa/${path}`, body),
  removeKey: (id) => call("alice", "DELETE", `/me/mfa/webauthn/${encodeURIComponent(id)}`),
};

export const mailbox = {
  list: () => ask("GET", "/demo/api/mails"),
  clear: () => ask("DELETE", "/demo/api/mails"),
};
