//! The tenants in which a user was seen.
//!
//! A token says one tenant at most, and another token of the same user may say another or none. So what is kept is a
//! set: no token takes a user out of a tenant, and none can fill the set so that one has to leave it.

use crate::base::{Failure, PersonKey, Timestamp};
use crate::store::Tx;

use super::record::{Membership, Profile};
use super::service::NOTED_AGAIN;

/// Tenants of one user at the most. One more is not learnt.
pub const MOST_TENANTS: usize = 16;
/// Seconds for which a user counts as one of a tenant after they were last seen in it: 400 days.
pub const TENANT_FOR: u64 = 400 * 86_400;

/// Those that count at `now`.
pub(super) fn current(known: &[Membership], now: Timestamp) -> impl Iterator<Item = &Membership> {
    // What the clock has not reached is from before it stepped back.
    let counts = move |at: Timestamp| at > now || now.since(at) < TENANT_FOR;
    known.iter().filter(move |it| it.seen_at.is_none_or(counts))
}

/// What is known after a token at `now` that names the tenant `named`, or none, which says nothing.
pub(super) fn learnt(known: &[Membership], named: Option<&str>, now: Timestamp) -> Vec<Membership> {
    let mut tenants: Vec<Membership> = current(known, now).cloned().collect();
    let Some(named) = named else {
        return tenants;
    };
    let fresh = |at: Timestamp| at <= now && now.since(at) < NOTED_AGAIN;
    let has_room = tenants.len() < MOST_TENANTS;
    match tenants.iter_mut().find(|it| it.tenant == named) {
        Some(it) if it.seen_at.is_some_and(fresh) => {}
        Some(it) => it.seen_at = Some(now),
        None if has_room => tenants.push(Membership {
            tenant: named.to_owned(),
            seen_at: Some(now),
        }),
        None => {}
    }
    tenants
}

/// Records that `person` proved themselves to a service of `tenants`: in those of them that they were seen in before,
/// they are seen again. Learns no other, and costs a write once a day at the most.
///
/// # Errors
/// Those of the store.
pub fn seen_again(
    tx: &mut Tx<'_>,
    person: PersonKey,
    tenants: &[String],
    now: Timestamp,
) -> Result<(), Failure> {
    if tenants.is_empty() {
        return Ok(());
    }
    let Some(mut profile) = tx.get::<Profile>(&person)? else {
        return Ok(());
    };
    let mut seen = profile.tenants.clone();
    for tenant in tenants {
        if current(&profile.tenants, now).any(|it| it.tenant == *tenant) {
            seen = learnt(&seen, Some(tenant), now);
        }
    }
    if seen == profile.tenants {
        return Ok(());
    }
    profile.tenants = seen;
    tx.put(&person, &profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_521_600);
    const DAY: u64 = 86_400;

    fn names(known: &[Membership], now: Timestamp) -> Vec<&str> {
        current(known, now).map(|it| it.tenant.as_str()).collect()
    }

    #[test]
    fn a_tenant_is_left_by_nothing_but_400_days() {
        let acme = learnt(&[], Some("acme"), NOW);
        assert_eq!(names(&acme, NOW), ["acme"]);
        assert_eq!(learnt(&acme, None, NOW), acme);
        let both = learnt(&acme, Some("other"), NOW.plus(399 * DAY));
        assert_eq!(names(&both, NOW.plus(399 * DAY)), ["acme", "other"]);
        assert_eq!(names(&both, NOW.plus(400 * DAY)), ["other"]);
        assert_eq!(learnt(&both, None, NOW.plus(400 * DAY)).len(), 1);
        // Seen again, it begins again; within a day that costs no write.
        assert_eq!(learnt(&acme, Some("acme"), NOW.plus(DAY - 1)), acme);
        let again = learnt(&acme, Some("acme"), NOW.plus(DAY));
        assert_eq!(names(&again, NOW.plus(400 * DAY)), ["acme"]);
        // A clock that stepped back makes nobody a stranger.
        assert_eq!(names(&acme, Timestamp::from_unix(5)), ["acme"]);
    }

    #[test]
    fn a_seventeenth_tenant_is_not_learnt_and_pushes_none_out() {
        let mut known = Vec::new();
        for n in 0..40 {
            known = learnt(&known, Some(&format!("t{n}")), NOW);
        }
        let first: Vec<String> = (0..16).map(|n| format!("t{n}")).collect();
        assert_eq!(names(&known, NOW), first);
        // Those that it has are seen again all the same, and one whose time is up makes room.
        let later = NOW.plus(200 * DAY);
        known = learnt(&known, Some("t3"), later);
        known = learnt(&known, Some("t99"), NOW.plus(400 * DAY));
        assert_eq!(names(&known, NOW.plus(400 * DAY)), ["t3", "t99"]);
    }

    #[test]
    fn a_tenant_from_before_it_was_recorded_counts_until_it_is_named_again() {
        let from_before = [Membership {
            tenant: "acme".to_owned(),
            seen_at: None,
        }];
        let later = NOW.plus(4000 * DAY);
        assert_eq!(names(&from_before, later), ["acme"]);
        let named = learnt(&from_before, Some("acme"), NOW);
        assert!(names(&named, later).is_empty());
    }
}
