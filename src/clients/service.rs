use crate::base::{Failure, Timestamp};
use crate::crypto::CodeHash;
use crate::store::{Order, Read, Scan, Tx};

use super::record::{ClientOwner, Kept, KeptKey, KeyOwner, Registered, Service, Unknown};
use super::rule::{LONGEST_OVERLAP, retire};
use super::{BAD_SERVICE, SERVICE_KNOWN, SERVICE_UNKNOWN};

/// Registers a service with its first key.
///
/// # Errors
/// `bad_service`, `service_known`; those of the store.
pub fn add(
    tx: &mut Tx<'_>,
    service: &Service,
    key: CodeHash,
    now: Timestamp,
) -> Result<(), Failure> {
    service.check()?;
    if tx.get::<Kept>(&service.id)?.is_some() {
        return Err(Failure::new(
            SERVICE_KNOWN,
            format!("the service {} is registered already", service.id),
        )
        .with(
            "hint",
            "give it another name; mfad service rotate gives the one that is there a new key",
        ));
    }
    if let Some(client) = &service.client_id {
        if let Some(owner) = tx.get::<ClientOwner>(client)? {
            return Err(Failure::new(
                SERVICE_KNOWN,
                format!(
                    "the client {client} belongs to the service {}",
                    owner.service
                ),
            )
            .with("hint", "a client is one service; remove that one first"));
        }
        let owner = ClientOwner {
            service: service.id.clone(),
        };
        tx.put(client, &owner)?;
    }
    let mut service = service.clone();
    dedup(&mut service.tenants);
    dedup(&mut service.return_urls);
    put_key(tx, &service.id, key)?;
    let kept = Kept {
        created_at: now,
        last_used_at: None,
        keys: vec![fresh(key, now)],
        service,
    };
    tx.put(&kept.service.id, &kept)
}

/// The service of that name, as registered.
///
/// # Errors
/// Those of the store.
pub fn get(read: &dyn Read, id: &str, now: Timestamp) -> Result<Option<Registered>, Failure> {
    let kept = read.get::<Kept>(&id.to_owned())?;
    Ok(kept.map(|kept| kept.shown(now)))
}

/// At most `limit` services in the order of their names, beyond `past`.
///
/// # Errors
/// Those of the store.
pub fn list(
    read: &dyn Read,
    past: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Registered>, Failure> {
    let scan = Scan {
        prefix: &[],
        past: past.map(str::as_bytes),
        order: Order::Ascending,
        limit,
    };
    let found = read.list::<Kept>(&scan)?;
    Ok(found.into_iter().map(|(_, kept)| kept.shown(now)).collect())
}

/// Gives a service another key. The one that it used until now goes on for `overlap` seconds; with
/// 0 all earlier ones end at once. Says until when the earlier one is good, where one is.
///
/// # Errors
/// `service_unknown`, `bad_service` for an overlap of more than 90 days; those of the store.
pub fn rotate(
    tx: &mut Tx<'_>,
    id: &str,
    key: CodeHash,
    overlap: u64,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    if overlap > LONGEST_OVERLAP {
        return Err(
            Failure::new(BAD_SERVICE, "the old key would go on for more than 90 days")
                .with("hint", "choose a shorter overlap"),
        );
    }
    let mut kept = known(tx, id)?;
    let (staying, ended) = retire(kept.keys, overlap, now);
    for old in ended {
        tx.delete::<KeyOwner>(&old.hash.as_bytes().to_vec());
    }
    let until = staying.as_ref().and_then(|old| old.expires_at);
    put_key(tx, id, key)?;
    if let (Some(old), Some(until)) = (&staying, until) {
        // Swept away some time after its end, which the service's own row tells to the second.
        let owner = KeyOwner {
            service: id.to_owned(),
        };
        tx.put_until(&old.hash.as_bytes().to_vec(), &owner, until)?;
    }
    kept.keys = std::iter::once(fresh(key, now)).chain(staying).collect();
    tx.put(&kept.service.id, &kept)?;
    Ok(until)
}

/// Says what an unknown user is to a service, from now on.
///
/// # Errors
/// `service_unknown`; those of the store.
pub fn set_unknown(tx: &mut Tx<'_>, id: &str, unknown: Unknown) -> Result<(), Failure> {
    let mut kept = known(tx, id)?;
    kept.service.unknown = Some(unknown);
    tx.put(&kept.service.id, &kept)
}

/// Strikes a service off. Its keys and tokens are not good from now on.
///
/// # Errors
/// `service_unknown`; those of the store.
pub fn remove(tx: &mut Tx<'_>, id: &str) -> Result<(), Failure> {
    let kept = known(tx, id)?;
    for key in &kept.keys {
        tx.delete::<KeyOwner>(&key.hash.as_bytes().to_vec());
    }
    if let Some(client) = &kept.service.client_id {
        tx.delete::<ClientOwner>(client);
    }
    tx.delete::<Kept>(&kept.service.id);
    Ok(())
}

/// Whose live key has that hash at `now`.
pub(super) fn owner(
    read: &dyn Read,
    hash: &CodeHash,
    now: Timestamp,
) -> Result<Option<Service>, Failure> {
    let Some(owner) = read.get::<KeyOwner>(&hash.as_bytes().to_vec())? else {
        return Ok(None);
    };
    let kept = read.get::<Kept>(&owner.service)?;
    Ok(kept
        .filter(|kept| {
            let own = kept.keys.iter().find(|key| key.hash == *hash);
            own.is_some_and(|key| key.is_live(now))
        })
        .map(|kept| kept.service))
}

/// The registered service that `client` belongs to.
pub(super) fn of_client(read: &dyn Read, client: &str) -> Result<Option<Service>, Failure> {
    let Some(owner) = read.get::<ClientOwner>(&client.to_owned())? else {
        return Ok(None);
    };
    Ok(read.get::<Kept>(&owner.service)?.map(|kept| kept.service))
}

/// Notes when a service proved itself, and with which key, if with one.
pub(super) fn note_use(
    tx: &mut Tx<'_>,
    id: &str,
    hash: Option<&CodeHash>,
    now: Timestamp,
) -> Result<(), Failure> {
    // It may have been removed since.
    let Some(mut kept) = tx.get::<Kept>(&id.to_owned())? else {
        return Ok(());
    };
    kept.last_used_at = kept.last_used_at.max(Some(now));
    let used = kept.keys.iter_mut().find(|key| Some(&key.hash) == hash);
    if let Some(key) = used {
        key.last_used_at = key.last_used_at.max(Some(now));
    }
    tx.put(&kept.service.id, &kept)
}

fn known(tx: &Tx<'_>, id: &str) -> Result<Kept, Failure> {
    tx.get::<Kept>(&id.to_owned())?.ok_or_else(|| {
        Failure::new(SERVICE_UNKNOWN, format!("no service {id:?} is registered"))
            .with("hint", "mfad service list tells which there are")
    })
}

fn put_key(tx: &mut Tx<'_>, id: &str, key: CodeHash) -> Result<(), Failure> {
    let owner = KeyOwner {
        service: id.to_owned(),
    };
    tx.put(&key.as_bytes().to_vec(), &owner)
}

fn fresh(hash: CodeHash, now: Timestamp) -> KeptKey {
    KeptKey {
        hash,
        made_at: now,
        expires_at: None,
        last_used_at: None,
    }
}

fn dedup(words: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
}
