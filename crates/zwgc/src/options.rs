//! The command line of zwgc (zwgc, section 1): options are whole words with a single dash; our own have two.

use crate::format::{Format, UnknownFormat};
use std::{ffi::OsString, fmt, os::fd::RawFd, path::PathBuf};
use zephyr_core::sanitize;

/// The usage, as the C program prints it after an invalid command line.
pub const USAGE: &str = "\
zwgc: usage: zwgc [-f <filename>] [-subfile <filename>]
                  [-ttymode] [-nofork] [-reenter] [-loc text]
                  [-default <driver>] {-disable <driver>}*
                  [output driver options]";

/// What `--help` prints.
pub const HELP: &str = "\
zwgc shows the notices that you have subscribed to, in the background, until you log out.

  -f FILE            the description of how notices are shown, in place of ~/.zwgc.desc; - is standard input
  -subfile FILE      the subscriptions, in place of ~/.zephyr.subs; - is standard input
  -ttymode           show notices on the terminal, not in windows
  -nofork            stay in the foreground
  -default PORT      the port that is written to where the description names none
  -disable PORT      do without this port; may be given several times
  -charset NAME      the character set of the terminal
  -loc TEXT          the terminal's name in your location
  -debug             say that another zwgc runs already, also where nobody waits for an answer
  -reenter           accepted, without effect
  -display DISPLAY and other options of X, without -ttymode

  --format FORMAT    how notices are shown: description (by your description, the default), labelled (several
                     lines, none of which a notice can imitate), line (one line each), json (one object each).
                     The variable ZWGC_FORMAT of the environment names one, too
  --json             the same as --format json
  --log DIR          append what is shown to files in this directory, one for each day
  --check FILE       only say what is wrong in a description; - is standard input
  --no-direct        fail when no host manager answers, and speak to no server directly
  --help, --version";

/// The hidden option by which the process in the background knows that it is the one.
pub const IN_BACKGROUND: &str = "--in-background";

/// Options of the X port that have a value. Beginnings are taken for the whole.
const X_WITH_VALUE: [&str; 17] = [
    "-display",
    "-bg",
    "-background",
    "-fg",
    "-foreground",
    "-bd",
    "-bordercolor",
    "-bw",
    "-borderwidth",
    "-fn",
    "-font",
    "-geometry",
    "-iconname",
    "-title",
    "-name",
    "-lifespan",
    "-xrm",
];
/// Options of the X port without a value.
const X_WITHOUT_VALUE: [&str; 6] = ["-rv", "-reverse", "+rv", "-transient", "-synchronous", "+synchronous"];

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Run.
    Run(Box<Options>),
    /// Look at a description; `-` is standard input.
    Check(PathBuf),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// The options of zwgc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A description in place of the user's; `-` is standard input.
    pub description: Option<PathBuf>,
    /// A subscription file in place of the user's; `-` is standard input.
    pub subscription_file: Option<PathBuf>,
    /// The terminal's name for the location.
    pub tty: Option<String>,
    /// Show notices on the terminal, without any attempt to use X.
    pub tty_mode: bool,
    /// Stay in the foreground.
    pub in_foreground: bool,
    /// The port that is written to where the description names none.
    pub default_port: Option<String>,
    /// The ports to do without.
    pub disabled: Vec<String>,
    /// The terminal's character set.
    pub charset: Option<String>,
    /// Say that another one runs, where nobody would be told otherwise.
    pub debug: bool,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
    /// The format, where it is not the environment's.
    pub format: Option<Format>,
    /// The directory of the files with what was shown.
    pub log: Option<PathBuf>,
    /// This is the process in the background, and says by this descriptor that it is ready.
    pub background: Option<RawFd>,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// An argument that is no option.
    Unknown(OsString),
    /// An option without its value.
    NoValue(&'static str),
    /// An option of the X port, which there is not with `-ttymode`.
    WithoutX(&'static str),
    /// A format that there is not.
    Format(UnknownFormat),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => {
                write!(f, "there is no option {}", sanitize::name(argument.as_encoded_bytes()))
            }
            Self::NoValue(option) => write!(f, "option {option} needs a value after it"),
            Self::WithoutX(option) => write!(f, "option {option} is for X, which is not used with -ttymode"),
            Self::Format(error) => write!(f, "--format: {error}"),
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
    let mut options = Options::default();
    let mut arguments = arguments;
    let mut of_x = None;
    while let Some(argument) = arguments.next() {
        let unknown = || UsageError::Unknown(argument.clone());
        let mut value = |option| arguments.next().ok_or(UsageError::NoValue(option));
        let text = |value: OsString| value.to_string_lossy().into_owned();
        match argument.to_str().ok_or_else(unknown)? {
            "--help" => return Ok(Parsed::Help),
            "--version" => return Ok(Parsed::Version),
            "--check" => return Ok(Parsed::Check(value("--check")?.into())),
            "--no-direct" => options.no_direct = true,
            "--json" => options.format = Some(Format::Json),
            "--format" => options.format = Some(text(value("--format")?).parse().map_err(UsageError::Format)?),
            "--log" => options.log = Some(value("--log")?.into()),
            IN_BACKGROUND => {
                let number = value(IN_BACKGROUND)?;
                options.background = Some(text(number).parse().map_err(|_| unknown())?);
            }
            "-ttymode" => options.tty_mode = true,
            "-nofork" => options.in_foreground = true,
            "-reenter" => {}
            "-debug" => options.debug = true,
            "-f" => options.description = Some(value("-f")?.into()),
            "-subfile" => options.subscription_file = Some(value("-subfile")?.into()),
            "-loc" => options.tty = Some(text(value("-loc")?)),
            "-default" => options.default_port = Some(text(value("-default")?)),
            "-disable" => options.disabled.push(text(value("-disable")?)),
            "-charset" => options.charset = Some(text(value("-charset")?)),
            word => {
                let (option, has_value) = x_option(word).ok_or_else(unknown)?;
                if has_value {
                    value(option)?;
                }
                of_x = of_x.or(Some(option));
            }
        }
    }
    match of_x.filter(|_| options.tty_mode) {
        Some(option) => Err(UsageError::WithoutX(option)),
        None => Ok(Parsed::Run(Box::new(options))),
    }
}

/// The option of the X port that a word is or begins, and whether it has a value; `None` where it could be several.
fn x_option(word: &str) -> Option<(&'static str, bool)> {
    let with = X_WITH_VALUE.iter().map(|&option| (option, true));
    let all = with.chain(X_WITHOUT_VALUE.iter().map(|&option| (option, false)));
    let mut begun = all.clone().filter(|(option, _)| word.len() > 1 && option.starts_with(word));
    let exact = all.clone().find(|(option, _)| *option == word);
    exact.or_else(|| begun.next().filter(|_| begun.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
        parse(line.iter().map(OsString::from))
    }

    fn options(line: &[&str]) -> Options {
        match parsed(line) {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn known_options() {
        let tty = Options { tty_mode: true, in_foreground: true, ..Options::default() };
        assert_eq!(options(&["-ttymode", "-nofork", "-reenter"]), tty);
        let own = options(&["--no-direct", "--format", "line", "--log", "d", "-debug"]);
        let expected = Options {
            no_direct: true,
            format: Some(Format::Line),
            log: Some("d".into()),
            debug: true,
            ..Options::default()
        };
        assert_eq!(own, expected);
        let all = options(&[
            "-subfile", "-nofork", "-loc", "here", "-f", "x", "-disable", "X", "-disable", "tty", "-default", "p",
            "-charset", "c",
        ]);
        let expected = Options {
            description: Some("x".into()),
            subscription_file: Some("-nofork".into()),
            tty: Some("here".to_owned()),
            disabled: vec!["X".to_owned(), "tty".to_owned()],
            default_port: Some("p".to_owned()),
            charset: Some("c".to_owned()),
            ..Options::default()
        };
        assert_eq!(all, expected);
        assert_eq!(options(&["--json"]).format, Some(Format::Json));
        assert_eq!(options(&["--in-background", "7"]).background, Some(7));
        assert_eq!(parsed(&["--help"]), Ok(Parsed::Help));
        assert_eq!(parsed(&["-ttymode", "--version"]), Ok(Parsed::Version));
        assert_eq!(parsed(&["--check", "-"]), Ok(Parsed::Check("-".into())));
    }

    #[test]
    fn options_of_x_are_known_without_ttymode() {
        assert_eq!(options(&["-display", "-nofork", "-rv", "+rv", "-geom", "+0+0"]), Options::default());
        assert!(options(&["-d", ":0", "-nofork"]).in_foreground, "the beginning of -display");
    }

    #[test]
    fn everything_else_is_an_error() {
        for (line, said) in [
            (&["-subfile"][..], "option -subfile needs a value after it"),
            (&["-loc"], "option -loc needs a value after it"),
            (&["-f"], "option -f needs a value after it"),
            (&["--log"], "option --log needs a value after it"),
            (&["--check"], "option --check needs a value after it"),
            (&["-display"], "option -display needs a value after it"),
            (&["-display", "x", "-ttymode"], "option -display is for X, which is not used with -ttymode"),
            (&["-b", "x"], "there is no option -b"),
            (&["-"], "there is no option -"),
            (&["-tty"], "there is no option -tty"),
            (&["word"], "there is no option word"),
            (&["--in-background", "x"], "there is no option --in-background"),
            (&["-nofork", "x\u{1b}[2J"], "there is no option x\\u{1b}[2J"),
            (&["--format", "x"], "--format: expected description, labelled, line or json, not \"x\""),
        ] {
            assert_eq!(parsed(line).unwrap_err().to_string(), said, "{line:?}");
        }
    }
}
