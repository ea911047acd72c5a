// The choice of a language, at the foot of each page. The choice is a cookie, which the server reads when it serves a
// page, so the page is loaded again.

const COOKIE = "mfad_language";
const YEAR_S = 365 * 24 * 3600;

const place = document.querySelector("#languages");

/**
 * Lets people choose. `leave` is called before the page is loaded again, and keeps what somebody is doing; where it
 * gives false the page stays.
 */
export function offerLanguages(leave) {
  for (const choice of place.querySelectorAll("button")) {
    choice.addEventListener("click", () => {
      if (leave() === false) return;
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `${COOKIE}=${choice.lang}; Path=/; Max-Age=${YEAR_S}; SameSite=Lax${secure}`;
      location.reload();
    });
  }
  place.hidden = false;
}

/** Where somebody is who has just chosen. */
export const focusLanguages = () => place.querySelector("[aria-current]")?.focus();

/** Says beside the choice what comes with it. */
export function warnOfLanguages(sentence) {
  place.querySelector(".hint").textContent = sentence;
}
