//! The line to other servers: TLS, time and size.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::*;

/// Answers every connection with `head` and then keeps it open.
async fn dripping(head: &'static [u8]) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(head).await;
            open.push(stream);
        }
    });
    Url::parse(&url).unwrap()
}

#[tokio::test]
async fn a_server_that_stops_in_the_middle_is_left_after_the_deadline() {
    let outbound = Outbound::new(None)
        .unwrap()
        .with_deadline(Duration::from_millis(200));
    for head in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let outcome = outbound
            .get_json::<Value>(&dripping(head).await, None)
            .await;
        assert!(
            matches!(outcome, Err(OutboundError::Timeout(_))),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
            .await;
        while stream.write_all(&[b' '; 65536]).await.is_ok() {}
    });
    let outcome = Outbound::new(None)
        .unwrap()
        .get_json::<Value>(&url, None)
        .await;
    assert!(
        matches!(outcome, Err(OutboundError::TooLarge)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_believed_only_with_its_authority() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![made.cert.der().clone()], key)
    .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}")
                    .await;
                let _ = stream.shutdown().await;
            });
        }
    });
    let by_name = Url::parse(&format!("https://localhost:{port}/")).unwrap();
    let by_number = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();

    let trusting = Outbound::new(Some(&ca)).unwrap();
    let answer: Value = trusting.get_json(&by_name, None).await.unwrap();
    assert_eq!(answer, json!({"a": "b"}));
    for (outbound, url) in [
        (Outbound::new(None).unwrap(), &by_name),
        (trusting, &by_number),
    ] {
        let outcome = outbound.get_json::<Value>(url, None).await;
        assert!(
            matches!(outcome, Err(OutboundError::Line(_))),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_file_without_certificates_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate here\n").unwrap();
    for path in [empty, directory.path().join("missing.pem")] {
        let error = Outbound::new(Some(&path)).err().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(error.to_string().contains(&name), "{error}");
    }
}

#[tokio::test]
async fn a_form_is_posted_and_its_refusal_can_be_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().route(
        "/token",
        axum::routing::post(|headers: HeaderMap, body: String| async move {
            let kind = headers["content-type"].to_str().unwrap().to_owned();
            (
                StatusCode::BAD_REQUEST,
                axum::Json(json!({"error": "invalid_grant", "kind": kind, "body": body})),
            )
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = Outbound::new(None)
        .unwrap()
        .post_form(
            &url,
            None,
            &[("grant_type", "refresh_token"), ("x", "a&b=ü")],
        )
        .await
        .unwrap();
    assert_eq!(answer.status, 400);
    let body: Value = answer.json().unwrap();
    assert_eq!(body["error"], "invalid_grant");
    assert_eq!(body["kind"], "application/x-www-form-urlencoded");
    assert_eq!(body["body"], "grant_type=refresh_token&x=a%26b%3D%C3%BC");
}

#[tokio::test]
async fn another_machine_is_not_asked_in_the_clear_and_errors_hold_no_body() {
    let outbound = Outbound::new(None).unwrap();
    let url = Url::parse("http://issuer.example/").unwrap();
    let outcome = outbound.get_json::<Value>(&url, Some("geheim")).await;
    assert!(matches!(outcome, Err(OutboundError::Address)));

    let issuer = Issuer::start(&[]).await;
    issuer.set(Mode::Raw(StatusCode::OK, r#"{"keys":"geheim"}"#.to_owned()));
    let url = Url::parse(&format!("{}/jwks", issuer.url)).unwrap();
    #[derive(Debug, serde::Deserialize)]
    struct Wanted {
        #[expect(dead_code, reason = "only its type matters")]
        keys: u8,
    }
    let error = outbound.get_json::<Wanted>(&url, None).await.unwrap_err();
    assert!(
        !format!("{error:?} {error}").contains("geheim"),
        "{error:?}"
    );
}
