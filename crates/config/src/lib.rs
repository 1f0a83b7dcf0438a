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

/// The beginning of what the standard library puts after the system's text for an error.
const NUMBER: &str = " (os error ";

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

/// The system's text for an error, without its number, which tells people nothing.
pub fn system_text(error: &io::Error) -> String {
    without_number(error.to_string())
}

/// The text without the number that the standard library puts after the system's texts.
fn without_number(mut text: String) -> String {
    while let Some(start) = text.find(NUMBER)
        && let Some(len) = text.get(start..).and_then(|number| number.find(')'))
    {
        text.replace_range(start..=start + len, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_texts_have_no_numbers() {
        assert_eq!(system_text(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(system_text(&io::Error::other("odd")), "odd");
        let within = io::Error::other("x: Permission denied (os error 13): see y (os error 2)");
        assert_eq!(system_text(&within), "x: Permission denied: see y");
        assert_eq!(without_number("(os error".to_owned()), "(os error");
        assert_eq!(without_number(" (os error 1".to_owned()), " (os error 1");
    }

    #[test]
    fn endless_files_are_not_read_to_their_end() {
        assert_eq!(read_bounded(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_bounded(Path::new("/dev/null")).unwrap(), "");
    }
}
