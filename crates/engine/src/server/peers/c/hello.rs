//! Hellos of C servers: who of them is there (server to server, section 2).
//!
//! Nothing in this protocol is proven, so what somebody says of a server costs him little and does little: who says that it
//! goes makes it be asked, and whoever says that it is there makes it be offered a dump, which is another matter.

use std::time::Duration;

/// After so long without a sign of life somebody who is there is asked.
pub(super) const UP_TIMEOUT: Duration = Duration::from_secs(60);
/// Between questions to somebody who may be there.
pub(super) const TARDY_TIMEOUT: Duration = Duration::from_secs(120);
/// Between questions to somebody who is not there.
pub(super) const DEAD_TIMEOUT: Duration = Duration::from_secs(900);
/// Unanswered questions after which somebody who was there is dead.
const MAX_TARDY_HELLOS: u32 = 5;
/// Unanswered questions after which somebody who began is dead again.
const MAX_STARTING_HELLOS: u32 = 2;
/// The waits after each question to somebody who has said goodbye, or for whom somebody else has: who answers none of them
/// is gone.
const GOODBYE_WAITS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(3), Duration::from_secs(5)];

/// The state of a C server, as far as its signs of life tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Liveness {
    /// It is there.
    Up,
    /// It has not been heard of for a while.
    Tardy,
    /// It is not there. What changes meanwhile it is told by a dump.
    Dead,
    /// It is there again, and lacks a dump.
    Starting,
}

impl Liveness {
    /// As C servers call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Tardy => "TARDY",
            Self::Dead => "DEAD",
            Self::Starting => "STARTING",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Ask whether it is there.
    Hello,
    /// Say that we are.
    IHeardYou,
    /// Offer a dump, unless one is offered or under way.
    Offer,
    /// Forget what is on its way to it.
    Drop,
}

/// What is known of the life of a C server.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    state: Liveness,
    /// Since when it is in this state.
    since: Duration,
    /// Questions since its last sign of life.
    unanswered: u32,
    timeout: Duration,
    due: Duration,
    /// The next question after a goodbye: which, and when.
    leaving: Option<(usize, Duration)>,
}

impl Hello {
    /// A server of which nothing is known yet: it is asked at once.
    pub(super) const fn new(now: Duration) -> Self {
        Self { state: Liveness::Dead, since: now, unanswered: 0, timeout: DEAD_TIMEOUT, due: now, leaving: None }
    }

    pub(super) const fn state(&self) -> Liveness {
        self.state
    }

    pub(super) const fn since(&self) -> Duration {
        self.since
    }

    /// When something is to be done next.
    pub(super) fn next_due(&self) -> Duration {
        self.leaving.map_or(self.due, |(_, at)| at.min(self.due))
    }

    /// It is to be asked at once, for example because its address is another one.
    pub(super) const fn ask_at_once(&mut self, now: Duration) {
        self.due = now;
    }

    /// Time has passed.
    pub(super) fn timeout(&mut self, now: Duration) -> Vec<Act> {
        if let Some((asked, at)) = self.leaving
            && at <= now
        {
            return self.ask_whether_gone(now, asked);
        }
        if self.due > now {
            return Vec::new();
        }
        let mut acts = Vec::new();
        match self.state {
            Liveness::Up => {
                self.become_(now, Liveness::Tardy);
                (self.unanswered, self.timeout) = (0, TARDY_TIMEOUT);
            }
            Liveness::Tardy if self.unanswered >= MAX_TARDY_HELLOS => acts.extend(self.die(now)),
            Liveness::Starting if self.unanswered >= MAX_STARTING_HELLOS => acts.extend(self.die(now)),
            Liveness::Tardy | Liveness::Starting => {}
            Liveness::Dead => {
                self.timeout = DEAD_TIMEOUT;
                acts.push(Act::Drop);
            }
        }
        self.unanswered = self.unanswered.saturating_add(1);
        self.due = now + self.timeout;
        acts.push(Act::Hello);
        acts
    }

    /// It asks whether we are there.
    pub(super) fn asked(&mut self, now: Duration) -> Vec<Act> {
        let mut acts = vec![Act::IHeardYou];
        if self.state == Liveness::Dead {
            self.due = now;
            acts.extend(self.timeout(now));
        }
        acts
    }

    /// It has answered something.
    pub(super) fn heard(&mut self, now: Duration) -> Vec<Act> {
        self.leaving = None;
        match self.state {
            Liveness::Dead => {
                self.become_(now, Liveness::Starting);
                (self.unanswered, self.timeout, self.due) = (0, TARDY_TIMEOUT, now);
                let mut acts = vec![Act::Offer];
                acts.extend(self.timeout(now));
                acts
            }
            Liveness::Starting => {
                self.unanswered = 0;
                vec![Act::Offer]
            }
            Liveness::Up | Liveness::Tardy => {
                self.become_(now, Liveness::Up);
                (self.unanswered, self.timeout) = (0, UP_TIMEOUT);
                self.due = now + self.timeout;
                Vec::new()
            }
        }
    }

    /// It says that it ends, or somebody else says so: it is asked.
    pub(super) fn goodbye(&mut self, now: Duration) -> Vec<Act> {
        if self.state == Liveness::Dead || self.leaving.is_some() {
            return Vec::new();
        }
        self.ask_whether_gone(now, 0)
    }

    fn ask_whether_gone(&mut self, now: Duration, asked: usize) -> Vec<Act> {
        match GOODBYE_WAITS.get(asked) {
            Some(&wait) => {
                self.leaving = Some((asked + 1, now + wait));
                vec![Act::Hello]
            }
            None => {
                let acts = self.die(now);
                self.due = now + self.timeout;
                acts
            }
        }
    }

    /// A dump has been exchanged as a whole.
    pub(super) fn dumped(&mut self, now: Duration) -> Vec<Act> {
        self.leaving = None;
        self.become_(now, Liveness::Up);
        self.due = now;
        self.timeout(now)
    }

    /// A dump has begun and came to nothing.
    pub(super) fn dump_failed(&mut self, now: Duration) -> Vec<Act> {
        let acts = if self.state == Liveness::Starting { Vec::new() } else { self.die(now) };
        self.due = now + self.timeout;
        acts
    }

    fn die(&mut self, now: Duration) -> Vec<Act> {
        self.become_(now, Liveness::Dead);
        (self.unanswered, self.timeout, self.leaving) = (0, DEAD_TIMEOUT, None);
        vec![Act::Drop]
    }

    const fn become_(&mut self, now: Duration, state: Liveness) {
        if self.state as u8 != state as u8 {
            (self.state, self.since) = (state, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Act::{Drop, Hello as Ask, IHeardYou, Offer};
    use Liveness::{Dead, Starting, Tardy, Up};

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Lets time pass until this second; gives what was done when, and the state after it.
    fn pass(hello: &mut Hello, until: u64) -> Vec<(u64, Vec<Act>, Liveness)> {
        let mut done = Vec::new();
        while hello.next_due() <= at(until) {
            let due = hello.next_due();
            let acts = hello.timeout(due);
            done.push((due.as_secs(), acts, hello.state()));
        }
        done
    }

    /// A server that is there since this second.
    fn up(since: u64) -> Hello {
        let mut hello = Hello::new(at(since));
        hello.timeout(at(since));
        hello.heard(at(since));
        hello.dumped(at(since));
        hello.heard(at(since));
        assert_eq!((hello.state(), hello.next_due()), (Up, at(since + 60)));
        hello
    }

    #[test]
    fn a_server_that_is_not_there_is_asked_each_quarter_of_an_hour() {
        let mut hello = Hello::new(at(0));
        let asked = |second| (second, vec![Drop, Ask], Dead);
        assert_eq!(pass(&mut hello, 2000), [asked(0), asked(900), asked(1800)]);
    }

    #[test]
    fn one_that_falls_silent_is_asked_five_times_before_it_is_dead() {
        let mut hello = up(0);
        let asked = |second| (second, vec![Ask], Tardy);
        let mut expected: Vec<_> = [60, 180, 300, 420, 540].map(asked).into();
        expected.push((660, vec![Drop, Ask], Dead));
        expected.push((1560, vec![Drop, Ask], Dead));
        assert_eq!(pass(&mut hello, 2000), expected);
    }

    #[test]
    fn any_sign_of_life_makes_a_tardy_one_be_there() {
        let mut hello = up(0);
        pass(&mut hello, 420);
        assert_eq!((hello.heard(at(421)), hello.state(), hello.since()), (vec![], Up, at(421)));
        assert_eq!(pass(&mut hello, 500), [(481, vec![Ask], Tardy)]);
        assert_eq!((hello.heard(at(482)), hello.next_due()), (vec![], at(542)));
    }

    #[test]
    fn one_that_comes_is_offered_a_dump_and_is_there_when_it_is_done() {
        let mut hello = Hello::new(at(0));
        pass(&mut hello, 0);
        assert_eq!((hello.heard(at(7)), hello.state()), (vec![Offer, Ask], Starting));
        assert_eq!((hello.heard(at(8)), hello.state()), (vec![Offer], Starting));
        assert_eq!(pass(&mut hello, 200), [(127, vec![Ask], Starting)]);
        assert_eq!((hello.dumped(at(200)), hello.state()), (vec![Ask], Tardy), "asked at once");
        assert_eq!((hello.heard(at(200)), hello.state(), hello.next_due()), (vec![], Up, at(260)));
    }

    #[test]
    fn one_that_begins_and_says_nothing_more_is_dead_again() {
        let mut hello = Hello::new(at(0));
        pass(&mut hello, 0);
        hello.heard(at(1));
        assert_eq!(pass(&mut hello, 300), [(121, vec![Ask], Starting), (241, vec![Drop, Ask], Dead)]);
    }

    #[test]
    fn a_question_is_answered_whoever_asks_and_a_dead_one_is_asked_back() {
        let mut hello = Hello::new(at(0));
        pass(&mut hello, 0);
        assert_eq!(hello.asked(at(5)), [IHeardYou, Drop, Ask]);
        assert_eq!((hello.state(), hello.next_due()), (Dead, at(905)));
        let mut hello = up(0);
        assert_eq!(
            (hello.asked(at(5)), hello.next_due()),
            (vec![IHeardYou], at(60)),
            "it says nothing of the one who asks"
        );
    }

    #[test]
    fn a_dump_that_came_to_nothing_is_the_end_of_one_that_was_there() {
        let mut hello = up(0);
        assert_eq!((hello.dump_failed(at(5)), hello.state(), hello.next_due()), (vec![Drop], Dead, at(905)));
        let mut hello = Hello::new(at(0));
        pass(&mut hello, 0);
        hello.heard(at(1));
        assert_eq!((hello.dump_failed(at(5)), hello.state(), hello.next_due()), (vec![], Starting, at(125)));
    }

    /// Somebody else may have said it: C servers believe it, and tell the other nothing for a minute.
    #[test]
    fn a_forged_goodbye_costs_a_question() {
        let mut hello = up(0);
        assert_eq!((hello.goodbye(at(5)), hello.state()), (vec![Ask], Up));
        assert_eq!(hello.goodbye(at(5)), [], "it was asked");
        assert_eq!(hello.heard(at(6)), []);
        assert_eq!(pass(&mut hello, 66), [(66, vec![Ask], Tardy)]);
    }

    #[test]
    fn one_that_says_goodbye_and_answers_no_more_is_dead() {
        let mut hello = up(0);
        hello.goodbye(at(5));
        let expected = [(7, vec![Ask], Up), (10, vec![Ask], Up), (15, vec![Drop], Dead)];
        assert_eq!(pass(&mut hello, 20), expected);
        assert_eq!((hello.next_due(), hello.goodbye(at(21))), (at(915), vec![]));
    }
}
