//! Only one program at a time changes a user's file of variables.
//!
//! What is locked is a file of its own, `FILE.lock`, as whoever can read a file can also keep its lock for ever: this one can be read by
//! nobody else. It is there only while somebody changes the file, or has ended early.

use nix::{
    fcntl::{Flock, FlockArg, OFlag},
    unistd::Uid,
};
use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// What is added to the file's name.
const NAME: &str = ".lock";
/// Nobody else can open it.
const PRIVATE: u32 = 0o600;
/// How long other programs are waited for: a change takes a moment, unless the disk is slow and they are many.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// The right to change a file. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: Flock<File>,
}

impl Lock {
    /// Waits for the right to change this file, at most so long.
    ///
    /// # Errors
    ///
    /// The name of the lock, and why it cannot be had: the folder takes no file, something else is there, or another program has it.
    pub(super) fn take(changed: &Path, within: Duration) -> Result<Self, (PathBuf, io::Error)> {
        let mut name: OsString = changed.into();
        name.push(NAME);
        let path = PathBuf::from(name);
        let began = Instant::now();
        loop {
            match attempt(&path) {
                Ok(Some(file)) => return Ok(Self { path, _file: file }),
                Ok(None) if began.elapsed() < within => thread::sleep(PAUSE),
                Ok(None) => {
                    let held = "another program of yours has been changing the file for too long";
                    return Err((path, io::Error::new(io::ErrorKind::WouldBlock, held)));
                }
                Err(error) => return Err((path, error)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody else has it until it is gone. Where it stays, the next one takes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The file, locked; `None` when another program has it, or had it until now.
fn attempt(path: &Path) -> io::Result<Option<Flock<File>>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(PRIVATE).custom_flags(flags);
    let opened = options.open(path)?;
    let about = opened.metadata()?;
    if !is_own(&about) {
        return Err(in_the_way());
    }
    let file = match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
        Ok(file) => file,
        Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
        Err((_, error)) => return Err(error.into()),
    };
    // Another program may have removed it meanwhile.
    let is_still_there = fs::symlink_metadata(path).is_ok_and(|now| is_same(&now, &about));
    Ok(is_still_there.then_some(file))
}

/// Whether this is a file of the user, without another name (one that is being removed has none).
pub(super) fn is_own(about: &Metadata) -> bool {
    about.is_file() && about.uid() == Uid::effective().as_raw() && about.nlink() <= 1
}

/// What is said of anything else.
pub(super) fn in_the_way() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "this is in the way, and no file of yours alone: move it")
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_had_by_one_at_a_time_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vars");
        let first = Lock::take(&file, PATIENCE).unwrap();
        let path = folder.path().join("vars.lock");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o077, 0, "nobody else can open it, and so lock it");
        let (named, error) = Lock::take(&file, Duration::ZERO).unwrap_err();
        assert_eq!(named, path);
        assert_eq!(error.to_string(), "another program of yours has been changing the file for too long");
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::take(&file, PATIENCE).unwrap());
            drop(first);
            drop(second.join().unwrap());
        });
        assert!(!path.exists());
        // What is left of a program that has ended early keeps nobody.
        fs::write(&path, "").unwrap();
        drop(Lock::take(&file, Duration::ZERO).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn what_else_is_there_is_no_lock_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = (folder.path().join("vars"), folder.path().join("vars.lock"));
        fs::write(&file, "").unwrap();
        fs::hard_link(&file, &path).unwrap();
        let (_, error) = Lock::take(&file, Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), in_the_way().to_string());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(Lock::take(&file, Duration::ZERO).is_err());
        assert!(!folder.path().join("elsewhere").exists() && fs::symlink_metadata(&path).is_ok());
    }
}
