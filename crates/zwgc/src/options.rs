//! The command line of zwgc (zwgc, section 1): long options with a single dash.

use std::{ffi::OsString, path::PathBuf};

/// The usage, which is printed for `--help` and after an invalid command line.
pub const USAGE: &str = "\
zwgc: usage: zwgc [-ttymode] [-nofork] [-loc text] [-subfile file]
                  [-f file] [-default port] [-disable port] [-charset name] [-reenter]
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
    /// Options that were given and have no effect yet.
    pub ignored: Vec<&'static str>,
}

/// Parses the arguments of the command line; `None` when they are invalid.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Option<Parsed> {
    const WITHOUT_EFFECT: [&str; 4] = ["-f", "-default", "-disable", "-charset"];
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.to_str()? {
            "--help" => return Some(Parsed::Help),
            "--version" => return Some(Parsed::Version),
            // The only mode there is, in the foreground.
            "-ttymode" | "-nofork" | "-reenter" => {}
            "-debug" => options.debug = true,
            "-subfile" => options.subscription_file = Some(arguments.next()?.into()),
            "-loc" => options.tty = Some(arguments.next()?.to_string_lossy().into_owned()),
            option => {
                let known = WITHOUT_EFFECT.into_iter().find(|known| *known == option)?;
                arguments.next()?;
                options.ignored.push(known);
            }
        }
    }
    Some(Parsed::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Option<Parsed> {
        parse(line.iter().map(OsString::from))
    }

    #[test]
    fn known_options() {
        assert_eq!(parsed(&["-ttymode", "-nofork", "-reenter"]), Some(Parsed::Run(Options::default())));
        assert!(matches!(parsed(&["-debug"]), Some(Parsed::Run(options)) if options.debug));
        let options = Options {
            subscription_file: Some("-nofork".into()),
            tty: Some("here".to_owned()),
            debug: false,
            ignored: vec!["-f", "-disable"],
        };
        let line = ["-subfile", "-nofork", "-loc", "here", "-f", "x", "-disable", "X"];
        assert_eq!(parsed(&line), Some(Parsed::Run(options)));
        assert_eq!(parsed(&["--help"]), Some(Parsed::Help));
        assert_eq!(parsed(&["-ttymode", "--version"]), Some(Parsed::Version));
    }

    #[test]
    fn everything_else_is_an_error() {
        for line in [&["-subfile"][..], &["-loc"], &["-f"], &["-display", "x"], &["-tty"], &["word"], &["-nofork", ""]]
        {
            assert_eq!(parsed(line), None, "{line:?}");
        }
    }
}
