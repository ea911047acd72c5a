// How safe an account is, and what a change would do to it. Nothing here touches the page.

import { isOffered } from "./webauthn.js";
import { joined, say } from "./words.js";

/** From so many on downwards it is time for new backup codes. */
export const FEW_CODES = 3;

const active = (overview) => overview.devices.filter(({ status }) => status === "active");

/** Whether a device is a factor that policy counts. */
const counts = ({ policy }, { type }) => policy.allowed.includes(type) && (type !== "email" || policy.email === "on");

/** Whether `device` is the last one that counts, of somebody who must have one: the server does not let it go. */
export function standsInTheWay(overview, device) {
  if (!overview.policy.required || !counts(overview, device)) return false;
  return !active(overview).some((other) => other.device_id !== device.device_id && counts(overview, other));
}

/** What is left after `device` is gone, in a sentence. */
export function remains(overview, device) {
  const left = active(overview).filter((other) => other.device_id !== device.device_id);
  if (left.length === 0) return "";
  const number = (type) => left.filter((other) => other.type === type).length;
  const parts = [
    number("webauthn") > 0 && say("remains.keys", { count: number("webauthn") }),
    number("totp") > 0 && say("remains.totp"),
    number("email") > 0 && say("remains.email"),
    overview.backup_codes?.remaining > 0 && say("remains.codes", { count: overview.backup_codes.remaining }),
  ].filter(Boolean);
  return say("remains", { list: joined(parts) });
}

/** The kind to set up next: the strongest that is allowed, that this browser can do and that is not there yet. */
function better(overview, kinds) {
  const has = new Set(active(overview).map(({ type }) => type));
  return kinds.find((kind) => overview.policy.allowed.includes(kind) && !has.has(kind) && (kind !== "webauthn" || isOffered())) ?? null;
}

const step = (kind, why) => kind && { door: `${kind}.add`, why: why ?? `next.${kind}`, act: `next.${kind}.add` };

/**
 * The state of an account: `level` is `none`, `weak`, `fair` or `good`, `title` and `words` name what is said of it, and
 * `next` the one next step, if there is one: which `door`, `why`, and what its button says (`act`).
 */
export function judge(overview) {
  const devices = active(overview);
  const off = overview.devices.find(({ status }) => status === "disabled");
  const kinds = new Set(devices.map(({ type }) => type));
  const strong = devices.filter(({ type }) => type !== "email");
  const left = overview.backup_codes?.remaining ?? 0;

  if (devices.length === 0 && !off) {
    const required = overview.policy.required;
    return {
      level: "none", title: required ? "safety.none.required" : "safety.none", words: required ? "safety.none.required.words" : "safety.none.words",
      next: step(better(overview, ["webauthn", "totp", "email"])),
    };
  }
  if (off) {
    const others = devices.length > 0 || left > 0;
    return {
      level: "weak", title: "safety.off", words: `safety.off.${off.type}`,
      next: others ? { door: `${off.type}.unlock`, why: "next.unlock", act: "next.unlock.act" } : null,
    };
  }
  if (strong.length === 0) {
    return {
      level: "weak", title: overview.policy.email === "on" ? "safety.mail" : "safety.recovery",
      words: overview.policy.email === "on" ? "safety.mail.words" : "safety.recovery.words",
      next: step(better(overview, ["webauthn", "totp"])),
    };
  }
  if (left <= FEW_CODES) {
    return {
      level: "fair", title: "safety.on", words: left > 0 ? "safety.codes.few" : overview.backup_codes?.voided_at ? "safety.codes.void" : "safety.codes.gone",
      next: { door: "backup_codes.renew", why: "next.codes", act: "next.codes.act" },
    };
  }
  const keys = devices.filter(({ type }) => type === "webauthn");
  if (!kinds.has("webauthn") && better(overview, ["webauthn"])) {
    return { level: "fair", title: "safety.on", words: "safety.app.words", next: step("webauthn") };
  }
  if (keys.length === 1 && strong.length === 1) {
    return {
      level: "fair", title: "safety.on", words: "safety.key.words",
      next: step(better(overview, ["totp"]) ?? better({ ...overview, devices: [] }, ["webauthn"]), "next.second"),
    };
  }
  return { level: "good", title: "safety.good", words: keys.length > 0 ? "safety.good.words" : "safety.good.app", next: null };
}
