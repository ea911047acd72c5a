use super::*;
use crate::base::{OsEntropy, PersonKey, RequestId, Timestamp};
use crate::store::testing::TestStore;

const ALICE: PersonKey = PersonKey([7; 16]);
const START: Timestamp = Timestamp::from_unix(1_800_057_600);
const DAY: u64 = 86_400;

fn done(at: Timestamp, action: &str) -> Event {
    let origin = Origin {
        request: RequestId::draw(&OsEntropy).unwrap(),
        ip: None,
    };
    Event::done(at, ALICE, Actor::Person, action, origin)
}

fn refused(at: Timestamp, action: &str, reason: &str) -> Event {
    Event {
        outcome: Outcome::Refused,
        reason: Some(reason.to_owned()),
        ..done(at, action)
    }
}

/// A log with the usual limits, or others.
struct Log {
    store: TestStore,
    limits: AuditLimits,
}

impl Log {
    fn new(limits: AuditLimits) -> Self {
        let store = TestStore::create();
        Log { store, limits }
    }

    /// Records each of `events`.
    async fn record(&self, events: Vec<Event>, class: Class) {
        let limits = self.limits;
        let written = self.store.write(move |tx| {
            let mut events = events.clone().into_iter();
            events.try_for_each(|event| record(tx, &limits, event, class))
        });
        written.await.unwrap();
    }

    async fn refuse(&self, at: Timestamp, reason: &str) {
        let event = refused(at, "login.verify", reason);
        self.record(vec![event], Class::Refusal).await;
    }

    async fn minute_is_over(&self, now: Timestamp) {
        let recorded = record_held_refusals(&self.store, self.limits, now);
        recorded.await.unwrap();
    }

    /// The newest first.
    fn history(&self) -> Vec<(u64, Event)> {
        let history = |read: &dyn crate::store::Read| history(read, ALICE, None, 10_000);
        self.store.read(history).unwrap()
    }

    /// How many records are written down.
    fn written(&self) -> u64 {
        self.store.read(size).unwrap() / RECORD_BYTES
    }

    /// How many records have this action.
    fn count_of(&self, action: &str) -> usize {
        let history = self.history();
        history.iter().filter(|(_, e)| e.action == action).count()
    }

    /// Whether a change may be made.
    fn may_change(&self, now: Timestamp) -> Result<(), u64> {
        let limits = self.limits;
        let may = self
            .store
            .read(|read| may_change(read, &limits, ALICE, now));
        may.unwrap()
    }
}

#[tokio::test]
async fn identical_refusals_within_a_minute_are_one_record_with_a_count() {
    let log = Log::new(AuditLimits::default());
    for second in 0..50 {
        log.refuse(START.plus(second), "wrong_code").await;
    }
    log.refuse(START.plus(20), "locked").await;
    // They are shown before they are written down.
    let shown = log.history();
    let counts: Vec<_> = shown.iter().map(|(id, e)| (*id, e.count)).collect();
    assert_eq!(counts, [(2, 1), (1, 50)]);
    assert_eq!(shown[1].1.last_at, Some(START.plus(49)));

    log.minute_is_over(START.plus(59)).await;
    log.record(vec![done(START.plus(59), "totp.disable")], Class::Change)
        .await;
    log.minute_is_over(START.plus(60)).await;
    log.minute_is_over(START.plus(80)).await;
    let written: Vec<_> = log
        .history()
        .into_iter()
        .map(|(id, e)| (id, e.count))
        .collect();
    assert_eq!(written, [(3, 1), (2, 1), (1, 50)]);
    // What comes after is another record, which is written down once its minute is over.
    log.refuse(START.plus(61), "wrong_code").await;
    assert_eq!((log.history().len(), log.written()), (4, 3));
    log.minute_is_over(START.plus(120)).await;
    assert_eq!(log.written(), 3);
    log.minute_is_over(START.plus(121)).await;
    assert_eq!((log.history().len(), log.written()), (4, 4));
}

#[tokio::test]
async fn fifty_records_of_refusals_are_kept_a_day_and_the_next_record_states_how_many_were_not() {
    let log = Log::new(AuditLimits::default());
    for number in 0..80 {
        log.refuse(START.plus(number), &format!("reason {number}"))
            .await;
    }
    log.minute_is_over(START.plus(200)).await;
    assert_eq!(log.count_of("login.verify"), 50);
    log.record(vec![done(START.plus(300), "totp.disable")], Class::Change)
        .await;
    let (_, last) = log.history().remove(0);
    // Those of the first minute were written before the last of them was left out.
    let left_out: u32 = log.history().iter().map(|(_, e)| e.left_out).sum();
    assert_eq!((last.action.as_str(), left_out), ("totp.disable", 30));
    // On the next day there is room again.
    log.refuse(START.plus(DAY), "wrong_code").await;
    log.minute_is_over(START.plus(DAY + 60)).await;
    assert_eq!(log.count_of("login.verify"), 51);
}

#[tokio::test]
async fn a_flood_of_openings_hides_neither_a_change_nor_a_lock_nor_a_guess_nor_a_sign_in() {
    let log = Log::new(AuditLimits::default());
    let flood = |class| (0..700).map(move |_| (done(START, "login.challenge"), class));
    let (events, _): (Vec<_>, Vec<_>) = flood(Class::Step).unzip();
    log.record(events, Class::Step).await;
    log.record(vec![done(START, "login.verify")], Class::SignIn)
        .await;
    log.record(vec![done(START, "webauthn.remove")], Class::Change)
        .await;
    log.record(vec![done(START, "factor.lock")], Class::Certain)
        .await;
    assert_eq!(log.count_of("login.challenge"), 360);
    for action in ["login.verify", "webauthn.remove", "factor.lock"] {
        assert_eq!(log.count_of(action), 1, "{action}");
    }
    let sign_ins = (0..200).map(|_| done(START, "login.verify")).collect();
    log.record(sign_ins, Class::SignIn).await;
    assert_eq!(log.history().len(), 450 + 2);
    assert!(log.history().iter().any(|(_, e)| e.left_out == 340));
    // Guesses are recorded all the same, and a day has 500 records that are no changes at most.
    for number in 0..60 {
        log.refuse(START, &format!("reason {number}")).await;
    }
    log.minute_is_over(START.plus(60)).await;
    assert_eq!(log.history().len(), 500 + 2);
}

#[tokio::test]
async fn after_500_changes_a_day_another_waits_for_the_next_and_what_must_happen_happens() {
    let log = Log::new(AuditLimits::default());
    let now = START.plus(3_600);
    let changes = (0..499).map(|_| done(now, "webauthn.rename")).collect();
    log.record(changes, Class::Change).await;
    assert_eq!(log.may_change(now), Ok(()));
    log.record(vec![done(now, "webauthn.rename")], Class::Change)
        .await;
    assert_eq!(log.may_change(now), Err(DAY - now.unix() % DAY));
    log.record(vec![done(now, "factor.reset")], Class::Certain)
        .await;
    assert_eq!(log.history().len(), 501);
    assert_eq!(log.may_change(now.plus(DAY)), Ok(()));
}

#[tokio::test]
async fn records_are_kept_for_their_days_and_no_longer() {
    let log = Log::new(AuditLimits::default());
    for day in 0..6 {
        let at = START.plus(day * DAY);
        log.record(vec![done(at, "totp.disable")], Class::Change)
            .await;
        let operation = Operation::new(at, "settings.reload", None);
        let noted = log.store.write(move |tx| note(tx, &operation));
        noted.await.unwrap();
    }
    let days = || {
        let numbers = log.history().into_iter().map(|(number, _)| number - 1);
        numbers.collect::<Vec<_>>()
    };
    let (limits, now) = (log.limits, START.plus(403 * DAY));
    let prune = || log.store.write(move |tx| prune(tx, &limits, now, 2));
    assert!(prune().await.unwrap());
    assert_eq!(days(), [5, 4, 3, 2]);
    assert!(!prune().await.unwrap());
    assert_eq!(days(), [5, 4, 3]);
    let kept = log.store.read(|read| operations(read, None, 100)).unwrap();
    let kept: Vec<_> = kept.iter().map(|(number, _)| number - 1).collect();
    assert_eq!(kept, [5, 4, 3]);
    // Numbers go on where they were.
    log.record(
        vec![done(START.plus(6 * DAY), "totp.disable")],
        Class::Change,
    )
    .await;
    assert_eq!(days(), [6, 5, 4, 3]);
}

#[tokio::test]
async fn beyond_its_bytes_the_log_loses_its_oldest_records() {
    let limits = AuditLimits {
        bytes: 100 * RECORD_BYTES,
        ..AuditLimits::default()
    };
    let log = Log::new(limits);
    let changes = (0..130).map(|_| done(START, "webauthn.rename")).collect();
    log.record(changes, Class::Change).await;
    assert_eq!(log.store.read(size).unwrap(), 130 * RECORD_BYTES);
    let more = log.store.write(move |tx| prune(tx, &limits, START, 256));
    assert!(!more.await.unwrap());
    let numbers: Vec<u64> = log
        .history()
        .into_iter()
        .map(|(number, _)| number)
        .collect();
    assert_eq!(numbers, (31..=130).rev().collect::<Vec<_>>());
    assert_eq!(log.store.read(size).unwrap(), 100 * RECORD_BYTES);
}

#[tokio::test]
async fn a_page_of_the_history_ends_among_refusals_of_the_running_minute_too() {
    let log = Log::new(AuditLimits::default());
    log.record(vec![done(START, "totp.disable")], Class::Change)
        .await;
    for reason in ["one", "two", "three"] {
        log.refuse(START, reason).await;
    }
    let mut before = None;
    let mut seen = Vec::new();
    loop {
        let page = log
            .store
            .read(|read| history(read, ALICE, before, 1))
            .unwrap();
        let Some((number, event)) = page.into_iter().next() else {
            break;
        };
        seen.push((number, event.reason));
        before = Some(number);
    }
    let reason = |text: &str| Some(text.to_owned());
    let expected = [
        (4, reason("three")),
        (3, reason("two")),
        (2, reason("one")),
        (1, None),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_is_not_known_as_something_less_is_a_change() {
    for action in [
        "totp.confirm",
        "webauthn.register",
        "webauthn.remove",
        "something.new",
    ] {
        assert_eq!(Class::of(action), Class::Change, "{action}");
    }
    for action in ["session.remove_all", "trusted_device.remove"] {
        assert_eq!(Class::of(action), Class::SignIn, "{action}");
    }
}
