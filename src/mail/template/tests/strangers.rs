//! What others typed, in every letter that says it.

use super::*;

#[test]
fn what_a_stranger_typed_is_no_link_no_number_and_no_sentence_of_ours() {
    let typed = "Call +1 (555) 010-0000 or http://evil.example/?a=b&c, e\u{202e}ve@evil\u{3002}example!\r\n";
    let said = "Call 1 555 010 0000 or http evil example a b c eve evil";
    let occasion = Occasion {
        service_name: "Example",
        contact: None,
        at: NOON,
        ip: None,
        more_after: None,
    };
    let factor = Thing {
        kind: "webauthn",
        name: Some(typed),
    };
    let row = Row(Language::English);
    let service = Foreign(typed);
    let letters = [
        row.of(FactorAdded { occasion, factor }),
        row.of(FactorReplaced { occasion, factor }),
        row.of(FactorRemoved {
            occasion,
            factor,
            by_operator: false,
        }),
        row.of(KeyCopied { occasion, factor }),
        row.of(SignInUnfinished { occasion, service }),
        row.of(TrustedDeviceCopied { occasion, service }),
        row.of(NameContested {
            occasion,
            name: Foreign(typed),
            until: NOON,
            by_former: false,
        }),
        row.of(Digest {
            occasion,
            changes: &[occasion.change(ChangeKind::Added, Some(factor))],
            others: 0,
        }),
    ];
    for (name, letter) in letters {
        for body in [&letter.text, &letter.html, &letter.subject] {
            for part in ["evil.", "://", "@", "+1", "010-"] {
                assert!(!body.contains(part), "{name}: {body}");
            }
        }
        assert!(
            letter.text.replace('\n', " ").contains(said),
            "{name}: {}",
            letter.text
        );
    }
    let nameless = Foreign("!!!");
    let (_, letter) = row.of(SignInUnfinished {
        occasion,
        service: nameless,
    });
    assert!(
        letter.text.contains("signing in to – as you"),
        "{}",
        letter.text
    );
}
