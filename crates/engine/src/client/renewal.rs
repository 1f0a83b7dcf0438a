//! Ticket renewal: when a program that stays must subscribe again, and what it should tell its user about the tickets.
//!
//! Servers prove their notices with the key of the session that a client last subscribed with. A program that runs for days
//! sees that session end; when there are new tickets it subscribes with them, and so the old key is not used any more.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use zephyr_core::{auth::Session, time::Now};

/// The time between looks at the tickets when nothing is wrong with them.
const CALM: Duration = Duration::from_secs(30);
/// The same when there are none, or soon will be none.
const UNEASY: Duration = Duration::from_secs(10);
/// How long before the end a user is warned; earlier for none, later for tickets that live only hours or less.
const WARNING: Duration = Duration::from_secs(15 * 60);

/// What a look at the tickets has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketEvent {
    /// There is another session than the one that was subscribed with: subscribe again.
    New,
    /// There is a session, where none was subscribed with: subscribe as if for the first time.
    First,
    /// The session ends at this moment, and there is no other yet.
    EndsSoon(SystemTime),
    /// The session has ended, or the user's tickets are gone.
    Ended,
}

/// What the user has been told about the session there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    EndsSoon,
    Ended,
}

/// Knows the session that was subscribed with.
pub(super) struct Renewal {
    session: Option<Arc<dyn Session>>,
    warn_at: Option<SystemTime>,
    told: Told,
    next_look: Duration,
}

impl Renewal {
    /// A client that has subscribed with this session, or without any.
    pub(super) fn new(now: Now, session: Option<Arc<dyn Session>>) -> Self {
        let mut renewal = Self { session: None, warn_at: None, told: Told::Ended, next_look: now.monotonic };
        if session.is_some() {
            renewal.take(now, session);
        }
        renewal.schedule(now);
        renewal
    }

    /// When to look next.
    pub(super) const fn next_look(&self) -> Duration {
        self.next_look
    }

    /// Takes it that the subscription could not be made: the next look will ask for it again.
    pub(super) fn failed(&mut self, now: Now) {
        self.session = None;
        self.next_look = now.monotonic + UNEASY;
    }

    /// Takes what a look has found: the session that the user's tickets of this moment make, if they make one.
    pub(super) fn look(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        let event = self.compare(now, found);
        self.schedule(now);
        event
    }

    fn compare(&mut self, now: Now, found: Option<Arc<dyn Session>>) -> Option<TicketEvent> {
        let is_same = match (&self.session, &found) {
            // Where nothing ever ends there is nothing to be renewed.
            (Some(known), Some(found)) => Arc::ptr_eq(known, found) || (known.ends(), found.ends()) == (None, None),
            _ => false,
        };
        let is_good = found.as_ref().is_some_and(|found| found.ends().is_none_or(|end| now.wall <= end));
        if is_good && !is_same {
            let event = if self.session.is_some() { TicketEvent::New } else { TicketEvent::First };
            self.take(now, found);
            return Some(event);
        }
        if !is_good {
            let is_news = self.told != Told::Ended;
            self.told = Told::Ended;
            return is_news.then_some(TicketEvent::Ended);
        }
        let end = found.and_then(|found| found.ends())?;
        if self.told == Told::Nothing && self.warn_at.is_some_and(|warn_at| now.wall >= warn_at) {
            self.told = Told::EndsSoon;
            return Some(TicketEvent::EndsSoon(end));
        }
        None
    }

    fn take(&mut self, now: Now, session: Option<Arc<dyn Session>>) {
        let end = session.as_ref().and_then(|session| session.ends());
        self.warn_at = end.map(|end| {
            let left = end.duration_since(now.wall).unwrap_or_default();
            end - WARNING.min(left / 4)
        });
        self.told = Told::Nothing;
        self.session = session;
    }

    fn schedule(&mut self, now: Now) {
        let until = |moment: SystemTime| moment.duration_since(now.wall).unwrap_or_default();
        // The last second is still good, and the clocks that count are not all ours.
        let past = Duration::from_secs(1);
        let end = self.session.as_ref().and_then(|session| session.ends());
        let wait = match (self.told, end, self.warn_at) {
            (Told::Nothing, Some(_), Some(warn_at)) => CALM.min(until(warn_at)),
            (Told::Nothing, ..) => CALM,
            (Told::EndsSoon, Some(end), _) => UNEASY.min(until(end) + past),
            _ => UNEASY,
        };
        self.next_look = now.monotonic + wait.max(Duration::from_millis(10));
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

    /// A session that ends this many seconds after the start of everything.
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
        let mut looks = 0;
        while renewal.next_look() < Duration::from_secs(11 * HOUR) {
            let second = renewal.next_look().as_secs_f64().ceil() as u64;
            looks += 1;
            if let Some(event) = renewal.look(at(second), session.clone()) {
                events.push((second, event));
            }
        }
        let end = 10 * HOUR;
        assert_eq!(events, [(end - 900, TicketEvent::EndsSoon(at(end).wall)), (end + 1, TicketEvent::Ended)]);
        assert!(looks < 1700, "{looks}");
        let new = until(20 * HOUR);
        assert_eq!(renewal.look(at(11 * HOUR), new.clone()), Some(TicketEvent::New));
        assert_eq!(renewal.look(at(11 * HOUR + 30), new), None);
    }

    #[test]
    fn tickets_that_are_renewed_in_time_are_no_news_to_the_user() {
        let mut renewal = Renewal::new(at(0), until(10 * HOUR));
        let new = until(15 * HOUR);
        assert_eq!(renewal.look(at(5 * HOUR), new.clone()), Some(TicketEvent::New));
        assert_eq!(renewal.look(at(10 * HOUR - 5), new.clone()), None);
        // It could not be subscribed with: again.
        renewal.failed(at(10 * HOUR));
        assert_eq!(renewal.next_look(), Duration::from_secs(10 * HOUR + 10));
        assert_eq!(renewal.look(at(10 * HOUR + 10), new), Some(TicketEvent::First));
    }

    #[test]
    fn short_tickets_are_warned_of_later() {
        let session = until(20);
        let mut renewal = Renewal::new(at(0), session.clone());
        assert_eq!(renewal.next_look(), Duration::from_secs(15));
        assert_eq!(renewal.look(at(15), session.clone()), Some(TicketEvent::EndsSoon(at(20).wall)));
        assert_eq!(renewal.next_look(), Duration::from_secs(21));
        assert_eq!(renewal.look(at(21), session), Some(TicketEvent::Ended));
        assert_eq!(renewal.next_look(), Duration::from_secs(31));
    }

    #[test]
    fn where_nothing_is_proven_nothing_is_renewed() {
        let mut renewal = Renewal::new(at(0), Some(Arc::new(Key(1))));
        for second in [30, 60, 90] {
            assert_eq!(renewal.next_look(), Duration::from_secs(second));
            assert_eq!(renewal.look(at(second), Some(Arc::new(Key(2)))), None);
        }
    }

    #[test]
    fn tickets_that_come_and_go() {
        let mut renewal = Renewal::new(at(0), None);
        assert_eq!(renewal.next_look(), Duration::from_secs(10));
        assert_eq!(renewal.look(at(10), None), None, "the user knows");
        let session = until(HOUR);
        assert_eq!(renewal.look(at(20), session.clone()), Some(TicketEvent::First));
        assert_eq!(renewal.look(at(30), None), Some(TicketEvent::Ended));
        assert_eq!(renewal.look(at(40), None), None);
        // The same again, which was subscribed with: nothing to do.
        assert_eq!(renewal.look(at(50), session), None);
        assert_eq!(renewal.look(at(60), until(2 * HOUR)), Some(TicketEvent::New));
    }
}
