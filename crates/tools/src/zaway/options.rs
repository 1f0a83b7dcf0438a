//! zaway's command line (clients, section 5): options of one letter as getopt takes them, before or after the file.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};
use zephyr_core::sanitize;

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The text of the answers, in place of a file.
    pub text: Option<Vec<u8>>,
    /// Answer only while the user has no location.
    pub watches_location: bool,
    /// The name of the answers' character set.
    pub charset: Option<String>,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
    /// The message file, in place of `~/.away`.
    pub file: Option<PathBuf>,
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Answer messages.
    Answer(Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An unknown option.
    #[error("invalid option -- '{0}'")]
    Unknown(String),
    /// An option without its value.
    #[error("option requires an argument -- '{0}'")]
    NoValue(char),
    /// A second file.
    #[error("one file is expected, not also {0}")]
    SecondFile(String),
}

impl UsageError {
    /// The option that is wrong, without its hyphen.
    pub fn option(&self) -> Option<String> {
        match self {
            Self::Unknown(option) => Some(option.clone()),
            Self::NoValue(option) => Some(option.to_string()),
            Self::SecondFile(_) => None,
        }
    }
}

/// Parses the arguments of the command line.
///
/// # Errors
///
/// When an option is unknown or lacks its value, or two files are named.
pub fn parse(arguments: Vec<Vec<u8>>) -> Result<Parsed, UsageError> {
    let mut options = Options::default();
    let mut rest = arguments.into_iter();
    let mut only_files = false;
    while let Some(argument) = rest.next() {
        match argument.as_slice() {
            b"--" if !only_files => only_files = true,
            b"--help" if !only_files => return Ok(Parsed::Help),
            b"--version" if !only_files => return Ok(Parsed::Version),
            b"--no-direct" if !only_files => options.no_direct = true,
            [b'-', letters @ ..] if !only_files && !letters.is_empty() => {
                if letters_of(letters, &mut options, || rest.next())? {
                    return Ok(Parsed::Help);
                }
            }
            _ if options.file.is_some() => return Err(UsageError::SecondFile(sanitize::name(&argument))),
            _ => options.file = Some(OsString::from_vec(argument).into()),
        }
    }
    Ok(Parsed::Answer(options))
}

/// Reads the letters of one argument; true when one asks for help. A value is the rest of the argument, or the next one.
fn letters_of(
    letters: &[u8],
    options: &mut Options,
    next: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<bool, UsageError> {
    let mut rest = letters;
    while let [letter, after @ ..] = rest {
        rest = after;
        match letter {
            b'h' => return Ok(true),
            b'w' => options.watches_location = true,
            b'm' | b'x' => {
                let attached = (!after.is_empty()).then(|| after.to_vec());
                let value = attached.or_else(next).ok_or(UsageError::NoValue(char::from(*letter)))?;
                match letter {
                    b'm' => options.text = Some(value),
                    _ => options.charset = Some(String::from_utf8_lossy(&value).into_owned()),
                }
                return Ok(false);
            }
            _ => return Err(UsageError::Unknown(sanitize::name(&[*letter]))),
        }
    }
    Ok(false)
}

/// The help: the usage, and the meaning of each option.
pub fn help(program: &str) -> String {
    format!(
        "Usage: {program} [OPTIONS] [FILE]\n\
         \n\
         \x20 -m STRING    use STRING as the body of the reply message\n\
         \x20 -w           watch your location and only reply if you aren't locatable\n\
         \x20 -x CHARSET   the character set of the reply message\n\
         \x20 -h, --help   display this help and exit\n\
         \x20 --no-direct  fail without a host manager (zhm), and speak to no server directly\n\
         \x20 --version    display the version and exit\n\
         \n\
         Answers personal messages until it is interrupted, each sender once a minute at most.\n\
         The answers are in FILE, else in ~/.away.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
        parse(line.iter().map(|argument| argument.as_bytes().to_vec()).collect())
    }

    #[test]
    fn options_and_the_file_in_any_order() {
        let text = |text: &str| Options { text: Some(text.into()), ..Options::default() };
        let file = |name: &str| Options { file: Some(name.into()), ..Options::default() };
        for (line, expected) in [
            (&[][..], Options::default()),
            (&["-m", "gone"], text("gone")),
            (&["-mgone"], text("gone")),
            (&["-m", ""], text("")),
            (&["-m", "-h"], text("-h")),
            (&["-m", "one", "-m", "two"], text("two")),
            (&["-wmgone"], Options { watches_location: true, ..text("gone") }),
            (&["f", "-w"], Options { watches_location: true, ..file("f") }),
            (&["-x", "utf-8", "f"], Options { charset: Some("utf-8".to_owned()), ..file("f") }),
            (&["--no-direct"], Options { no_direct: true, ..Options::default() }),
            (&["--", "-m"], file("-m")),
            (&["-"], file("-")),
        ] {
            assert_eq!(parsed(line), Ok(Parsed::Answer(expected)), "{line:?}");
        }
    }

    #[test]
    fn help_and_errors() {
        for line in [&["-h"][..], &["-wh"], &["-hm"], &["--help"], &["f", "-h"]] {
            assert_eq!(parsed(line), Ok(Parsed::Help), "{line:?}");
        }
        assert_eq!(parsed(&["--version"]), Ok(Parsed::Version));
        assert_eq!(parsed(&["-w", "-z"]), Err(UsageError::Unknown("z".to_owned())));
        assert_eq!(parsed(&["--long"]), Err(UsageError::Unknown("-".to_owned())));
        assert_eq!(parsed(&["-wx"]), Err(UsageError::NoValue('x')));
        assert_eq!(parsed(&["a", "b\x1b"]), Err(UsageError::SecondFile("b\\u{1b}".to_owned())));
        for option in "mwxh".chars() {
            assert!(help("zaway").contains(&format!("-{option}")), "-{option}");
        }
    }
}
