//! The golden vectors: files of test cases recorded from the released programs, and their evaluation.

mod auth;
mod codec;
mod octets;
mod packets;
mod reassembly;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, path::Path};

/// What became of one case.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as it should be: what was expected and what came.
    Failed(String),
    /// Not run, and why.
    Skipped(String),
}

/// A case that did not pass, and why.
#[derive(Debug)]
pub struct CaseNote {
    /// The file's name, the case's id and its name.
    pub case: String,
    /// What was expected and what came, or why it was skipped.
    pub text: String,
}

/// The outcome of all cases of a folder.
#[derive(Debug, Default)]
pub struct Report {
    /// How many passed.
    pub passed: usize,
    /// Those that failed.
    pub failed: Vec<CaseNote>,
    /// Those that were not run.
    pub skipped: Vec<CaseNote>,
}

/// The forms of a case, told apart by the members that only they have.
#[derive(Deserialize)]
#[serde(untagged)]
enum Case {
    Codec(codec::Case),
    Packet(Box<packets::Case>),
    Reassembly(reassembly::Case),
    Auth(auth::Case),
}

/// Runs every vector file in `dir`: every JSON object with a list named `vectors`. Other files are passed over.
///
/// # Errors
///
/// When the folder cannot be read, holds no vector file, or a `.json` file in it cannot be read or is no JSON.
pub fn run(dir: &Path) -> Result<Report> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut report = Report::default();
    let mut files = 0;
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let Some(Value::Array(vectors)) = file.get("vectors") else { continue };
        files += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for value in vectors {
            report.add(&name, value);
        }
    }
    if files == 0 {
        bail!("no vector file in {}", dir.display());
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, file: &str, value: &Value) {
        let member = |name: &str| match value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let label = [member("name"), member("op")].join("");
        let case = format!("{file} #{} {label}", member("id"));
        let outcome = match Case::deserialize(value) {
            Ok(Case::Codec(case)) => case.run(),
            Ok(Case::Packet(case)) => case.run(),
            Ok(Case::Reassembly(case)) => case.run(),
            Ok(Case::Auth(case)) => case.run(),
            Err(_) => Outcome::Failed("a case of no known form".into()),
        };
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(text) => self.failed.push(CaseNote { case, text }),
            Outcome::Skipped(text) => self.skipped.push(CaseNote { case, text }),
        }
    }
}

impl Outcome {
    /// Passed when both are the same.
    fn compare<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, came: &T) -> Self {
        if expected == came {
            Self::Passed
        } else {
            Self::Failed(format!("{what}: expected {expected:?}, came {came:?}"))
        }
    }

    /// The first that is not [`Outcome::Passed`].
    fn first(outcomes: impl IntoIterator<Item = Self>) -> Self {
        outcomes.into_iter().find(|outcome| *outcome != Self::Passed).unwrap_or(Self::Passed)
    }
}

/// What a case's `quirk` member makes of an outcome.
///
/// The member describes in prose what a new program should do instead of what the case shows; its wordings are few.
fn with_quirk(quirk: Option<&str>, refused: bool, outcome: Outcome) -> Outcome {
    let Some(quirk) = quirk else { return outcome };
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| quirk.contains(phrase));
    let accepted = if says(&["refusing is preferred", "any error"]) {
        refused
    } else if says(&["any result is acceptable", "completing is fine", "Completing"]) {
        // It ran.
        true
    } else {
        // "refusing is acceptable"; and what has no phrase yet is not let through whatever comes of it.
        refused || outcome == Outcome::Passed
    };
    if accepted { Outcome::Passed } else { Outcome::Failed(format!("not the preferred behaviour: {quirk}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quirk_excuses_no_more_than_it_says() {
        let failed = || Outcome::Failed(String::new());
        for (quirk, refused, equal, other) in [
            ("reference accepts; as digits; refusing is preferred", true, false, false),
            ("any error result is fine", true, false, false),
            ("refusing is acceptable for versions", true, true, false),
            ("any result is acceptable as long as nothing crashes", true, true, true),
            ("completing is fine", true, true, true),
            ("Completing early is what C does", true, true, true),
            ("words that nobody knows", true, true, false),
        ] {
            let passes = |refused, outcome| with_quirk(Some(quirk), refused, outcome) == Outcome::Passed;
            assert_eq!(
                (passes(true, failed()), passes(false, Outcome::Passed), passes(false, failed())),
                (refused, equal, other),
                "{quirk}"
            );
        }
        assert_ne!(with_quirk(None, true, failed()), Outcome::Passed);
    }
}
