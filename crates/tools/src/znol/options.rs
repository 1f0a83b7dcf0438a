//! znol's command line (clients, section 4): every option is an argument of two characters.

use zephyr_core::sanitize;

/// Who is interesting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// The people in `~/.anyone`.
    Usual,
    /// Those in a file; `-` is standard input.
    File(Vec<u8>),
    /// One user.
    User(Vec<u8>),
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Subscribes to what is told when they log in and out, and lists where they are.
    On,
    /// Subscribes only.
    OnQuietly,
    /// Removes the subscriptions.
    Off,
    /// Lists where they are.
    List,
}

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is done.
    pub task: Task,
    /// For whom.
    pub names: Names,
    /// Fail without a host manager, and speak to no server directly.
    pub no_direct: bool,
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Do that.
    Run(Options),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// An error of the command line, as C says it where it does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// Nothing would be said.
    #[error("-q and -l cannot both be used")]
    QuietList,
    /// Two sources of names.
    #[error("-u and -f cannot both be used")]
    TwoSources,
    /// `-f` without a file.
    #[error("No file name specified")]
    NoFile,
    /// `-u` without a user.
    #[error("No username specified")]
    NoUser,
    /// A list does not remove anything.
    #[error("off and -l cannot both be used")]
    ListOff,
    /// An unknown argument.
    #[error("there is no option {0}")]
    Unknown(String),
}

impl UsageError {
    /// Whether C says the same.
    pub const fn is_of_c(&self) -> bool {
        matches!(self, Self::QuietList | Self::TwoSources | Self::NoFile | Self::NoUser)
    }
}

/// Parses the arguments of the command line. Of `on` and `off` the last one counts.
///
/// # Errors
///
/// When they are invalid.
pub fn parse(arguments: Vec<Vec<u8>>) -> Result<Parsed, UsageError> {
    let (mut is_off, mut is_quiet, mut is_list, mut no_direct) = (false, false, false, false);
    let mut names = Names::Usual;
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_slice() {
            b"--help" => return Ok(Parsed::Help),
            b"--version" => return Ok(Parsed::Version),
            b"--no-direct" => no_direct = true,
            b"on" => is_off = false,
            b"off" => is_off = true,
            b"-q" => is_quiet = true,
            b"-l" => is_list = true,
            b"-f" => {
                let file = rest.next().ok_or(UsageError::NoFile)?;
                if matches!(names, Names::User(_)) {
                    return Err(UsageError::TwoSources);
                }
                names = Names::File(file);
            }
            b"-u" => {
                let user = rest.next().ok_or(UsageError::NoUser)?;
                if matches!(names, Names::File(_)) {
                    return Err(UsageError::TwoSources);
                }
                names = Names::User(user);
            }
            _ => return Err(UsageError::Unknown(sanitize::name(&argument))),
        }
    }
    let task = match (is_off, is_quiet, is_list) {
        (_, true, true) => return Err(UsageError::QuietList),
        (true, _, true) => return Err(UsageError::ListOff),
        (true, _, false) => Task::Off,
        (false, false, true) => Task::List,
        (false, true, false) => Task::OnQuietly,
        (false, false, false) => Task::On,
    };
    Ok(Parsed::Run(Options { task, names, no_direct }))
}

/// The usage, which is printed after an invalid command line.
pub fn usage(program: &str) -> String {
    format!("Usage: {program} [on|off] [-q | -l] [-f file | -u username]\n")
}

/// The help: the usage, and the meaning of each option.
pub fn help(program: &str) -> String {
    usage(program)
        + "\nLists where interesting people are, and has your zwgc told when they log in or out.\n\n\
           on, off      begin that (default), or end it\n\
           -q           do not list where they are\n\
           -l           only list where they are\n\
           -f FILE      the file with their names, a line each; -: standard input (default: ~/.anyone)\n\
           -u USER      this one user\n\
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
    fn what_is_done_for_whom() {
        let (file, user) = (|name: &str| Names::File(name.into()), |name: &str| Names::User(name.into()));
        for (line, task, names) in [
            ("", Task::On, Names::Usual),
            ("on", Task::On, Names::Usual),
            ("-q", Task::OnQuietly, Names::Usual),
            ("off", Task::Off, Names::Usual),
            ("off -q", Task::Off, Names::Usual),
            ("off on", Task::On, Names::Usual),
            ("-l", Task::List, Names::Usual),
            ("-l -l on", Task::List, Names::Usual),
            ("-f x -q", Task::OnQuietly, file("x")),
            ("-f x -f -", Task::On, file("-")),
            ("-u bob off", Task::Off, user("bob")),
            ("-u bob -u carol -l", Task::List, user("carol")),
            ("-u -q", Task::On, user("-q")),
        ] {
            let options = Options { task, names, no_direct: false };
            assert_eq!(parsed(line), Ok(Parsed::Run(options)), "{line}");
        }
        assert!(matches!(parsed("--no-direct"), Ok(Parsed::Run(Options { no_direct: true, .. }))));
        assert_eq!((parsed("on --help"), parsed("--version")), (Ok(Parsed::Help), Ok(Parsed::Version)));
    }

    #[test]
    fn wrong_lines() {
        for (line, error) in [
            ("-q -l", UsageError::QuietList),
            ("off -l", UsageError::ListOff),
            ("-f x -u bob", UsageError::TwoSources),
            ("-u bob -f x", UsageError::TwoSources),
            ("-l -f", UsageError::NoFile),
            ("-u", UsageError::NoUser),
            ("-lq", UsageError::Unknown("-lq".to_owned())),
            ("-s", UsageError::Unknown("-s".to_owned())),
            ("bob", UsageError::Unknown("bob".to_owned())),
        ] {
            assert_eq!(parsed(line), Err(error), "{line}");
        }
    }
}
