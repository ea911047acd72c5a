// Where the hosted page brings people back to: a login service reads the outcome.

import { service } from "./api.js";
import { members, result } from "./outcome.js";
import { STATE } from "./state.js";
import { button, errorLine, h } from "./ui/dom.js";

const place = document.querySelector("#outcome");
const query = new URLSearchParams(location.search);

/** Once: whoever loads the page anew has used the state up, as with a real service. */
function stateIsOurs() {
  const kept = sessionStorage.getItem(STATE);
  sessionStorage.removeItem(STATE);
  return kept !== null && kept === query.get("state");
}

async function read(ours) {
  const id = query.get("challenge_id");
  if (!id) return place.replaceChildren(h("p", {}, "The address names no challenge."));
  try {
    const { challenge_id, methods, expires_at, ...said } = await service.get(`/challenges/${encodeURIComponent(id)}`);
    const verified = said.status === "verified";
    place.replaceChildren(
      h("p", { class: verified && ours ? "pill on" : "pill" }, verified ? "Signed in" : `Not signed in: ${said.status}`),
      h("p", { class: ours ? "quiet small-text" : "note warn" }, ours
        ? "The state is the one that this browser was sent away with."
        : "The state is not one that this browser waits for: a service stops here, or somebody could sign you in as themselves."),
      ...(query.has("error") ? [h("p", { class: "quiet small-text" }, `The address says: ${query.get("error")}`)] : []),
      members(said), ...(said.token ? [await result(said.token, challenge_id)] : []));
  } catch (problem) {
    const error = errorLine();
    place.replaceChildren(error, h("p", {}, button("Ask again", () => read(ours), { kind: "second" })));
    error.textContent = problem.message;
  }
}

read(stateIsOurs());
