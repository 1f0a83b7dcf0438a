//! What a program did in a case, or should have done, and how the two differ.

use crate::octets::Octets;
use std::{collections::BTreeMap, fmt};

/// Lines of a difference that are shown on either side.
const MAX_LINES: usize = 40;

/// What a program did, or should do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Its output, phase by phase.
    pub steps: Vec<Step>,
    /// Its exit status; the signal's negative number when one has ended it.
    pub exit_status: Option<i32>,
    /// The files that it left; none where there is no such file.
    pub files: BTreeMap<String, Option<Octets>>,
    /// Their permissions, as octal numbers.
    pub modes: BTreeMap<String, Option<String>>,
}

/// The output of one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The phase.
    pub event: Event,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A phase of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Until the program waits for notices, or has ended.
    Startup,
    /// What follows from the notice with this number, the first being 0.
    Notice(usize),
    /// What it writes when it ends.
    Exit,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Startup => f.write_str("startup"),
            Self::Notice(number) => write!(f, "notice {number}"),
            Self::Exit => f.write_str("exit"),
        }
    }
}

impl Observation {
    /// The step of this phase.
    pub fn step(&self, event: Event) -> Option<&Step> {
        self.steps.iter().find(|step| step.event == event)
    }

    /// How `came` differs from this expectation, for people; nothing when it does not. Every octet that could harm a terminal
    /// is escaped.
    pub fn differences(&self, came: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for expected in &self.steps {
            match came.step(expected.event) {
                Some(step) => {
                    let event = expected.event;
                    found.extend(difference(&format!("{event}, stdout"), &expected.stdout, &step.stdout));
                    found.extend(difference(&format!("{event}, stderr"), &expected.stderr, &step.stderr));
                }
                None => found.push(format!("{}: the program had ended", expected.event)),
            }
        }
        let unexpected = came.steps.iter().filter(|step| self.step(step.event).is_none());
        found.extend(unexpected.map(|step| format!("{}: not expected at all", step.event)));
        if self.exit_status != came.exit_status {
            let (expected, came) = (status(self.exit_status), status(came.exit_status));
            found.push(format!("exit status: expected {expected}, came {came}"));
        }
        for (name, expected) in &self.files {
            match (expected, came.files.get(name).and_then(Option::as_ref)) {
                (Some(expected), Some(came)) => {
                    found.extend(difference(&format!("file {name}"), &expected.0, &came.0));
                }
                (None, None) => {}
                (Some(_), None) => found.push(format!("file {name}: not there")),
                (None, Some(_)) => found.push(format!("file {name}: should not be there")),
            }
        }
        for (name, expected) in &self.modes {
            let came = came.modes.get(name).and_then(Option::as_ref);
            if expected.as_ref() != came {
                found.push(format!("permissions of {name}: expected {expected:?}, came {came:?}"));
            }
        }
        found
    }
}

fn status(status: Option<i32>) -> String {
    status.map_or_else(|| "none".to_owned(), |status| status.to_string())
}

/// The lines that differ: those only expected with `-`, those that came instead with `+`.
fn difference(what: &str, expected: &[u8], came: &[u8]) -> Option<String> {
    if expected == came {
        return None;
    }
    let (expected, came) = (lines(expected), lines(came));
    let same = expected.iter().zip(&came).take_while(|(a, b)| a == b).count();
    let (expected, came) = (expected.get(same..).unwrap_or_default(), came.get(same..).unwrap_or_default());
    let same_at_end = expected.iter().rev().zip(came.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = format!("{what}, from line {} on (- expected, + came):", same + 1);
    for (mark, lines) in [('-', expected), ('+', came)] {
        let lines = lines.get(..lines.len() - same_at_end).unwrap_or_default();
        for line in lines.iter().take(MAX_LINES) {
            text += &format!("\n    {mark} {}", escaped(line));
        }
        if lines.len() > MAX_LINES {
            text += &format!("\n    {mark} … and {} lines more", lines.len() - MAX_LINES);
        }
    }
    Some(text)
}

/// Lines with their ends, which is where many a difference is.
fn lines(octets: &[u8]) -> Vec<&[u8]> {
    octets.split_inclusive(|octet| *octet == b'\n').collect()
}

fn escaped(line: &[u8]) -> String {
    match std::str::from_utf8(line) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("b\"{}\"", line.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation() -> Observation {
        let step = |event, stdout: &str| Step { event, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() };
        Observation {
            steps: vec![step(Event::Startup, ""), step(Event::Notice(0), "a\nb\nc\nd\n"), step(Event::Exit, "")],
            exit_status: Some(0),
            files: BTreeMap::from([("log".into(), Some(Octets(b"x".to_vec()))), ("gone".into(), None)]),
            modes: BTreeMap::from([("log".into(), Some("600".into()))]),
        }
    }

    #[test]
    fn the_same_does_not_differ() {
        assert_eq!(observation().differences(&observation()), Vec::<String>::new());
    }

    #[test]
    fn the_lines_that_differ_are_shown_and_escaped() {
        let mut came = observation();
        came.steps[1].stdout = b"a\nb\r\n\x1b[1m\xff\nd\n".to_vec();
        came.steps[2].stderr = "\u{202e}ü\u{7}".into();
        assert_eq!(
            observation().differences(&came),
            [
                "notice 0, stdout, from line 2 on (- expected, + came):\n    - \"b\\n\"\n    - \"c\\n\"\n    \
                 + \"b\\r\\n\"\n    + b\"\\x1b[1m\\xff\\n\"",
                "exit, stderr, from line 1 on (- expected, + came):\n    + \"\\u{202e}ü\\u{7}\"",
            ]
        );
        // One that is repeated is not taken for both the beginning and the end.
        let text = difference("x", b"a\na\n", b"a\n").unwrap();
        assert_eq!(text, "x, from line 2 on (- expected, + came):\n    - \"a\\n\"");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let text = difference("x", &b"y\n".repeat(1000), b"").unwrap();
        assert_eq!(text.lines().count(), MAX_LINES + 2);
        assert!(text.ends_with("… and 960 lines more"), "{text}");
    }

    #[test]
    fn all_else_that_differs_is_told() {
        type Change = fn(&mut Observation);
        let changes: [(Change, &str); 7] = [
            (|came| came.steps.truncate(1), "notice 0: the program had ended"),
            (|came| came.exit_status = Some(-15), "exit status: expected 0, came -15"),
            (|came| came.exit_status = None, "exit status: expected 0, came none"),
            (|came| drop(came.files.remove("log")), "file log: not there"),
            (|came| drop(came.files.insert("gone".into(), Some(Octets::default()))), "file gone: should not be there"),
            (|came| came.modes.clear(), "permissions of log: expected Some(\"600\"), came None"),
            (
                |came| came.steps.push(Step { event: Event::Notice(1), ..came.steps[0].clone() }),
                "notice 1: not expected at all",
            ),
        ];
        for (change, told) in changes {
            let mut came = observation();
            change(&mut came);
            assert_eq!(observation().differences(&came)[0], told);
        }
    }
}
