//! The log on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Starts to log. A second call changes nothing.
///
/// Libraries never get below `info`: at `debug` some write what they send,
/// passwords for the mail server among it.
pub fn start(log: LogConfig) {
    let (ours, others) = match log.level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    let filter = Targets::new()
        .with_target("mfad", ours)
        .with_default(others);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let registry = tracing_subscriber::registry();
    let _ = match log.format {
        LogFormat::Text => registry.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            registry.with(lines.with_filter(filter)).try_init()
        }
    };
}
