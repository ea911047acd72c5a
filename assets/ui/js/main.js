import { ask } from "./api.js";
import { h, when } from "./dom.js";
import { inWords } from "./words.js";

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

byId("token-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("overview").hidden = true;
  say("Loading…");
  try {
    const overview = await ask("GET", "/api/v1/me/mfa", { token: byId("token").value.trim() });
    say("");
    show(overview);
  } catch (problem) {
    say(inWords(problem));
  }
});
