//! All cases of a folder, several at once, and what became of them.

use crate::{case::CaseFile, difference::Differences, trial::World};
use anyhow::{Result, bail};
use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Cases that run at the same time.
const JOBS: usize = 4;

/// What became of the cases of a folder.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    /// Those that passed otherwise than the released program would, and why.
    different: Vec<Note>,
    failed: Vec<Note>,
}

#[derive(Debug)]
struct Note {
    case: String,
    text: String,
}

/// What became of a case.
enum Outcome {
    Passed,
    Different(String),
    Failed(String),
}

impl Report {
    /// Runs these cases.
    pub fn make(files: &[CaseFile], world: &World, differences: &Differences) -> Self {
        let next = AtomicUsize::new(0);
        let outcomes = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..JOBS {
                scope.spawn(|| {
                    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let outcome =
                            run(file, world, differences).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
                        outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((file.stem.clone(), outcome));
                    }
                });
            }
        });
        let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut report = Self::default();
        for (case, outcome) in outcomes {
            match outcome {
                Outcome::Passed => report.passed += 1,
                Outcome::Different(text) => report.different.push(Note { case, text }),
                Outcome::Failed(text) => report.failed.push(Note { case, text }),
            }
        }
        report
    }

    /// Whether no case failed.
    pub fn is_success(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Note { case, text } in &self.different {
            writeln!(f, "different on purpose: {case}: {text}")?;
        }
        for Note { case, text } in &self.failed {
            writeln!(f, "FAILED: {case}: {text}")?;
        }
        write!(f, "{} passed, {} failed", self.passed + self.different.len(), self.failed.len())
    }
}

fn run(file: &CaseFile, world: &World, differences: &Differences) -> Result<Outcome> {
    let case = file.case(&world.home(file))?;
    let (expected, came) = (case.expectation()?, world.observe(file)?);
    let (found, reason) = match differences.of(&case.name) {
        Some(difference) => (difference.judge(&expected, &came)?, Some(&difference.reason)),
        None => (expected.differences(&came), None),
    };
    if !found.is_empty() {
        let reason = reason.map(|reason| format!("\n  (it may differ: {reason})")).unwrap_or_default();
        return Ok(Outcome::Failed(format!("{}{reason}\n  {}", case.title, found.join("\n  "))));
    }
    Ok(reason.map_or(Outcome::Passed, |reason| Outcome::Different(reason.clone())))
}

/// The files of the cases with one of these names, or those of all when there are none.
///
/// # Errors
///
/// When there is no case of such a name.
pub fn only(files: Vec<CaseFile>, names: &[String]) -> Result<Vec<CaseFile>> {
    if names.is_empty() {
        return Ok(files);
    }
    let is = |file: &CaseFile, name: &String| {
        file.stem == *name || file.stem.split_once('-').is_some_and(|(id, rest)| rest == name || id == name)
    };
    if let Some(unknown) = names.iter().find(|name| !files.iter().any(|file| is(file, name))) {
        bail!("no case {unknown:?}");
    }
    Ok(files.into_iter().filter(|file| names.iter().any(|name| is(file, name))).collect())
}
