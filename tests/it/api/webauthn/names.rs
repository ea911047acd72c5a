use axum::http::Method;
use serde_json::{Value, json};

use super::{BEGIN, COMPLETE, devices, enrol, enrol_as, path_of};
use crate::support::{Authenticator, PUBLIC_URL, Server};

#[tokio::test]
async fn a_key_that_says_its_model_is_named_after_it() {
    let server = Server::start().await;
    let alice = server.alice();
    let model = |hex: &str| Authenticator {
        aaguid: data_encoding::HEXLOWER
            .decode(hex.as_bytes())
            .unwrap()
            .try_into()
            .unwrap(),
        ..Authenticator::new()
    };
    let yubikey = model("ee882879721c491397753dfcce97072a");
    enrol(&alice, &yubikey).await;
    enrol_as(&alice, &yubikey_again(&yubikey), Some("Blue")).await;
    enrol(&alice, &model("ffffffffffffffffffffffffffffffff")).await;
    enrol(&alice, &Authenticator::new()).await;
    let seen: Vec<(Value, Value, Value)> = devices(&alice)
        .await
        .into_iter()
        .map(|mut it| (it["name"].take(), it["model"].take(), it["aaguid"].take()))
        .collect();
    let yubikey = json!("ee882879-721c-4913-9775-3dfcce97072a");
    assert_eq!(
        seen,
        [
            (json!("YubiKey 5"), json!("YubiKey 5"), yubikey.clone()),
            (json!("Blue"), json!("YubiKey 5"), yubikey),
            (
                json!("Security key"),
                Value::Null,
                json!("ffffffff-ffff-ffff-ffff-ffffffffffff")
            ),
            (json!("Security key"), Value::Null, Value::Null),
        ]
    );
}

fn yubikey_again(first: &Authenticator) -> Authenticator {
    Authenticator {
        aaguid: first.aaguid,
        ..Authenticator::new()
    }
}

/// Typed, and as it is shown.
fn names() -> Vec<(String, String)> {
    [
        ("  My\tkey\r\n 5 ", "My key 5"),
        (
            "<img src=x onerror=alert(1)>",
            "<img src=x onerror=alert(1)>",
        ),
        (
            "</script><script>alert(1)</script>",
            "</script><script>alert(1)</script>",
        ),
        (
            "\"onfocus=alert(1) autofocus x=\"",
            "\"onfocus=alert(1) autofocus x=\"",
        ),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("{{ service_name }}", "{{ service_name }}"),
        ("evil\u{202e}gpj.exe", "evilgpj.exe"),
        ("\u{2066}a\u{2069}\u{200f}b\u{61c}", "ab"),
        ("\0\u{1b}[31mred", "[31mred"),
        ("e\u{301}", "é"),
        ("Ключ 🔑", "Ключ 🔑"),
    ]
    .map(|(typed, shown)| (typed.to_owned(), shown.to_owned()))
    .into()
}

#[tokio::test]
async fn names_are_text_without_what_could_deceive() {
    let server = Server::start().await;
    let alice = server.alice();
    let device = enrol(&alice, &Authenticator::new()).await;
    for (typed, shown) in names() {
        let begun = alice.post_json(BEGIN, &json!({"name": typed})).await.ok();
        let pending = devices(&alice).await[1]["name"].clone();
        let kept = alice
            .post_json(COMPLETE, &Authenticator::new().register(&begun))
            .await
            .ok();
        let renamed = alice
            .json(Method::PATCH, &path_of(&device), &json!({"name": typed}))
            .await
            .ok();
        for name in [
            &pending,
            &kept["device"]["name"],
            &renamed["device"]["name"],
        ] {
            assert_eq!(*name, shown, "{typed:?}");
        }
        alice
            .delete(&path_of(begun["device_id"].as_str().unwrap()))
            .await
            .ok();
    }
    let marks = format!("a{}", "\u{301}".repeat(300));
    for long in [marks, "é".repeat(500), "🔑".repeat(100)] {
        let renamed = alice
            .json(Method::PATCH, &path_of(&device), &json!({"name": long}))
            .await
            .ok();
        assert_eq!(
            renamed["device"]["name"].as_str().unwrap().chars().count(),
            64
        );
    }
}

#[tokio::test]
async fn the_name_given_at_the_end_wins_and_an_empty_one_gives_way() {
    let server = Server::start().await;
    let alice = server.alice();
    for (first, last, kept) in [
        (json!("Blue"), json!("Red"), "Red"),
        (json!("Blue"), json!(null), "Blue"),
        (json!("Blue"), json!(" \u{200b}"), "Blue"),
        (json!(""), json!(""), "Security key"),
    ] {
        let begun = alice.post_json(BEGIN, &json!({ "name": first })).await.ok();
        let mut body = Authenticator::new().register(&begun);
        body["name"] = last;
        let done = alice.post_json(COMPLETE, &body).await.ok();
        assert_eq!(done["device"]["name"], kept);
    }
}

#[tokio::test]
async fn a_name_that_shows_nothing_is_no_name() {
    let server = Server::start().await;
    let alice = server.alice();
    let device = enrol_as(&alice, &Authenticator::new(), Some("Blue")).await;
    for blank in [
        "",
        " ",
        "\r\n\t",
        "\u{200b}\u{feff}",
        "\u{202e}",
        "\u{2028}",
        "\u{3164}",
        "\u{ad}",
        "\u{2800}",
    ] {
        let misfit = alice
            .json(Method::PATCH, &path_of(&device), &json!({"name": blank}))
            .await
            .misfit();
        assert_eq!(
            misfit,
            [
                json!({"loc": ["body", "name"], "msg": "String should have at least 1 character", "type": "string_too_short"})
            ],
            "{blank:?}"
        );
    }
    for (bent, kind) in [
        (json!({}), "missing"),
        (json!({"name": 4}), "string_type"),
        (json!({"name": null}), "string_type"),
    ] {
        let misfit = alice
            .json(Method::PATCH, &path_of(&device), &bent)
            .await
            .misfit();
        assert_eq!(misfit[0]["type"], kind);
    }
    alice
        .json(
            Method::PATCH,
            &path_of("mfa_nothing"),
            &json!({"name": "x"}),
        )
        .await
        .refused(404, "not_found");
    assert_eq!(devices(&alice).await[0]["name"], "Blue");
}

#[tokio::test]
async fn what_the_token_calls_a_person_is_cleaned_before_browsers_show_it() {
    let server = Server::start().await;
    let person = |name: Value| {
        let token = server
            .issuer
            .token(PUBLIC_URL, "carol")
            .with("preferred_username", name);
        server.bearer(token.sign())
    };
    for (claimed, shown) in [
        (json!("evil\u{202e}lorac"), "evillorac"),
        (
            json!(format!("c{}", "\u{301}".repeat(100))),
            &*format!("ć{}", "\u{301}".repeat(63)),
        ),
        (Value::Null, "carol@example.com"),
    ] {
        let options = person(claimed).post(BEGIN).await.ok();
        let user = &options["publicKey"]["user"];
        assert_eq!(
            (&user["name"], &user["displayName"]),
            (&json!(shown), &json!(shown))
        );
    }
}
