// What came of a sign-in, as a login service reads it: the members of the answer, and the signed result checked.

import { service } from "./api.js";
import { h } from "./ui/dom.js";

const SHOWN_OF_SECRETS = 16;

function bytesOf(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));
}

const json = (part) => JSON.parse(new TextDecoder().decode(bytesOf(part)));

/** Whether the published key that the header names made the signature (RFC 7515, ES256). */
async function isSigned(token, header) {
  const { keys } = await service.keys();
  const jwk = keys.find(({ kid }) => kid === header.kid);
  if (!jwk || header.alg !== "ES256") return false;
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const key = await crypto.subtle.importKey("jwk", { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y }, algorithm, false, ["verify"]);
  const end = token.lastIndexOf(".");
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, bytesOf(token.slice(end + 1)), new TextEncoder().encode(token.slice(0, end)));
}

/** What a service has to check before it believes a result: `[what, whether it holds]`. */
async function checks(token, header, claims, challengeId) {
  return [
    ["Signed by a key of /.well-known/jwks.json", await isSigned(token, header)],
    [`typ is mfa+jwt, and no other kind of token`, header.typ === "mfa+jwt"],
    [`iss is ${location.origin}`, claims.iss === location.origin],
    ["aud is this service: demo-login-service", claims.aud === "demo-login-service"],
    ["challenge_id is the one that was opened", claims.challenge_id === challengeId],
    ["exp is still to come", claims.exp * 1000 > Date.now()],
  ];
}

const pre = (value) => h("pre", { tabindex: "0" }, h("code", {}, JSON.stringify(value, null, 2)));

/** Secrets and results shortened, for the eye. */
export function shortened(value) {
  return JSON.parse(JSON.stringify(value ?? null), (name, member) =>
    (typeof member === "string" && /token$/.test(name) && member.length > SHOWN_OF_SECRETS ? `${member.slice(0, SHOWN_OF_SECRETS)}…` : member));
}

const plain = (value) => (Array.isArray(value) ? value.join(", ") : String(value));

/** Lines for an answer's members. */
export function members(answer) {
  return h("dl", { class: "outcome" }, Object.entries(shortened(answer)).map(([name, value]) => [h("dt", {}, name), h("dd", {}, plain(value))]));
}

/** The signed result taken apart, each check with its outcome. */
export async function result(token, challengeId) {
  const [header, claims] = token.split(".").slice(0, 2).map(json);
  const held = await checks(token, header, claims, challengeId);
  const good = held.every(([, holds]) => holds);
  return h("div", { class: "result" },
    h("h3", {}, "The signed result"),
    h("ul", { class: "checks" }, held.map(([what, holds]) => h("li", { class: holds ? "good" : "bad" },
      h("span", { class: "unseen" }, holds ? "Holds: " : "Does not hold: "), what))),
    h("p", { class: "quiet small-text" }, good ? "A service may believe it." : "A service must not believe it."),
    h("details", {}, h("summary", {}, "Its header and claims"), pre(header), pre(claims)));
}
