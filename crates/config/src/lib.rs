//! Configuration files: a reader that reports all problems at once, each with its line and column, and ignores nothing
//! silently.
//!
//! * [`problem`]: what is wrong, and where
//! * [`reader`]: a TOML file, setting by setting

#![forbid(unsafe_code)]

pub mod problem;
pub mod reader;

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Octets of a configuration file at most.
pub const MAX_OCTETS: u64 = 1 << 20;

/// Reads a file of bounded size.
///
/// # Errors
///
/// When it cannot be read, is no UTF-8, or is longer than [`MAX_OCTETS`].
pub fn read_bounded(file: &Path) -> io::Result<String> {
    let mut content = Vec::new();
    // What a file says of its length does not count: a device or a pipe says 0.
    File::open(file)?.take(MAX_OCTETS + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_OCTETS {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {MAX_OCTETS} octets")));
    }
    String::from_utf8(content).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_files_are_not_read_to_their_end() {
        assert_eq!(read_bounded(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_bounded(Path::new("/dev/null")).unwrap(), "");
    }
}
