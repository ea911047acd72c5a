// What can be measured of how a page looks: no sideways scrolling, nothing that axe finds, targets that fingers hit, an order
// that eyes follow, and room for readers who set their text wider apart.

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

/** The least height of a button or a box, and the least width and height of anything that is pressed, in pixels. */
const BUTTON = 44, TARGET = 24;

export async function hasTargets(page, what) {
  const small = await page.evaluate(({ BUTTON, TARGET }) => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
    .filter((element) => element.checkVisibility())
    .map((element) => {
      const { width, height } = (element.closest("label.check") ?? element).getBoundingClientRect();
      return { text: element.textContent || element.id || element.type, least: element.matches("a:not(.button)") ? TARGET : BUTTON, width, height };
    })
    // Half a pixel is the screen's business.
    .filter(({ least, width, height }) => width < TARGET || height < least - 0.5), { BUTTON, TARGET });
  assert.deepEqual(small, [], `${what}: targets that are too small`);
}

/** The Tab key goes on as eyes do: never to what is wholly above the one before. */
export async function isInOrder(page, what) {
  const jumps = await page.evaluate(() => {
    const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
      .filter((element) => element.checkVisibility() && !element.disabled && element.tabIndex >= 0);
    return stops.flatMap((element, index) => {
      const [before, here] = [stops[index - 1] ?? element, element].map((one) => one.getBoundingClientRect());
      return element.tabIndex > 0 || here.bottom <= before.top ? [`${stops[index - 1]?.textContent} → ${element.textContent}`] : [];
    });
  });
  assert.deepEqual(jumps, [], `${what}: the order of the Tab key`);
}

/**
 * Readers' own settings: WCAG 2.2's text spacing (1.4.12), and text twice as big (1.4.4) on a wide screen: a narrow one is
 * what a wide one is at four times.
 */
const SPACING = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }";
const TWICE = "html { font-size: 200% !important }";

export async function bearsReaders(page, what) {
  const settings = [["text wide apart", SPACING], ["text twice as big", TWICE]];
  for (const [name, style] of settings.filter(([, style]) => style !== TWICE || page.viewportSize().width >= DESK.width)) {
    await page.evaluate((style) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(style);
      document.adoptedStyleSheets = [sheet];
    }, style);
    await fits(page, `${what}, ${name},`);
    const cut = await page.evaluate(() => [...document.querySelectorAll("button, .button, .badge, .state, h1, h2, h3, p, li")]
      .filter((element) => element.checkVisibility() && !element.closest(".unseen, .who"))
      .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && getComputedStyle(element).overflowX !== "visible")
      .map((element) => element.textContent));
    assert.deepEqual(cut, [], `${what}, ${name}: text that is cut off`);
    await page.evaluate(() => { document.adoptedStyleSheets = []; });
  }
}
