//! Pages from texts with gaps.

/// `text` as it stands between tags, or between quotes within one.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `template` with each `{{name}}` replaced by the markup that `markup` gives for it, which is not read again; as it
/// is where there is none.
pub(super) fn fill(template: &str, markup: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = from.split_once("}}") else {
            filled.push_str("{{");
            rest = from;
            break;
        };
        match markup(name) {
            Some(markup) => filled.push_str(&markup),
            None => filled.push_str(&format!("{{{{{name}}}}}")),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_once_and_text_is_text() {
        let markup = |name: &str| (name == "a").then(|| "<b>{{a}}</b>".to_owned());
        assert_eq!(
            fill("1 {{a}} 2 {{b}} 3 {{", markup),
            "1 <b>{{a}}</b> 2 {{b}} 3 {{"
        );
        assert_eq!(
            escape("<a href=\"'&'\">"),
            "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;"
        );
    }
}
