/** Under which name the demo's login service keeps what it sends with people and wants back, as in its session. */
export const STATE = "mfad-demo-state";
