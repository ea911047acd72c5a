//! What was done to the server itself, and not by one of the people whom it knows: by whoever gives orders on the
//! machine, or by the server. These lines stand in no person's history.

use serde::{Deserialize, Serialize};

use crate::base::{Failure, Timestamp, display_text};
use crate::store::{Order, Read, Record, Scan, Tx};

/// Lines that are kept at the most; of more the oldest go.
pub const MOST_OPERATIONS: u64 = 10_000;

/// The most characters of a reason.
pub const LONGEST_REASON: usize = 200;

/// Returns the reason that an operator gave as it is kept: without control characters, white space folded. `None` if
/// nothing visible is left, or more than [`LONGEST_REASON`] characters.
pub fn reason(given: &str) -> Option<String> {
    display_text(given, LONGEST_REASON + 1).filter(|text| text.chars().count() <= LONGEST_REASON)
}

/// One line. Never holds a secret, nor a user's name or address: a service's name, and the subject of a user whom an
/// operator on the machine did something for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// When, by the server's clock.
    pub at: Timestamp,
    /// What was done: `service.add`, `settings.reload`.
    pub action: String,
    /// To what: the name of a service, a part of the policy and what it is now; `None` where the action says it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Why, in the words of the operator; `None` if the action asks for no reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Operation {
    /// A line for what was done at `at`.
    pub fn new(at: Timestamp, action: &str, about: Option<String>) -> Self {
        Operation {
            at,
            action: action.to_owned(),
            about,
            reason: None,
        }
    }

    /// The same, and why it was done.
    #[must_use]
    pub fn because(self, reason: String) -> Self {
        Operation {
            reason: Some(reason),
            ..self
        }
    }
}

impl Record for Operation {
    /// Lines are numbered from 1 in the order of their commits.
    type Key = u64;
    const TABLE: &'static str = "operations";
}

/// Writes one line.
///
/// # Errors
/// Those of the store.
pub fn note(tx: &mut Tx<'_>, operation: &Operation) -> Result<(), Failure> {
    let number = tx.last_number::<Operation>()?.saturating_add(1);
    if let Some(surplus) = number.checked_sub(MOST_OPERATIONS) {
        tx.delete::<Operation>(&surplus);
    }
    tx.put(&number, operation)
}

/// At most `limit` lines, the newest first, older than line number `before`.
///
/// # Errors
/// Those of the store.
pub fn operations(
    read: &dyn Read,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<(u64, Operation)>, Failure> {
    let past = before.map(u64::to_be_bytes);
    let scan = Scan {
        prefix: &[],
        past: past.as_ref().map(<[u8; 8]>::as_slice),
        order: Order::Descending,
        limit,
    };
    read.list::<Operation>(&scan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestStore;

    #[test]
    fn a_reason_is_one_visible_line_of_at_most_200_characters() {
        let table = [
            (
                "lost phone, INC-4711",
                Some("lost phone, INC-4711".to_owned()),
            ),
            (
                " lost\nphone\u{1b}[2J\0 ",
                Some("lost phone [2J".to_owned()),
            ),
            ("", None),
            (" \u{200b}\t", None),
        ];
        for (given, kept) in table {
            assert_eq!(reason(given), kept, "{given:?}");
        }
        assert_eq!(reason(&"é".repeat(200)), Some("é".repeat(200)));
        assert_eq!(reason(&"é".repeat(201)), None);
        assert_eq!(reason(&"a".repeat(100_000)), None);
    }

    #[tokio::test]
    async fn of_many_lines_the_newest_are_kept_and_told_page_by_page() {
        let store = TestStore::create();
        let start = Timestamp::from_unix(1_800_000_000);
        let written = store.write(move |tx| {
            (0..MOST_OPERATIONS + 3).try_for_each(|number| {
                let line = Operation::new(start.plus(number), "settings.reload", None);
                note(tx, &line)
            })
        });
        written.await.unwrap();
        let page = |before, limit| {
            let lines = store.read(|read| operations(read, before, limit)).unwrap();
            lines
                .into_iter()
                .map(|(number, _)| number)
                .collect::<Vec<_>>()
        };
        let last = MOST_OPERATIONS + 3;
        assert_eq!(page(None, 2), [last, last - 1]);
        assert_eq!(page(Some(last - 1), 2), [last - 2, last - 3]);
        assert_eq!(page(Some(5), 10), [4]);
    }
}
