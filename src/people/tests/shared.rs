//! Names that several users have at once.

use super::super::names::{Claim, foremost};
use super::*;

fn claim(person: u8, since: Option<u64>, is_enrolled: bool) -> Claim {
    Claim {
        person: PersonKey([person; 16]),
        since: since.map(|seconds| NOW.plus(seconds)),
        is_enrolled,
    }
}

#[test]
fn a_name_means_the_one_with_a_factor_whom_nobody_came_before() {
    let one = Some(PersonKey([1; 16]));
    for (claims, means) in [
        (vec![claim(1, Some(0), true), claim(2, Some(1), false)], one),
        (vec![claim(2, Some(1), false), claim(1, Some(0), true)], one),
        (vec![claim(1, Some(1), true), claim(2, Some(1), false)], one),
        (vec![claim(1, None, true), claim(2, Some(0), false)], one),
        (vec![claim(1, None, true), claim(2, None, false)], one),
        // Who has none may have had it first.
        (
            vec![claim(1, Some(1), true), claim(2, Some(0), false)],
            None,
        ),
        (vec![claim(1, Some(0), true), claim(2, None, false)], None),
        (vec![claim(1, Some(0), true), claim(2, Some(1), true)], None),
        (
            vec![claim(1, Some(0), false), claim(2, Some(1), false)],
            None,
        ),
        (
            vec![
                claim(2, Some(1), false),
                claim(1, Some(0), true),
                claim(3, Some(2), true),
            ],
            None,
        ),
    ] {
        assert!(foremost(&claims) == means);
    }
}
