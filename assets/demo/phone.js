// A phone for those who have none at hand: the authenticator app's arithmetic
// (RFC 6238) over the secret that the page was just shown. It forgets with the page.

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HASHES = { SHA1: "SHA-1", SHA256: "SHA-256", SHA512: "SHA-512" };

let account = null;

/** Takes the secret as an app would by scanning. */
export function scan({ secret, algorithm = "SHA1", digits = 6, period = 30 }) {
  account = { secret, hash: HASHES[algorithm.replace("-", "").toUpperCase()] ?? "SHA-1", digits, period };
}

export function forget() {
  account = null;
}

export function hasAccount() {
  return account !== null && globalThis.crypto?.subtle !== undefined;
}

function bytesOf(secret) {
  let bits = 0, value = 0;
  const bytes = [];
  for (const character of secret.toUpperCase().replace(/[\s=]/g, "")) {
    value = (value << 5) | BASE32.indexOf(character);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >> bits) & 255);
      value &= (1 << bits) - 1;
    }
  }
  return new Uint8Array(bytes);
}

/** The code of this moment and how many seconds it has left. */
export async function code() {
  const { secret, hash, digits, period } = account;
  const now = Math.floor(Date.now() / 1000);
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(now / period)));
  const key = await crypto.subtle.importKey("raw", bytesOf(secret), { name: "HMAC", hash }, false, ["sign"]);
  const mac = new DataView(await crypto.subtle.sign("HMAC", key, counter));
  const offset = mac.getUint8(mac.byteLength - 1) & 15;
  const number = (mac.getUint32(offset) & 0x7fffffff) % 10 ** digits;
  return { code: String(number).padStart(digits, "0"), left: period - (now % period) };
}
