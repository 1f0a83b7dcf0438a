//! Whether a file is its user's own: one that somebody else can make, change or put in another's place decides nothing.
//!
//! libkrb5 opens caches and keytabs by name and asks nobody whose they are. Its default cache is in `/tmp`, where
//! anybody can leave one for a user who has not come yet; whatever that user sends would then be said by another.

use nix::{
    errno::Errno,
    unistd::{Uid, User, getegid, geteuid},
};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The mode bits that let the group write, and others.
const GROUP_WRITABLE: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why a file is not its user's own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOwn {
    #[error("{} belongs to {}, and only what belongs to {} counts", path.display(), name_of(*owner), or_root(*user))]
    Owner { path: PathBuf, owner: Uid, user: Uid },
    #[error("{} can be written to by others than {user} (mode {mode:04o})", path.display())]
    Writable { path: PathBuf, user: String, mode: u32 },
    #[error("{} is in {}, where others than {user} can put another file in its place", path.display(), folder.display())]
    Folder { path: PathBuf, folder: PathBuf, user: String },
    #[error("{}: {}", path.display(), system_text(error))]
    Unreadable { path: PathBuf, error: io::Error },
}

impl NotOwn {
    /// As whom root should rather run the server, whose file this is.
    pub(crate) fn servers_user(&self) -> Option<String> {
        match self {
            Self::Owner { owner, user, .. } if user.is_root() => Some(User::from_uid(*owner).ok()??.name),
            _ => None,
        }
    }

    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}

/// The system's text for an error, without its number.
pub(crate) fn system_text(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).desc().to_owned())
}

/// Checks that nobody but root and this process's user can have made the file, or can change it: by its owner and its
/// mode, those of the link that leads to it, and those of its folder.
///
/// Whoever opens the file by its name before this check can be sure of what was opened: where only these two can put a file,
/// there was no other in its place.
pub(crate) fn check(path: &Path) -> Result<(), NotOwn> {
    check_for(path, geteuid())
}

fn check_for(path: &Path, user: Uid) -> Result<(), NotOwn> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |error| NotOwn::Unreadable { path, error }
    };
    // The link, if it is one: whoever made it chose the file.
    let named = fs::symlink_metadata(path).map_err(unreadable(path))?;
    owned(path, &named, user)?;
    let file = fs::metadata(path).map_err(unreadable(path))?;
    owned(path, &file, user)?;
    if is_open(&file) {
        return Err(NotOwn::Writable { path: path.to_owned(), user: name_of(user), mode: file.mode() & 0o7777 });
    }
    let real = fs::canonicalize(path).map_err(unreadable(path))?;
    for path in [path, &real] {
        let Some(folder) =
            path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        else {
            continue;
        };
        let known = fs::metadata(folder).map_err(unreadable(folder))?;
        if !is_trusted(&known, user) || is_open(&known) && known.mode() & STICKY == 0 {
            let (path, folder) = (path.to_owned(), folder.to_owned());
            return Err(NotOwn::Folder { path, folder, user: name_of(user) });
        }
    }
    Ok(())
}

fn is_trusted(file: &Metadata, user: Uid) -> bool {
    file.uid() == user.as_raw() || Uid::from_raw(file.uid()).is_root()
}

/// Whether somebody else may write. A group of one's own, which many systems give each user, is nobody else.
fn is_open(file: &Metadata) -> bool {
    let own_group = [0, getegid().as_raw()].contains(&file.gid());
    file.mode() & WRITABLE_BY_OTHERS != 0 || file.mode() & GROUP_WRITABLE != 0 && !own_group
}

fn owned(path: &Path, file: &Metadata, user: Uid) -> Result<(), NotOwn> {
    if is_trusted(file, user) {
        return Ok(());
    }
    Err(NotOwn::Owner { path: path.to_owned(), owner: Uid::from_raw(file.uid()), user })
}

fn or_root(user: Uid) -> String {
    if user.is_root() { "root".to_owned() } else { format!("{} or root", name_of(user)) }
}

fn name_of(user: Uid) -> String {
    match User::from_uid(user) {
        Ok(Some(known)) => format!("{} (uid {user})", known.name),
        _ => format!("uid {user}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A user to whom nothing of this process's belongs.
    const STRANGER: Uid = Uid::from_raw(54_321);

    #[test]
    fn what_is_ones_own_passes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("cache");
        assert!(check(&file).is_err_and(|refusal| refusal.is_missing()));
        fs::write(&file, "").unwrap();
        for mode in [0o600, 0o644, 0o400] {
            set_mode(&file, mode);
            check(&file).unwrap();
        }
        for mode in [0o602, 0o666] {
            set_mode(&file, mode);
            assert!(matches!(check(&file), Err(NotOwn::Writable { .. })), "{mode:o}");
        }
        set_mode(&file, 0o600);
        for (mode, passes) in [(0o1777, true), (0o777, false), (0o770, true), (0o755, true)] {
            set_mode(place.path(), mode);
            match check(&file) {
                Ok(()) => assert!(passes, "{mode:o}"),
                Err(refusal) => assert!(!passes && matches!(refusal, NotOwn::Folder { .. }), "{mode:o}: {refusal}"),
            }
        }
    }

    #[test]
    fn a_link_leads_to_a_file_that_is_as_good() {
        let place = tempfile::tempdir().unwrap();
        let open = place.path().join("open");
        let (file, link) = (open.join("cache"), place.path().join("link"));
        fs::create_dir(&open).unwrap();
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        check(&link).unwrap();
        set_mode(&open, 0o777);
        assert!(matches!(check(&link), Err(NotOwn::Folder { .. })));
    }

    /// Root's own files are anybody's to use, other people's are not.
    #[test]
    fn the_owner_is_named() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("cache");
        fs::write(&file, "").unwrap();
        let refused = check_for(&file, STRANGER);
        if geteuid().is_root() {
            refused.unwrap();
            std::os::unix::fs::chown(&file, Some(STRANGER.as_raw()), None).unwrap();
            let refusal = check_for(&file, Uid::from_raw(54_322)).unwrap_err().to_string();
            assert!(refusal.contains("belongs to uid 54321"), "{refusal}");
            assert!(refusal.ends_with("only what belongs to uid 54322 or root counts"), "{refusal}");
            let refusal = check_for(&file, Uid::from_raw(0)).unwrap_err();
            assert_eq!(refusal.servers_user(), None, "who has no name");
            assert!(refusal.to_string().ends_with("and only what belongs to root counts"), "{refusal}");
            check_for(&file, STRANGER).unwrap();
            // A link that a stranger made chooses among files of root's.
            let (own, link) = (place.path().join("own"), place.path().join("link"));
            fs::write(&own, "").unwrap();
            symlink(&own, &link).unwrap();
            std::os::unix::fs::lchown(&link, Some(STRANGER.as_raw()), None).unwrap();
            assert!(matches!(check(&link), Err(NotOwn::Owner { .. })));
        } else {
            assert!(matches!(refused, Err(NotOwn::Owner { .. })));
        }
    }
}
