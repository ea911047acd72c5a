// What a browser calls itself, in two words.

import { say } from "./words.js";

// The first that fits: most browsers also name those that they are like.
const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["SamsungBrowser", "Samsung Internet"], ["FxiOS", "Firefox"], ["Firefox", "Firefox"],
  ["CriOS", "Chrome"], ["Chromium", "Chromium"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"], ["CrOS", "ChromeOS"], ["Mac OS X", "macOS"],
  ["Linux", "Linux"]];
const LONGEST = 60;

/** `Firefox on Windows`; what it says itself where that is nothing known. */
export function browserOf(agent) {
  if (!agent) return say("browser.unknown");
  const find = (list) => list.find(([word]) => agent.includes(word))?.[1];
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  if (browser && system) return say("browser.on", { browser, system });
  return browser ?? system ?? (agent.length > LONGEST ? `${agent.slice(0, LONGEST)}…` : agent);
}
