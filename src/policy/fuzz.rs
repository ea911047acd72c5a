use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Key, Part, Policy, Rule, Source};
use crate::base::fuzz::Target;

/// What a policy says can be said to it again: in settings, in orders and out of the store.
#[test]
fn fuzz_policy_words() {
    let word = select(
        &[
            "all",
            "none",
            "totp",
            "email",
            "webauthn",
            "on",
            "off",
            "recovery",
            "0",
            "30",
            "365",
            "366",
            "007",
            "+5",
            "tenant:a",
            "tenant:a b",
            "scope:x",
            "scope:x y",
            "service:portal",
            "tenant:",
            "tenant::",
            "Scope:x",
        ][..],
    );
    let generated = vec(word, 1..4).prop_map(|words| words.join("\n").into_bytes());
    let target =
        Target::new("policy_words").words(&["tenant:", "scope:", "service:", ":", "\u{a0}"]);
    target.check(generated, |input| {
        let text = String::from_utf8_lossy(input);
        let said: Vec<String> = text.split('\n').map(str::to_owned).collect();
        for word in &said {
            if let Ok(rule) = word.parse::<Rule>() {
                assert_eq!(rule.to_string(), *word);
            }
        }
        let mut any = false;
        for key in Key::ALL {
            assert_eq!(key.name().parse(), Ok(key));
            let mut policy = Policy::default();
            if policy.set(key, &said, Source::Setting).is_err() {
                assert_eq!(policy, Policy::default());
                continue;
            }
            any = true;
            let words = match policy.words(key) {
                words if words.is_empty() => vec!["none".to_owned()],
                words => words,
            };
            let mut again = Policy::default();
            again.set(key, &words, Source::Setting).unwrap();
            assert_eq!(again, policy);
            let part = policy
                .parts()
                .into_iter()
                .find(|part| part.key == key)
                .unwrap();
            let json = serde_json::to_string(&part).unwrap();
            assert_eq!(serde_json::from_str::<Part>(&json).unwrap(), part);
            // A line of a file of settings stays one.
            assert_eq!(part.to_string().lines().count(), 1);
            toml::from_str::<toml::Table>(&part.to_string()).unwrap();
        }
        any
    });
}
