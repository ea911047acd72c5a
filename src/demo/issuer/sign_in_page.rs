//! The two pages of the issuer: who are you today, and why not.

use std::fmt::Write;

use crate::demo::persona::Persona;
use crate::http::escape_html as escape;

fn page(main: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Sign in · mfad demo</title>\n\
         <link rel=\"icon\" href=\"/demo/icon.svg\">\n\
         <link rel=\"stylesheet\" href=\"demo.css\">\n</head>\n<body class=\"sign-in\">\n\
         <main>\n{main}</main>\n</body>\n</html>\n"
    )
}

/// The personas as buttons; the hinted one comes first to hand.
pub fn choose(client: &str, handle: &str, csrf: &str, hinted: Option<Persona>) -> String {
    let mut buttons = String::new();
    for persona in Persona::ALL {
        let Some(person) = persona.person() else {
            continue;
        };
        let suggested = if hinted == Some(persona) {
            " class=\"persona suggested\" autofocus"
        } else {
            " class=\"persona\""
        };
        let initial: String = person.name.chars().take(1).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            buttons,
            "<button type=\"submit\" name=\"persona\" value=\"{id}\"{suggested}>\
             <span class=\"avatar\" aria-hidden=\"true\">{initial}</span>\
             <span class=\"who\"><strong>{name}</strong><span>{email}</span>\
             <span class=\"quiet\">{role}</span></span></button>",
            id = persona.id(),
            name = escape(person.name),
            email = escape(person.email),
            role = escape(person.role),
        );
    }
    let main = format!(
        "<p class=\"badge\">Demo issuer</p>\n<h1>Who are you today?</h1>\n\
         <p class=\"quiet\">Signing in to {client}. This issuer asks for no password: pick a \
         persona.</p>\n<form method=\"post\" action=\"sign-in\">\n\
         <input type=\"hidden\" name=\"request\" value=\"{handle}\">\n\
         <input type=\"hidden\" name=\"csrf\" value=\"{csrf}\">\n{buttons}\
         <button type=\"submit\" name=\"persona\" value=\"nobody\" class=\"plain\">Cancel</button>\n\
         </form>\n",
        client = escape(client),
        handle = escape(handle),
        csrf = escape(csrf),
    );
    page(&main)
}

/// Why this sign-in cannot go on.
pub fn dead_end(sentence: &str) -> String {
    let main = format!(
        "<p class=\"badge\">Demo issuer</p>\n<h1>This sign-in cannot go on</h1>\n<p>{}</p>\n\
         <p><a href=\"/demo\">To the demo page</a></p>\n",
        escape(sentence)
    );
    page(&main)
}
