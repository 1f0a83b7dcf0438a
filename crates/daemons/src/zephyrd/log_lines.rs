//! The server's log lines: what was reported, with what caused it as fields, and not too many of a kind.

use super::event::{Event, Level};
use crate::logging::RateLimit;
use std::{
    mem::{Discriminant, discriminant},
    net::SocketAddr,
    time::Instant,
};
use zephyr_core::{
    auth::AuthError,
    notice::{Packet, ParseError},
    realm::realm_of,
    uid::Uid,
};

/// Kinds of lines that are counted together.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Line {
    Event(Discriminant<Event>),
    BadPacket,
    CannotJudge,
}

/// Writes lines.
pub(super) struct LogLines {
    limit: RateLimit<Line>,
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
            realm: realm_of(notice.sender).map(text),
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
        for event in events {
            if event.level() == Level::Debug {
                write_line!(Level::Debug, cause, "{event}");
            } else if self.admit(Line::Event(discriminant(&event)), || event.to_string()) {
                write_line!(event.level(), cause, "{event}");
            }
        }
    }

    /// Writes that a packet was no notice.
    pub(super) fn bad_packet(&mut self, from: SocketAddr, error: &ParseError) {
        let line = || format!("bad notice parse ({from}): {error}");
        if self.admit(Line::BadPacket, line) {
            tracing::warn!(source = %from, "{}", line());
        }
    }

    /// Writes that a notice could not be judged.
    pub(super) fn cannot_judge(&mut self, cause: &Cause, error: &AuthError) {
        let line = || format!("cannot judge a notice from {}: {error}", cause.source);
        if self.admit(Line::CannotJudge, line) {
            let Cause { class, realm, sender, source, uid } = cause;
            tracing::error!(class, realm = realm.as_deref(), sender, %source, %uid, "{}", line());
        }
    }

    /// When [`LogLines::sum_up`] wants to be called.
    pub(super) fn next_summary(&self) -> Option<Instant> {
        self.limit.next_summary()
    }

    /// Writes how many lines were left out, when it is time.
    pub(super) fn sum_up(&mut self, now: Instant) {
        for summary in self.limit.summaries(now) {
            tracing::warn!("{summary}");
        }
    }

    fn admit(&mut self, line: Line, text: impl FnOnce() -> String) -> bool {
        let admitted = self.limit.admit(line, Instant::now(), text);
        self.left_out += u64::from(!admitted);
        admitted
    }
}
