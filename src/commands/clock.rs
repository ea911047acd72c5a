use crate::base::{Clock, SystemClock};
use crate::config::{ClockCommand, Exit, StoreSettings};
use crate::console::{Answer, Order};

use super::order::{another_answer, carry_out};
use super::{block_on, report};

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
                let odd = another_answer(SUBJECT, "that it is done");
                report(odd.exit, &odd.problem)
            }
            Err(refused) => report(refused.exit, &refused.problem),
        }
    })
}
