// Who is signed in. The server keeps the session; no token ever comes here.

import { ask } from "./api.js";

/** `{ signed_in, name, username, email, expires_at }`, or `{ signed_in: false, sign_in_url }`; `proxy` where a proxy signs people in. */
export const session = () => ask("GET", "/auth/session", { session: true });

/** Where a sign-in begins that leads back here; `fresh` has the issuer ask anew who it is. */
export function signInUrl({ sign_in_url: url }, { fresh = false } = {}) {
  const query = new URLSearchParams({ return: location.pathname + location.search });
  if (fresh) query.set("fresh", "1");
  return `${url}?${query}`;
}

/** Ends the session, and goes to where it can be ended at the issuer too, if there is such a place. */
export async function signOut() {
  const { end_session_url: url } = await ask("POST", "/auth/logout", { session: true });
  location.assign(url ?? "/");
}
