//! The folders for files by which a user's programs find each other while they run.

use crate::account;
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The permissions to write for others than the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The folders, the one that counts most first: `$XDG_RUNTIME_DIR`, unless it is not the user's or others may write to it, and `/tmp`,
/// where C programs look, and everybody can make files.
pub fn folders() -> Vec<PathBuf> {
    folders_of(env::var_os("XDG_RUNTIME_DIR"), account::user_id())
}

pub(crate) fn folders_of(runtime_dir: Option<OsString>, user: u32) -> Vec<PathBuf> {
    let private = runtime_dir.map(PathBuf::from).filter(|folder| is_private(folder, user));
    private.into_iter().chain([PathBuf::from("/tmp")]).collect()
}

/// Whether only this user, and root, can make files in a folder.
fn is_private(folder: &Path, user: u32) -> bool {
    let private =
        |known: &fs::Metadata| known.is_dir() && known.uid() == user && known.mode() & WRITABLE_BY_OTHERS == 0;
    folder.is_absolute() && fs::symlink_metadata(folder).is_ok_and(|known| private(&known))
}
