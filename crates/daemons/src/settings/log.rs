//! Destination and facility of the log of each daemon.

use super::values::absolute;
use serde::Deserialize;
use std::path::PathBuf;
use zephyr_config::reader::Section;

/// The target of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// To the journal when started by systemd, else to standard error.
    #[default]
    Auto,
    /// To standard error.
    Stderr,
    /// To systemd's journal, with fields.
    Journald,
    /// To the system's log, by its socket.
    Syslog,
}

/// A facility of the system's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(pub u8);

impl Facility {
    /// The facility of C servers.
    pub const LOCAL6: Self = Self(22);
    /// The facility of C host managers.
    pub const DAEMON: Self = Self(3);
    const NAMES: [(&str, u8); 11] = [
        ("user", 1),
        ("daemon", 3),
        ("auth", 4),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
}

impl std::str::FromStr for Facility {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|&(_, number)| Self(number)).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|&(name, _)| name).collect();
            format!("expected one of {}, not {text:?}", names.join(", "))
        })
    }
}

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The target.
    pub target: LogTarget,
    /// Debug lines too, from the start.
    pub debug: bool,
    /// The facility, where the target is syslog.
    pub facility: Facility,
    /// The system log's socket.
    pub syslog_socket: PathBuf,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            target: LogTarget::Auto,
            debug: false,
            facility: Facility::LOCAL6,
            syslog_socket: PathBuf::from("/dev/log"),
        }
    }
}

impl Log {
    pub(super) fn read(&mut self, mut section: Section<'_, '_>) {
        section.read("target", &mut self.target);
        section.read("debug", &mut self.debug);
        section.read_text("facility", &mut self.facility, str::parse);
        section.read_text("syslog-socket", &mut self.syslog_socket, absolute);
        section.finish();
    }
}
