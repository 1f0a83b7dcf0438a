//! The user's file of variables, changed: each variable is set or unset, and everything else stays as it is (client library,
//! section 9).
//!
//! The new contents are written to `FILE.backup`, which then takes the file's place, as in C: whoever reads the file meanwhile finds the
//! old contents or the new ones, and a full disk costs nothing.

use super::{
    lock::{self, Lock},
    variable,
};
use crate::account;
use nix::fcntl::OFlag;
use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};
use zephyr_config::{
    file::{self, FileError, what_else},
    system_text,
};
use zephyr_core::{
    sanitize,
    text_file::{self, Line},
};

/// What is added to the file's name for the new contents.
const BACKUP: &str = ".backup";
/// The permissions of a file that did not exist, less those that the process's mask withholds.
const NEW_FILE: u32 = 0o666;
/// The permissions of the new contents until they are complete.
const PRIVATE: u32 = 0o600;
/// The permissions that a file keeps.
const PERMISSIONS: u32 = 0o7777;

/// A file of variables that can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableFile {
    path: PathBuf,
}

/// A variable could not be set or unset; the file is as it was. `Display` is a sentence for users.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// No line of a file could have this name.
    #[error("{} cannot be a variable's name: {why}", sanitize::name(.name))]
    Name {
        /// The name.
        name: Vec<u8>,
        /// What is wrong with it.
        why: String,
    },
    /// No line of a file could have this value.
    #[error("the value of {} cannot be kept in a line: {why}", sanitize::name(.name))]
    Value {
        /// The variable's name.
        name: Vec<u8>,
        /// What is wrong with the value.
        why: String,
    },
    /// The file cannot be read.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: FileError,
    },
    /// The new contents cannot be written.
    #[error("{}: {}", .path.display(), system_text(.error))]
    Unwritten {
        /// The file that could not be written.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl VariableFile {
    /// The user's file: `$ZEPHYR_VARS`, else `.zephyr.vars` in the home directory; `None` when the user has none.
    pub fn own() -> Option<Self> {
        let chosen = env::var_os("ZEPHYR_VARS").map(PathBuf::from);
        chosen.or_else(|| Some(account::home()?.join(".zephyr.vars"))).map(Self::at)
    }

    /// The file with this name, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets a variable: every line of it becomes `NAME = VALUE`, or one is added at the end. The file is made when there is none; it
    /// keeps its owner and permissions, and where the name is a symbolic link, the link stays and its target is changed.
    ///
    /// White space at the beginning of the value is not kept, as nobody would read it.
    ///
    /// # Errors
    ///
    /// When the name has white space, `=` or what cannot be seen in it, or begins with `#`; when the value has a line's end or a NUL in it;
    /// when the file cannot be read, or the new one not be written or not be given the old one's owner.
    pub fn set(&self, name: &str, value: &[u8]) -> Result<(), VariableError> {
        let name = checked_name(name)?;
        let value = value.trim_ascii_start();
        let odd = value.iter().find(|&octet| matches!(octet, b'\n' | b'\r' | b'\0'));
        if let Some(octet) = odd {
            let why = if *octet == 0 { "a NUL octet" } else { "a line's end" }.to_owned();
            return Err(VariableError::Value { name: name.to_vec(), why });
        }
        self.change(name, Some(value))
    }

    /// Unsets a variable: every line of it is left out. Without one, the file is not touched.
    ///
    /// # Errors
    ///
    /// As [`VariableFile::set`].
    pub fn unset(&self, name: &str) -> Result<(), VariableError> {
        self.change(checked_name(name)?, None)
    }

    fn change(&self, name: &[u8], value: Option<&[u8]>) -> Result<(), VariableError> {
        // With the file that is meant, which need not have this name.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let unreadable = |error| VariableError::Unreadable { path: self.path.clone(), error };
        // To make a new file where a pipe or a device is would be worse than not to read it.
        file::octets(&path).map_err(unreadable)?;
        let kept = metadata_of_file(&path).map_err(unreadable)?;
        if kept.is_none() && value.is_none() {
            return Ok(());
        }
        let backup = Backup::open(&path, if kept.is_some() { PRIVATE } else { NEW_FILE })?;
        // Again, as nobody else changes it now.
        let old = file::octets(&path).map_err(unreadable)?.unwrap_or_default();
        let new = changed(&old, name, value);
        if new == old && kept.is_some() {
            return backup.abandon();
        }
        if new.len() as u64 > file::MAX_OCTETS {
            backup.abandon()?;
            return Err(unreadable(FileError::TooLong));
        }
        backup.write_over(&path, &new, kept.as_ref())
    }
}

/// What is known of the file; `None` when there is none.
fn metadata_of_file(path: &Path) -> Result<Option<fs::Metadata>, FileError> {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    what_else(about.file_type()).map_or(Ok(Some(about)), |what| Err(FileError::NoFile(what)))
}

/// The file that the new contents are written to.
struct Backup {
    path: PathBuf,
    file: File,
    // Ends last: only one program has the file at a time.
    _lock: Lock,
}

impl Backup {
    /// Makes `FILE.backup` anew, when nobody else changes the file any more.
    fn open(path: &Path, permissions: u32) -> Result<Self, VariableError> {
        let lock = Lock::take(path, lock::PATIENCE);
        let lock = lock.map_err(|(path, error)| VariableError::Unwritten { path, error })?;
        let mut name: OsString = path.into();
        name.push(BACKUP);
        let path = PathBuf::from(name);
        match create(&path, permissions) {
            Ok(file) => Ok(Self { path, file, _lock: lock }),
            Err(error) => Err(VariableError::Unwritten { path, error }),
        }
    }

    /// Writes the new contents, and puts them in the place of the file.
    fn write_over(mut self, path: &Path, content: &[u8], kept: Option<&fs::Metadata>) -> Result<(), VariableError> {
        let written = self.write(content, kept).and_then(|()| fs::rename(&self.path, path));
        if let Err(error) = written {
            let path = self.path.clone();
            self.abandon()?;
            return Err(VariableError::Unwritten { path, error });
        }
        // Where that fails, the disk keeps the old file at worst.
        let _ = path.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
        Ok(())
    }

    fn write(&mut self, content: &[u8], kept: Option<&fs::Metadata>) -> io::Result<()> {
        self.file.write_all(content)?;
        if let Some(kept) = kept {
            let own = self.file.metadata()?;
            if (kept.uid(), kept.gid()) != (own.uid(), own.gid()) {
                fchown(&self.file, Some(kept.uid()), Some(kept.gid()))?;
            }
            self.file.set_permissions(Permissions::from_mode(kept.mode() & PERMISSIONS))?;
        }
        self.file.sync_all()
    }

    /// Removes it: the file stays as it was.
    fn abandon(self) -> Result<(), VariableError> {
        fs::remove_file(&self.path).map_err(|error| VariableError::Unwritten { path: self.path.clone(), error })
    }
}

/// Makes a file that nobody has open. What a program has left behind there that was ended early, perhaps one of C, is removed: others may
/// be able to read it.
fn create(path: &Path, permissions: u32) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(left) if lock::is_own(&left) => fs::remove_file(path)?,
        // What is somebody else's, or has another name as well, is not this user's to remove.
        Ok(_) => return Err(lock::in_the_way()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(permissions).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(path)
}

/// The name, if a line could have it.
fn checked_name(name: &str) -> Result<&[u8], VariableError> {
    let octets = name.as_bytes();
    let why = if octets.is_empty() {
        "it is empty".to_owned()
    } else if octets.starts_with(b"#") {
        "that is how comments begin".to_owned()
    } else if octets.iter().any(|octet| octet.is_ascii_whitespace() || *octet == b'=') {
        "white space or = ends a name".to_owned()
    } else if let Some((_, odd)) = text_file::oddity(octets) {
        odd.to_string()
    } else {
        return Ok(octets);
    };
    Err(VariableError::Name { name: octets.to_vec(), why })
}

/// The contents with each line of the variable replaced, or without them.
fn changed(old: &[u8], name: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let new_line = value.map(|value| [name, b" = ", value, b"\n"].concat()).unwrap_or_default();
    let mut new = Vec::with_capacity(old.len() + new_line.len());
    let mut is_set = false;
    for raw in old.split_inclusive(|&octet| octet == b'\n') {
        if is_of(raw, name) {
            new.extend_from_slice(&new_line);
            is_set = true;
        } else {
            new.extend_from_slice(raw);
        }
    }
    if !is_set && value.is_none() {
        return new;
    }
    if new.last().is_some_and(|&octet| octet != b'\n') {
        new.push(b'\n');
    }
    if !is_set {
        new.extend_from_slice(&new_line);
    }
    new
}

/// Whether a line, with its end, is one of the variable.
fn is_of(raw: &[u8], name: &[u8]) -> bool {
    let line: Option<Line<'_>> = text_file::lines(raw).next();
    let found = line.and_then(|line| variable(line).ok().flatten());
    found.is_some_and(|found| found.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::Variables;
    use nix::{
        fcntl::{Flock, FlockArg},
        sys::stat::Mode,
        unistd::mkfifo,
    };
    use std::{io::Read as _, os::unix::fs::symlink, sync::mpsc, thread, time::Duration};

    /// A file in a folder of its own.
    fn file_with(content: &str) -> (tempfile::TempDir, VariableFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vars");
        fs::write(&path, content).unwrap();
        (folder, VariableFile::at(path))
    }

    fn content(file: &VariableFile) -> String {
        fs::read_to_string(file.path()).unwrap()
    }

    fn names_in(folder: &tempfile::TempDir) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// What C's `zctl set` and `zctl unset` leave of the same file, octet for octet.
    #[test]
    fn a_variable_is_set_and_unset_as_in_c() {
        let (folder, file) = file_with("# c\nFoo = 1\n foo = 2\nfoo bar=3\nfoo\nFOO=4  \nother = x");
        file.set("foo", b"new val").unwrap();
        let set = "# c\nfoo = new val\n foo = 2\nfoo = new val\nfoo\nfoo = new val\nother = x\n";
        assert_eq!(content(&file), set);
        file.unset("OTHER").unwrap();
        file.set("fresh", b"a").unwrap();
        file.set("blank", b"").unwrap();
        file.unset("foo").unwrap();
        assert_eq!(content(&file), "# c\n foo = 2\nfoo\nfresh = a\nblank = \n");
        assert_eq!(names_in(&folder), ["vars"]);
        let (_folder, file) = file_with("# c\nFoo = 1  \nbar = 2");
        file.set("new", b"x").unwrap();
        file.set("k", b"  lead trail  ").unwrap();
        assert_eq!(content(&file), "# c\nFoo = 1  \nbar = 2\nnew = x\nk = lead trail  \n");
        let variables = Variables::from_files(&[content(&file).as_bytes()]);
        assert_eq!([variables.text("k"), variables.text("foo")], [Some("lead trail  ".into()), Some("1  ".into())]);
    }

    #[test]
    fn what_no_line_can_have_is_refused_and_changes_nothing() {
        let (folder, file) = file_with("a = 1\n");
        for (name, value, said) in [
            ("", &b"x"[..], " cannot be a variable's name: it is empty"),
            ("#a", b"x", "#a cannot be a variable's name: that is how comments begin"),
            ("a b", b"x", "a b cannot be a variable's name: white space or = ends a name"),
            ("a=", b"x", "a= cannot be a variable's name: white space or = ends a name"),
            ("a\0", b"x", "a\\u{0} cannot be a variable's name: a NUL octet"),
            ("a", b"x\ny = z", "the value of a cannot be kept in a line: a line's end"),
            ("a", b"x\r", "the value of a cannot be kept in a line: a line's end"),
            ("a", b"\0", "the value of a cannot be kept in a line: a NUL octet"),
        ] {
            assert_eq!(file.set(name, value).unwrap_err().to_string(), said);
        }
        assert_eq!((content(&file).as_str(), names_in(&folder)), ("a = 1\n", vec!["vars".into()]));
    }

    #[test]
    fn the_file_keeps_its_permissions_and_a_link_stays_one() {
        let (folder, file) = file_with("a = 1\n");
        for mode in [0o600, 0o640, 0o444] {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            file.set("a", &[b'0' + (mode % 8) as u8]).unwrap();
            assert_eq!(fs::metadata(file.path()).unwrap().mode() & PERMISSIONS, mode);
        }
        let link = VariableFile::at(folder.path().join("link"));
        symlink("vars", link.path()).unwrap();
        link.set("a", b"by the link").unwrap();
        assert_eq!(content(&file), "a = by the link\n");
        assert!(fs::symlink_metadata(link.path()).unwrap().is_symlink());
        assert_eq!(names_in(&folder), ["link", "vars"]);
    }

    #[test]
    fn a_file_is_made_where_there_is_none_but_not_to_remove_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = VariableFile::at(folder.path().join("vars"));
        file.unset("a").unwrap();
        assert!(names_in(&folder).is_empty());
        file.set("a", b"1").unwrap();
        assert_eq!(content(&file), "a = 1\n");
        let away = VariableFile::at(folder.path().join("no/such/folder"));
        let said = away.set("a", b"1").unwrap_err().to_string();
        assert_eq!(said, format!("{}.lock: No such file or directory", away.path().display()));
    }

    #[test]
    fn only_files_are_replaced_and_only_by_ones_own() {
        let (folder, file) = file_with("a = 1\n");
        let said = |path: &Path| VariableFile::at(path).set("a", b"2").unwrap_err().to_string();
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        assert_eq!(said(&pipe), format!("{}: this is a pipe, not a file", pipe.display()));
        assert_eq!(said(folder.path()), format!("{}: this is a directory, not a file", folder.path().display()));
        let dangling = folder.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        assert!(said(&dangling).ends_with("is a symbolic link that leads nowhere"));
        // What is in the way of the new contents is not written to.
        let (backup, precious) = (folder.path().join("vars.backup"), folder.path().join("precious"));
        fs::write(&precious, "precious").unwrap();
        symlink("precious", &backup).unwrap();
        assert!(said(file.path()).starts_with(&format!("{}: ", backup.display())));
        fs::remove_file(&backup).unwrap();
        fs::hard_link(&precious, &backup).unwrap();
        assert!(said(file.path()).ends_with("this is in the way, and no file of yours alone: move it"));
        assert_eq!((content(&file).as_str(), fs::read_to_string(&precious).unwrap().as_str()), ("a = 1\n", "precious"));
        // What is left of a change that was cut short is of no importance.
        fs::remove_file(&backup).unwrap();
        fs::write(&backup, "a = a very long thing that is not to be there afterwards\n").unwrap();
        file.set("a", b"2").unwrap();
        assert_eq!(content(&file), "a = 2\n");
        assert!(!backup.exists());
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_nothing() {
        let (folder, file) = file_with("a = 1\n");
        let path = fs::canonicalize(file.path()).unwrap();
        let mut backup = Backup::open(&path, PRIVATE).unwrap();
        // As a full disk does, this device takes nothing.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        backup.file = full;
        assert!(backup.write_over(&path, b"a = 2\n", None).is_err());
        assert_eq!((content(&file).as_str(), names_in(&folder)), ("a = 1\n", vec!["vars".into()]));
    }

    /// A backup that a program of C has left can be read, and so be locked, by others.
    #[test]
    fn what_is_left_behind_is_neither_waited_for_nor_written_to() {
        let (folder, file) = file_with("a = 1\n");
        fs::set_permissions(file.path(), Permissions::from_mode(PRIVATE)).unwrap();
        let left = folder.path().join("vars.backup");
        fs::write(&left, "left").unwrap();
        fs::set_permissions(&left, Permissions::from_mode(0o644)).unwrap();
        let others = File::open(&left).unwrap();
        let mut others = Flock::lock(others, FlockArg::LockExclusive).unwrap();
        let (sender, done) = mpsc::channel();
        let changing = file.clone();
        thread::spawn(move || sender.send(changing.set("secret", b"2").map_err(|error| error.to_string())));
        // A limit only for a test that fails.
        assert_eq!(done.recv_timeout(Duration::from_secs(120)), Ok(Ok(())), "others keep nobody waiting");
        assert_eq!(content(&file), "a = 1\nsecret = 2\n");
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & PERMISSIONS, PRIVATE);
        let mut read = String::new();
        others.read_to_string(&mut read).unwrap();
        assert_eq!(read, "left", "whoever had it open is shown nothing that is private");
        assert_eq!(names_in(&folder), ["vars"]);
    }

    #[test]
    fn changes_of_several_programs_are_all_made() {
        let (folder, file) = file_with("");
        thread::scope(|scope| {
            for program in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for number in 0..16 {
                        file.set(&format!("v{program}-{number}"), b"x").unwrap();
                    }
                });
            }
        });
        assert_eq!((content(&file).lines().count(), names_in(&folder)), (64, vec!["vars".into()]));
    }
}
