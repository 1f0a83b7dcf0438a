//! The cases in which our program differs from the released one on purpose: `differences.toml`.

use crate::{
    observation::{Event, Observation},
    octets::Octets,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Differences that there may be. More would mean that they are no exceptions.
pub const MAX_DIFFERENCES: usize = 15;

const OWN: &str = include_str!("../differences.toml");

/// All that our program does otherwise on purpose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    #[serde(default)]
    difference: Vec<Difference>,
}

/// What our program does otherwise in one case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    case: String,
    /// Why.
    pub reason: String,
    exit_status: Option<i32>,
    #[serde(default)]
    step: Vec<OtherStep>,
}

/// The output that our program has in one phase; as the case says where it does not say otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherStep {
    at: String,
    stdout: Option<Octets>,
    stderr: Option<Octets>,
}

impl Differences {
    /// Those of our program.
    ///
    /// # Errors
    ///
    /// When the file is not as it should be.
    pub fn own() -> Result<Self> {
        Self::read(OWN).context("differences.toml")
    }

    fn read(text: &str) -> Result<Self> {
        let read: Self = toml::from_str(text)?;
        if read.difference.len() > MAX_DIFFERENCES {
            bail!("{} differences, more than {MAX_DIFFERENCES}", read.difference.len());
        }
        let names: BTreeSet<_> = read.difference.iter().map(|difference| &difference.case).collect();
        if names.len() < read.difference.len() {
            bail!("a case is named twice");
        }
        Ok(read)
    }

    /// What is said of this case.
    pub fn of(&self, case: &str) -> Option<&Difference> {
        self.difference.iter().find(|difference| difference.case == case)
    }

    /// The names of all cases that it says something of.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.difference.iter().map(|difference| difference.case.as_str())
    }
}

impl Difference {
    /// What `came` has that is neither as the case says nor as this says, for people. Without any output of its own it says
    /// that the output cannot be foretold; the exit status is compared then.
    ///
    /// # Errors
    ///
    /// When it changes nothing, or what the case does not have.
    pub fn judge(&self, expected: &Observation, came: &Observation) -> Result<Vec<String>> {
        if self.step.is_empty() && self.exit_status.is_none() {
            let foretold = Observation { exit_status: expected.exit_status, ..came.clone() };
            return Ok(foretold.differences(came));
        }
        let mut ours = expected.clone();
        for other in &self.step {
            let event = event(&other.at)?;
            let step = ours.steps.iter_mut().find(|step| step.event == event);
            let step = step.with_context(|| format!("the case has no step {:?}", other.at))?;
            for (output, text) in [(&mut step.stdout, &other.stdout), (&mut step.stderr, &other.stderr)] {
                if let Some(text) = text {
                    *output = text.0.clone();
                }
            }
        }
        ours.exit_status = self.exit_status.or(ours.exit_status);
        if ours == *expected {
            bail!("differences.toml says of it what the case says, too");
        }
        Ok(ours.differences(came))
    }
}

fn event(name: &str) -> Result<Event> {
    match name {
        "startup" => Ok(Event::Startup),
        "exit" => Ok(Event::Exit),
        _ => {
            let number = name.strip_prefix("notice ").and_then(|number| number.parse().ok());
            number.map(Event::Notice).with_context(|| format!("{name:?} is no step: startup, exit or \"notice N\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case::read_folder, observation::Step};
    use std::path::Path;

    fn observation(stdout: &str, exit_status: i32) -> Observation {
        let step = |event, stdout: &str| Step { event, stdout: stdout.as_bytes().to_vec(), stderr: Vec::new() };
        let steps = vec![step(Event::Startup, ""), step(Event::Notice(0), stdout), step(Event::Exit, "")];
        Observation { steps, exit_status: Some(exit_status), ..Observation::default() }
    }

    fn judge(entry: &str, came: &Observation) -> Result<Vec<String>> {
        let all = Differences::read(&format!("[[difference]]\ncase = 'one'\nreason = 'why'\n{entry}"))?;
        assert!(all.of("another").is_none());
        all.of("one").context("an entry")?.judge(&observation("theirs", 0), came)
    }

    #[test]
    fn only_the_stated_other_output_passes() {
        let entry = "[[difference.step]]\nat = 'notice 0'\nstdout = 'ours'";
        assert!(judge(entry, &observation("ours", 0)).unwrap().is_empty());
        for came in [observation("theirs", 0), observation("neither", 0), observation("ours", 1)] {
            assert_eq!(judge(entry, &came).unwrap().len(), 1, "{came:?}");
        }
        assert!(judge("exit_status = 1", &observation("theirs", 1)).unwrap().is_empty());
        assert!(!judge("exit_status = 1", &observation("theirs", 0)).unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_foretold_is_not_compared_but_for_the_exit_status() {
        assert!(judge("", &observation("anything", 0)).unwrap().is_empty());
        assert!(!judge("", &observation("anything", 1)).unwrap().is_empty());
    }

    #[test]
    fn an_entry_that_changes_nothing_or_cannot_be_is_an_error() {
        for entry in [
            "[[difference.step]]\nat = 'notice 0'\nstdout = 'theirs'",
            "[[difference.step]]\nat = 'notice 1'\nstdout = 'ours'",
            "[[difference.step]]\nat = 'later'\nstdout = 'ours'",
            "[[difference.step]]\nat = 'exit'\noutput = 'ours'",
            "[[difference]]\ncase = 'one'\nreason = 'again'",
        ] {
            assert!(judge(entry, &observation("theirs", 0)).is_err(), "{entry}");
        }
        let many = |count: usize| (0..count).map(|n| format!("[[difference]]\ncase = '{n}'\nreason = 'r'\n")).collect();
        let read = |text: String| Differences::read(&text).is_ok();
        assert_eq!([MAX_DIFFERENCES, MAX_DIFFERENCES + 1].map(|count| read(many(count))), [true, false]);
    }

    #[test]
    fn those_of_our_program_are_about_cases_that_there_are() {
        let cases = read_folder(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let cases: Vec<_> = cases.iter().map(|file| file.case(Path::new("/home/alice")).unwrap().name).collect();
        for name in Differences::own().unwrap().cases() {
            assert!(cases.iter().any(|case| case == name), "{name}");
        }
    }
}
