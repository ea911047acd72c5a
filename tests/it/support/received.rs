//! A mail as it arrived, and enough MIME to read it: multipart, quoted-printable, base64, RFC 2047.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One mail as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Of MAIL.
    pub from: String,
    /// Of each RCPT.
    pub to: Vec<String>,
    /// The letter, dots unstuffed.
    pub raw: Vec<u8>,
    /// Whether it came encrypted.
    pub tls: bool,
    /// Who had logged in.
    pub user: Option<String>,
    /// Of which connection, counted from 1.
    pub connection: usize,
}

impl Received {
    fn head_and_body(&self) -> (String, String) {
        split_head(&String::from_utf8_lossy(&self.raw))
    }

    /// The values of all headers of that name, unfolded, as they came.
    pub fn headers(&self, name: &str) -> Vec<String> {
        headers(&self.head_and_body().0, name)
    }

    /// The names of all headers, in order.
    pub fn header_names(&self) -> Vec<String> {
        let (head, _) = self.head_and_body();
        head.lines()
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// The subject, decoded.
    pub fn subject(&self) -> String {
        decode_words(&self.headers("Subject").concat())
    }

    /// The `text/plain` part, decoded, with LF.
    pub fn text(&self) -> String {
        self.part("text/plain")
    }

    /// The `text/html` part, decoded, with LF.
    pub fn html(&self) -> String {
        self.part("text/html")
    }

    /// The first run of exactly six digits in the text.
    pub fn code(&self) -> Option<String> {
        self.text()
            .split(|c: char| !c.is_ascii_digit())
            .find(|digits| digits.len() == 6)
            .map(str::to_owned)
    }

    fn part(&self, kind: &str) -> String {
        let (head, body) = self.head_and_body();
        find_part(&head, &body, kind).unwrap_or_default()
    }
}

fn split_head(text: &str) -> (String, String) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    (head.to_owned(), body.to_owned())
}

fn headers(head: &str, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if inside && let Some(last) = found.last_mut() {
                last.push_str(line);
            }
            continue;
        }
        let (this, value) = line.split_once(':').unwrap_or((line, ""));
        inside = this.eq_ignore_ascii_case(name);
        if inside {
            found.push(value.trim_start().to_owned());
        }
    }
    found
}

fn find_part(head: &str, body: &str, kind: &str) -> Option<String> {
    let content_type = headers(head, "Content-Type").concat();
    let lower = content_type.to_ascii_lowercase();
    if lower.starts_with("multipart/") {
        let at = lower.find("boundary=")? + "boundary=".len();
        let boundary = content_type.get(at..)?.split(';').next()?.trim_matches('"');
        return format!("\r\n{body}")
            .split(&format!("\r\n--{boundary}"))
            .skip(1)
            .take_while(|part| !part.starts_with("--"))
            .find_map(|part| {
                let (head, body) = split_head(part.trim_start_matches("\r\n"));
                find_part(&head, &body, kind)
            });
    }
    if !lower.starts_with(kind) {
        return None;
    }
    let encoding = headers(head, "Content-Transfer-Encoding").concat();
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            STANDARD.decode(packed).ok()?
        }
        "quoted-printable" => unquote(body, false),
        _ => body.as_bytes().to_vec(),
    };
    Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

/// RFC 2045 section 6.7; with `underscores` the "Q" of RFC 2047 section 4.2.
fn unquote(text: &str, underscores: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'=' if after.starts_with(b"\r\n") => rest = &after[2..],
            b'=' if after.len() >= 2 => {
                let digits = String::from_utf8_lossy(&after[..2]).into_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
                rest = &after[2..];
            }
            b'_' if underscores => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    bytes
}

/// RFC 2047, UTF-8 alone. Bytes are joined before they are read, since encoders cut within characters.
fn decode_words(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut after_word = false;
    for token in value.split_inclusive(' ') {
        let word = token.trim();
        let mut parts = word
            .strip_prefix("=?")
            .and_then(|w| w.strip_suffix("?="))
            .map(|w| w.splitn(3, '?'))
            .into_iter()
            .flatten();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(charset), Some(encoding), Some(text))
                if charset.eq_ignore_ascii_case("utf-8") =>
            {
                match encoding.to_ascii_uppercase().as_str() {
                    "B" => bytes.extend(STANDARD.decode(text).unwrap_or_default()),
                    _ => bytes.extend(unquote(text, true)),
                }
                after_word = true;
            }
            // White space between two encoded words is no part of the text.
            _ if word.is_empty() && after_word => {}
            _ => {
                if after_word {
                    bytes.push(b' ');
                }
                bytes.extend(token.as_bytes());
                after_word = false;
            }
        }
    }
    String::from_utf8_lossy(&bytes).trim().to_owned()
}
