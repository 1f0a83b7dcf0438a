//! Moments as the user's clock on the wall shows them.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment as C's `ctime` writes it, without the newline: `Sun Nov 22 11:01:03 2026`.
pub fn ctime(moment: SystemTime) -> String {
    format("%a %b %e %H:%M:%S %Y", moment)
}

/// Date and time in figures: `2026-11-22 11:01:03`.
pub fn figures(moment: SystemTime) -> String {
    format("%Y-%m-%d %H:%M:%S", moment)
}

/// The moment of a notice, from the seconds that it carries.
pub fn of_seconds(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.into())
}

fn format(pattern: &str, moment: SystemTime) -> String {
    in_zone(pattern, moment, TimeZone::system())
}

fn in_zone(pattern: &str, moment: SystemTime, zone: TimeZone) -> String {
    let timestamp = Timestamp::try_from(moment).unwrap_or(Timestamp::UNIX_EPOCH);
    ZonedDateTime::new(timestamp, zone).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_padded_with_a_blank() {
        let moment = of_seconds(1_793_523_663);
        assert_eq!(in_zone("%a %b %e %H:%M:%S %Y", moment, TimeZone::UTC), "Sun Nov  1 09:01:03 2026");
    }
}
