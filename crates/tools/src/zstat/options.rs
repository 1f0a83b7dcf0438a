//! zstat's command line (clients, section 7): options of one letter as getopt takes them, anywhere before `--`.

use zephyr_core::sanitize;

/// Whom to ask about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its host manager, and then the server that this names.
    Both,
    /// Its host manager.
    HostManager,
    /// The server on it.
    Server,
}

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whom to ask.
    pub asked: Asked,
    /// Print an object of JSON for each answer.
    pub json: bool,
    /// The hosts as typed; none: this one.
    pub hosts: Vec<Vec<u8>>,
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Ask.
    Ask(Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Both `-s` and `-h`.
    #[error("Only one of -s and -h may be specified")]
    Both,
    /// An unknown option of one letter.
    #[error("invalid option -- '{0}'")]
    Letter(String),
    /// Another unknown option.
    #[error("unrecognized option '{0}'")]
    Word(String),
}

/// Parses the arguments of the command line.
///
/// # Errors
///
/// When they are invalid.
pub fn parse(arguments: Vec<Vec<u8>>) -> Result<Parsed, UsageError> {
    let (mut server, mut host_manager, mut json) = (false, false, false);
    let mut hosts = Vec::new();
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_slice() {
            b"--" => {
                hosts.extend(rest);
                break;
            }
            b"--help" => return Ok(Parsed::Help),
            b"--version" => return Ok(Parsed::Version),
            b"--json" => json = true,
            [b'-', b'-', ..] => return Err(UsageError::Word(sanitize::name(&argument))),
            [b'-', letters @ ..] if !letters.is_empty() => {
                for letter in letters {
                    match letter {
                        b's' => server = true,
                        b'h' => host_manager = true,
                        other => return Err(UsageError::Letter(sanitize::name(&[*other]))),
                    }
                }
            }
            _ => hosts.push(argument),
        }
    }
    let asked = match (server, host_manager) {
        (true, true) => return Err(UsageError::Both),
        (true, false) => Asked::Server,
        (false, true) => Asked::HostManager,
        (false, false) => Asked::Both,
    };
    Ok(Parsed::Ask(Options { asked, json, hosts }))
}

/// The usage, which is printed after an invalid command line. C names no program in it.
pub fn usage() -> String {
    "usage: zstat [-s] [-h] [host ...]\n".to_owned()
}

/// The help: the usage, and the meaning of each option.
pub fn help() -> String {
    usage()
        + "\nTells how the host manager of each host is, and the server that it speaks to.\n\n\
           -h      the host manager only\n\
           -s      the server on that host only\n\
           --json  an object of JSON on a line for each answer\n\
           --help, --version\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, UsageError> {
        parse(line.split_whitespace().map(|argument| argument.as_bytes().to_vec()).collect())
    }

    #[test]
    fn who_is_asked_about_which_hosts() {
        for (line, asked, json, hosts) in [
            ("", Asked::Both, false, ""),
            ("a b", Asked::Both, false, "a b"),
            ("-h a", Asked::HostManager, false, "a"),
            ("a -s b --json", Asked::Server, true, "a b"),
            ("-ss -- -h -", Asked::Server, false, "-h -"),
            ("-", Asked::Both, false, "-"),
        ] {
            let hosts = hosts.split_whitespace().map(|host| host.as_bytes().to_vec()).collect();
            assert_eq!(parsed(line), Ok(Parsed::Ask(Options { asked, json, hosts })), "{line}");
        }
        assert_eq!((parsed("a --help"), parsed("-s --version")), (Ok(Parsed::Help), Ok(Parsed::Version)));
    }

    #[test]
    fn wrong_lines() {
        for (line, error) in [
            ("-s -h", "Only one of -s and -h may be specified"),
            ("-hs a", "Only one of -s and -h may be specified"),
            ("-sx a", "invalid option -- 'x'"),
            ("--jso", "unrecognized option '--jso'"),
        ] {
            assert_eq!(parsed(line).map_err(|error| error.to_string()), Err(error.to_owned()), "{line}");
        }
    }
}
