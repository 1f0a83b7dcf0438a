//! Log lines of server events, with their cause as fields, and limited by kind and source.

use super::subscriber::Subscriber;
use crate::logging::RateLimit;
use std::{
    mem::{Discriminant, discriminant},
    net::IpAddr,
    time::Instant,
};
use zephyr_core::{principal::Principal, sanitize, uid::Uid};
use zephyr_engine::{
    level::Level,
    server::{Cause, Event, LogEntry, LogEvent},
};

/// Maximum number of kinds and sources of lines that are counted separately in one period. There may be any number
/// of forged sources, so the further ones are counted together.
const MAX_SOURCES: usize = 64;

/// A subscriber that writes log lines.
pub(super) struct LogLines {
    limit: RateLimit<(Discriminant<LogEvent>, Option<IpAddr>)>,
    left_out: u64,
}

/// The notice that made the server do something, as the fields of a line; texts are sanitized.
struct Fields {
    class: String,
    realm: Option<String>,
    sender: String,
    uid: Uid,
}

impl Fields {
    fn of(cause: &Cause) -> Self {
        let text = sanitize::name;
        let notice = cause.notice();
        Self {
            class: text(notice.class),
            realm: Principal::parse(notice.sender).realm.map(text),
            sender: text(notice.sender),
            uid: notice.uid,
        }
    }
}

/// One line of a level that is only known at run time.
macro_rules! write_line {
    ($level:expr, $source:expr, $cause:expr, $($text:tt)*) => {{
        let cause: Option<&Fields> = $cause;
        let (class, realm) = (cause.map(|cause| &*cause.class), cause.and_then(|cause| cause.realm.as_deref()));
        let sender = cause.map(|cause| &*cause.sender);
        let source = $source.map(tracing::field::display);
        let uid = cause.map(|cause| tracing::field::display(cause.uid));
        match $level {
            Level::Error => tracing::error!(class, realm, sender, source, uid, $($text)*),
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

    /// Suppressed lines since the start.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn write(&mut self, entry: &LogEntry) {
        let LogEntry { event, cause } = entry;
        let source = event.source().or_else(|| cause.as_ref().map(|cause| cause.from));
        if event.level() == Level::Debug {
            // Most often nobody wants to see these.
            if tracing::enabled!(tracing::Level::DEBUG) {
                let fields = cause.as_ref().map(Fields::of);
                write_line!(Level::Debug, source, fields.as_ref(), "{event}");
            }
        } else if self.admit(discriminant(event), source.map(|source| source.ip()), || event.to_string()) {
            let fields = cause.as_ref().map(Fields::of);
            write_line!(event.level(), source, fields.as_ref(), "{event}");
        }
    }

    /// The time of the next call of [`LogLines::flush`].
    pub(super) fn next_summary(&self) -> Option<Instant> {
        self.limit.next_summary()
    }

    /// Writes how many lines were left out, when it is time.
    pub(super) fn flush(&mut self, now: Instant) {
        for summary in self.limit.summaries(now) {
            tracing::warn!("{summary}");
        }
    }

    fn admit(&mut self, line: Discriminant<LogEvent>, source: Option<IpAddr>, text: impl FnOnce() -> String) -> bool {
        let own = (line, source);
        let kind = if self.limit.has_room_for(&own, MAX_SOURCES) { own } else { (line, None) };
        let admitted = self.limit.admit(kind, Instant::now(), text);
        self.left_out += u64::from(!admitted);
        admitted
    }
}

impl Subscriber for LogLines {
    fn receive(&mut self, event: &Event) {
        if let Event::Log(entry) = event {
            self.write(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds of lines.
    fn line(what: &'static str) -> Discriminant<LogEvent> {
        let from = std::net::SocketAddr::from(([10, 0, 0, 1], 1));
        discriminant(&match what {
            "full" => LogEvent::Full { what, from },
            _ => LogEvent::MalformedFlush { sender: b"x"[..].into() },
        })
    }

    fn refusals(lines: &mut LogLines, host: u8, number: usize) -> usize {
        let source = std::net::SocketAddr::from(([10, 0, 0, host], 2104));
        (0..number).filter(|_| lines.admit(line("full"), Some(source.ip()), String::new)).count()
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
        assert!(lines.admit(line("other"), None, String::new), "another kind of line has its own");
    }
}
