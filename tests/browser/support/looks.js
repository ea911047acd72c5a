// What can be measured of how a page looks: no sideways scrolling, and nothing that axe finds.

import assert from "node:assert/strict";

import axe from "axe-core";

import { DESK, PHONE } from "./story.js";

/** In which eyes a page is looked at. */
export const EYES = [
  { name: "light", colorScheme: "light", viewport: DESK },
  { name: "dark", colorScheme: "dark", viewport: DESK },
  { name: "light, 360 pixels wide", colorScheme: "light", viewport: PHONE },
  { name: "dark, 360 pixels wide", colorScheme: "dark", viewport: PHONE },
];

export async function fits(page, what) {
  const { content, window } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth, window: document.documentElement.clientWidth,
  }));
  assert.ok(content <= window, `${what} is ${content} pixels wide in a window of ${window}`);
}

export async function isAccessible(page, what, unless = []) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((unless) => {
    const rules = Object.fromEntries(unless.map((rule) => [rule, { enabled: false }]));
    return globalThis.axe.run(document, { preload: false, resultTypes: ["violations"], rules });
  }, unless);
  const found = violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target} ${failureSummary}`));
  assert.deepEqual(found, [], what);
}
