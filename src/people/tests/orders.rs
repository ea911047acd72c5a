//! What names mean after tokens in any order.

use proptest::prelude::*;

use super::*;

/// A token of one of four people: subject, tenant, user name, address and whether it is verified.
type Token = (
    usize,
    Option<&'static str>,
    Option<&'static str>,
    Option<(&'static str, Option<bool>)>,
);

fn token() -> impl Strategy<Value = Token> {
    let tenants = proptest::option::of(proptest::sample::select(vec!["a", "b"]));
    let usernames = proptest::sample::select(vec!["kim", "KIM", "lee", "lee "]);
    let addresses = proptest::sample::select(vec!["k@x.example", "K@X.example", "l@x.example"]);
    let verified = proptest::sample::select(vec![Some(true), Some(true), Some(false), None]);
    (
        0..4usize,
        tenants,
        proptest::option::of(usernames),
        proptest::option::of((addresses, verified)),
    )
}

/// Who they are by the tokens so far, in the plainest way.
#[derive(Clone, Default)]
struct Known {
    met: bool,
    tenants: Vec<&'static str>,
    username: Option<String>,
    email: Option<String>,
}

impl Known {
    fn learn(&mut self, (_, tenant, username, email): Token) {
        self.met = true;
        self.tenants.extend(tenant);
        if let Some(name) = username {
            self.username = Some(name.trim().to_lowercase());
        }
        if let Some((address, verified)) = email {
            let address = address.to_lowercase();
            let same = self.email.as_ref() == Some(&address);
            let stays = verified == Some(true) || (verified.is_none() && same);
            self.email = stays.then_some(address);
        }
    }
}

#[test]
fn whatever_tokens_said_in_whatever_order_each_name_means_those_who_bear_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = TestStore::create();
    let case = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(tokens in proptest::collection::vec(token(), 1..24))| {
        // Each run is at an issuer of its own.
        case.set(case.get() + 1);
        let issuer = format!("https://{}.example", case.get());
        let mut known = vec![Known::default(); 4];
        let mut said = Vec::new();
        for token in tokens {
            let (subject, tenant, username, email) = token;
            known[subject].learn(token);
            let mut one = Said::new(&subject.to_string()).at(&issuer);
            one.person.tenant = tenant.map(str::to_owned);
            one.person.username = username.map(str::to_owned);
            one.person.email = email.map(|(address, verified)| Email { address: address.to_owned(), verified });
            said.push(one.person);
        }
        let keys = store.clone();
        runtime.block_on(store.write(move |tx| {
            for person in &said {
                let key = keys.sealer().person(&person.issuer, &person.subject);
                meet(tx, keys.sealer(), key, person, Wish::default(), &|_, _| Ok(false), NOW)?;
            }
            Ok(())
        })).unwrap();
        let tenants: [&[Option<&str>]; 4] = [&[], &[Some("a")], &[Some("b")], &[None, Some("b")]];
        for tenants in tenants {
            for (kind, name) in [
                (NameKind::Username, "Kim"), (NameKind::Username, "lee"), (NameKind::Username, "k@x.example"),
                (NameKind::Email, "k@x.example"), (NameKind::Email, "L@x.example"), (NameKind::Email, "kim"),
            ] {
                let bear = |one: &Known| {
                    let bears = match kind { NameKind::Username => &one.username, NameKind::Email => &one.email };
                    one.met && bears.as_ref() == Some(&name.to_lowercase())
                };
                let may = |one: &Known| {
                    let own = one.tenants.iter().any(|own| tenants.contains(&Some(*own)));
                    tenants.is_empty() || own || (one.tenants.is_empty() && tenants.contains(&None))
                };
                let bearers: Vec<usize> = (0..4).filter(|n| bear(&known[*n]) && may(&known[*n])).collect();
                let elsewhere = known.iter().any(|one| bear(one) && !one.tenants.is_empty());
                let expected = match bearers[..] {
                    [] if elsewhere => Found::Barred,
                    [] => Found::Nobody,
                    [n] => Found::One(store.sealer().person(&issuer, &n.to_string())),
                    _ => Found::Several,
                };
                prop_assert_eq!(at(&store, &issuer, kind, name, tenants), expected, "{}", name);
            }
        }
    });
}
