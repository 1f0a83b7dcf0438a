//! The entry of a terminal in the terminfo database.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};
use zephyr_windowgram::terminal::terminfo::Terminfo;

/// Where systems have their database.
const DIRECTORIES: [&str; 3] = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];

/// Finds the entry of a terminal, the value of `TERM`, in the places that ncurses looks at: `TERMINFO`, `~/.terminfo`,
/// `TERMINFO_DIRS`, and the system's.
///
/// `None` if it has no entry there that can be read: its codes are unknown then.
pub(crate) fn find(terminal: &OsStr) -> Option<Terminfo> {
    find_in(&directories(|name| env::var_os(name)), terminal)
}

/// The directories of the database, as the environment says.
fn directories(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let system = || DIRECTORIES.into_iter().map(PathBuf::from);
    let mut directories: Vec<PathBuf> = variable("TERMINFO").map(PathBuf::from).into_iter().collect();
    directories.extend(variable("HOME").map(|home| Path::new(&home).join(".terminfo")));
    for directory in variable("TERMINFO_DIRS").iter().flat_map(env::split_paths) {
        // An empty name stands for the system's.
        if directory.as_os_str().is_empty() {
            directories.extend(system());
        } else {
            directories.push(directory);
        }
    }
    directories.extend(system());
    directories
}

/// The first entry of this name that is one.
fn find_in(directories: &[PathBuf], terminal: &OsStr) -> Option<Terminfo> {
    let name = terminal.as_bytes();
    let &first = name.first().filter(|&&first| first != b'.')?;
    if name.contains(&b'/') {
        return None;
    }
    // By the first letter, or by its number where file names are the same in both cases.
    let folders = [OsStr::from_bytes(&[first]).to_owned(), OsString::from(format!("{first:02x}"))];
    directories.iter().flat_map(|directory| folders.iter().map(|folder| directory.join(folder))).find_map(|folder| {
        let entry = zephyr_config::file::octets(&folder.join(terminal)).ok()??;
        Terminfo::parse(&entry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use zephyr_windowgram::terminal::Codes;

    /// An entry whose only string is its bell.
    fn entry(bell: &str) -> Vec<u8> {
        let numbers = [0o432, 2, 0, 0, 2, bell.len() as u16 + 1];
        let header = numbers.iter().flat_map(|number| number.to_le_bytes());
        header.chain(*b"x\0\xff\xff\0\0").chain(bell.bytes()).chain([0]).collect()
    }

    fn bell(directories: &[PathBuf], terminal: &str) -> Option<Vec<u8>> {
        find_in(directories, OsStr::new(terminal)).map(|terminfo| Codes::of(&terminfo).bell)
    }

    #[test]
    fn the_first_entry_counts() {
        let folder = tempfile::tempdir().unwrap();
        let directories = ["none", "letters", "numbers"].map(|name| folder.path().join(name));
        for (name, octets) in [
            ("letters/x/xterm", entry("one")),
            ("numbers/78/xterm", entry("two")),
            ("numbers/76/vt100", entry("three")),
            ("letters/v/vt100", b"nonsense".to_vec()),
            ("letters/./.hidden", entry("four")),
            ("letters/x/xother/xterm", entry("six")),
            ("letters/b/big", [entry("five"), vec![0; 40_000]].concat()),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
        fs::create_dir(folder.path().join("letters/x/xdirectory")).unwrap();
        assert_eq!(bell(&directories, "xterm").as_deref(), Some(&b"one"[..]));
        assert_eq!(bell(&directories, "vt100").as_deref(), Some(&b"three"[..]), "the first that is one");
        for none in ["", "x", "xdirectory", ".hidden", "../letters/x/xterm", "xother/xterm", "big", "xterm\0"] {
            assert_eq!(bell(&directories, none), None, "{none}");
        }
    }

    #[test]
    fn directories_of_the_environment() {
        let directories = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            super::directories(value).iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        let system = DIRECTORIES.join(" ");
        assert_eq!(directories(&[]), system);
        assert_eq!(directories(&[("TERMINFO", ""), ("TERMINFO_DIRS", "")]), system);
        assert_eq!(
            directories(&[("TERMINFO_DIRS", "/a::/b"), ("HOME", "/home/alice"), ("TERMINFO", "/mine")]),
            format!("/mine /home/alice/.terminfo /a {system} /b {system}")
        );
    }
}
