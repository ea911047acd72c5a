const byId = (id) => document.getElementById(id);
const kinds = { totp: "Authenticator app", email: "Email codes", webauthn: "Security key" };

function say(text) {
  byId("message").textContent = text;
}

function moment(text) {
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function row(device) {
  const item = document.createElement("li");
  const name = document.createElement("strong");
  const facts = document.createElement("span");
  name.textContent = device.name;
  const state = device.status === "active" ? `since ${moment(device.created_at)}` : device.status;
  const used = device.last_used_at ? `, last used ${moment(device.last_used_at)}` : "";
  facts.textContent = `${kinds[device.type] ?? device.type}, ${state}${used}`;
  item.append(name, facts);
  return item;
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
    const token = byId("token").value.trim();
    const response = await fetch("/api/v1/me/mfa", { headers: { Authorization: `Bearer ${token}` } });
    const body = await response.json();
    if (!response.ok) {
      say(body.detail ?? "That did not work.");
      return;
    }
    say("");
    show(body);
  } catch {
    say("The server cannot be reached. Try again.");
  }
});
