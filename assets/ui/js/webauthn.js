// What a browser does with a security key: the server's JSON in, JSON out, and sentences where it fails.

import { isSaid, say } from "./words.js";

/** Whether this browser, at this address, can use security keys. */
export function isOffered() {
  return typeof globalThis.PublicKeyCredential === "function" && typeof navigator.credentials?.get === "function";
}

/** A ceremony that failed; `stopped` where we ended it ourselves. */
export class KeyTrouble extends Error {
  constructor(deed, name) {
    super(say([`key.${deed}.${name}`, `key.${name}`].find(isSaid) ?? "key.other"));
    this.stopped = name === "AbortError";
  }
}

async function withSentences(deed, ceremony) {
  try {
    return toJson(await ceremony());
  } catch (error) {
    throw new KeyTrouble(deed, error?.name);
  }
}

/** A new credential for the server's creation options, as JSON. */
export function create(publicKey, { signal } = {}) {
  return withSentences("create", () => navigator.credentials.create({ signal, publicKey: creationOptions(publicKey) }));
}

/** An assertion for the server's request options, as JSON. */
export function get(publicKey, { signal } = {}) {
  return withSentences("get", () => navigator.credentials.get({ signal, publicKey: requestOptions(publicKey) }));
}

// Browsers learnt to read and write the JSON (WebAuthn Level 3, section 5.1) from 2023 to 2025, and password managers
// that stand in for a key still forget to.

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return {
    ...json, challenge: bytesOf(json.challenge), user: { ...json.user, id: bytesOf(json.user.id) },
    excludeCredentials: json.excludeCredentials?.map(descriptor),
  };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytesOf(json.challenge), allowCredentials: json.allowCredentials?.map(descriptor) };
}

const descriptor = (listed) => ({ ...listed, id: bytesOf(listed.id) });

function toJson(credential) {
  try {
    return credential.toJSON();
  } catch {
    return toJsonByHand(credential);
  }
}

function toJsonByHand({ id, rawId, type, authenticatorAttachment, response }) {
  const answer = { clientDataJSON: textOf(response.clientDataJSON) };
  for (const member of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[member]) answer[member] = textOf(response[member]);
  }
  if (response.getTransports) answer.transports = response.getTransports();
  return {
    id, rawId: textOf(rawId), type, response: answer,
    authenticatorAttachment: authenticatorAttachment ?? undefined, clientExtensionResults: {},
  };
}

function bytesOf(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));
}

function textOf(buffer) {
  const bytes = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
