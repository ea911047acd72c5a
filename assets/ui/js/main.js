import { ask } from "./api.js";
import { button, h, when } from "./dom.js";
import { session, signInUrl, signOut } from "./session.js";
import { inWords, say as words } from "./words.js";

const byId = (id) => document.getElementById(id);
const kinds = { totp: "Authenticator app", email: "Email codes", webauthn: "Security key" };

function say(text) {
  byId("message").textContent = text;
}

function row(device) {
  const state = device.status === "active" ? `since ${when(device.created_at)}` : device.status;
  const used = device.last_used_at ? `, last used ${when(device.last_used_at)}` : "";
  return h("li", {}, h("strong", {}, device.name), h("span", {}, `${kinds[device.type] ?? device.type}, ${state}${used}`));
}

function show(overview) {
  byId("overview-title").textContent = overview.enabled
    ? "Your account is protected by a second factor."
    : "No second factor is set up yet.";
  byId("devices").replaceChildren(...overview.devices.map(row));
  const codes = overview.backup_codes;
  byId("backup-codes").textContent = codes ? `${codes.remaining} of ${codes.total} backup codes are left.` : "";
  byId("overview").hidden = false;
  byId("overview").focus();
}

async function load(caller) {
  byId("overview").hidden = true;
  say("Loading…");
  try {
    const overview = await ask("GET", "/api/v1/me/mfa", caller);
    say("");
    show(overview);
  } catch (problem) {
    say(inWords(problem));
  }
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  load({ token: byId("token").value.trim() });
});

async function start() {
  const told = await session();
  const place = byId("session");
  if (told.signed_in) {
    byId("token-form").hidden = true;
    place.append(words("session.of", { who: told.name ?? told.username ?? told.email ?? "—" }));
    if (!told.proxy) {
      place.append(" ", button(words("session.sign_out"), signOut, { kind: "plain", error: byId("message"), explain: inWords }));
    }
    await load({ session: true });
  } else if (told.sign_in_url) {
    place.append(h("a", { class: "button", href: signInUrl(told) }, words("session.sign_in")));
  } else if (told.proxy) {
    byId("token-form").hidden = true;
    place.append(words("session.proxy"));
  }
}

start().catch((problem) => say(inWords(problem)));
