// Alice's mail: polled, newest first, shown as text.

import { mailbox } from "./api.js";
import { button, copyButton, h, icon } from "./ui/dom.js";

const EVERY_MS = 2000;
const list = document.querySelector("#mails");
const count = document.querySelector("#mail-count");
const news = document.querySelector("#mail-news");

const clear = Object.assign(button("Clear", async () => {
  await mailbox.clear();
  show((await mailbox.list()).mails);
}, { kind: "plain" }), { hidden: true });

let shown = null;
const listeners = new Set();

/** Calls `heard` with the code of each mail that arrives from now on, until the returned function is called. */
export function onCode(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

function letter(mail, newest) {
  const fallback = h("div");
  const code = mail.code && h("p", { class: "found" },
    h("strong", { "aria-label": `Code ${[...mail.code].join(" ")}` }, mail.code),
    copyButton("Copy", () => mail.code, { fallback, label: `Copy code ${mail.code}` }));
  return h("article", { class: "card mail" },
    h("h3", {}, mail.subject || "(no subject)"),
    h("p", { class: "meta" }, `To ${mail.to.join(", ")} · ${new Date(mail.at).toLocaleTimeString()}`),
    code, fallback,
    h("details", { open: newest && !mail.code }, h("summary", {}, "Read the mail"),
      h("p", { class: "meta" }, `From ${mail.from}`),
      h("p", { class: "text", tabindex: "0" }, mail.text || "(no text)"),
      h("p", {}, h("a", { class: "small-text", href: `/demo/api/mails/${mail.id}`, download: `mail-${mail.id}.eml` },
        "Save as a file for a mail program"))));
}

function show(mails) {
  const newest = mails[0]?.id ?? 0;
  const stamp = `${newest}/${mails.length}`;
  if (stamp === shown) return;
  const first = shown === null;
  const before = first ? newest : Number(shown.split("/")[0]);
  shown = stamp;
  count.hidden = clear.hidden = mails.length === 0;
  count.textContent = mails.length;
  list.replaceChildren(...(mails.length === 0
    ? [h("div", { class: "card empty" }, icon("mail"), h("p", {}, "No mail yet."),
        h("p", { class: "small-text" }, "What the server sends arrives here, over real SMTP."))]
    : mails.map((mail, index) => letter(mail, index === 0))));
  const fresh = mails.filter((mail) => mail.id > before);
  if (fresh.length > 0) news.textContent = `New mail: ${fresh[0].subject}`;
  for (const mail of fresh.reverse()) if (mail.code) listeners.forEach((heard) => heard(mail.code));
}

async function poll() {
  try {
    if (!document.hidden) show((await mailbox.list()).mails);
  } catch (problem) {
    if (shown === null || list.querySelector(".error") === null) {
      shown = null;
      list.replaceChildren(h("p", { class: "card error", role: "alert" }, problem.message));
    }
  }
  setTimeout(poll, EVERY_MS);
}

export function start() {
  document.querySelector("#clear-mails").replaceWith(clear);
  poll();
}
