// The only place that fetches.

import { say } from "./words.js";

/**
 * A refusal: `message` is the server's sentence, which is in English and for those who write programs, `body` all that
 * it said, and `code` its word for it. People read `inWords`. `status` is 0 where no answer came.
 */
export class Problem extends Error {
  constructor(status, body) {
    super(sentence(status, body));
    this.status = status;
    this.body = body;
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
  return status === 0 ? say("problem.unreachable") : say("problem.other", { status: String(status) });
}

/**
 * Sends `body` as JSON, if there is one, and gives the answer's; a `Problem` for all that is not 2xx. With `session`
 * the browser's sign-in goes along, and the header that no other origin's page can send with it.
 */
export async function ask(method, path, { body, token, session = false } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  if (session && method !== "GET") headers["X-Mfad"] = "1";
  let response;
  try {
    response = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: session ? "same-origin" : "omit", cache: "no-store",
    });
  } catch {
    throw new Problem(0, null);
  }
  const read = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Problem(response.status, read);
  return read;
}
