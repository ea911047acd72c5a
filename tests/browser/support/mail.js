// A mail as it came over SMTP, taken apart: the shape that the server sends, and no more of MIME than that.

function decoded({ head, body }) {
  const encoding = /^content-transfer-encoding:\s*(\S+)/im.exec(head)?.[1].toLowerCase() ?? "7bit";
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8");
  if (encoding !== "quoted-printable") return Buffer.from(body, "latin1").toString("utf8");
  const bytes = body.replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function split(raw) {
  const end = raw.indexOf("\r\n\r\n");
  return { head: raw.slice(0, end).replace(/\r\n[ \t]+/g, " "), body: raw.slice(end + 4) };
}

/** `{ head, text, html }` of a multipart/alternative mail. */
export function takeApart(bytes) {
  const whole = split(bytes.toString("latin1"));
  const boundary = /^content-type:\s*multipart\/alternative;.*boundary="([^"]+)"/im.exec(whole.head)[1];
  const parts = whole.body.split(`--${boundary}`).slice(1, -1).map((part) => split(part.replace(/^\r\n/, "").replace(/\r\n$/, "")));
  const [text, html] = ["text/plain", "text/html"].map((kind) => {
    const part = parts.find(({ head }) => new RegExp(`^content-type:\\s*${kind}`, "im").test(head));
    return decoded(part).replaceAll("\r\n", "\n");
  });
  return { head: whole.head, text, html };
}

/** The newest mail of the demo's mailbox whose subject has `words`, once the page shows it. */
export async function mailAbout(page, words) {
  await page.getByRole("heading", { name: words }).waitFor();
  const mail = await page.evaluate(async (words) => {
    const { mails } = await (await fetch("/demo/api/mails")).json();
    return mails.find((mail) => mail.subject.includes(words));
  }, words);
  const raw = await page.evaluate(async (id) => {
    const bytes = new Uint8Array(await (await fetch(`/demo/api/mails/${id}`)).arrayBuffer());
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  }, mail.id);
  return { ...mail, ...takeApart(Buffer.from(raw, "latin1")) };
}
