//! What stands on the lines of the control socket, from either end.

use proptest::prelude::*;
use proptest::sample::select;

use super::order::{Order, Reply};
use crate::base::fuzz::{Target, json_object};

/// What is ordered is ordered in the same words again, and is of a kind that the server carries out.
#[test]
fn fuzz_orders() {
    let kind = select(
        &[
            "service_add",
            "service_list",
            "service_rotate",
            "service_remove",
            "policy_set",
            "policy_unset",
            "operations",
            "master_key_hand_over",
        ][..],
    );
    let members: &[&str] = &[
        "id", "overlap", "past", "key", "words", "limit", "from", "to", "handed", "sends",
        "tenants",
    ];
    let values = select(
        &[
            "\"portal\"",
            "7",
            "\"grace-days\"",
            "[\"30\"]",
            "\"0123456789abcdef\"",
            "\"sub\"",
        ][..],
    );
    let order = (kind, json_object(members, values.prop_map(str::to_owned)));
    let bare = select(
        &[
            "\"policy_show\"",
            "\"backup\"",
            "\"status\"",
            "\"clock_accept\"",
            "\"data_key_rotate\"",
        ][..],
    );
    let generated = prop_oneof![
        5 => order.prop_map(|(kind, members)| format!("{{{kind:?}:{members}}}")),
        1 => bare.prop_map(str::to_owned),
    ];
    let target =
        Target::new("orders").words(&["\"service_add\":", "\"id\":", "\"backup\"", "[[[["]);
    target.check(generated.prop_map(String::into_bytes), |line| {
        // What the server says, a command reads.
        if let Ok(reply) = serde_json::from_slice::<Reply>(line) {
            let written = serde_json::to_vec(&reply).unwrap();
            let again: Reply = serde_json::from_slice(&written).unwrap();
            assert_eq!(serde_json::to_vec(&again).unwrap(), written);
            return true;
        }
        let Ok(order) = serde_json::from_slice::<Order>(line) else {
            return false;
        };
        let written = serde_json::to_vec(&order).unwrap();
        assert!(!written.contains(&b'\n'));
        let again: Order = serde_json::from_slice(&written).unwrap();
        assert_eq!(format!("{again:?}"), format!("{order:?}"));
        true
    });
}
