//! zwrite's command line (clients, section 1.1).
//!
//! Parsed by hand: every option of C's is an argument of exactly two characters, later ones win, recipients may stand between them,
//! and `-m` takes all the rest. No argument parser has these rules.

use zephyr_client::variables::Variables;
use zephyr_core::{names, sanitize};

/// The class of notices about file servers.
const FILSRV: &[u8] = b"FILSRV";

/// Defaults from the user's Zephyr variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// `zwrite-class`
    pub class: Option<Vec<u8>>,
    /// `zwrite-inst`
    pub instance: Option<Vec<u8>>,
    /// `zwrite-opcode`
    pub opcode: Option<Vec<u8>>,
}

impl Defaults {
    /// The defaults of the variables that are set.
    pub fn from_variables(variables: &Variables) -> Self {
        let value = |name| variables.get(name).map(<[u8]>::to_vec);
        Self { class: value("zwrite-class"), instance: value("zwrite-inst"), opcode: value("zwrite-opcode") }
    }
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Send a message.
    Write(Box<Options>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// No arguments at all.
    #[error("nothing says to whom to send")]
    NoArguments,
    /// An unknown option.
    #[error("there is no option {}{}", .0, separately(.0))]
    Unknown(String),
    /// An option without its value.
    #[error("option {0} needs a value after it")]
    NoValue(String),
    /// `-f` with an option that says otherwise.
    #[error("-f names class and instance, so -c and -i cannot be given with it")]
    Excluded,
    /// A personal message without recipients.
    #[error("No recipients specified.")]
    NoRecipients,
}

/// Advice to who has written several options as one.
fn separately(option: &str) -> &'static str {
    if option.trim_start_matches('-').len() > 1 { ": each option is an argument of its own" } else { "" }
}

/// The options and recipients of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Send with authentication.
    pub authenticated: bool,
    /// Verbose output.
    pub verbose: bool,
    /// No output but errors.
    pub quiet: bool,
    /// Send a ping first, to find whether the message would be received.
    pub ping: bool,
    /// Replace tabs by blanks.
    pub expand_tabs: bool,
    /// A line that is only a dot ends a message from a terminal.
    pub dot_ends: bool,
    /// List all recipients in the message.
    pub carbon_copy: bool,
    /// Do not wait for the server's answer.
    pub unacked: bool,
    /// Say what became of the message for programs.
    pub json: bool,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
    /// The class.
    pub class: Vec<u8>,
    /// The instance; with [`Options::file_system`] still as typed.
    pub instance: Vec<u8>,
    /// The opcode.
    pub opcode: Vec<u8>,
    /// The instance is a host's name, which must be made canonical, optionally followed by `:` and more.
    pub file_system: bool,
    /// The signature.
    pub signature: Option<Vec<u8>>,
    /// The default format.
    pub format: Option<Vec<u8>>,
    /// The recipients' realm.
    pub realm: Option<Vec<u8>>,
    /// The sender in place of the user.
    pub sender: Option<Vec<u8>>,
    /// The name of the message's character set.
    pub charset: Option<String>,
    /// The message, if it is on the command line.
    pub message: Option<Vec<u8>>,
    /// The recipients as typed.
    pub recipients: Vec<Vec<u8>>,
}

impl Options {
    fn new(defaults: &Defaults) -> Self {
        let or = |value: &Option<Vec<u8>>, default: &[u8]| value.clone().unwrap_or_else(|| default.to_vec());
        Self {
            authenticated: true,
            verbose: false,
            quiet: false,
            ping: true,
            expand_tabs: true,
            dot_ends: true,
            carbon_copy: false,
            unacked: false,
            json: false,
            no_direct: false,
            class: or(&defaults.class, names::MESSAGE),
            instance: or(&defaults.instance, names::PERSONAL),
            opcode: or(&defaults.opcode, b""),
            file_system: false,
            signature: None,
            format: None,
            realm: None,
            sender: None,
            charset: None,
            message: None,
            recipients: Vec::new(),
        }
    }

    /// Whether a recipient is required: for personal messages, while others may go to all subscribers.
    fn needs_recipient(&self) -> bool {
        self.class == names::MESSAGE && (self.instance == names::PERSONAL || self.instance == names::URGENT)
    }

    /// The recipient as it is sent.
    pub fn full_recipient(&self, typed: &[u8]) -> Vec<u8> {
        match &self.realm {
            Some(realm) => [typed, b"@", realm].concat(),
            None => typed.to_vec(),
        }
    }
}

/// Parses the arguments of the command line.
///
/// # Errors
///
/// When they are invalid, or lack recipients.
pub fn parse(arguments: Vec<Vec<u8>>, defaults: &Defaults) -> Result<Parsed, UsageError> {
    if arguments.is_empty() {
        return Err(UsageError::NoArguments);
    }
    let mut options = Options::new(defaults);
    let mut unauthenticated = false;
    let mut named = false;
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        if !argument.starts_with(b"-") {
            options.recipients.push(argument);
            continue;
        }
        let option = || sanitize::name(&argument);
        let mut value = || rest.next().ok_or_else(|| UsageError::NoValue(option()));
        match argument.as_slice() {
            b"--help" => return Ok(Parsed::Help),
            b"--version" => return Ok(Parsed::Version),
            b"--no-direct" => options.no_direct = true,
            b"--json" => (options.json, options.quiet, options.ping) = (true, true, false),
            b"-a" => options.authenticated = true,
            b"-d" => options.authenticated = false,
            b"-v" => options.verbose = true,
            b"-q" => options.quiet = true,
            b"-n" => options.ping = false,
            b"-t" => options.expand_tabs = false,
            b"-l" => options.dot_ends = false,
            b"-C" => options.carbon_copy = true,
            b"-U" => (options.unacked, options.ping) = (true, false),
            b"-u" => (options.instance, options.file_system) = (names::URGENT.to_vec(), false),
            b"-o" => {
                let plain = Options::new(&Defaults::default());
                (options.class, options.instance, options.opcode) = (plain.class, plain.instance, plain.opcode);
                (options.file_system, named) = (false, false);
            }
            b"-c" => (options.class, named) = (value()?, true),
            b"-i" => (options.instance, named) = (value()?, true),
            b"-O" => options.opcode = value()?,
            b"-f" => {
                (options.class, options.instance) = (FILSRV.to_vec(), value()?);
                (options.file_system, options.ping) = (true, false);
            }
            b"-s" => options.signature = Some(value()?),
            b"-F" => options.format = Some(value()?),
            b"-r" => options.realm = Some(value()?),
            b"-S" => (options.sender, unauthenticated) = (Some(value()?), true),
            b"-x" => options.charset = Some(String::from_utf8_lossy(&value()?).into_owned()),
            b"-m" => {
                let mut message = value()?;
                rest.by_ref().for_each(|argument| message.extend([b" ", argument.as_slice()].concat()));
                message.push(b'\n');
                (options.message, options.ping) = (Some(message), false);
            }
            _ => return Err(UsageError::Unknown(option())),
        }
        if options.file_system && named {
            return Err(UsageError::Excluded);
        }
    }
    options.authenticated &= !unauthenticated;
    if options.recipients.is_empty() && options.needs_recipient() {
        return Err(UsageError::NoRecipients);
    }
    Ok(Parsed::Write(Box::new(options)))
}

/// The usage, which is printed after an invalid command line.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [-a] [-o] [-d] [-v] [-q] [-n] [-t] [-u] [-l] [-U]\n\
         \x20      [-c class] [-i inst] [-O opcode] [-f fsname] [-s signature] [-C]\n\
         \x20      [user ...] [-F format] [-r realm] [-x charset] [-S sender] [-m message]\n\
         \x20 -f excludes -c\n\
         \x20 -f excludes -i\n\
         \x20 a user must be named unless -c, -i or -f says otherwise\n"
    )
}

/// The help: the usage, and the meaning of each option.
pub fn help(program: &str) -> String {
    usage(program)
        + "\nSends a message to each user, or to the subscribers of a class and instance.\n\n\
           -a           with proof of who you are (default)\n\
           -d           without proof\n\
           -v, -q       say more; say nothing but errors\n\
           -n           do not ask first whether the message would be received\n\
           -t           leave tabs as they are\n\
           -u           instance URGENT\n\
           -l           a line that is only a dot does not end the message\n\
           -o           class MESSAGE, instance PERSONAL, whatever the zwrite-* variables say\n\
           -C           name all recipients in the first line\n\
           -U           do not wait for the server's answer\n\
           -c CLASS     the class, in place of MESSAGE\n\
           -i INSTANCE  the instance, in place of PERSONAL\n\
           -O OPCODE    the opcode\n\
           -f HOST      class FILSRV, instance the host's full name\n\
           -s TEXT      signature\n\
           -F FORMAT    default format\n\
           -r REALM     the users are in this realm; without users: everybody there\n\
           -x CHARSET   the message's character set\n\
           -S SENDER    send as somebody else, without proof\n\
           -m WORD...   the message; must come last\n\
           --json       write an object for each user: what became of the message; implies -n and -q\n\
           --no-direct  fail without a host manager (zhm), and speak to no server directly\n\
           --help, --version\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Parsed, UsageError> {
        parse(line.iter().map(|argument| argument.as_bytes().to_vec()).collect(), &Defaults::default())
    }

    fn options(line: &[&str]) -> Options {
        match parsed(line) {
            Ok(Parsed::Write(options)) => *options,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn plain() -> Options {
        Options { recipients: vec![b"bob".to_vec()], ..Options::new(&Defaults::default()) }
    }

    #[test]
    fn each_option_alone() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        let v = |text: &str| text.as_bytes().to_vec();
        let table: Vec<(&[&str], Options)> = vec![
            (&[], plain()),
            (&["-a"], plain()),
            (&["-d"], Options { authenticated: false, ..plain() }),
            (&["-v"], Options { verbose: true, ..plain() }),
            (&["-q"], Options { quiet: true, ..plain() }),
            (&["-n"], Options { ping: false, ..plain() }),
            (&["-t"], Options { expand_tabs: false, ..plain() }),
            (&["-u"], Options { instance: v("URGENT"), ..plain() }),
            (&["-l"], Options { dot_ends: false, ..plain() }),
            (&["-o"], plain()),
            (&["-C"], Options { carbon_copy: true, ..plain() }),
            (&["-U"], Options { unacked: true, ping: false, ..plain() }),
            (&["--json"], Options { json: true, quiet: true, ping: false, ..plain() }),
            (&["--no-direct"], Options { no_direct: true, ..plain() }),
            (&["-c", "geeks"], Options { class: v("geeks"), ..plain() }),
            (&["-i", "-i"], Options { instance: v("-i"), ..plain() }),
            (&["-O", ""], plain()),
            (&["-O", "AUTO"], Options { opcode: v("AUTO"), ..plain() }),
            (
                &["-f", "host:/u1"],
                Options { class: v("FILSRV"), instance: v("host:/u1"), file_system: true, ping: false, ..plain() },
            ),
            (&["-s", ""], Options { signature: some(""), ..plain() }),
            (&["-s", "me"], Options { signature: some("me"), ..plain() }),
            (&["-F", "$1"], Options { format: some("$1"), ..plain() }),
            (&["-r", "R"], Options { realm: some("R"), ..plain() }),
            (&["-S", "root"], Options { sender: some("root"), authenticated: false, ..plain() }),
            (&["-x", "UTF-8"], Options { charset: Some("UTF-8".to_owned()), ..plain() }),
        ];
        for (line, expected) in table {
            assert_eq!(options(&[&["bob"], line].concat()), expected, "{line:?}");
            assert_eq!(options(&[line, &["bob"]].concat()), expected, "{line:?}");
        }
    }

    #[test]
    fn the_message_is_all_the_rest() {
        let options = options(&["bob", "-m", "two", "", "-v  words", "alice"]);
        assert_eq!(options.message.as_deref(), Some(&b"two  -v  words alice\n"[..]));
        assert_eq!((options.ping, options.verbose, options.recipients.len()), (false, false, 1));
    }

    #[test]
    fn later_options_win() {
        let options = options(&["-d", "-c", "a", "-c", "b", "x", "-a", "-s", "1", "y", "-s", "2"]);
        assert!(options.authenticated);
        assert_eq!((options.class.as_slice(), options.signature.as_deref()), (&b"b"[..], Some(&b"2"[..])));
        assert_eq!(options.recipients, [b"x", b"y"]);
        assert!(!super::tests::options(&["-S", "root", "-a", "bob"]).authenticated, "-S cannot be proven");
    }

    #[test]
    fn usage_errors() {
        for (line, said) in [
            (&[][..], "nothing says to whom to send"),
            (&["-nv", "bob"], "there is no option -nv: each option is an argument of its own"),
            (&["-z", "bob"], "there is no option -z"),
            (&["-", "bob"], "there is no option -"),
            (&["--", "bob"], "there is no option --"),
            (&["bob", "-m"], "option -m needs a value after it"),
            (&["bob", "-c"], "option -c needs a value after it"),
            (&["bob", "-s"], "option -s needs a value after it"),
            (&["-f", "host", "-c", "x"], "-f names class and instance, so -c and -i cannot be given with it"),
            (&["-i", "x", "-f", "host"], "-f names class and instance, so -c and -i cannot be given with it"),
        ] {
            assert_eq!(parsed(line).unwrap_err().to_string(), said, "{line:?}");
        }
    }

    #[test]
    fn personal_messages_need_a_recipient() {
        for line in [&["-n"][..], &["-u"], &["-r", "R"], &["-c", "MESSAGE"], &["-i", "PERSONAL"], &["-c", "x", "-o"]] {
            assert_eq!(parsed(line), Err(UsageError::NoRecipients), "{line:?}");
        }
        for line in [&["-c", "x"][..], &["-i", "urgent"], &["-c", "message"], &["-f", "host"]] {
            assert!(options(line).recipients.is_empty(), "{line:?}");
        }
        assert_eq!(options(&["", "*"]).recipients, [&b""[..], b"*"]);
    }

    #[test]
    fn variables_are_only_defaults() {
        let defaults = Defaults {
            class: Some(b"geeks".to_vec()),
            instance: Some(b"chat".to_vec()),
            opcode: Some(b"AUTO".to_vec()),
        };
        let with = |line: &[&str]| match parse(
            line.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
            &defaults,
        ) {
            Ok(Parsed::Write(options)) => (options.class, options.instance, options.opcode),
            other => panic!("{other:?}"),
        };
        let triple = |c: &str, i: &str, o: &str| (c.as_bytes().to_vec(), i.as_bytes().to_vec(), o.as_bytes().to_vec());
        assert_eq!(with(&["-n"]), triple("geeks", "chat", "AUTO"));
        assert_eq!(with(&["-c", "x"]), triple("x", "chat", "AUTO"));
        assert_eq!(with(&["-c", "x", "-o", "bob"]), triple("MESSAGE", "PERSONAL", ""));
        assert_eq!(with(&["-o", "-i", "y", "bob"]), triple("MESSAGE", "y", ""));
    }

    #[test]
    fn recipients_in_a_realm() {
        assert_eq!(options(&["-r", "R", "bob"]).full_recipient(b"bob"), b"bob@R");
        assert_eq!(options(&["-r", "R", "-c", "x"]).full_recipient(b""), b"@R");
        assert_eq!(options(&["bob"]).full_recipient(b"bob"), b"bob");
    }

    #[test]
    fn help_and_version() {
        assert_eq!(parsed(&["--help"]), Ok(Parsed::Help));
        assert_eq!(parsed(&["bob", "--version"]), Ok(Parsed::Version));
        assert!(matches!(parsed(&["bob", "-m", "--help"]), Ok(Parsed::Write(_))));
        for option in "aodvqntulCUciOfsFrxSm".chars() {
            assert!(usage("zwrite").contains(&format!("-{option}")), "-{option}");
        }
    }
}
