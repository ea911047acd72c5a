// Who is signed in, and how to become so. The sign-in itself is a cookie that no script can read. Where the server has
// none, a token is pasted: it is in this module's memory and nowhere else.

import { ask } from "./api.js";

const API = "/api/v1/me/mfa";
/** Where somebody was when they went to sign in again, or chose another language: names of steps and what was typed into them, never a secret. */
const PLACE = "mfad.place";
const PLACE_MS = 15 * 60 * 1000;

let token = null;
let told = () => {};

/** `kind` is `none` (nobody is signed in, and can be), `token` (one has to be pasted), `cookie` or `proxy`; the rest is what is known of them. */
export const session = { kind: "none", name: null, url: "/auth/login" };

/** Asks who is signed in, and gives `session`. */
export async function look() {
  let said;
  try {
    said = await ask("GET", "/auth/session", { session: true });
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    said = null;
  }
  const kind = kindOf(said);
  if (said?.sign_in_url) session.url = said.sign_in_url;
  return Object.assign(session, { kind, name: said?.name ?? said?.username ?? said?.email ?? null });
}

function kindOf(said) {
  if (said?.proxy) return "proxy";
  if (said?.signed_in) return "cookie";
  return said?.sign_in_url ? "none" : "token";
}

/** Whether somebody has to sign in before anything can be shown. */
export const isNeeded = () => session.kind === "none" || (session.kind === "token" && token === null);

/** Takes a pasted token; null forgets it. */
export function useToken(text) {
  token = text;
}

/** Calls `heard` whenever the server says that nobody is signed in any more. */
export function onOver(heard) {
  told = heard;
}

/** Asks the API about the person who is signed in. */
export async function call(method, path, body) {
  try {
    return await ask(method, API + path, token === null ? { body, session: true } : { body, token });
  } catch (problem) {
    if (problem.status === 401 && problem.code !== "insufficient_user_authentication") told();
    throw problem;
  }
}

/** Where a sign-in begins that leads back here; `fresh` has the identity provider ask anew who it is. */
export function signInUrl({ fresh = false } = {}) {
  const query = new URLSearchParams({ return: location.pathname + location.search });
  if (fresh) query.set("fresh", "1");
  return `${session.url}?${query}`;
}

/** Leaves the page to sign in, and comes back to `place`. */
export function signIn({ fresh = false, place = null } = {}) {
  if (place) keepPlace(place);
  location.assign(signInUrl({ fresh }));
}

/** Ends the sign-in here; gives where the identity provider wants to hear of it, or null. */
export async function signOut() {
  const gone = await ask("POST", "/auth/logout", { session: true });
  session.kind = "none";
  return gone?.end_session_url ?? null;
}

/** Ends the sign-in here and in every other browser; gives the same. */
export async function signOutEverywhere() {
  const gone = await call("DELETE", "/sessions");
  session.kind = "none";
  return gone?.end_session_url ?? null;
}

/** Keeps where somebody is until the page is loaded again. */
export function keepPlace(place) {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({ ...place, at: Date.now() }));
  } catch {
    // A browser that keeps nothing brings people back to the top of the page.
  }
}

/** Where somebody was before the page was loaded again; once. */
export function takePlace() {
  try {
    const place = JSON.parse(sessionStorage.getItem(PLACE));
    sessionStorage.removeItem(PLACE);
    return place && Date.now() - place.at < PLACE_MS ? place : null;
  } catch {
    return null;
  }
}
