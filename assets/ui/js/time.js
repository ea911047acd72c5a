// Times as people say them, each with the whole of it behind.

import { h } from "./dom.js";
import { locale, say } from "./words.js";

const MINUTE = 60, HOUR = 3600, DAY = 86_400;
const near = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const whole = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });

/** `5 minutes ago`, `yesterday`, `3 Dec 2026`. */
function ago(time) {
  const seconds = (Date.now() - time) / 1000;
  if (seconds < MINUTE) return say("time.now");
  if (seconds < HOUR) return near.format(-Math.floor(seconds / MINUTE), "minute");
  if (seconds < DAY) return near.format(-Math.floor(seconds / HOUR), "hour");
  if (seconds < 7 * DAY) return near.format(-Math.floor(seconds / DAY), "day");
  return date.format(time);
}

const element = (iso, words) => iso && h("time", { datetime: iso, title: whole.format(new Date(iso)) }, words(new Date(iso)));

/** How long ago it was. */
export const since = (iso) => element(iso, ago);
/** On which day it is. */
export const on = (iso) => element(iso, (time) => date.format(time));

/** How long ago it was, or at what time of a day that has passed. */
export const at = (iso) => element(iso, (time) => (daysAgo(time) === 0 ? ago(time) : clock.format(time)));

/** Midnights between then and now, as the reader's clock has them. */
function daysAgo(time) {
  const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.now()) - midnight(time)) / (DAY * 1000));
}

/** The day of it: `today`, `yesterday`, `Thursday 3 December`, `3 Dec 2025`. */
export function dayOf(iso) {
  const time = new Date(iso), days = daysAgo(time);
  if (days <= 1) return near.format(-days, "day");
  return time.getFullYear() === new Date().getFullYear() ? weekday.format(time) : date.format(time);
}

/** A sentence of `words`, in which `{name}` becomes `values[name]`: text or an element. */
export function sentence(key, values = {}) {
  return say(key).split(/(\{\w+\})/).map((part) => {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    return name && values[name] !== undefined ? values[name] : part;
  });
}
