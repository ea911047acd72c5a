// RFC 6238 by the letter, and nothing of the server's own.

import { createHmac } from "node:crypto";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PERIOD_S = 30;

function bytesOf(base32) {
  const bits = [...base32.replace(/\s/g, "")].map((character) => {
    const value = ALPHABET.indexOf(character);
    if (value < 0) throw new Error(`${character} is not Base32`);
    return value.toString(2).padStart(5, "0");
  }).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** The code of the step that is `steps` from the one at `at` (ms since 1970). */
export function totp(secret, { steps = 0, at = Date.now() } = {}) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 1000 / PERIOD_S) + steps));
  const mac = createHmac("sha1", bytesOf(secret)).update(counter).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** As many codes that no step near now has. */
export function wrongTotps(secret, count) {
  const near = new Set([-2, -1, 0, 1, 2].map((steps) => totp(secret, { steps })));
  const codes = Array.from({ length: count + near.size }, (_, number) => String(number).padStart(6, "0"));
  return codes.filter((code) => !near.has(code)).slice(0, count);
}

/** Six digits that no step near now has. */
export const wrongTotp = (secret) => wrongTotps(secret, 1)[0];
