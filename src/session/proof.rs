//! A second factor that was proved in a session counts there for a while, so that people who change several things
//! are asked once. It counts for no other session, and for no bearer token.

use super::keep;
use super::record::Kept;
use crate::base::{Failure, PersonKey, PublicSessionId, Timestamp};
use crate::crypto::CodeHash;
use crate::store::{Read, Tx};

/// A proof counts in its session for so many seconds.
pub const PROOF_SECONDS: u64 = 10 * 60;

/// A session, as the store knows it. Only the server learns it: a browser shows what it is the keyed hash of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId(pub(super) CodeHash);

impl SessionId {
    /// How its user sees it.
    pub fn public(&self) -> Option<PublicSessionId> {
        keep::public_id(self.0.as_bytes())
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId")
    }
}

/// The session, if it is live and that person's.
fn live(
    read: &dyn Read,
    session: SessionId,
    person: PersonKey,
    now: Timestamp,
) -> Result<Option<Kept>, Failure> {
    let kept = keep::read(read, &session.0, now)?;
    Ok(kept.filter(|kept| kept.person == person))
}

/// Whether the session is live, and that person's.
///
/// # Errors
/// Those of the store.
pub fn is_live(
    read: &dyn Read,
    session: SessionId,
    person: PersonKey,
    now: Timestamp,
) -> Result<bool, Failure> {
    Ok(live(read, session, person, now)?.is_some())
}

/// A second factor that the user of a session proved in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionProof {
    /// When.
    pub verified_at: Timestamp,
    /// The kind of factor: `totp`.
    pub verified_with: String,
}

/// What the session's user proved last, if it still counts.
///
/// # Errors
/// Those of the store.
pub fn proof(
    read: &dyn Read,
    session: SessionId,
    person: PersonKey,
    now: Timestamp,
) -> Result<Option<SessionProof>, Failure> {
    let Some(kept) = live(read, session, person, now)? else {
        return Ok(None);
    };
    let (Some(verified_at), Some(with)) = (kept.verified_at, &kept.verified_with) else {
        return Ok(None);
    };
    // What lies in the future was written by a clock that was wrong.
    let counts = verified_at <= now && now.since(verified_at) < PROOF_SECONDS;
    Ok(counts.then(|| SessionProof {
        verified_at,
        verified_with: with.clone(),
    }))
}

/// Records that the session's user proved a factor of the kind `with`. A session that is over stays so.
///
/// # Errors
/// Those of the store.
pub fn note_proof(
    tx: &mut Tx<'_>,
    session: SessionId,
    person: PersonKey,
    with: &str,
    now: Timestamp,
) -> Result<(), Failure> {
    let Some(mut kept) = live(tx, session, person, now)? else {
        return Ok(());
    };
    kept.verified_at = Some(now);
    kept.verified_with = Some(with.to_owned());
    keep::put(tx, &session.0, &kept)
}

/// Forgets what was proved in the person's sessions, but for those in `except`.
///
/// # Errors
/// Those of the store.
pub fn forget_proofs(
    tx: &mut Tx<'_>,
    person: PersonKey,
    except: Option<SessionId>,
) -> Result<(), Failure> {
    let except = except.map(|session| keep::key(&session.0));
    for ((_, at), _) in keep::of_person(tx, person)? {
        if Some(&at) == except.as_ref() {
            continue;
        }
        let Some(mut kept) = tx.get::<Kept>(&at)? else {
            continue;
        };
        if kept.verified_at.is_some() {
            (kept.verified_at, kept.verified_with) = (None, None);
            tx.put_until(&at, &kept, kept.end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::OsEntropy;
    use crate::session::rule::Handle;
    use crate::store::{MasterKeyPlace, Store, open};

    const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);
    const ALICE: PersonKey = PersonKey([1; 16]);
    const BOB: PersonKey = PersonKey([2; 16]);

    fn store(folder: &std::path::Path) -> Store {
        let key = MasterKeyPlace::own(folder.join("master.key"));
        open(folder, &key, Arc::new(OsEntropy)).unwrap()
    }

    async fn session(store: &Store, person: PersonKey) -> SessionId {
        let id = Handle::draw(&OsEntropy)
            .unwrap()
            .hash(store.sealer(), "session");
        // As an earlier mfad wrote it.
        let kept: Kept = serde_json::from_value(serde_json::json!({
            "person": person, "access_token": "token", "access_ends": NOW.plus(3_600),
            "refresh_token": null, "created_at": NOW, "used_at": NOW, "auth_time": null, "amr": [],
            "acr": null, "name": null, "username": null, "email": null,
        }))
        .unwrap();
        let begun = store.write(move |tx| keep::begin(tx, &id, &kept, NOW));
        begun.await.unwrap();
        SessionId(id)
    }

    fn seen(store: &Store, session: SessionId, person: PersonKey, at: u64) -> Option<String> {
        let proof = store.read(|read| proof(read, session, person, NOW.plus(at)));
        proof.unwrap().map(|proof| proof.verified_with)
    }

    #[tokio::test]
    async fn a_proof_says_when_and_with_which_factor_and_counts_for_ten_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (one, two) = (session(&store, ALICE).await, session(&store, ALICE).await);
        assert_eq!(seen(&store, one, ALICE, 0), None);
        // Nothing is recorded in another user's session.
        for (person, with) in [(BOB, "email"), (ALICE, "totp")] {
            let noted = store.write(move |tx| note_proof(tx, one, person, with, NOW));
            noted.await.unwrap();
        }
        for (at, counts) in [(0, true), (PROOF_SECONDS - 1, true), (PROOF_SECONDS, false)] {
            let with = seen(&store, one, ALICE, at);
            assert_eq!(with.as_deref(), counts.then_some("totp"), "{at}");
        }
        assert_eq!(seen(&store, one, BOB, 0), None);
        assert_eq!(seen(&store, two, ALICE, 0), None);
        let earlier = store.read(|read| proof(read, one, ALICE, NOW.minus(1)));
        assert_eq!(earlier.unwrap(), None);
        // It changes nothing of when the session ends.
        let ended = NOW.plus(keep::IDLE_SECONDS);
        let noted = store.write(move |tx| note_proof(tx, one, ALICE, "totp", ended));
        noted.await.unwrap();
        let kept = store.read(|read| keep::read(read, &one.0, ended)).unwrap();
        assert!(kept.is_none());
        for (except, left) in [(Some(one), Some("totp")), (Some(two), None), (None, None)] {
            let forgot = store.write(move |tx| forget_proofs(tx, ALICE, except));
            forgot.await.unwrap();
            assert_eq!(seen(&store, one, ALICE, 0).as_deref(), left);
        }
    }
}
