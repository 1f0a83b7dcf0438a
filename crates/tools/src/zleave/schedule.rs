//! When there is something to be said, and what (clients, section 6). Without a clock: whoever asks says what time it is.

use super::options::Time;
use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

const MINUTE: Duration = Duration::from_secs(60);
/// The seconds after which a clock of twelve hours shows the same.
const TURN: u64 = 12 * 60 * 60;
/// A time that is further ahead, in seconds, was meant as one that has passed.
const MAX_AHEAD: u64 = 11 * 60 * 60;

/// How often it is said that it is late.
const LATE_REMINDERS: u32 = 10;
/// The last reminder, after which it is said that it was.
const FAREWELL: &str = "That was the last time I'll tell you. Bye.";

/// The time has already passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed;

/// How long it is until a time. `second_of_day` is how many seconds of the local day have passed.
///
/// # Errors
///
/// [`Passed`] when a clock shows it in more than eleven hours, or now.
pub fn until(time: Time, second_of_day: u32) -> Result<Duration, Passed> {
    match time {
        Time::In { minutes } => Ok(MINUTE * minutes),
        Time::At { hour, minute } => {
            let (wanted, shown) = (u64::from((hour * 60 + minute) * 60), u64::from(second_of_day) % TURN);
            match (wanted + TURN - shown) % TURN {
                ahead @ 1..=MAX_AHEAD => Ok(Duration::from_secs(ahead)),
                _ => Err(Passed),
            }
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for so long at most, and ask again: clocks are set, and machines sleep.
    Wait(Duration),
    /// Say something.
    Say(&'static str),
    /// End.
    End,
}

/// The reminders of one time to leave.
#[derive(Clone, Debug)]
pub struct Reminders {
    /// When each is due, in order.
    due: VecDeque<(SystemTime, &'static str)>,
}

impl Reminders {
    /// The reminders of a time, without those that are past, or due just now.
    pub fn new(leave: SystemTime, now: SystemTime) -> Self {
        let before = [(5 * MINUTE, "You have to leave in 5 minutes"), (MINUTE, "Just one more minute!")];
        let before = before.into_iter().filter_map(|(ahead, text)| Some((leave.checked_sub(ahead)?, text)));
        let late = (1..=LATE_REMINDERS).map(|count| (leave + MINUTE * count, "You're going to be late!"));
        let last = (leave + MINUTE * LATE_REMINDERS, FAREWELL);
        let all = before.chain([(leave, "Time to leave!")]).chain(late).chain([last]);
        Self { due: all.filter(|(due, _)| *due > now).collect() }
    }

    /// What is to be done at this time. Of reminders that were missed, as while the machine slept, the last one is said.
    pub fn next(&mut self, now: SystemTime) -> Next {
        while let Some(&(due, text)) = self.due.front() {
            if let Ok(wait) = due.duration_since(now)
                && !wait.is_zero()
            {
                return Next::Wait(wait);
            }
            self.due.pop_front();
            // The farewell is due together with the last reminder, and does not replace it.
            let is_missed = self.due.front().is_some_and(|&(later, _)| later <= now && later > due);
            if !is_missed {
                return Next::Say(text);
            }
        }
        Next::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    /// What is said and when, in seconds after `now`, where every wait takes as long as it should.
    fn story(leave: u64, now: u64) -> Vec<(u64, &'static str)> {
        let mut reminders = Reminders::new(at(leave), at(now));
        let (mut time, mut said) = (at(now), Vec::new());
        loop {
            match reminders.next(time) {
                Next::Wait(wait) => time += wait,
                Next::Say(text) => said.push((time.duration_since(at(now)).unwrap().as_secs(), text)),
                Next::End => return said,
            }
        }
    }

    #[test]
    fn what_is_said_when() {
        let mut expected = vec![
            (300, "You have to leave in 5 minutes"),
            (540, "Just one more minute!"),
            (600, "Time to leave!"),
        ];
        expected.extend((1..=10).map(|count| (600 + 60 * count, "You're going to be late!")));
        expected.push((1200, FAREWELL));
        assert_eq!(story(100_600, 100_000), expected);
        // What is past at the beginning is left out.
        assert_eq!(story(100_301, 100_000)[0], (1, "You have to leave in 5 minutes"));
        assert_eq!(story(100_300, 100_000)[0], (240, "Just one more minute!"));
        assert_eq!(story(100_060, 100_000)[0], (60, "Time to leave!"));
        assert_eq!(story(100_001, 100_000).len(), 12);
    }

    #[test]
    fn of_what_was_slept_through_the_last_is_said() {
        let mut reminders = Reminders::new(at(100_600), at(100_000));
        assert_eq!(reminders.next(at(100_000)), Next::Wait(Duration::from_secs(300)));
        assert_eq!(reminders.next(at(100_100)), Next::Wait(Duration::from_secs(200)), "woken early");
        assert_eq!(reminders.next(at(100_630)), Next::Say("Time to leave!"));
        assert_eq!(reminders.next(at(100_630)), Next::Wait(Duration::from_secs(30)));
        assert_eq!(reminders.next(at(50_000)), Next::Wait(Duration::from_secs(50_660)), "the clock was set back");
        assert_eq!(reminders.next(at(900_000)), Next::Say("You're going to be late!"));
        assert_eq!(reminders.next(at(900_000)), Next::Say(FAREWELL));
        assert_eq!(reminders.next(at(900_000)), Next::End);
    }

    #[test]
    fn the_next_time_that_a_clock_shows_it() {
        let clock = |hour: u32, minute: u32, second: u32| (hour * 60 + minute) * 60 + second;
        let when = |hour, minute, now| until(Time::At { hour, minute }, now).map(|ahead| ahead.as_secs());
        for now in [clock(1, 20, 30), clock(13, 20, 30)] {
            assert_eq!(when(1, 30, now), Ok(570), "at the full minute");
            assert_eq!(when(1, 21, now), Ok(30));
            assert_eq!(when(0, 20, now), Ok(11 * 3600 - 30));
            assert_eq!(when(0, 21, now), Err(Passed));
            assert_eq!(when(1, 20, now), Err(Passed), "the minute that it is");
            assert_eq!(when(1, 0, now), Err(Passed));
        }
        assert_eq!(when(0, 0, clock(23, 59, 59)), Ok(1), "over midnight");
        assert_eq!(when(0, 0, clock(0, 0, 0)), Err(Passed));
        assert_eq!(until(Time::In { minutes: 720 }, 0), Ok(Duration::from_secs(43_200)));
    }
}
