//! Configuration files: a reader that reports all problems at once, each with its line and column, and ignores nothing
//! silently.
//!
//! * [`file`](mod@file): what a file holds, if it is one
//! * [`problem`]: what is wrong, and where
//! * [`reader`]: a TOML file, setting by setting

#![forbid(unsafe_code)]

pub mod file;
pub mod problem;
pub mod reader;

use std::io;

/// The beginning of what the standard library puts after the system's text for an error.
const NUMBER: &str = " (os error ";

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
}
