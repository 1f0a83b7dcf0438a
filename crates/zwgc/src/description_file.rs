//! The user's description (zwgc, sections 3 and 7.1).

use crate::report::report;
use std::{
    io,
    path::{Path, PathBuf},
};
use zephyr_client::{account, variables};
use zephyr_config::file::{self, FileError};
use zephyr_output::complain;
use zephyr_windowgram::language::{self, Program};

/// The reason why a file that was asked for cannot be read.
pub(crate) const NOT_FOUND: &str = "No such file or directory";

/// Which description is used.
pub(crate) struct DescriptionFile {
    /// The one that was asked for; `-` is standard input.
    chosen: Option<PathBuf>,
}

/// The text of a file.
struct Description {
    name: String,
    text: Vec<u8>,
}

/// A file that cannot be read.
struct Unreadable {
    name: String,
    reason: String,
}

impl DescriptionFile {
    /// The chosen file, else the user's, else the system's, else the built-in one.
    pub(crate) const fn new(chosen: Option<PathBuf>) -> Self {
        Self { chosen }
    }

    /// Reads and parses it. In place of one that is wrong comes the built-in one; one that was asked for and cannot be read shows
    /// nothing. Both are said.
    pub(crate) fn load(&self) -> Program {
        match self.read() {
            Ok(Some(Description { name, text })) => parse(&name, &text),
            Ok(None) => built_in(),
            Err(Unreadable { name, reason }) => {
                report(&format!("zwgc: error while opening {name} for reading: {reason}"));
                if self.chosen.is_some() {
                    return Program::default();
                }
                complain!("zwgc: the built-in description is used instead.");
                built_in()
            }
        }
    }

    /// The text of the first file there is.
    fn read(&self) -> Result<Option<Description>, Unreadable> {
        let own = account::home().map(|home| home.join(".zwgc.desc"));
        let places = match &self.chosen {
            Some(chosen) => vec![chosen.clone()],
            None => own.into_iter().chain([variables::config_dir().join("zwgc.desc")]).collect(),
        };
        for path in places {
            let name = path.display().to_string();
            match text(&path) {
                Ok(Some(text)) => return Ok(Some(Description { name, text })),
                Ok(None) if self.chosen.is_some() => return Err(Unreadable { name, reason: NOT_FOUND.to_owned() }),
                Ok(None) => {}
                Err(error) => return Err(Unreadable { name, reason: error.to_string() }),
            }
        }
        Ok(None)
    }
}

/// The text of a description; `-` is standard input.
pub(crate) fn text(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    if path == Path::new("-") { file::octets_of(io::stdin()).map(Some) } else { file::octets(path) }
}

fn parse(name: &str, text: &[u8]) -> Program {
    let problems = match language::parse(text) {
        Ok(program) => return program,
        Err(problems) => problems,
    };
    if let Some(first) = problems.first() {
        complain!("zwgc: error in description file: {} on line {}.", first.kind, first.c_line());
    }
    for problem in &problems {
        problem.excerpt(text, name).lines().for_each(|line| complain!("{line}"));
    }
    complain!("zwgc: the built-in description is used until it is right and read again (zctl wg_read).");
    built_in()
}

fn built_in() -> Program {
    language::parse(language::DEFAULT).unwrap_or_default()
}
