//! Notices that a description wants to be shown again later (zwgc, section 11).

use super::worker::Shown;
use std::time::{Duration, Instant};
use zephyr_core::uid::Uid;

/// Maximum number of repetitions that wait.
const MAX_WAITING: usize = 1000;
/// The length from which on a name is not taken.
const MAX_NAME: usize = 123;

/// What waits to be shown again.
#[derive(Default)]
pub(super) struct Repetitions {
    waiting: Vec<Repetition>,
}

struct Repetition {
    at: Instant,
    name: Vec<u8>,
    shown: Shown,
}

impl Repetitions {
    /// When the first one is to be shown.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.waiting.iter().map(|repetition| repetition.at).min()
    }

    /// Takes one that is to be shown by now: the notice, and its opcode then.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Shown, Vec<u8>)> {
        let due = self.waiting.iter().enumerate().filter(|(_, repetition)| repetition.at <= now);
        let (index, _) = due.min_by_key(|(_, repetition)| repetition.at)?;
        let Repetition { name, shown, .. } = self.waiting.remove(index);
        let name = if name.len() < MAX_NAME { name } else { b"bogus".to_vec() };
        Some((shown, [b"time-", name.as_slice()].concat()))
    }

    /// Does what a description has said by `$event_time` and `$event_name` when it ran for a notice.
    pub(super) fn order(&mut self, time: &[u8], name: &[u8], shown: &Shown, now: Instant) {
        if time == b"kill" {
            let uid = uid(shown);
            let is_ended =
                |ended: &Repetition| self::uid(&ended.shown) == uid && (name == b"all" || ended.name == name);
            self.waiting.retain(|repetition| !is_ended(repetition));
            return;
        }
        let seconds: Option<u32> = str::from_utf8(time).ok().and_then(|time| time.parse().ok());
        let Some(seconds) = seconds.filter(|&seconds| seconds > 0) else { return };
        if self.waiting.len() < MAX_WAITING {
            let at = now + Duration::from_secs(seconds.into());
            self.waiting.push(Repetition { at, name: name.to_vec(), shown: shown.clone() });
        }
    }
}

/// Which notice it is; `None` for that of the start.
fn uid(shown: &Shown) -> Option<Uid> {
    shown.received.as_ref().map(|received| received.notice().uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_time_and_can_be_ended() {
        let (mut repetitions, shown, now) = (Repetitions::default(), Shown::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for (time, name) in [("20", "late"), ("5", "early"), ("none", "no"), ("0", "no"), ("-1", "no"), ("7", "ended")]
        {
            repetitions.order(time.as_bytes(), name.as_bytes(), &shown, now);
        }
        repetitions.order(b"kill", b"ended", &shown, now);
        repetitions.order(b"6", &[b'x'; 123], &shown, now);
        assert_eq!(repetitions.next_at(), Some(after(5)));
        assert!(repetitions.take(after(4)).is_none());
        let mut taken = || repetitions.take(after(30)).map(|(_, opcode)| String::from_utf8(opcode).unwrap());
        assert_eq!(
            [taken(), taken(), taken(), taken()].map(Option::unwrap_or_default),
            ["time-early", "time-bogus", "time-late", ""]
        );
        repetitions.order(b"1", b"a", &shown, now);
        repetitions.order(b"kill", b"all", &shown, now);
        assert_eq!(repetitions.next_at(), None);
        for _ in 0..2 * MAX_WAITING {
            repetitions.order(b"1", b"a", &shown, now);
        }
        assert_eq!(repetitions.waiting.len(), MAX_WAITING);
    }
}
