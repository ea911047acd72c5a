use super::record::{Kept, KeptKey};
use super::rule::retire;
use super::*;
use crate::auth::{FORBIDDEN, INVALID_TOKEN, LoginService};
use crate::base::{Failure, OsEntropy, Secret, Timestamp};
use crate::store::Record;
use crate::store::testing::TestStore;

const START: Timestamp = Timestamp::from_unix(1_800_000_000);

/// The login services of a store, and who is let in by them.
struct Registry {
    store: TestStore,
    door: Doorkeeper,
}

impl Registry {
    fn new() -> Self {
        let store = TestStore::create();
        Registry {
            door: Doorkeeper::new(store.clone()),
            store,
        }
    }

    async fn add(&self, service: Service, now: Timestamp) -> Result<Secret<String>, Failure> {
        let key = ServiceKey::draw(&OsEntropy)?;
        let hash = key.hash(self.store.sealer());
        self.store
            .write(move |tx| add(tx, &service, hash, now))
            .await?;
        Ok(key.into_secret())
    }

    async fn rotate(
        &self,
        id: &'static str,
        overlap: u64,
        now: Timestamp,
    ) -> Result<Secret<String>, Failure> {
        let key = ServiceKey::draw(&OsEntropy)?;
        let hash = key.hash(self.store.sealer());
        self.store
            .write(move |tx| rotate(tx, id, hash, overlap, now))
            .await?;
        Ok(key.into_secret())
    }

    fn knows(&self, key: &Secret<String>, now: Timestamp) -> bool {
        self.door.by_key(key.expose(), now).is_ok()
    }

    fn registered(&self, id: &str, now: Timestamp) -> Registered {
        let found = self.store.read(|read| get(read, id, now)).unwrap();
        found.unwrap()
    }

    /// Waits until what is noted beside an authentication is on disk.
    async fn noted(&self, id: &str, is: impl Fn(&Registered) -> bool) -> Registered {
        let changes = self.store.watch(Kept::TABLE);
        loop {
            let registered = self.registered(id, START);
            if is(&registered) {
                return registered;
            }
            let patience = std::time::Duration::from_secs(10);
            tokio::time::timeout(patience, changes.notified())
                .await
                .unwrap();
        }
    }
}

fn service(id: &str) -> Service {
    Service {
        id: id.to_owned(),
        sends: Sends::Subject,
        tenants: Vec::new(),
        return_urls: Vec::new(),
        client_id: None,
        issuer: None,
        unknown: Some(Unknown::Enroll),
    }
}

fn token(client: &str) -> LoginService {
    LoginService {
        issuer: "https://login.example.org".to_owned(),
        subject: client.to_owned(),
        client: client.to_owned(),
        tenant: None,
        may_verify: true,
        expires: START.plus(60),
    }
}

fn code<T>(outcome: Result<T, Failure>) -> Option<&'static str> {
    outcome.err().map(|failure| failure.code().name)
}

#[test]
fn a_key_has_256_bits_and_one_spelling() {
    let key = ServiceKey::draw(&OsEntropy).unwrap().into_secret();
    let text = key.expose().as_str();
    assert_eq!(text.len(), "mfad_sk_".len() + 52);
    let bits = text["mfad_sk_".len()..].to_uppercase();
    let bytes = data_encoding::BASE32_NOPAD.decode(bits.as_bytes()).unwrap();
    assert_eq!(bytes.len() * 8, 256);
    assert!(ServiceKey::read(text).is_some());
    for wrong in [
        text.to_uppercase(),
        text.replace("mfad_sk_", "mfad_sk-"),
        format!("{text}a"),
        format!(" {text}"),
        text[..59].to_owned(),
        format!("{}0", &text[..59]),
        "mfad_sk_".to_owned(),
        String::new(),
    ] {
        assert!(ServiceKey::read(&wrong).is_none(), "{wrong}");
    }
}

#[test]
fn only_a_service_can_be_registered() {
    let check = |change: &dyn Fn(&mut Service)| {
        let mut service = service("portal");
        change(&mut service);
        code(service.check())
    };
    assert_eq!(check(&|_| {}), None);
    for id in ["a", "0", "a.b_c-d", &"a".repeat(63)] {
        assert_eq!(check(&|s| s.id = id.to_owned()), None, "{id}");
    }
    for id in [
        "",
        "-a",
        ".a",
        "_a",
        "A",
        "a b",
        "a:b",
        "a/b",
        "é",
        "a\n",
        &"a".repeat(64),
    ] {
        assert_eq!(
            check(&|s| s.id = id.to_owned()),
            Some("bad_service"),
            "{id}"
        );
    }
    let long = format!("https://a.org/{}", "a".repeat(LONGEST_URL));
    for url in [
        "https://portal.example.org/mfa?next=%2F",
        "https://portal.example.org:8443",
        "http://localhost:3000/back",
        "http://127.0.0.1/",
        "http://[::1]:3000/",
        &long[..LONGEST_URL],
    ] {
        assert_eq!(
            check(&|s| s.return_urls = vec![url.to_owned()]),
            None,
            "{url}"
        );
    }
    for url in [
        "",
        "portal.example.org",
        "//portal.example.org/",
        "https:portal.example.org",
        "https:///portal.example.org",
        "http://portal.example.org/",
        "http://localhost.example.org/",
        "http://a.localhost/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user@portal.example.org/",
        "https://user:pw@portal.example.org/",
        "https://@portal.example.org/",
        "https://localhost\\@evil.example.org/",
        "https://portal.example.org/#part",
        "https://portal.example.org/#",
        "https://portal.example.org/a b",
        " https://portal.example.org/",
        "https://portal.example.org/\n",
        "https://portal.example.org/\tx",
        "https://pörtal.example.org/",
        "https://",
        "https://ex%61mple.org/",
        "https://portal.example.org:0443/",
        "https://portal.example.org:/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://[0::1]/",
        &long,
    ] {
        let refused = check(&|s| s.return_urls = vec![url.to_owned()]);
        assert_eq!(refused, Some("bad_service"), "{url:?}");
    }
    let many = |n: usize| (0..n).map(|n| format!("https://a.org/{n}")).collect();
    assert_eq!(check(&|s| s.return_urls = many(MOST_URLS)), None);
    assert!(check(&|s| s.return_urls = many(MOST_URLS + 1)).is_some());
    assert_eq!(check(&|s| s.tenants = many(MOST_TENANTS)), None);
    assert!(check(&|s| s.tenants = many(MOST_TENANTS + 1)).is_some());
    for name in ["", "a\nb", "\u{1b}[2J", &"a".repeat(256)] {
        assert!(check(&|s| s.tenants = vec![name.to_owned()]).is_some());
        assert!(check(&|s| s.client_id = Some(name.to_owned())).is_some());
        assert!(name.len() > 255 || check(&|s| s.issuer = Some(name.to_owned())).is_some());
    }
}

#[test]
fn a_service_asks_about_its_tenants_and_returns_to_its_own_pages_alone() {
    let mut portal = service("portal");
    assert!(portal.may_ask_about(&[]) && portal.may_ask_about(&["t1"]));
    assert!(!portal.returns_to(""));
    portal.tenants = vec!["t1".to_owned(), "t2".to_owned()];
    portal.return_urls = vec!["https://a.org/back".to_owned()];
    assert!(portal.may_ask_about(&["t2"]) && portal.may_ask_about(&["t3", "t1"]));
    assert!(!portal.may_ask_about(&["T2", "t3"]) && !portal.may_ask_about(&[""]));
    assert!(
        !portal.may_ask_about(&[]),
        "somebody without a tenant is nobody's of t1"
    );
    assert!(portal.returns_to("https://a.org/back"));
    for other in [
        "https://a.org/back/",
        "https://a.org/back?",
        "https://A.org/back",
        "https://a.org:443/back",
        "https://a.org/x/../back",
        "https://a.org/",
    ] {
        assert!(!portal.returns_to(other), "{other}");
    }
}

#[test]
fn of_two_old_keys_the_one_in_use_goes_on() {
    let hash = |n: u8| {
        let text = data_encoding::BASE64_NOPAD.encode(&[n; 32]);
        crate::crypto::CodeHash::try_from(text).unwrap()
    };
    let key = |n: u8, made: u64, used: Option<u64>, end: Option<u64>| KeptKey {
        hash: hash(n),
        made_at: START.plus(made),
        expires_at: end.map(|end| START.plus(end)),
        last_used_at: used.map(|used| START.plus(used)),
    };
    let now = START.plus(1000);
    let outcome = |keys: Vec<KeptKey>, overlap| {
        let (staying, ended) = retire(keys, overlap, now);
        let staying = staying.map(|key| {
            assert_eq!(key.expires_at, Some(now.plus(overlap)));
            key.hash.as_bytes()[0]
        });
        let ended: Vec<u8> = ended.iter().map(|key| key.hash.as_bytes()[0]).collect();
        (staying, ended)
    };
    let one = || key(1, 0, None, None);
    assert_eq!(outcome(vec![one()], 60), (Some(1), vec![]));
    assert_eq!(outcome(vec![one()], 0), (None, vec![1]));
    // The answer with key 2 was lost; the service goes on with key 1.
    let old = || key(1, 0, Some(990), Some(2000));
    let lost = key(2, 500, None, None);
    assert_eq!(outcome(vec![lost, old()], 60), (Some(1), vec![2]));
    let taken = key(2, 500, Some(900), None);
    assert_eq!(outcome(vec![taken, old()], 60), (Some(2), vec![1]));
    // What has ended does not come back.
    let over = key(1, 0, Some(990), Some(1000));
    let unused = key(2, 500, None, None);
    assert_eq!(outcome(vec![unused, over], 60), (Some(2), vec![1]));
}

#[tokio::test]
async fn a_key_names_its_service_and_a_name_needs_its_own_key() {
    let registry = Registry::new();
    let portal = registry.add(service("portal"), START).await.unwrap();
    let radius = registry.add(service("radius"), START).await.unwrap();
    assert_eq!(
        registry.door.by_key(portal.expose(), START).unwrap().id,
        "portal"
    );
    let by_name = |id: &str, key: &str| registry.door.by_id_and_key(id, key, START);
    assert_eq!(by_name("radius", radius.expose()).unwrap().id, "radius");

    let stranger = ServiceKey::draw(&OsEntropy).unwrap().into_secret();
    let mut told = std::collections::BTreeSet::new();
    for (id, key) in [
        ("radius", portal.expose().as_str()),
        ("nobody", portal.expose()),
        ("nobody", stranger.expose()),
        ("portal", stranger.expose()),
        ("portal", ""),
        ("", portal.expose()),
        ("portal", "mfad_sk_"),
    ] {
        let refused = by_name(id, key).unwrap_err();
        assert_eq!(refused.code(), INVALID_TOKEN, "{id}");
        told.insert(format!("{refused:?}"));
    }
    assert_eq!(told.len(), 1, "what is wrong is not told: {told:?}");
    assert!(!registry.knows(&stranger, START));
}

#[tokio::test]
async fn an_old_key_ends_to_the_second_and_there_are_never_more_than_two() {
    let registry = Registry::new();
    let first = registry.add(service("portal"), START).await.unwrap();
    let second = registry.rotate("portal", 3600, START).await.unwrap();
    let last = START.plus(3599);
    assert!(registry.knows(&first, last) && registry.knows(&second, last));
    assert!(
        !registry.knows(&first, START.plus(3600)),
        "whether it was swept or not"
    );
    assert!(registry.knows(&second, START.plus(3600)));
    registry
        .noted("portal", |p| {
            p.keys.iter().all(|key| key.last_used_at.is_some())
        })
        .await;

    let third = registry.rotate("portal", 60, last).await.unwrap();
    let live = |key| registry.knows(key, last);
    assert_eq!([&first, &second, &third].map(live), [false, true, true]);
    assert_eq!(registry.registered("portal", last).keys.len(), 2);
    let fourth = registry.rotate("portal", 0, last).await.unwrap();
    assert_eq!(
        [&first, &second, &third, &fourth].map(live),
        [false, false, false, true]
    );
    assert_eq!(registry.registered("portal", last).keys.len(), 1);

    // The sweep takes what has ended, and nothing else.
    registry.rotate("portal", 60, last).await.unwrap();
    registry.store.sweep(START.plus(9000)).await.unwrap();
    assert!(!registry.knows(&fourth, START.plus(9000)));
    assert_eq!(
        registry.registered("portal", START.plus(9000)).keys.len(),
        1
    );
    let too_long = registry.rotate("portal", LONGEST_OVERLAP + 1, last).await;
    assert_eq!(code(too_long), Some("bad_service"));
}

#[tokio::test]
async fn what_is_removed_is_gone_and_its_name_and_client_are_free_again() {
    let registry = Registry::new();
    let mut portal = service("portal");
    portal.client_id = Some("client".to_owned());
    let key = registry.add(portal.clone(), START).await.unwrap();
    let old = registry.rotate("portal", 60, START).await.unwrap();
    assert_eq!(
        code(registry.add(portal.clone(), START).await),
        Some("service_known")
    );
    let mut other = service("other");
    other.client_id = portal.client_id.clone();
    assert_eq!(
        code(registry.add(other, START).await),
        Some("service_known")
    );

    let gone = async || registry.store.write(|tx| remove(tx, "portal")).await;
    gone().await.unwrap();
    assert!(!registry.knows(&key, START) && !registry.knows(&old, START));
    let unregistered = registry.door.by_token(&token("client"), START).unwrap();
    assert_eq!(unregistered.id, "client");
    assert_eq!(code(gone().await), Some("service_unknown"));
    assert_eq!(
        code(registry.rotate("portal", 0, START).await),
        Some("service_unknown")
    );
    // The same name later is another service.
    registry.add(portal, START).await.unwrap();
    assert!(!registry.knows(&key, START) && !registry.knows(&old, START));
    assert_eq!(
        registry.door.by_token(&token("client"), START).unwrap().id,
        "portal"
    );
}

#[tokio::test]
async fn a_token_is_its_registered_service_or_one_of_few_rights_and_takes_nobodys_name() {
    let registry = Registry::new();
    let mut portal = service("portal");
    portal.client_id = Some("Portal-Client".to_owned());
    portal.sends = Sends::Email;
    registry.add(portal.clone(), START).await.unwrap();
    let ask = |token: &LoginService| registry.door.by_token(token, START);
    assert_eq!(ask(&token("Portal-Client")).unwrap(), portal);

    let unknown = ask(&token("another")).unwrap();
    assert_eq!(unknown, Service::of_token(&token("another")));
    assert_eq!(
        (unknown.sends, unknown.return_urls.len()),
        (Sends::Subject, 0)
    );
    assert_eq!(unknown.issuer.as_deref(), Some("https://login.example.org"));

    let refused = ask(&token("portal")).unwrap_err();
    assert_eq!(refused.code(), FORBIDDEN);
    assert!(refused.detail().contains("--client-id"), "{refused}");

    let mut confined = token("another");
    confined.tenant = Some("t1".to_owned());
    assert_eq!(ask(&confined).unwrap().tenants, ["t1"]);
    let mut confined = token("Portal-Client");
    confined.tenant = Some("t1".to_owned());
    assert_eq!(
        ask(&confined).unwrap().tenants,
        ["t1"],
        "all is not more than its token has"
    );

    // The client of the same name at another issuer is another.
    let mut elsewhere = service("elsewhere");
    elsewhere.client_id = Some("shared".to_owned());
    elsewhere.issuer = Some("https://other.example.org".to_owned());
    registry.add(elsewhere, START).await.unwrap();
    assert_eq!(ask(&token("shared")).unwrap().id, "shared");
}

#[tokio::test]
async fn uses_are_noted_at_most_once_a_minute_for_each_key() {
    let registry = Registry::new();
    let key = registry.add(service("portal"), START).await.unwrap();
    assert_eq!(registry.registered("portal", START).last_used_at, None);
    assert!(registry.knows(&key, START));
    let used = |at: Timestamp| move |p: &Registered| p.last_used_at == Some(at);
    let noted = registry.noted("portal", used(START)).await;
    assert_eq!(noted.keys[0].last_used_at, Some(START));
    assert!(registry.knows(&key, START.plus(59)));
    let second = registry
        .rotate("portal", 600, START.plus(59))
        .await
        .unwrap();
    assert_eq!(
        registry.registered("portal", START).last_used_at,
        Some(START)
    );
    assert!(registry.knows(&second, START.plus(59)));
    let noted = registry.noted("portal", used(START.plus(59))).await;
    let keys: Vec<_> = noted.keys.iter().map(|key| key.last_used_at).collect();
    assert_eq!(keys, [Some(START.plus(59)), Some(START)]);
    assert!(registry.knows(&key, START.plus(60)));
    registry.noted("portal", used(START.plus(60))).await;
    // A wrong key is no use of anything.
    assert!(
        registry
            .door
            .by_id_and_key("nobody", key.expose(), START.plus(500))
            .is_err()
    );
    tokio::task::yield_now().await;
    assert_eq!(
        registry.registered("portal", START).last_used_at,
        Some(START.plus(60))
    );
}

#[tokio::test]
async fn services_are_listed_page_by_page_in_the_order_of_their_names() {
    let registry = Registry::new();
    for id in ["b", "a.1", "a", "c"] {
        registry.add(service(id), START).await.unwrap();
    }
    let page = |past: Option<&str>| -> Vec<String> {
        let page = registry
            .store
            .read(|read| list(read, past, 2, START))
            .unwrap();
        page.into_iter().map(|one| one.service.id).collect()
    };
    assert_eq!(page(None), ["a", "a.1"]);
    assert_eq!(page(Some("a.1")), ["b", "c"]);
    assert!(page(Some("c")).is_empty());
}
