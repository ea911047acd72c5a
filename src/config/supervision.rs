//! What a service manager says of itself in variables.

use std::ffi::OsString;
use std::time::Duration;

use super::layers::Surroundings;
use super::settings::Supervision;

impl Supervision {
    /// As the variables say. Numbers that are none count as absent: they are systemd's business, and no setting.
    pub(super) fn of(surroundings: &Surroundings<'_>) -> Supervision {
        let number = |name| surroundings.get(name).and_then(number);
        let Some(notify_socket) = surroundings.get("NOTIFY_SOCKET") else {
            return Supervision::default();
        };
        // A variable that our parent has inherited is not meant for us.
        let for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|microseconds| for_us && *microseconds > 0);
        Supervision {
            notify_socket: Some(notify_socket),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }
}

fn number(text: OsString) -> Option<u64> {
    text.to_str()?.parse().ok()
}
