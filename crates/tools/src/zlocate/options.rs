//! zlocate's command line (clients, section 3).

use zephyr_core::sanitize;

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Tell where users are.
    Locate(Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// An error of the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// An unknown option.
    #[error("there is no option {0}")]
    Unknown(String),
    /// `-a` or `-d` a second time, or both.
    #[error("only one of -a and -d can be given, and once")]
    Twice,
    /// No users.
    #[error("nothing says who is to be located")]
    NoUsers,
}

/// The options and users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Prove who asks.
    pub authenticated: bool,
    /// `-p`: as C has it with several questions at a time, the output ends without an empty line.
    pub parallel: bool,
    /// A line for each location, which has all about it.
    pub one_line: bool,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
    /// The users as typed.
    pub users: Vec<Vec<u8>>,
}

/// Parses the arguments of the command line. Options may stand anywhere, and several letters behind one hyphen.
///
/// # Errors
///
/// When they are invalid, or there are no users.
pub fn parse(arguments: Vec<Vec<u8>>) -> Result<Parsed, UsageError> {
    let mut options =
        Options { authenticated: true, parallel: false, one_line: false, no_direct: false, users: Vec::new() };
    let mut is_proof_chosen = false;
    for argument in arguments {
        match argument.as_slice() {
            b"--help" => return Ok(Parsed::Help),
            b"--version" => return Ok(Parsed::Version),
            b"--no-direct" => options.no_direct = true,
            [b'-', letters @ ..] if !letters.is_empty() => {
                for letter in letters {
                    match letter {
                        b'a' | b'd' if is_proof_chosen => return Err(UsageError::Twice),
                        b'a' | b'd' => (options.authenticated, is_proof_chosen) = (*letter == b'a', true),
                        b'p' => options.parallel = true,
                        b'1' => options.one_line = true,
                        _ => return Err(UsageError::Unknown(sanitize::name(&argument))),
                    }
                }
            }
            b"-" => return Err(UsageError::Unknown("-".to_owned())),
            _ => options.users.push(argument),
        }
    }
    if options.users.is_empty() { Err(UsageError::NoUsers) } else { Ok(Parsed::Locate(options)) }
}

/// The usage, which is printed after an invalid command line.
pub fn usage(program: &str) -> String {
    // With a blank at its end, as C has it.
    format!("Usage: {program} [ -a | -d ] [ -p ] [ -1 ] user ... \n")
}

/// The help: the usage, and the meaning of each option.
pub fn help(program: &str) -> String {
    usage(program)
        + "\nTells where each user is logged in, as far as you may know it.\n\n\
           -a           with proof of who you are (default)\n\
           -d           without proof: who shows himself to everybody\n\
           -p           all users at once, which is done in any case\n\
           -1           a line for each location: user, host, terminal and time, with tabs between them\n\
           --no-direct  fail without a host manager (zhm), and speak to no server directly\n\
           --help, --version\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, UsageError> {
        parse(line.split_whitespace().map(|argument| argument.as_bytes().to_vec()).collect())
    }

    #[test]
    fn options_stand_anywhere() {
        let plain = Options {
            authenticated: true,
            parallel: false,
            one_line: false,
            no_direct: false,
            users: vec![b"bob".to_vec()],
        };
        for (line, options) in [
            ("bob", plain.clone()),
            ("-a bob", plain.clone()),
            ("bob -d", Options { authenticated: false, ..plain.clone() }),
            ("-p bob -1", Options { parallel: true, one_line: true, ..plain.clone() }),
            ("-1 -1 bob", Options { one_line: true, ..plain.clone() }),
            ("-dp1 bob", Options { authenticated: false, parallel: true, one_line: true, ..plain.clone() }),
            ("--no-direct bob", Options { no_direct: true, ..plain.clone() }),
        ] {
            assert_eq!(parsed(line), Ok(Parsed::Locate(options)), "{line}");
        }
        assert_eq!(parsed("--help bob"), Ok(Parsed::Help));
        assert_eq!(parsed("bob --version"), Ok(Parsed::Version));
    }

    #[test]
    fn wrong_lines() {
        for (line, error) in [
            ("", "nothing says who is to be located"),
            ("-1", "nothing says who is to be located"),
            ("-x bob", "there is no option -x"),
            ("-px bob", "there is no option -px"),
            ("- bob", "there is no option -"),
            ("-- bob", "there is no option --"),
            ("-a -a bob", "only one of -a and -d can be given, and once"),
            ("-a -d bob", "only one of -a and -d can be given, and once"),
            ("-ad bob", "only one of -a and -d can be given, and once"),
        ] {
            assert_eq!(parsed(line).map_err(|error| error.to_string()), Err(error.to_owned()), "{line}");
        }
    }
}
