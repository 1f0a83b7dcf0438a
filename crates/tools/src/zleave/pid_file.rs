//! The file by which a zleave finds the one that runs (clients, section 6): `zleave.UID` with its process ID.
//!
//! It is in `$XDG_RUNTIME_DIR`, and in `/tmp`, where C programs look and everybody can make files. So only what the user has made
//! himself counts, and a process is ended only if it is the user's and a zleave: IDs of processes are used again.

use nix::fcntl::OFlag;
use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    process,
};
use zephyr_client::{account, runtime_folders, system_text};

/// The maximum number of octets read of a file.
const MAX_LEN: u64 = 32;
/// The name of the program's processes, C's as well, which may be `zleave.mit`.
const NAME: &[u8] = b"zleave";

/// The places of the file, the one that counts most first.
pub fn places() -> Vec<PathBuf> {
    let name = format!("zleave.{}", account::user_id());
    runtime_folders::folders().into_iter().map(|folder| folder.join(&name)).collect()
}

/// What a file says.
#[derive(Debug)]
pub enum Found {
    /// Nothing: there is none, or somebody else has made it.
    Nothing,
    /// It is left over: no zleave of the user's has that ID.
    LeftOver,
    /// Something else than a process ID.
    Corrupted,
    /// The zleave that runs.
    Runs(Running),
}

/// A zleave of the user's that runs.
#[derive(Debug)]
pub struct Running {
    id: i32,
    process: OwnedFd,
}

impl PartialEq for Running {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Running {
    /// The process with an ID, if it is this user's and a zleave.
    fn find(id: i32, user: u32) -> Option<Self> {
        // From here on it is this process and no other, even after its end.
        let process = pidfd_open(Pid::from_raw(id)?, PidfdFlags::empty()).ok()?;
        let about = fs::metadata(format!("/proc/{id}")).ok()?;
        let name = fs::read(format!("/proc/{id}/comm")).ok()?;
        let is_zleave = name.split(|octet| b".\n".contains(octet)).next() == Some(NAME);
        (about.uid() == user && is_zleave).then_some(Self { id, process })
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// When the system does not let us; that it has ended by itself is none.
    pub fn end(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.process, Signal::KILL) {
            Err(error) if error != Errno::SRCH => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Reads a file.
pub fn find(path: &Path) -> Found {
    find_for(path, account::user_id())
}

fn find_for(path: &Path, user: u32) -> Found {
    match read(path, user) {
        Ok(Some(text)) => match parse(&text) {
            Some(id) => Running::find(id, user).map_or(Found::LeftOver, Found::Runs),
            None => Found::Corrupted,
        },
        Ok(None) | Err(_) => Found::Nothing,
    }
}

/// Whether a file says that another zleave has taken the place of the one with this ID.
pub fn is_replaced(path: &Path, id: u32) -> bool {
    read(path, account::user_id()).is_ok_and(|text| text.is_some_and(|text| parse(&text) != i32::try_from(id).ok()))
}

/// What is in a file of the user's; `None` when it is something else, or somebody else's.
fn read(path: &Path, user: u32) -> io::Result<Option<Vec<u8>>> {
    // A link is not followed, and a pipe not waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.uid() != user {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(MAX_LEN).read_to_end(&mut text)?;
    Ok(Some(text))
}

fn parse(text: &[u8]) -> Option<i32> {
    str::from_utf8(text).ok()?.trim().parse().ok().filter(|&id| id > 0)
}

/// Writes a process ID to every place that it can be written to, in place of what the user has there.
///
/// # Errors
///
/// When it can be written to none: what is wrong with the last of them.
pub fn write(places: &[PathBuf], id: u32) -> Result<(), String> {
    let mut failure = None;
    let mut written = false;
    for place in places {
        match replace(place, id) {
            Ok(()) => written = true,
            Err(error) => failure = Some(format!("{}: {}", place.display(), system_text(&error))),
        }
    }
    match failure.filter(|_| !written) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

/// Removes the files with this process ID.
pub fn remove(places: &[PathBuf], id: u32) {
    for place in places.iter().filter(|place| !is_replaced(place, id)) {
        // Somebody else's, or none, is left alone.
        if matches!(read(place, account::user_id()), Ok(Some(_))) {
            let _ = fs::remove_file(place);
        }
    }
}

/// Puts a file in place of another as a whole. In a folder that is everybody's the system refuses that where the other is somebody
/// else's.
fn replace(path: &Path, id: u32) -> io::Result<()> {
    let Some(name) = path.file_name() else { return Err(io::ErrorKind::InvalidFilename.into()) };
    if fs::symlink_metadata(path).is_ok_and(|known| known.uid() != account::user_id()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is somebody else's"));
    }
    let mut temporary = OsString::from(".");
    temporary.push(name);
    // A name that nobody can prepare a trap at; and an existing file is not opened anyway.
    temporary.push(format!(".{:016x}", RandomState::new().hash_one(process::id())));
    let temporary = path.with_file_name(temporary);
    let new = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let replaced = new()
        .and_then(|mut file| writeln!(file, "{id}").and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use std::os::unix::{fs::symlink, process::CommandExt as _};

    /// A process that runs under this name until it is killed. Its name is that of its file.
    fn process(folder: &Path, name: &str) -> process::Child {
        let file = folder.join(name);
        fs::copy("/bin/sleep", &file).unwrap();
        process::Command::new(file).arg0("sleep").arg("1000").spawn().unwrap()
    }

    fn user() -> u32 {
        account::user_id()
    }

    #[test]
    fn only_a_zleave_of_the_users_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zleave.1");
        let (mut zleave, mut other) = (process(folder.path(), "zleave.mit"), process(folder.path(), "zleaves"));
        replace(&path, zleave.id()).unwrap();
        assert!(matches!(find_for(&path, user() + 1), Found::Nothing), "somebody else's file");
        assert!(Running::find(i32::try_from(zleave.id()).unwrap(), user() + 1).is_none(), "somebody else's process");
        let Found::Runs(running) = find(&path) else { panic!("{:?}", find(&path)) };
        running.end().unwrap();
        zleave.wait().unwrap();
        running.end().unwrap();
        assert!(matches!(find(&path), Found::LeftOver));
        replace(&path, other.id()).unwrap();
        assert!(matches!(find(&path), Found::LeftOver), "an ID that was used again");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn what_is_no_pid_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zleave.1");
        assert!(matches!(find(&path), Found::Nothing));
        for text in ["", "-1\n", "0\n", "many\n", "99999999999\n", "\u{fffd}"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(find(&path), Found::Corrupted), "{text:?}");
        }
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(matches!(find(&link), Found::Nothing), "a link is not followed");
        let pipe = folder.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(matches!(find(&pipe), Found::Nothing), "a pipe is not waited for");
    }

    #[test]
    fn files_are_replaced_and_links_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, precious) = (folder.path().join("zleave.1"), folder.path().join("precious"));
        fs::write(&precious, "thesis").unwrap();
        symlink(&precious, &path).unwrap();
        let places = [PathBuf::from("/nonexistent/zleave.1"), path.clone()];
        write(&places, 7).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), fs::read_to_string(&precious).unwrap().as_str()),
            ("7\n", "thesis")
        );
        assert!(!is_replaced(&path, 7) && is_replaced(&path, 8) && !is_replaced(&places[0], 7));
        remove(&places, 8);
        assert!(path.exists(), "another's");
        remove(&places, 7);
        assert!(!path.exists());
        let error = write(&places[..1], 7).unwrap_err();
        assert_eq!(error, "/nonexistent/zleave.1: No such file or directory");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
