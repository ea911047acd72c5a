use std::collections::BTreeSet;

use super::*;

fn names(sentence: &str) -> BTreeSet<&str> {
    let ends = sentence.split('{').skip(1);
    ends.filter_map(|from| from.split_once('}').map(|(name, _)| name))
        .collect()
}

fn forms(sentence: &Sentence) -> Vec<&str> {
    match sentence {
        Sentence::Plain(words) => vec![words],
        Sentence::Counted { one, other } => vec![one, other],
    }
}

#[test]
fn every_language_says_everything_with_the_same_values() {
    let english = sentences(Language::English);
    assert!(!english.is_empty());
    for language in Language::ALL {
        let theirs = sentences(language);
        let missing: Vec<_> = english
            .keys()
            .filter(|key| !theirs.contains_key(*key))
            .collect();
        let unknown: Vec<_> = theirs
            .keys()
            .filter(|key| !english.contains_key(*key))
            .collect();
        assert!(missing.is_empty(), "{language} lacks {missing:?}");
        assert!(unknown.is_empty(), "{language} has {unknown:?} too many");
        for (key, sentence) in english {
            let (ours, theirs) = (forms(sentence), forms(&theirs[key]));
            assert_eq!(ours.len(), theirs.len(), "{language}: forms of {key}");
            let other = |forms: &[&str]| forms.last().map(|words| names(words).len());
            assert_eq!(other(&ours), other(&theirs), "{language}: values of {key}");
            for words in theirs {
                assert!(!words.trim().is_empty(), "{language}: {key} is empty");
                let strange: Vec<_> = names(words)
                    .difference(&names(ours[ours.len() - 1]))
                    .copied()
                    .collect();
                assert!(strange.is_empty(), "{language}: {key} asks for {strange:?}");
            }
        }
    }
}

#[test]
fn the_language_is_the_one_that_the_reader_likes_best() {
    let of = Language::preferred;
    assert_eq!(of("nl-BE,nl;q=0.9,en;q=0.8"), Some(Language::Dutch));
    assert_eq!(of("en;q=0.5, DE ; q=0.9"), Some(Language::German));
    assert_eq!(of("pt, es"), Some(Language::Spanish));
    assert_eq!(of("fr, de"), Some(Language::French), "the first of equals");
    assert_eq!(of("fr;q=0, de;q=0.1"), Some(Language::German));
    for none in ["", "*", "pt-BR", ";;,,", "q=1", "fr;q=0"] {
        assert_eq!(of(none), None, "{none}");
    }
    assert_eq!(Language::of_tag("fr_CA"), Some(Language::French));
    assert_eq!("ES".parse(), Ok(Language::Spanish));
    assert!("es-MX".parse::<Language>().is_err(), "a setting is exact");
}

#[test]
fn sentences_count_as_their_language_does() {
    let of = |language, count| find(language, "remains.keys", Some(count));
    assert_eq!(of(Language::English, 1), "{count} security key");
    assert_eq!(of(Language::English, 0), "{count} security keys");
    assert_eq!(Language::French.number(0), Number::One);
    assert_eq!(find(Language::English, "no.such.key", None), "no.such.key");
}

#[test]
fn values_take_the_place_of_names_and_are_not_read_again() {
    let value = |name: &str| (name == "name").then_some("{name} & {b}");
    assert_eq!(
        fill("a {name} b {other} c {", value),
        "a {name} & {b} b {other} c {"
    );
}
