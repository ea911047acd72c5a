// The browser's Back button leads out of a step, and Forward into it again: each step that is open has a place in the
// browser's history, which holds the step's name and nothing that was shown or typed.

let steps = null;
/** We are on our way back from a step's place: what the browser tells of it is no wish of the person's. */
let leaving = false;

const here = () => history.state?.step ?? null;

/** `steps` has `isOpen()`, `closed()`, which says whether the step could be left, and `reopen(step)`, which says whether there is such a step. */
export function watchBack(watched) {
  steps = watched;
  addEventListener("popstate", moved);
  // A page that is loaded anew, or come back to, shows no step any more.
  if (here()) leave();
}

/** A step is open from now on. One that takes another's place takes its place in the history as well. */
export function stepIn(name, detail) {
  const state = { step: { name, device_id: detail?.device_id ?? null } };
  if (leaving) return;
  if (here()) history.replaceState(state, "");
  else history.pushState(state, "");
}

/** No step is open any more, by the page's own doing. */
export function stepOut() {
  if (here() && !leaving) leave();
}

function leave() {
  leaving = true;
  history.back();
}

function moved() {
  const step = here();
  if (leaving) {
    leaving = false;
    // Another one was opened meanwhile.
    const open = steps.isOpen();
    if (open) stepIn(open.name, open.detail);
    return;
  }
  if (step) {
    if (!steps.isOpen() && !steps.reopen(step)) leave();
    return;
  }
  const open = steps.isOpen();
  if (open && !steps.closed()) stepIn(open.name, open.detail);
}
