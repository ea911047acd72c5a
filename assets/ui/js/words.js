// All that a page says. The server has chosen the language, wrote it into the page, and has under ./words what of
// assets/words this page needs.

/** The language of `say`. */
export const language = document.documentElement.lang;

const { default: words } = await import(`./words/${document.documentElement.dataset.page}/${language}.js`);

/** The reader's own kind of that language: how they write dates, numbers and lists. */
export const locale = (navigator.languages ?? []).find((tag) => tag.toLowerCase().split("-")[0] === language) ?? language;

const forms = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);
const lists = new Intl.ListFormat(locale);

/** Whether there are words of that name. */
export const isSaid = (key) => Object.hasOwn(words, key);

/** What `key` says, in the form for `values.count` where it has forms; the key itself where nobody wrote anything. */
function find(key, { count }) {
  const said = isSaid(key) ? words[key] : key;
  return typeof said === "string" ? said : said[forms.select(count)] ?? said.other;
}

/** What `key` says, `{name}` being `values.name`. */
export function say(key, values = {}) {
  return find(key, values).replace(/\{(\w+)\}/g, (all, name) => {
    const value = values[name] ?? all;
    return typeof value === "number" ? numbers.format(value) : value;
  });
}

/** How long somebody has to wait: in minutes where seconds would be many. */
const wait = (seconds) => (seconds > 90 ? minutes(seconds) : say("wait.seconds", { count: seconds }));
const minutes = (seconds) => say("wait.minutes", { count: Math.max(1, Math.round(seconds / 60)) });

/** From so many on downwards somebody who is signed in hears how many tries are left. */
const FEW_TRIES = 3;

/** A wrong answer: by what the server saw of the phone's clock, or how often it may still be tried. */
function wrong(key, { tries_left: left, clock_offset_seconds: offset }, here) {
  if (here && offset) return say(offset > 0 ? "here.clock.fast" : "here.clock.slow", { wait: minutes(Math.abs(offset)) });
  const counted = typeof left === "number" && (!here || left <= FEW_TRIES);
  return counted ? `${say(key)} ${say("tries", { count: left })}` : say(key);
}

/** A refusal in words, by its code. `here` names the words that a page has of its own. */
export function inWords(problem, here) {
  // Some codes have reasons, which say more.
  const name = problem.status === 0 ? "unreachable" : problem.body?.reason ?? problem.code;
  const key = [`${here}.${name}`, `problem.${name}`].find(isSaid);
  const body = problem.body ?? {};
  if (!key) return say("problem.other", { status: String(problem.status) });
  if (body.set_up_void) return say("problem.set_up_void");
  if (name === "wrong_code" || name === "webauthn_failed" || name === "key_copied") return wrong(key, body, here);
  if (name === "code_used" && body.retry_after) return say("problem.code_used.wait");
  if (name === "rate_limited" && body.retry_after) return say("problem.rate_limited.wait", { wait: wait(body.retry_after) });
  return say(key, body);
}

/** `one, two and three`, as the language joins them. */
export const joined = (items) => lists.format(items);

/** Seconds as a clock shows them: `1:05`. */
export function clock(seconds) {
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
