//! zleave's command line, and the time as it is typed (clients, section 6).

use zephyr_core::sanitize;

/// The maximum number of hours from now.
const MAX_HOURS: u32 = 999;
/// The hour of a day that is written as its last one.
const MAX_HOUR_OF_DAY: u32 = 24;
/// The hours of the clock by which times are meant.
const HOURS: u32 = 12;
/// The minutes of an hour.
const MINUTES: u32 = 60;

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Remind.
    Remind(Options),
    /// End the zleave that runs.
    Cancel,
    /// Remind in the background, as standard input says: how zleave starts itself.
    InBackground,
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// What to remind of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// When to leave; `None`: ask.
    pub time: Option<Time>,
    /// A text in every reminder.
    pub text: Option<Vec<u8>>,
}

/// A time as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// So many minutes from now.
    In {
        /// At least one.
        minutes: u32,
    },
    /// When a clock of twelve hours shows this next.
    At {
        /// 0 to 11.
        hour: u32,
        /// 0 to 59.
        minute: u32,
    },
}

/// An error of the command line, or of a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No time.
    #[error("{0} is no time: expected hhmm, or +hhmm for hours and minutes from now")]
    NoTime(String),
    /// A time that is now.
    #[error("{0} is now: expected at least a minute")]
    Now(String),
    /// `-m` without its text.
    #[error("-m needs a text after it")]
    NoText,
    /// Words that mean nothing.
    #[error("nothing is expected after that: {0}")]
    Unexpected(String),
}

/// The option by which zleave starts itself.
pub(super) const IN_BACKGROUND: &str = "--remind";

/// Parses the arguments of the command line.
///
/// # Errors
///
/// When the first is no time, or others are not `-m` and a text.
pub fn parse(arguments: &[Vec<u8>]) -> Result<Parsed, UsageError> {
    let mut arguments = arguments.iter().map(Vec::as_slice);
    let mut options = Options { time: None, text: None };
    let parsed = match arguments.next() {
        None => Parsed::Remind(options),
        Some(b"--help" | b"-h") => return Ok(Parsed::Help),
        Some(b"--version") => return Ok(Parsed::Version),
        Some(word) if word == IN_BACKGROUND.as_bytes() => Parsed::InBackground,
        Some(b"can" | b"cancel") => Parsed::Cancel,
        Some(time) => {
            options.time = Some(Time::parse(time)?);
            if let Some(word) = arguments.next() {
                if word != b"-m" {
                    return Err(UsageError::Unexpected(sanitize::name(word)));
                }
                options.text = Some(arguments.next().ok_or(UsageError::NoText)?.to_vec());
            }
            Parsed::Remind(options)
        }
    };
    arguments.next().map_or(Ok(parsed), |word| Err(UsageError::Unexpected(sanitize::name(word))))
}

impl Time {
    /// Parses `hhmm` or `+hhmm`; fewer digits are minutes alone.
    ///
    /// # Errors
    ///
    /// When it is neither, there is no such time, or it is now.
    pub fn parse(typed: &[u8]) -> Result<Self, UsageError> {
        let wrong = || UsageError::NoTime(format!("\"{}\"", sanitize::name(typed)));
        let (from_now, digits) = typed.strip_prefix(b"+").map_or((false, typed), |digits| (true, digits));
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(wrong());
        }
        let number: u32 = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
        let (hours, minutes) = (number / 100, number % 100);
        let max_hours = if from_now { MAX_HOURS } else { MAX_HOUR_OF_DAY };
        if minutes >= MINUTES || hours > max_hours {
            return Err(wrong());
        }
        match (from_now, hours * MINUTES + minutes) {
            (true, 0) => Err(UsageError::Now(sanitize::name(typed))),
            (true, minutes) => Ok(Self::In { minutes }),
            (false, _) => Ok(Self::At { hour: hours % HOURS, minute: minutes }),
        }
    }
}

/// The usage, which is printed after an invalid command line.
pub const USAGE: &str = "usage: zleave [[+]hhmm [-m \"Reminder Message\"]]\n\tor: zleave can[cel]\n";

/// The help: the usage, and what it means.
pub fn help() -> String {
    USAGE.to_owned()
        + "\nReminds you that you have to leave: five minutes before, one minute before, then, and ten times after it.\n\n\
           hhmm         when a clock of twelve hours shows that time next\n\
           +hhmm        hours and minutes from now\n\
           -m TEXT      what to remind you of\n\
           can, cancel  do not remind me\n\
           --help, --version\n\n\
           Without a time you are asked for one. The reminders come as notices, or to this terminal where there is no zwgc.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
        parse(&line.iter().map(|argument| argument.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn times() {
        for (typed, time) in [
            ("+5", Time::In { minutes: 5 }),
            ("+0105", Time::In { minutes: 65 }),
            ("+00105", Time::In { minutes: 65 }),
            ("+12345", Time::In { minutes: 123 * 60 + 45 }),
            ("+99959", Time::In { minutes: 999 * 60 + 59 }),
            ("130", Time::At { hour: 1, minute: 30 }),
            ("0130", Time::At { hour: 1, minute: 30 }),
            ("1330", Time::At { hour: 1, minute: 30 }),
            ("5", Time::At { hour: 0, minute: 5 }),
            ("0", Time::At { hour: 0, minute: 0 }),
            ("1200", Time::At { hour: 0, minute: 0 }),
            ("2400", Time::At { hour: 0, minute: 0 }),
            ("2359", Time::At { hour: 11, minute: 59 }),
        ] {
            assert_eq!(Time::parse(typed.as_bytes()), Ok(time), "{typed}");
        }
        for typed in
            ["", "+", "++5", "-5", "5-", " 5", "+ 5", "5x", "60", "+60", "+0160", "2500", "+100000", "99999999999"]
        {
            assert!(matches!(Time::parse(typed.as_bytes()), Err(UsageError::NoTime(_))), "{typed}");
        }
        for typed in ["+0", "+0000"] {
            assert!(matches!(Time::parse(typed.as_bytes()), Err(UsageError::Now(_))), "{typed}");
        }
    }

    #[test]
    fn lines() {
        let time = Some(Time::In { minutes: 5 });
        let remind = |time, text: Option<&str>| Ok(Parsed::Remind(Options { time, text: text.map(Into::into) }));
        assert_eq!(parsed(&[]), remind(None, None));
        assert_eq!(parsed(&["+5"]), remind(time, None));
        assert_eq!(parsed(&["+5", "-m", "take the bins"]), remind(time, Some("take the bins")));
        assert_eq!(parsed(&["can"]), Ok(Parsed::Cancel));
        assert_eq!(parsed(&["cancel"]), Ok(Parsed::Cancel));
        assert_eq!(parsed(&["--help"]), Ok(Parsed::Help));
        assert_eq!(parsed(&["--version"]), Ok(Parsed::Version));
        let unexpected = |word: &str| Err(UsageError::Unexpected(word.to_owned()));
        assert_eq!(parsed(&["+5", "extra"]), unexpected("extra"));
        assert_eq!(parsed(&["+5", "-m", "take", "bins"]), unexpected("bins"));
        assert_eq!(parsed(&["cancel", "x"]), unexpected("x"));
        assert_eq!(parsed(&["+5", "-m"]), Err(UsageError::NoText));
        for line in [&["canc"][..], &["-m", "x"], &[""]] {
            assert!(matches!(parsed(line), Err(UsageError::NoTime(_))), "{line:?}");
        }
    }
}
