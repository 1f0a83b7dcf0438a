//! Problems in configuration files, and their places.

use crate::without_number;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// An error or a warning about a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// The file; empty where it is no file that is wrong, but something of the machine.
    pub file: PathBuf,
    /// Counted from one; 0 when it concerns the whole file.
    pub line: usize,
    /// In characters, counted from one; 0 when it concerns the whole line.
    pub column: usize,
    /// The message, in one line.
    pub text: String,
}

impl Problem {
    /// A problem of a whole file, such as one that cannot be read. Of the system's errors only the text is told.
    pub fn whole_file(file: &Path, text: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, text: without_number(text.to_string()) }
    }

    /// A problem of the machine, such as a port that somebody has.
    pub fn of_machine(text: impl fmt::Display) -> Self {
        Self::whole_file(Path::new(""), text)
    }

    /// A problem at an octet of the text of a file. Beyond the end is the end.
    pub fn at(file: &Path, content: &str, offset: usize, text: impl fmt::Display) -> Self {
        let before = content.get(..offset).unwrap_or(content);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { file: file.to_owned(), line, column, text: text.to_string() }
    }
}

/// `FILE:LINE:COLUMN: TEXT`, without what is 0; `TEXT` where there is no file.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.as_os_str().is_empty() {
            return f.write_str(&self.text);
        }
        write!(f, "{}:", self.file.display())?;
        for number in [self.line, self.column].into_iter().take_while(|&number| number > 0) {
            write!(f, "{number}:")?;
        }
        write!(f, " {}", self.text)
    }
}

/// All problems, one a line.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Errors and warnings about files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// The errors.
    pub problems: Vec<Problem>,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

impl Findings {
    /// Adds what was found elsewhere.
    pub fn extend(&mut self, others: Self) {
        self.problems.extend(others.problems);
        self.warnings.extend(others.warnings);
    }

    /// Adds what was found elsewhere and is not there yet.
    pub fn add_new(&mut self, others: Self) {
        for (own, others) in [(&mut self.problems, others.problems), (&mut self.warnings, others.warnings)] {
            for other in others {
                if !own.contains(&other) {
                    own.push(other);
                }
            }
        }
    }

    /// Sorts what was found by place. What was found twice at one place is there once.
    pub fn put_in_order(&mut self) {
        for found in [&mut self.problems, &mut self.warnings] {
            found.sort();
            found.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_one() {
        let file = Path::new("f");
        let at = |offset| Problem::at(file, "äb\nc\n", offset, "x").to_string();
        assert_eq!(at(0), "f:1:1: x");
        assert_eq!(at(2), "f:1:2: x", "characters, not octets");
        assert_eq!(at(4), "f:2:1: x");
        assert_eq!(at(99), "f:3:1: x");
        assert_eq!(Problem::whole_file(file, "gone").to_string(), "f: gone");
        let missing = std::io::Error::from_raw_os_error(2);
        assert_eq!(Problem::whole_file(file, missing).to_string(), "f: No such file or directory");
        assert_eq!(Problem::of_machine("no room").to_string(), "no room");
    }
}
