//! The trace of a simulation: a line for each thing that happened.

use std::time::Duration;
use zephyr_core::notice::Packet;

/// The lines of a simulation; none are kept unless somebody wants to read them.
#[derive(Debug, Default)]
pub(super) struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines, or one that does not.
    pub(super) fn new(keeps: bool) -> Self {
        Self { lines: keeps.then(Vec::new) }
    }

    /// Adds what happened at a node, at this moment.
    pub(super) fn add(&mut self, now: Duration, node: &str, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12.6} {node:<8} {}", now.as_secs_f64(), text()));
        }
    }

    /// The lines.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// A packet in some words.
pub(super) fn described(octets: &[u8]) -> String {
    let Ok(packet) = Packet::parse(octets) else { return format!("{} octets that are no notice", octets.len()) };
    let notice = packet.notice;
    let proof = if packet.claim.auth == 0 { "" } else { " proof" };
    format!(
        "{} {}/{}/{} by {} uid {} part {}{proof} body {:?}",
        notice.kind,
        notice.class.escape_ascii(),
        notice.instance.escape_ascii(),
        notice.opcode.escape_ascii(),
        notice.sender.escape_ascii(),
        notice.uid,
        notice.multinotice.escape_ascii(),
        beginning(notice.body),
    )
}

/// The beginning of a body, fit for a line.
pub(super) fn beginning(body: &[u8]) -> String {
    const SHOWN: usize = 24;
    body.get(..SHOWN).unwrap_or(body).escape_ascii().to_string()
}
