//! Zephyr variables: the user's file, then the system's (clients, section 0; client library, section 9).
//!
//! * [`Variables`]: both files, read
//! * [`VariableFile`]: one file, in which variables are set and unset

mod change;
mod lock;

pub use change::{VariableError, VariableFile};

use std::{
    env,
    path::{Path, PathBuf},
};
use zephyr_config::{file, problem::Problem};
use zephyr_core::text_file::{self, Line};

/// The maximum number of problems that are reported.
const MAX_PROBLEMS: usize = 16;

/// The variables of the user and of the system, as they were when read.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Those of the user's file first.
    entries: Vec<Variable>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
struct Variable {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Variables {
    /// Reads `$ZEPHYR_VARS`, else `~/.zephyr.vars`, and then `zephyr.vars` of the system's configuration directory. A file
    /// that does not exist counts as empty; so does one that cannot be read, which is a problem.
    pub fn read() -> Self {
        let user = VariableFile::own().map(|file| file.path().to_owned());
        let system = config_dir().join("zephyr.vars");
        let mut variables = Self::default();
        for path in user.into_iter().chain([system]) {
            variables.read_file(&path);
        }
        variables
    }

    /// The variables in the contents of these files; earlier files take precedence.
    pub fn from_files(files: &[&[u8]]) -> Self {
        let mut variables = Self::default();
        for content in files {
            variables.add(Path::new(""), content);
        }
        variables
    }

    /// The value of a variable, whose name is compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.entries.iter().filter(|entry| entry.name.eq_ignore_ascii_case(name.as_bytes()));
        values.next().map(|entry| entry.value.as_slice())
    }

    /// The value as text; invalid UTF-8 becomes U+FFFD.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// What could not be read: whole files, and lines that are no variable, which cost no other line. At most 16.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn read_file(&mut self, path: &Path) {
        match file::octets(path) {
            Ok(content) => self.add(path, &content.unwrap_or_default()),
            Err(error) => self.report(Problem::whole_file(path, error)),
        }
    }

    fn add(&mut self, path: &Path, content: &[u8]) {
        for line in text_file::lines(content) {
            match variable(line) {
                Ok(entry) => self.entries.extend(entry),
                Err(text) => self.report(Problem { line: line.number, ..Problem::whole_file(path, text) }),
            }
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }
}

/// The directory of the system's configuration: `$ZEPHYR_CONFIG_DIR`, else `/etc/zephyr`.
pub fn config_dir() -> PathBuf {
    env::var_os("ZEPHYR_CONFIG_DIR").map_or_else(|| PathBuf::from("/etc/zephyr"), PathBuf::from)
}

/// The variable on a line, if there is one, as C programs find it: the name ends before white space or `=`, and the value begins
/// after the first `=` and the white space behind that. White space at its end belongs to it.
fn variable(line: Line<'_>) -> Result<Option<Variable>, String> {
    if let Some((_, odd)) = line.oddity() {
        return Err(odd.to_string());
    }
    if line.text.is_empty() || line.text.starts_with(b"#") {
        return Ok(None);
    }
    let Some(equals) = line.with_blanks.iter().position(|&octet| octet == b'=') else {
        return Err("expected NAME = VALUE, so this line is passed over".to_owned());
    };
    if line.column > 1 {
        return Err("white space before the name, so this line is passed over".to_owned());
    }
    let (name, value) = line.with_blanks.split_at_checked(equals).unwrap_or_default();
    let name = name.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    if name.is_empty() {
        return Err("expected a name before =, so this line is passed over".to_owned());
    }
    if let Some((_, odd)) = text_file::oddity(name) {
        return Err(odd.to_string());
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii_start();
    Ok(Some(Variable { name: name.to_vec(), value: value.to_vec() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_users_file_takes_precedence() {
        let variables = Variables::from_files(&[
            b"# exposure = none\nZwrite-Signature =  Bob, = of  Athena \nempty =\nnonsense\n",
            b"exposure = realm-visible\nempty = full",
        ]);
        assert_eq!(variables.get("exposure"), Some(&b"realm-visible"[..]));
        assert_eq!(variables.get("zwrite-signature"), Some(&b"Bob, = of  Athena "[..]));
        assert_eq!(variables.get("EMPTY"), Some(&b""[..]));
        assert_eq!(variables.get("nonsense"), None);
    }

    /// What is read of a file with this content, and what is said about it.
    fn read(content: &[u8]) -> (Option<String>, Option<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zephyr.vars");
        fs::write(&file, content).unwrap();
        let mut variables = Variables::default();
        variables.read_file(&file);
        let prefix = format!("{}:", file.display());
        let problems = variables.problems().iter().map(|problem| problem.to_string().replace(&prefix, ""));
        (variables.text("exposure"), variables.text("last"), problems.collect())
    }

    #[test]
    fn an_odd_line_costs_itself_alone_and_is_named() {
        let both = |problems: &[&str]| {
            let problems = problems.iter().map(|&problem| problem.to_owned()).collect();
            (Some("none".to_owned()), Some("x y".to_owned()), problems)
        };
        for (content, problems) in [
            (&b"exposure = none\nlast = x y\n"[..], &[][..]),
            (b"\xef\xbb\xbfexposure = none\r\nlast = x y\r\n", &[]),
            (b"exposure\t=\tnone\r\n  # a comment\r\n \t\r\nlast=x y", &[]),
            (b"exposure level=none\nexposure=net\nlast x = x y", &[]),
            (
                b" exposure = net\nexposure = none\nlast = x y",
                &["1: white space before the name, so this line is passed over"],
            ),
            (
                b"exposure none\nexposure = none\n= 3\nlast = x y",
                &[
                    "1: expected NAME = VALUE, so this line is passed over",
                    "3: expected a name before =, so this line is passed over",
                ],
            ),
            (
                b"exposure = net-visible\rx = y\nexposure = none\nlast = x y",
                &["1: a carriage return inside of a line: lines end with a newline"],
            ),
            (b"exposure = net\0\nexposure = none\nlast = x y", &["1: a NUL octet"]),
            (
                b"\n\xef\xbb\xbfexposure = net-visible\nexposure = none\nlast = x y",
                &["2: a character that cannot be seen: \\u{feff}"],
            ),
        ] {
            assert_eq!(read(content), both(problems), "{}", content.escape_ascii());
        }
        let (_, last, _) = read(b"last = Bj\xf6rn");
        assert_eq!(last.unwrap(), "Bj\u{fffd}rn");
        assert_eq!(read("no\n".repeat(1000).as_bytes()).2.len(), MAX_PROBLEMS);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem_and_one_that_is_not_there_is_none() {
        let mut variables = Variables::default();
        for path in ["/nonexistent/zephyr.vars", "/dev/null"] {
            variables.read_file(Path::new(path));
        }
        assert!(variables.problems().is_empty());
        variables.read_file(Path::new("/dev/zero"));
        variables.read_file(Path::new("/"));
        let problems: Vec<String> = variables.problems().iter().map(Problem::to_string).collect();
        assert_eq!(problems, ["/dev/zero: this is a device, not a file", "/: this is a directory, not a file"]);
    }
}
