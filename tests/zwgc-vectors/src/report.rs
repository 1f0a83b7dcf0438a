//! All cases of a folder, several at once, and what became of them.

use crate::{
    case::{Case, CaseFile},
    difference::{Difference, Differences},
    observation::Observation,
    trial::World,
};
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
#[derive(Debug, PartialEq, Eq)]
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
    judge(&case, &world.observe(file)?, differences.of(&case.name))
}

/// What becomes of a case in which a program did that.
fn judge(case: &Case, came: &Observation, difference: Option<&Difference>) -> Result<Outcome> {
    let expected = case.expectation()?;
    let found = match difference {
        Some(difference) => difference.judge(&expected, came)?,
        None => expected.differences(came),
    };
    Ok(match difference.map(|difference| &difference.reason) {
        None if found.is_empty() => Outcome::Passed,
        Some(reason) if found.is_empty() => Outcome::Different(reason.clone()),
        None => Outcome::Failed(format!("{}\n  {}", case.title, found.join("\n  "))),
        Some(reason) => Outcome::Failed(format!(
            "{}\n  (compared with what differences.toml says: {reason})\n  {}",
            case.title,
            found.join("\n  ")
        )),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::read_folder;
    use std::path::Path;

    fn own() -> Vec<CaseFile> {
        read_folder(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn a_case_passes_as_it_says_or_as_it_is_said_to_differ() {
        let files = only(own(), &["home-desc".into()]).unwrap();
        let case = files[0].case(Path::new("/home/alice")).unwrap();
        let expected = case.expectation().unwrap();
        let mut ours = expected.clone();
        ours.steps[1].stdout = b"ours\n".to_vec();
        let toml = "[[difference]]\ncase = 'home-desc'\nreason = 'why'\n\
                    [[difference.step]]\nat = 'notice 0'\nstdout = \"ours\\n\"\n";
        let differences: Differences = toml::from_str(toml).unwrap();
        let judge = |came, differences: &Differences| judge(&case, came, differences.of(&case.name)).unwrap();
        let none = Differences::default();
        assert_eq!(judge(&expected, &none), Outcome::Passed);
        assert_eq!(judge(&ours, &differences), Outcome::Different("why".into()));
        assert!(matches!(judge(&ours, &none), Outcome::Failed(text) if text.contains(r#"+ "ours\n""#)));
        assert!(matches!(judge(&expected, &differences), Outcome::Failed(text) if text.contains("why")));
    }

    #[test]
    fn cases_are_chosen_by_name_or_number() {
        let chosen = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            only(own(), &names).map(|files| files.into_iter().map(|file| file.stem).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&["prec-2", "002"]).unwrap(), ["002-startup-fields", "044-prec-2"]);
        assert_eq!(chosen(&["190-home-desc"]).unwrap(), ["190-home-desc"]);
        assert!(chosen(&[]).unwrap().len() > 90);
        assert!(chosen(&["home"]).unwrap_err().to_string().contains("no case \"home\""));
    }

    #[test]
    fn the_last_line_counts_what_differs_on_purpose_as_passed() {
        let note = |case: &str| Note { case: case.into(), text: "why".into() };
        let mut report = Report { passed: 3, different: vec![note("a")], failed: Vec::new() };
        assert_eq!(report.to_string(), "different on purpose: a: why\n4 passed, 0 failed");
        assert!(report.is_success());
        report.failed.push(note("b"));
        assert!(report.to_string().ends_with("FAILED: b: why\n4 passed, 1 failed"));
        assert!(!report.is_success());
    }
}
