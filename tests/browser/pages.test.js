import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";

import { addKey, ask, must, setUpApp } from "./support/account.js";
import { usbPorts } from "./support/authenticator.js";
import { EYES, fits, isAccessible } from "./support/looks.js";
import { openSettings } from "./support/settings.js";
import { picture, story } from "./support/story.js";
import { totp } from "./support/totp.js";

const MARKUP = "<img src=x onerror=document.title='owned'>";

function assertStrict(headers, where) {
  const policy = headers["content-security-policy"];
  for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'self'",
    "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"]) {
    assert.ok(policy.split(/;\s*/).includes(part), `${where}: ${part}`);
  }
  assert.ok(!/unsafe-|\*|http/.test(policy), where);
  const exact = {
    "x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin", "cache-control": "no-store",
  };
  for (const [name, value] of Object.entries(exact)) assert.equal(headers[name], value, `${where}: ${name}`);
  assert.match(headers["permissions-policy"], /publickey-credentials-get=\(self\).*camera=\(\)/, where);
  assert.match(headers["x-request-id"], /^req_/, where);
  assert.equal(headers.server, undefined, where);
  assert.equal(headers["access-control-allow-origin"], undefined, where);
}

story("strict headers stand on the pages, on answers and on refusals", async ({ page, origin, ear }) => {
  for (const path of ["/demo", "/demo/returned", "/", "/prompt", "/prompt/"]) {
    const response = await page.goto(origin + path);
    assertStrict(response.headers(), path);
    assert.equal(response.headers()["set-cookie"], undefined);
  }
  assertStrict((await ask(page, "GET", "/me/mfa")).headers, "an answer");
  ear.expects(404, 409);
  assertStrict((await ask(page, "POST", "/me/mfa/totp/confirm", { code: "000000" })).headers, "a refusal");
  assertStrict((await page.request.get(`${origin}/nowhere`)).headers(), "no such page");
});

story("whatever a page must not do is heard, and would fail its test", async ({ page, origin, ear }) => {
  const script = () => {
    const script = document.createElement("script");
    script.append("globalThis.owned = true");
    document.body.append(script);
  };
  const markup = () => {
    try {
      document.body.innerHTML = "<b>owned</b>";
    } catch {
      // The browser refuses it, and tells.
    }
  };
  const offences = {
    "violation: style-src-elem": () => {
      const style = document.createElement("style");
      style.textContent = "p { color: red }";
      document.head.append(style);
    },
    "violation: style-src-attr": () => document.body.setAttribute("style", "color: red"),
    "violation: require-trusted-types-for trusted-types-sink": script,
    "violation: require-trusted-types-for": markup,
    "violation: img-src": () => document.body.append(Object.assign(new Image(), { src: "https://elsewhere.example/x.png" })),
    "violation: connect-src": () => fetch("https://elsewhere.example/").catch(() => {}),
    "console error": () => console.error("owned"),
    pageerror: () => { setTimeout(() => { throw new Error("owned"); }); },
  };
  for (const path of ["/", "/prompt/", "/demo"]) {
    await page.goto(origin + path);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    for (const [told, offence] of Object.entries(offences)) {
      assert.deepEqual(ear.complaints(), [], `before ${told} on ${path}`);
      await page.evaluate(offence);
      await ear.hears(told, page);
      ear.forget();
    }
    assert.equal(await page.evaluate(() => globalThis.owned), undefined);
  }
});

story("a key whose name is markup is shown as text on both pages", async ({ page, origin }) => {
  await page.goto(`${origin}/demo`);
  await (await usbPorts(page)).plugIn();
  await addKey(page, MARKUP);
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByRole("article", { name: "Security keys" }).getByText(MARKUP).waitFor();
  await page.getByRole("complementary", { name: "Mailbox" }).getByRole("heading", { name: /New security key/ }).waitFor();
  assert.equal(await page.locator("img[src=x]").count(), 0);
  assert.equal(await page.title(), "mfad demo");
  await openSettings(page, origin);
  await page.getByText(MARKUP, { exact: true }).waitFor();
  await page.getByText(`Security key “${MARKUP}” added`).waitFor();
  assert.equal(await page.locator("img").count(), 0);
  assert.equal(await page.title(), "Account security · mfad demo");
});

story("nothing is kept in the browser", async ({ page, context, origin }) => {
  await page.goto(`${origin}/demo`);
  const card = page.getByRole("article", { name: "Authenticator app" });
  await card.getByRole("button", { name: "Set up" }).click();
  const secret = (await page.locator(".secret").innerText()).replaceAll(" ", "");
  await card.getByRole("textbox").fill(totp(secret));
  await page.getByText("Shown once:").waitFor();
  const kept = () => page.evaluate(async () => ({
    local: { ...localStorage }, session: { ...sessionStorage }, databases: await indexedDB.databases(),
    caches: await caches.keys(), workers: (await navigator.serviceWorker.getRegistrations()).length, cookie: document.cookie,
    url: location.search + location.hash, history: history.state,
  }));
  const nothing = { local: {}, session: {}, databases: [], caches: [], workers: 0, cookie: "", url: "", history: null };
  assert.deepEqual(await kept(), nothing);
  assert.deepEqual(await context.cookies(), []);
  await openSettings(page, origin);
  await page.getByText("Your account is protected").waitFor();
  assert.deepEqual(await kept(), nothing);
  assert.deepEqual((await context.cookies(`${origin}/`)).map(({ name, httpOnly }) => [name, httpOnly]), [["__Host-mfad_session", true]]);
  await page.goto(`${origin}/demo`);
  await page.getByText("10 of 10 left.").waitFor();
  assert.ok(!(await page.content()).includes(secret), "going back shows no secret");
});

story("a page of another origin can neither frame the pages nor ask for tokens", async ({ page, context, origin }) => {
  const paths = ["/", "/prompt/", "/demo", "/demo/returned", "/demo/issuer/authorize"];
  const other = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<!doctype html><title>Another</title>${paths.map((path) => `<iframe src="${origin}${path}"></iframe>`).join("")}`);
  }).listen(0, "127.0.0.1");
  try {
    await once(other, "listening");
    const stranger = await context.newPage();
    const said = [];
    stranger.on("console", (message) => said.push(message.text()));
    await stranger.goto(`http://127.0.0.1:${other.address().port}/`);
    const frames = stranger.frames().slice(1);
    assert.equal(frames.length, paths.length);
    for (const frame of frames) {
      assert.ok(!frame.url().startsWith(origin), frame.url());
      assert.doesNotMatch(await frame.content(), /mfad|second factor|persona/i);
    }
    assert.equal(said.filter((text) => text.includes("frame-ancestors")).length, paths.length, said.join("\n"));
    const reached = await stranger.evaluate(async (origin) => {
      const ask = (path, options) => fetch(origin + path, options).then((answer) => answer.text(), () => "refused");
      const json = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"persona":"alice"}' };
      return [await ask("/demo/api/token", json), await ask("/demo/api/mails"), await ask("/healthz")];
    }, origin);
    assert.deepEqual(reached, ["refused", "refused", "refused"]);
    await page.goto(origin);
  } finally {
    other.close();
  }
});

for (const { name, ...eyes } of EYES) {
  story(`the demo page fits and is accessible at every step: ${name}`, async ({ page, origin, ear }) => {
    const look = async (what, options) => {
      await fits(page, what);
      await isAccessible(page, what);
      await picture(page, `look demo ${what} ${name}`, options);
    };
    await page.goto(`${origin}/demo`);
    await page.getByText("Only a password protects this account").waitFor();
    await look("at first", { fullPage: true });
    const app = page.getByRole("article", { name: "Authenticator app" });
    await app.getByRole("button", { name: "Set up" }).click();
    const secret = (await page.locator(".secret").innerText()).replaceAll(" ", "");
    await app.locator(".digits").getByText(/\d{3} \d{3}/).waitFor();
    await look("setting up an app", { fullPage: true });
    ear.expects(400);
    await app.getByRole("textbox").fill("abcdef");
    await page.keyboard.press("Enter");
    await app.getByText("That code is not right.").waitFor();
    await look("after a wrong code");
    await app.getByRole("textbox").fill(totp(secret));
    await page.getByText("Shown once:").waitFor();
    await look("with backup codes", { fullPage: true });
    await page.getByRole("button", { name: "I have saved them" }).click();
    await (await usbPorts(page)).plugIn();
    await addKey(page, "A name as long as a name may be, for a key of which one has many");
    await must(page, "POST", "/me/mfa/email/enable");
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("article", { name: "Security keys" }).getByText("A name as long").waitFor();
    await page.getByRole("heading", { name: "New security key" }).waitFor();
    for (const summary of await page.locator("summary:visible").all()) await summary.click();
    await look("with everything open", { fullPage: true });
  }, eyes);
}
