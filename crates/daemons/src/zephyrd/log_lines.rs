//! The server's log lines: what was reported, with what caused it as fields, and not too many of a kind and source.

use crate::logging::RateLimit;
use std::{
    mem::{Discriminant, discriminant},
    net::{IpAddr, SocketAddr},
    time::Instant,
};
use zephyr_core::{
    auth::AuthError,
    notice::{Packet, ParseError},
    principal::Principal,
    uid::Uid,
};
use zephyr_engine::server::event::{Event, Level};

/// Kinds of lines that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Line {
    Event(Discriminant<Event>),
    BadPacket,
    CannotJudge,
}

/// Kinds and sources of lines that are counted apart in one period, so that none hides the others. There may be any number
/// of forged sources, so the further ones are counted together.
const MAX_SOURCES: usize = 64;

/// Writes lines.
pub(super) struct LogLines {
    limit: RateLimit<(Line, Option<IpAddr>)>,
    left_out: u64,
}

/// The notice that made the server do something, as the fields of a line; texts are escaped.
pub(super) struct Cause {
    class: String,
    realm: Option<String>,
    sender: String,
    source: SocketAddr,
    uid: Uid,
}

impl Cause {
    pub(super) fn new(source: SocketAddr, packet: &Packet<'_>) -> Self {
        let text = |octets: &[u8]| octets.escape_ascii().to_string();
        let notice = &packet.notice;
        Self {
            class: text(notice.class),
            realm: Principal::parse(notice.sender).realm.map(text),
            sender: text(notice.sender),
            source,
            uid: notice.uid,
        }
    }
}

/// One line of a level that is only known at run time.
macro_rules! write_line {
    ($level:expr, $cause:expr, $($text:tt)*) => {{
        let cause: Option<&Cause> = $cause;
        let (class, realm) = (cause.map(|cause| &*cause.class), cause.and_then(|cause| cause.realm.as_deref()));
        let sender = cause.map(|cause| &*cause.sender);
        let source = cause.map(|cause| tracing::field::display(cause.source));
        let uid = cause.map(|cause| tracing::field::display(cause.uid));
        match $level {
            Level::Warning => tracing::warn!(class, realm, sender, source, uid, $($text)*),
            Level::Info => tracing::info!(class, realm, sender, source, uid, $($text)*),
            Level::Debug => tracing::debug!(class, realm, sender, source, uid, $($text)*),
        }
    }};
}

impl LogLines {
    pub(super) fn new() -> Self {
        Self { limit: RateLimit::new(), left_out: 0 }
    }

    /// Lines left out since the start.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Writes what the engine reports.
    pub(super) fn write(&mut self, events: Vec<Event>, cause: Option<&Cause>) {
        let source = cause.map(|cause| cause.source.ip());
        for event in events {
            if event.level() == Level::Debug {
                write_line!(Level::Debug, cause, "{event}");
            } else if self.admit(Line::Event(discriminant(&event)), source, || event.to_string()) {
                write_line!(event.level(), cause, "{event}");
            }
        }
    }

    /// Writes that a packet was no notice.
    pub(super) fn bad_packet(&mut self, from: SocketAddr, error: &ParseError) {
        let line = || format!("bad notice parse ({from}): {error}");
        if self.admit(Line::BadPacket, Some(from.ip()), line) {
            tracing::warn!(source = %from, "{}", line());
        }
    }

    /// Writes that a notice could not be judged.
    pub(super) fn cannot_judge(&mut self, cause: &Cause, error: &AuthError) {
        let line = || format!("cannot judge a notice from {}: {error}", cause.source);
        if self.admit(Line::CannotJudge, Some(cause.source.ip()), line) {
            let Cause { class, realm, sender, source, uid } = cause;
            tracing::error!(class, realm = realm.as_deref(), sender, %source, %uid, "{}", line());
        }
    }

    /// When [`LogLines::flush`] wants to be called.
    pub(super) fn next_summary(&self) -> Option<Instant> {
        self.limit.next_summary()
    }

    /// Writes how many lines were left out, when it is time.
    pub(super) fn flush(&mut self, now: Instant) {
        for summary in self.limit.summaries(now) {
            tracing::warn!("{summary}");
        }
    }

    fn admit(&mut self, line: Line, source: Option<IpAddr>, text: impl FnOnce() -> String) -> bool {
        let own = (line, source);
        let kind = if self.limit.has_room_for(&own, MAX_SOURCES) { own } else { (line, None) };
        let admitted = self.limit.admit(kind, Instant::now(), text);
        self.left_out += u64::from(!admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(lines: &mut LogLines, host: u8, number: usize) -> usize {
        let source = SocketAddr::from(([10, 0, 0, host], 2104));
        (0..number).filter(|_| lines.admit(Line::CannotJudge, Some(source.ip()), String::new)).count()
    }

    #[test]
    fn the_lines_about_one_source_hide_none_about_another() {
        let mut lines = LogLines::new();
        assert_eq!(refusals(&mut lines, 1, 100), 20);
        assert_eq!(refusals(&mut lines, 2, 1), 1);
        assert_eq!(lines.left_out(), 80);
    }

    #[test]
    fn forged_sources_do_not_cause_any_number_of_lines() {
        let mut lines = LogLines::new();
        let written: usize = (0..=255).map(|host| refusals(&mut lines, host, 100)).sum();
        assert_eq!(written, (MAX_SOURCES + 1) * 20);
        assert!(lines.admit(Line::BadPacket, None, String::new), "another kind of line has its own");
    }
}
