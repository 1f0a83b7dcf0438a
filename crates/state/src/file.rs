//! The state file among other files: nobody else can read it or put another one in its place, and one server uses it.
//!
//! SQLite gives its write-ahead log and the index of that the owner and mode of the file itself.

use crate::StateError;
use nix::{
    fcntl::{Flock, FlockArg, OFlag},
    unistd::geteuid,
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use zephyr_config::file::what_else;

/// What SQLite adds to the file's name for the files beside it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Only the owner may read and write it.
const MODE: u32 = 0o600;
/// The owner may write it.
const WRITABLE: u32 = 0o200;
/// What anybody may do with a file.
const ALL: u32 = 0o777;
/// Broken files that are kept.
const MAX_BROKEN: usize = 1000;

/// A state file that is in use, as long as this is there.
#[derive(Debug)]
pub(crate) struct InUse {
    file: Flock<File>,
    /// Whether it was [marked](Self::mark) when it was taken.
    pub(crate) was_out: bool,
}

/// Whether a file has everything that its server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It has.
    Kept,
    /// It has not, since it could not be written.
    Out,
}

impl InUse {
    /// Whether what has the file's name is still this file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let identity = |about: fs::Metadata| (about.dev(), about.ino());
        let (own, there) = (self.file.metadata().map(identity), fs::symlink_metadata(path).map(identity));
        matches!((own, there), (Ok(own), Ok(there)) if own == there)
    }

    /// Marks the file by its mode, which can be changed on a disk that is full.
    pub(crate) fn mark(&self, mark: Mark) {
        let mode = match mark {
            Mark::Kept => MODE,
            Mark::Out => MODE & !WRITABLE,
        };
        // Where that fails nothing else can be done, either.
        let _ = self.file.set_permissions(Permissions::from_mode(mode));
    }
}

/// Takes the file, which is made when there is none.
///
/// # Errors
///
/// When it is not this user's alone, no ordinary file, or in use.
pub(crate) fn take(path: &Path) -> Result<InUse, StateError> {
    for name in names(path) {
        check(&name)?;
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits());
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = options.write(true).create_new(true).mode(MODE).open(path);
            made.map_err(|error| about(&error, "it cannot be made"))?
        }
        file => file.map_err(|error| about(&error, "it cannot be opened"))?,
    };
    check_about(&file.metadata()?)?;
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((_, nix::Error::EWOULDBLOCK)) => return Err(StateError::InUse),
        Err((_, error)) => return Err(io::Error::from(error).into()),
    };
    let mode = file.metadata()?.mode();
    let in_use = InUse { file, was_out: mode & WRITABLE == 0 };
    if mode & ALL != MODE {
        in_use.file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(in_use)
}

/// What the system says, and of what.
fn about(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Checks a file that is only read. True when it is there.
///
/// # Errors
///
/// As [`take`], unless it is in use.
pub(crate) fn look(path: &Path) -> Result<bool, StateError> {
    for name in names(path) {
        check(&name)?;
    }
    Ok(fs::symlink_metadata(path).is_ok())
}

/// Whether a server uses a file.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let file = OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path);
    let lock = file.map(|file| Flock::lock(file, FlockArg::LockSharedNonblock));
    matches!(lock, Ok(Err((_, nix::Error::EWOULDBLOCK))))
}

/// Moves a broken file away, with those beside it; gives its new name.
///
/// # Errors
///
/// When it cannot be moved.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let free = |number: &usize| fs::symlink_metadata(renamed(path, &format!(".broken-{number}"))).is_err();
    let number = (1..=MAX_BROKEN).find(free).ok_or(nix::Error::EEXIST)?;
    let to = renamed(path, &format!(".broken-{number}"));
    fs::rename(path, &to)?;
    for beside in BESIDE {
        match fs::rename(renamed(path, beside), renamed(&to, beside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(to)
}

/// The file and those beside it.
pub(crate) fn names(path: &Path) -> Vec<PathBuf> {
    [""].into_iter().chain(BESIDE).map(|beside| renamed(path, beside)).collect()
}

fn renamed(path: &Path, beside: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(beside);
    name.into()
}

/// Checks what has this name, if anything has: links are not followed.
fn check(path: &Path) -> Result<(), StateError> {
    match fs::symlink_metadata(path) {
        Ok(about) => check_about(&about),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn check_about(about: &fs::Metadata) -> Result<(), StateError> {
    if let Some(what) = what_else(about.file_type()) {
        return Err(StateError::NoFile(what));
    }
    let own = geteuid();
    // Root looks at what is the server's.
    if about.uid() != own.as_raw() && !own.is_root() {
        return Err(StateError::NotOwn(format!("it belongs to uid {}, and this is uid {own}", about.uid())));
    }
    if about.nlink() > 1 {
        return Err(StateError::NotOwn("it has another name as well, by a hard link".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        for beside in ["", "-wal", "-shm"] {
            let link = renamed(&path, beside);
            symlink(&victim, &link).unwrap();
            assert_eq!(take(&path).unwrap_err().to_string(), "it is a symbolic link, not a file", "{beside}");
            fs::remove_file(&link).unwrap();
            fs::hard_link(&victim, &link).unwrap();
            assert!(matches!(take(&path), Err(StateError::NotOwn(_))), "{beside}");
            fs::remove_file(&link).unwrap();
        }
        fs::create_dir(&path).unwrap();
        assert_eq!(take(&path).unwrap_err().to_string(), "it is a directory, not a file");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn only_the_owner_reads_it_and_only_one_uses_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        let taken = take(&path).unwrap();
        assert_eq!(mode(), MODE);
        assert!(matches!(take(&path), Err(StateError::InUse)));
        drop(taken);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        take(&path).unwrap();
        assert_eq!(mode(), MODE, "what was readable is no longer");
    }

    #[test]
    fn a_mark_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        let taken = take(&path).unwrap();
        taken.mark(Mark::Out);
        assert!(matches!(take(&path), Err(StateError::InUse)));
        drop(taken);
        let taken = take(&path).unwrap();
        assert!(taken.was_out, "whoever has tried in between has not taken it away");
        taken.mark(Mark::Out);
        taken.mark(Mark::Kept);
        drop(taken);
        assert!(!take(&path).unwrap().was_out);
    }

    #[test]
    fn a_broken_file_is_moved_and_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.db");
        for number in 1..=2 {
            fs::write(&path, format!("{number}")).unwrap();
            fs::write(renamed(&path, "-wal"), "log").unwrap();
            let to = move_aside(&path).unwrap();
            assert_eq!(to, folder.path().join(format!("state.db.broken-{number}")));
            assert_eq!(fs::read_to_string(&to).unwrap(), format!("{number}"));
            assert_eq!(fs::read_to_string(renamed(&to, "-wal")).unwrap(), "log");
        }
        assert!(!path.exists() && !renamed(&path, "-wal").exists());
    }
}
