//! Errors of a state file.

use std::{io, path::PathBuf};
use zephyr_config::system_text;

/// Why a state file is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system says so.
    #[error("{}", system_text(.0))]
    Io(#[from] io::Error),
    /// SQLite says so.
    #[error("{}", in_words(.0))]
    Database(#[from] rusqlite::Error),
    /// It is something else than a file.
    #[error("it is {0}, not a file")]
    NoFile(&'static str),
    /// Others have a hand in it.
    #[error("{0}")]
    NotOwn(String),
    /// It was not made by this program.
    #[error("it is no state of a Zephyr server, and is left alone")]
    Foreign,
    /// A later version of this program has made it.
    #[error("it is of version {found}, made by a newer zephyrd; this one knows versions up to {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// It is the state of a server of another realm.
    #[error("it is the state of a server of realm {0}")]
    OtherRealm(String),
    /// It was taken away while it was in use, or there is another one in its place.
    #[error("it was removed or replaced while it was in use")]
    Gone,
    /// Another server uses it.
    #[error("another zephyrd uses it")]
    InUse,
    /// It was damaged.
    #[error("it is broken: {0}")]
    Broken(String),
    /// It was damaged, and has been moved away.
    #[error("it is broken ({why}), and was moved to {}", .to.display())]
    MovedAside {
        /// What is wrong with it.
        why: String,
        /// Where it is now.
        to: PathBuf,
    },
    /// It holds elements, and a new file was wanted.
    #[error("it holds a state already")]
    NotEmpty,
    /// A line of an export is none.
    #[error("line {line}{why}")]
    Line {
        /// Which, counted from one.
        line: usize,
        /// What is wrong with it, and before that where, if that is known.
        why: String,
    },
    /// The lines cannot be read.
    #[error("cannot be read: {}", system_text(.0))]
    Lines(io::Error),
    /// The lines are of another realm than the file.
    #[error("it is of a server of realm {lines}, and {} is of one of realm {own}", .file.display())]
    LinesOfOtherRealm {
        /// That of the lines.
        lines: String,
        /// The file that they were meant for.
        file: PathBuf,
        /// The realm of the file.
        own: String,
    },
    /// The lines cannot be written.
    #[error("cannot be written: {}", system_text(.0))]
    Out(io::Error),
}

impl StateError {
    /// Whether this is about the lines that are exported or imported, and not about the file.
    pub const fn is_of_lines(&self) -> bool {
        matches!(self, Self::Line { .. } | Self::Lines(_) | Self::LinesOfOtherRealm { .. } | Self::Out(_))
    }

    /// Whether the file's content is damaged, so that it helps to begin with a new one.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }
}

/// What SQLite says, without its numbers.
fn in_words(error: &rusqlite::Error) -> String {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space is left for it".to_owned(),
        Some(ErrorCode::ReadOnly) => "it cannot be written to".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program keeps it locked".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged".to_owned(),
        Some(ErrorCode::NotADatabase) => "it is no database".to_owned(),
        Some(ErrorCode::CannotOpen) => "it cannot be opened".to_owned(),
        Some(ErrorCode::SystemIoFailure) => "the disk does not work".to_owned(),
        _ => error.to_string(),
    }
}
