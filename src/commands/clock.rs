use crate::base::{Clock, SystemClock};
use crate::config::{ClockCommand, Exit, StoreSettings};
use crate::console::{Answer, Order};

use super::order::carry_out;
use super::{block_on, problem, report};

/// What problems are called by.
const SUBJECT: &str = "clock";

/// Has the clock believed.
pub fn clock(place: &StoreSettings, command: ClockCommand) -> Exit {
    let order = match command {
        ClockCommand::Accept => Order::ClockAccept,
    };
    block_on(async {
        match carry_out(SUBJECT, place, order).await {
            Ok(Answer::Done) => {
                eprintln!("The clock is believed: it is {}.", SystemClock.now());
                Exit::Ok
            }
            Ok(_) => {
                let cause = "the running server gave another answer than that it is done";
                let hint = "restart the server, if it is of another version than this program";
                report(Exit::Temporary, &problem(SUBJECT, cause, hint))
            }
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}
