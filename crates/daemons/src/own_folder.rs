//! Folders in which nobody else can put a file in another's place.

use crate::users;
use nix::unistd::AccessFlags;
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const GROUP_WRITABLE: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The folder that a file at `path` is in.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Checks that what this process puts at `path` stays there: its folder belongs to root or to the process's own user, and
/// others cannot rename or remove what is in it. `/tmp` is such a folder.
///
/// # Errors
///
/// When that is not so, or the folder cannot be looked at.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    let known = fs::metadata(&folder).map_err(|error| about(&folder, &error))?;
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if ![0, nix::unistd::geteuid().as_raw()].contains(&known.uid()) {
        return refuse(format!("the folder {} belongs to {}", folder.display(), users::name_of(known.uid())));
    }
    if known.mode() & STICKY == 0 && is_writable_by_others(&known) {
        return refuse(format!(
            "others can exchange what is in the folder {} (mode {:04o})",
            folder.display(),
            known.mode() & 0o7777
        ));
    }
    Ok(())
}

/// As [`check`], and that this process can put a file there: in the folder, or in a new folder if only that one is missing.
///
/// # Errors
///
/// When that is not so.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    let writable = |folder: &Path| {
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        nix::unistd::access(folder, access).map_err(|error| about(folder, &error.into()))
    };
    match fs::metadata(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable(&folder_of(&folder)),
        _ => check(path).and_then(|()| writable(&folder)),
    }
}

/// What the system says of a folder.
fn about(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the folder {}: {error}", folder.display()))
}

/// Whether others than the owner may make files in this folder. The group that is the process's own is nobody else.
pub(crate) fn is_writable_by_others(folder: &fs::Metadata) -> bool {
    let own_group = [0, nix::unistd::getegid().as_raw()].contains(&folder.gid());
    folder.mode() & WRITABLE_BY_OTHERS != 0 || folder.mode() & GROUP_WRITABLE != 0 && !own_group
}
