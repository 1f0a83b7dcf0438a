//! Configuration files: read so that everything that is wrong in one is said at once, each with its line and column, and
//! nothing in it is silently ignored.
//!
//! * [`problem`]: what is wrong, and where
//! * [`reader`]: a TOML file, setting by setting

#![forbid(unsafe_code)]

pub mod problem;
pub mod reader;

use std::{fs, io, path::Path};

/// Octets of a configuration file at most.
pub const MOST_OCTETS: u64 = 1 << 20;

/// The text of a file that is not unreasonably long.
///
/// # Errors
///
/// When it cannot be read, is no UTF-8, or is longer than [`MOST_OCTETS`].
pub fn read_bounded(file: &Path) -> io::Result<String> {
    if fs::metadata(file)?.len() > MOST_OCTETS {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {MOST_OCTETS} octets")));
    }
    fs::read_to_string(file)
}
