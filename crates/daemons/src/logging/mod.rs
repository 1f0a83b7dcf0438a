//! The log: on standard error, in systemd's journal or in the system's log.
//!
//! Texts from the net are escaped before they become part of a line, and how many lines a hostile network can cause is
//! limited by [`RateLimit`].

mod rate_limit;
mod syslog;

pub use rate_limit::RateLimit;

use crate::settings::{Log, LogTarget};
use std::{
    fs::File,
    io::{self, IsTerminal},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};
use syslog::Syslog;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::Layered, layer::SubscriberExt, reload, util::SubscriberInitExt,
};
use zephyr_config::system_text;
use zephyr_output::complain;

/// Turns debug lines on and off while the program runs.
pub struct DebugSwitch(Box<dyn Fn(bool) + Send + Sync>);

impl DebugSwitch {
    /// Turns debug lines on or off.
    pub fn set(&self, on: bool) {
        (self.0)(on);
    }
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;
type Target = Box<dyn Layer<Filtered> + Send + Sync>;

/// What a program is called in its log.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// In the journal, and where it says something on standard error.
    pub program: &'static str,
    /// In the system's log, where scripts look for the names of the C programs.
    pub syslog: &'static str,
}

impl Identity {
    /// Of a program that has one name everywhere.
    pub const fn of(program: &'static str) -> Self {
        Self { program, syslog: program }
    }
}

/// Starts logging. `RUST_LOG` overrules `debug` and the setting.
pub fn start(identity: Identity, settings: &Log, debug: bool) -> DebugSwitch {
    let filter = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let (filter, handle) = reload::Layer::new(filter.unwrap_or_else(|| level(debug || settings.debug)));
    // A second start in one process, as in tests, keeps the first one's log.
    let _ = tracing_subscriber::registry().with(filter).with(target(identity, settings)).try_init();
    DebugSwitch(Box::new(move |on| {
        // Fails only when the log is gone already.
        let _ = handle.reload(level(on));
    }))
}

fn target(Identity { program, syslog }: Identity, settings: &Log) -> Target {
    match settings.target {
        LogTarget::Stderr => stderr(),
        LogTarget::Auto if !stderr_is_journal() => stderr(),
        LogTarget::Auto | LogTarget::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                let priorities = PriorityMappings {
                    info: Priority::Informational,
                    debug: Priority::Debug,
                    ..PriorityMappings::new()
                };
                let journal = journal.with_priority_mappings(priorities).with_field_prefix(None);
                journal.with_syslog_identifier(program.to_owned()).boxed()
            }
            Err(error) => {
                complain!("{program}: {}", no_journal(&error));
                stderr()
            }
        },
        LogTarget::Syslog => {
            let syslog = Syslog::new(syslog, settings);
            if let Err(error) = syslog.connect() {
                complain!("{program}: {}", no_syslog(&settings.syslog_socket, &error));
            }
            syslog.boxed()
        }
    }
}

/// What a start says when the log cannot be had that these settings name; nothing is written to it.
pub fn examine(settings: &Log) -> Option<String> {
    match settings.target {
        LogTarget::Auto | LogTarget::Stderr => None,
        LogTarget::Journald => tracing_journald::layer().err().map(|error| no_journal(&error)),
        LogTarget::Syslog => {
            let error = Syslog::new("", settings).connect().err()?;
            Some(no_syslog(&settings.syslog_socket, &error))
        }
    }
}

fn no_journal(error: &io::Error) -> String {
    format!("cannot reach the journal ({}), so the log goes to standard error", system_text(error))
}

fn no_syslog(socket: &Path, error: &io::Error) -> String {
    format!(
        "cannot reach the system's log at {} ({}), so lines are lost until it is there",
        socket.display(),
        system_text(error)
    )
}

/// Lines on standard error, in colours only to a terminal. What cannot be written there is lost.
fn stderr() -> Target {
    tracing_subscriber::fmt::layer()
        .with_writer(zephyr_output::log)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .boxed()
}

/// Whether standard error ends in systemd's journal: the journal then takes lines with their fields as well.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    stderr.is_ok_and(|stderr| format!("{}:{}", stderr.dev(), stderr.ino()) == stream)
}

fn level(debug: bool) -> EnvFilter {
    EnvFilter::new(if debug { "debug" } else { "info" })
}
