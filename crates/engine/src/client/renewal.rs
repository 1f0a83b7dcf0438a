//! Ticket renewal: when a client must subscribe again with new tickets, and when its user is to be warned.
//!
//! Servers authenticate their notices with the key of the session that a client last subscribed with. That session ends with
//! the tickets; a program that runs longer must subscribe with new ones, after which the old key is not used any more.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_core::{auth::Session, time::Now};

/// The time between checks of the tickets while they are valid.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// The same when there are none, or when they end soon.
const SHORT_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The maximum time between the warning and the end of the tickets; less for tickets of less than an hour.
const MAX_WARNING_TIME: Duration = Duration::from_secs(15 * 60);

/// A change of the user's tickets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketEvent {
    /// There are new tickets in place of those that were subscribed with: send their key to the server.
    New,
    /// There are tickets where none were subscribed with: subscribe as if for the first time.
    First,
    /// The tickets end at this time, and there are no new ones yet.
    EndsSoon(SystemTime),
    /// The tickets have ended, or were destroyed.
    Ended,
}

/// The last event that was reported about the current session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reported {
    Nothing,
    EndsSoon,
    Ended,
}

/// The session that was subscribed with, and the next check of the tickets.
pub(super) struct Renewal {
    session: Option<Arc<dyn Session>>,
    warn_at: Option<SystemTime>,
    reported: Reported,
    next_check: Duration,
}

impl Renewal {
    /// For a client that has subscribed with this session, or without any.
    pub(super) fn new(now: Now, session: Option<Arc<dyn Session>>) -> Self {
        let mut renewal = Self { session: None, warn_at: None, reported: Reported::Ended, next_check: now.monotonic };
        if session.is_some() {
            renewal.adopt(now, session);
        }
        renewal.schedule(now);
        renewal
    }

    /// The monotonic time of the next check.
    pub(super) const fn next_check(&self) -> Duration {
        self.next_check
    }

    /// Handles that the subscription has failed: the next check asks for it again.
    pub(super) fn handle_failure(&mut self, now: Now) {
        self.session = None;
        self.next_check = now.monotonic + SHORT_CHECK_INTERVAL;
    }

    /// Handles a check: compares the session of the user's current tickets, if there is one, with the one known.
    pub(super) fn check(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        let event = self.compare(now, found);
        self.schedule(now);
        event
    }

    fn compare(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        let is_same = match (&self.session, &found) {
            // Sessions that do not end need no renewal.
            (Some(known), Some(found)) => Arc::ptr_eq(known, found) || (known.ends(), found.ends()) == (None, None),
            _ => false,
        };
        let is_good = found.as_ref().is_some_and(|found| found.ends().is_none_or(|end| now.wall <= end));
        if is_good && !is_same {
            let event = if self.session.is_some() { TicketEvent::New } else { TicketEvent::First };
            self.adopt(now, found);
            return Some(event);
        }
        if !is_good {
            let is_new = self.reported != Reported::Ended;
            self.reported = Reported::Ended;
            return is_new.then_some(TicketEvent::Ended);
        }
        let end = found.and_then(|found| found.ends())?;
        if self.reported == Reported::Nothing && self.warn_at.is_some_and(|warn_at| now.wall >= warn_at) {
            self.reported = Reported::EndsSoon;
            return Some(TicketEvent::EndsSoon(end));
        }
        None
    }

    fn adopt(&mut self, now: Now, session: Option<Arc<dyn Session>>) {
        let end = session.as_ref().and_then(|session| session.ends());
        self.warn_at = end.map(|end| {
            let left = end.duration_since(now.wall).unwrap_or_default();
            end - MAX_WARNING_TIME.min(left / 4)
        });
        self.reported = Reported::Nothing;
        self.session = session;
    }

    fn schedule(&mut self, now: Now) {
        let until = |moment: SystemTime| moment.duration_since(now.wall).unwrap_or_default();
        // Tickets are valid in their last second, and other machines' clocks differ.
        let margin = Duration::from_secs(1);
        let end = self.session.as_ref().and_then(|session| session.ends());
        let wait = match (self.reported, end, self.warn_at) {
            (Reported::Nothing, Some(_), Some(warn_at)) => CHECK_INTERVAL.min(until(warn_at)),
            (Reported::Nothing, ..) => CHECK_INTERVAL,
            (Reported::EndsSoon, Some(end), _) => SHORT_CHECK_INTERVAL.min(until(end) + margin),
            _ => SHORT_CHECK_INTERVAL,
        };
        self.next_check = now.monotonic + wait.max(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::super::doubles::{Key, at};
    use super::*;
    use bytes::Bytes;
    use std::borrow::Cow;
    use zephyr_core::{
        auth::{AuthError, Direction},
        limits::Limits,
        notice::{Notice, Packet},
    };

    /// A session that ends this many seconds after the start of a test.
    struct Until(u64);

    impl Session for Until {
        fn seal(&self, _: &Notice<'_>, _: Direction, _: Limits, _: Now) -> Result<Bytes, AuthError> {
            Err(AuthError::Expired)
        }

        fn open<'a>(&self, _: &Packet<'a>, _: Direction) -> Option<Cow<'a, [u8]>> {
            None
        }

        fn ends(&self) -> Option<SystemTime> {
            Some(at(self.0).wall)
        }
    }

    fn until(seconds: u64) -> Option<Arc<dyn Session>> {
        Some(Arc::new(Until(seconds)))
    }

    const HOUR: u64 = 3600;

    #[test]
    fn a_day_with_tickets_of_ten_hours() {
        let session = until(10 * HOUR);
        let mut renewal = Renewal::new(at(0), session.clone());
        let mut events = Vec::new();
        let mut checks = 0;
        while renewal.next_check() < Duration::from_secs(11 * HOUR) {
            let second = renewal.next_check().as_secs_f64().ceil() as u64;
            checks += 1;
            if let Some(event) = renewal.check(at(second), session.clone()) {
                events.push((second, event));
            }
        }
        let end = 10 * HOUR;
        assert_eq!(events, [(end - 900, TicketEvent::EndsSoon(at(end).wall)), (end + 1, TicketEvent::Ended)]);
        assert!(checks < 1700, "{checks}");
        let new = until(20 * HOUR);
        assert_eq!(renewal.check(at(11 * HOUR), new.clone()), Some(TicketEvent::New));
        assert_eq!(renewal.check(at(11 * HOUR + 30), new), None);
    }

    #[test]
    fn tickets_that_are_renewed_in_time_cause_no_warning() {
        let mut renewal = Renewal::new(at(0), until(10 * HOUR));
        let new = until(15 * HOUR);
        assert_eq!(renewal.check(at(5 * HOUR), new.clone()), Some(TicketEvent::New));
        assert_eq!(renewal.check(at(10 * HOUR - 5), new.clone()), None);
        // It could not be subscribed with: again.
        renewal.handle_failure(at(10 * HOUR));
        assert_eq!(renewal.next_check(), Duration::from_secs(10 * HOUR + 10));
        assert_eq!(renewal.check(at(10 * HOUR + 10), new), Some(TicketEvent::First));
    }

    #[test]
    fn short_tickets_are_warned_of_later() {
        let session = until(20);
        let mut renewal = Renewal::new(at(0), session.clone());
        assert_eq!(renewal.next_check(), Duration::from_secs(15));
        assert_eq!(renewal.check(at(15), session.clone()), Some(TicketEvent::EndsSoon(at(20).wall)));
        assert_eq!(renewal.next_check(), Duration::from_secs(21));
        assert_eq!(renewal.check(at(21), session), Some(TicketEvent::Ended));
        assert_eq!(renewal.next_check(), Duration::from_secs(31));
    }

    #[test]
    fn sessions_that_do_not_end_are_not_renewed() {
        let mut renewal = Renewal::new(at(0), Some(Arc::new(Key(1))));
        for second in [30, 60, 90] {
            assert_eq!(renewal.next_check(), Duration::from_secs(second));
            assert_eq!(renewal.check(at(second), Some(Arc::new(Key(2)))), None);
        }
    }

    #[test]
    fn tickets_that_come_and_go() {
        let mut renewal = Renewal::new(at(0), None);
        assert_eq!(renewal.next_check(), Duration::from_secs(10));
        assert_eq!(renewal.check(at(10), None), None, "the user knows");
        let session = until(HOUR);
        assert_eq!(renewal.check(at(20), session.clone()), Some(TicketEvent::First));
        assert_eq!(renewal.check(at(30), None), Some(TicketEvent::Ended));
        assert_eq!(renewal.check(at(40), None), None);
        // The same again, which was subscribed with: nothing to do.
        assert_eq!(renewal.check(at(50), session), None);
        assert_eq!(renewal.check(at(60), until(2 * HOUR)), Some(TicketEvent::New));
    }
}
