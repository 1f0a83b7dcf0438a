//! The golden vectors: files of cases taken from the released programs, and what we make of them.

mod auth;
mod codec;
mod octets;
mod packets;
mod reassembly;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
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

/// One case that did not pass.
#[derive(Debug)]
pub struct Remark {
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
    pub failed: Vec<Remark>,
    /// Those that were not run.
    pub skipped: Vec<Remark>,
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<serde_json::Value>,
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

/// Runs every vector file in `dir`; other files are passed over.
///
/// # Errors
///
/// When the folder cannot be read, holds no vector file, or a file of ours has a case of no known form.
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
        let Ok(file) = serde_json::from_str::<File>(&text) else { continue };
        files += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for value in file.vectors {
            report.add(&name, value);
        }
    }
    if files == 0 {
        bail!("no vector file in {}", dir.display());
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, file: &str, value: serde_json::Value) {
        let member = |name: &str| match value.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let label = [member("name"), member("op")].join("");
        let case = format!("{file} #{} {label}", member("id"));
        let outcome = match serde_json::from_value::<Case>(value) {
            Ok(Case::Codec(case)) => case.run(),
            Ok(Case::Packet(case)) => case.run(),
            Ok(Case::Reassembly(case)) => case.run(),
            Ok(Case::Auth(case)) => case.run(),
            Err(_) => Outcome::Failed("a case of no known form".into()),
        };
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Failed(text) => self.failed.push(Remark { case, text }),
            Outcome::Skipped(text) => self.skipped.push(Remark { case, text }),
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
/// The member describes in words what a new program should do instead of what the case shows; its wordings are few.
fn with_quirk(quirk: Option<&str>, refused: bool, outcome: Outcome) -> Outcome {
    let Some(quirk) = quirk else { return outcome };
    let accepted = if quirk.contains("refusing is preferred") || quirk.contains("any error") {
        refused
    } else if quirk.contains("refusing is acceptable") {
        refused || outcome == Outcome::Passed
    } else {
        // "any result is acceptable as long as nothing crashes", "completing is fine": it ran.
        true
    };
    if accepted { Outcome::Passed } else { Outcome::Failed(format!("not the preferred behaviour: {quirk}")) }
}
