use std::path::Path;

use crate::config::{self, Exit};

use super::{print, problem, report};

/// Prints the manual page, or writes all of them into a folder.
pub fn manual(into: Option<&Path>) -> Exit {
    let written = match into {
        Some(folder) => config::write_manual(folder).map(|()| Exit::Ok),
        None => config::manual_page().map(print),
    };
    written.unwrap_or_else(|error| {
        let hint = "name a folder that is there and writable";
        report(Exit::Io, &problem("man", error, hint))
    })
}
