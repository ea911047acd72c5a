// The demo's page: an account to try, a sign-in to play, a mailbox, and lines for the shell.

import * as account from "./factors.js";
import * as mailbox from "./mailbox.js";
import * as personas from "./personas.js";
import * as signIn from "./sign-in.js";
import { h } from "./ui/dom.js";

if (location.hostname !== "localhost") {
  const there = new URL(location.href);
  there.hostname = "localhost";
  const notice = document.querySelector("#wrong-host");
  notice.append("Security keys and signing in need the name localhost: ", h("a", { href: there.href }, "open this page there"), ".");
  notice.hidden = false;
}

mailbox.start();
personas.start();
account.start();
signIn.start();
