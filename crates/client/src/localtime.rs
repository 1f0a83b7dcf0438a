//! Times in the user's time zone.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as C's `ctime` formats it, without the newline: `Sun Nov 22 11:01:03 2026`.
pub fn ctime(time: SystemTime) -> String {
    format("%a %b %e %H:%M:%S %Y", time)
}

/// A time as date and time of day: `2026-11-22 11:01:03`.
pub fn date_and_time(time: SystemTime) -> String {
    format("%Y-%m-%d %H:%M:%S", time)
}

/// The date of a time: `2026-11-22`.
pub fn date(time: SystemTime) -> String {
    format("%Y-%m-%d", time)
}

/// The time of a notice as RFC 3339 has it, in UTC: `2026-11-22T11:01:03.000042Z`. More microseconds than a second has count as the
/// last one.
pub fn rfc3339(seconds: u32, micros: u32) -> String {
    let time = from_seconds(seconds) + Duration::from_micros(micros.min(999_999).into());
    in_zone("%Y-%m-%dT%H:%M:%S.%6fZ", time, TimeZone::UTC)
}

/// The time of day: `11:01:03`.
pub fn time_of_day(time: SystemTime) -> String {
    format("%H:%M:%S", time)
}

/// The seconds of the day that a clock shows, counted from midnight.
pub fn second_of_day(time: SystemTime) -> u32 {
    let part = |pattern| format(pattern, time).parse::<u32>().unwrap_or_default();
    (part("%H") * 60 + part("%M")) * 60 + part("%S")
}

/// The day with its name: `Sun Nov 22 2026`.
pub fn named_day(time: SystemTime) -> String {
    format("%a %b %e %Y", time)
}

/// A length of time for people, rounded up: `45 s`, `7 min`, `3 h`.
pub fn rounded(length: Duration) -> String {
    let seconds = length.as_millis().div_ceil(1000);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// The time of a notice, from the seconds since 1970 in its uid.
pub fn from_seconds(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.into())
}

fn format(pattern: &str, time: SystemTime) -> String {
    in_zone(pattern, time, TimeZone::system())
}

fn in_zone(pattern: &str, time: SystemTime, zone: TimeZone) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    ZonedDateTime::new(timestamp, zone).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_up() {
        for (millis, text) in [(0, "0 s"), (44_001, "45 s"), (119_000, "119 s"), (121_000, "3 min"), (7_200_001, "3 h")]
        {
            assert_eq!(rounded(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_day_is_padded_with_a_blank() {
        let time = from_seconds(1_793_523_663);
        assert_eq!(in_zone("%a %b %e %H:%M:%S %Y", time, TimeZone::UTC), "Sun Nov  1 09:01:03 2026");
    }
}
