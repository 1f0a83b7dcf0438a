//! The command line of zwgc (zwgc, section 1): long options with a single dash.

use std::{ffi::OsString, fmt, path::PathBuf};
use zephyr_core::sanitize;

/// The usage, which is printed for `--help` and after an invalid command line.
pub const USAGE: &str = "\
zwgc: usage: zwgc [-ttymode] [-nofork] [-loc text] [-subfile file]
                  [-f file] [-default port] [-disable port] [-charset name] [-reenter]
                  [--no-direct]
Shows on the terminal what you have subscribed to, and runs until it gets INT, TERM or HUP.
-f, -default, -disable, -charset and -reenter are accepted and have no effect yet.";

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Run.
    Run(Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The options of zwgc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A subscription file in place of the user's; `-` is standard input.
    pub subscription_file: Option<PathBuf>,
    /// The terminal's name for the location.
    pub tty: Option<String>,
    /// Say that another one runs, where nobody would be told otherwise.
    pub debug: bool,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
    /// Options that were given and have no effect yet.
    pub ignored: Vec<&'static str>,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// An argument that is no option.
    Unknown(OsString),
    /// An option without its value.
    NoValue(&'static str),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => {
                write!(f, "there is no option {}", sanitize::name(argument.as_encoded_bytes()))
            }
            Self::NoValue(option) => write!(f, "option {option} needs a value after it"),
        }
    }
}

impl std::error::Error for UsageError {}

/// Parses the arguments of the command line.
///
/// # Errors
///
/// When there is one that is no option, or an option lacks its value.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Parsed, UsageError> {
    const WITHOUT_EFFECT: [&str; 4] = ["-f", "-default", "-disable", "-charset"];
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let unknown = || UsageError::Unknown(argument.clone());
        let mut value = |option| arguments.next().ok_or(UsageError::NoValue(option));
        match argument.to_str().ok_or_else(unknown)? {
            "--help" => return Ok(Parsed::Help),
            "--version" => return Ok(Parsed::Version),
            // The only mode there is, in the foreground.
            "-ttymode" | "-nofork" | "-reenter" => {}
            "--no-direct" => options.no_direct = true,
            "-debug" => options.debug = true,
            "-subfile" => options.subscription_file = Some(value("-subfile")?.into()),
            "-loc" => options.tty = Some(value("-loc")?.to_string_lossy().into_owned()),
            option => {
                let known = WITHOUT_EFFECT.into_iter().find(|known| *known == option).ok_or_else(unknown)?;
                value(known)?;
                options.ignored.push(known);
            }
        }
    }
    Ok(Parsed::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
        parse(line.iter().map(OsString::from))
    }

    #[test]
    fn known_options() {
        assert_eq!(parsed(&["-ttymode", "-nofork", "-reenter"]), Ok(Parsed::Run(Options::default())));
        assert!(matches!(parsed(&["-debug"]), Ok(Parsed::Run(options)) if options.debug));
        assert!(matches!(parsed(&["--no-direct"]), Ok(Parsed::Run(options)) if options.no_direct));
        let options = Options {
            subscription_file: Some("-nofork".into()),
            tty: Some("here".to_owned()),
            debug: false,
            no_direct: false,
            ignored: vec!["-f", "-disable"],
        };
        let line = ["-subfile", "-nofork", "-loc", "here", "-f", "x", "-disable", "X"];
        assert_eq!(parsed(&line), Ok(Parsed::Run(options)));
        assert_eq!(parsed(&["--help"]), Ok(Parsed::Help));
        assert_eq!(parsed(&["-ttymode", "--version"]), Ok(Parsed::Version));
    }

    #[test]
    fn everything_else_is_an_error() {
        for (line, said) in [
            (&["-subfile"][..], "option -subfile needs a value after it"),
            (&["-loc"], "option -loc needs a value after it"),
            (&["-f"], "option -f needs a value after it"),
            (&["-display", "x"], "there is no option -display"),
            (&["-tty"], "there is no option -tty"),
            (&["word"], "there is no option word"),
            (&["-nofork", "x\u{1b}[2J"], "there is no option x\\u{1b}[2J"),
        ] {
            assert_eq!(parsed(line).unwrap_err().to_string(), said, "{line:?}");
        }
    }
}
