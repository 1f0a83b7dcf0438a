//! When there is something to be said, and what (clients, section 6). Without a clock: whoever asks says what time it is.

use super::options::Time;
use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const MINUTE: Duration = Duration::from_secs(60);
/// The seconds after which a clock of twelve hours shows the same.
const TURN: u64 = 12 * 60 * 60;
/// A time that is further ahead, in seconds, was meant as one that has passed.
const MAX_AHEAD: u64 = 11 * 60 * 60;

/// By how many seconds clocks may be put back.
const MAX_CHANGE: u64 = TURN / 2;

/// How often it is said that it is late.
const LATE_REMINDERS: u32 = 10;
/// The last reminder, after which it is said that it was.
const FAREWELL: &str = "That was the last time I'll tell you. Bye.";

/// The time has already passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed;

/// When a time to leave is. `second_of_day` gives how many seconds a clock shows, counted from midnight.
///
/// # Errors
///
/// [`Passed`] when a clock shows it in more than eleven hours, or now.
pub fn moment(time: Time, now: SystemTime, second_of_day: impl Fn(SystemTime) -> u32) -> Result<SystemTime, Passed> {
    match time {
        Time::In { minutes } => Ok(now + MINUTE * minutes),
        Time::At { hour, minute } => {
            let wanted = u64::from((hour * 60 + minute) * 60);
            let ahead_of = |time| (wanted + TURN - u64::from(second_of_day(time)) % TURN) % TURN;
            let now = whole_second(now);
            let ahead @ 1..=MAX_AHEAD = ahead_of(now) else { return Err(Passed) };
            let moment = now + Duration::from_secs(ahead);
            // Where clocks are put forward or back before that.
            Ok(match ahead_of(moment) {
                missing @ 0..=MAX_CHANGE => moment + Duration::from_secs(missing),
                missing => moment - Duration::from_secs(TURN - missing),
            })
        }
    }
}

fn whole_second(time: SystemTime) -> SystemTime {
    let fraction = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    time - Duration::from_nanos(fraction.into())
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
    /// The reminders of a time to leave that somebody has named at `begin`, without those that were past by then, or due just then.
    pub fn new(leave: SystemTime, begin: SystemTime) -> Self {
        let before = [(5 * MINUTE, "You have to leave in 5 minutes"), (MINUTE, "Just one more minute!")];
        let before = before.into_iter().filter_map(|(ahead, text)| Some((leave.checked_sub(ahead)?, text)));
        let late = (1..=LATE_REMINDERS).map(|count| (leave + MINUTE * count, "You're going to be late!"));
        let last = (leave + MINUTE * LATE_REMINDERS, FAREWELL);
        let all = before.chain([(leave, "Time to leave!")]).chain(late).chain([last]);
        Self { due: all.filter(|(due, _)| *due > begin).collect() }
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
        let mut expected =
            vec![(300, "You have to leave in 5 minutes"), (540, "Just one more minute!"), (600, "Time to leave!")];
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
        let clock = |hour: u64, minute: u64, second: u64| (hour * 60 + minute) * 60 + second;
        // The clock shows the seconds since 1970.
        let shown =
            |time: SystemTime| u32::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_secs() % 86_400).unwrap();
        let when = |hour, minute, now| {
            let now = at(now) + Duration::from_millis(700);
            moment(Time::At { hour, minute }, now, shown)
                .map(|moment| moment.duration_since(whole_second(now)).unwrap().as_secs())
        };
        for now in [clock(1, 20, 30), clock(13, 20, 30)] {
            assert_eq!(when(1, 30, now), Ok(570), "at the full minute");
            assert_eq!(when(1, 21, now), Ok(30));
            assert_eq!(when(0, 20, now), Ok(11 * 3600 - 30));
            assert_eq!(when(0, 21, now), Err(Passed));
            assert_eq!(when(1, 20, now), Err(Passed), "the minute that it is");
            assert_eq!(when(1, 0, now), Err(Passed));
        }
        assert_eq!(when(0, 0, clock(23, 59, 59)), Ok(1), "over midnight");
        assert_eq!(when(0, 0, clock(12, 0, 0)), Err(Passed));
        assert_eq!(moment(Time::In { minutes: 720 }, at(7), shown), Ok(at(43_207)));
    }

    #[test]
    fn clocks_that_are_put_forward_or_back_meanwhile() {
        for change in [3600_i64, -3600] {
            // At two o'clock.
            let shown = |time: SystemTime| {
                let second = i64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
                u32::try_from(if second >= 7200 { second + change } else { second }).unwrap()
            };
            let moment = moment(Time::At { hour: 5, minute: 0 }, at(3600), shown).unwrap();
            assert_eq!(shown(moment), 5 * 3600, "{change}");
        }
    }
}
