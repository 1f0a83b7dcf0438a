//! Where the port file is.

use crate::{account, runtime_folders::folders_of};
use std::{env, ffi::OsString, path::PathBuf};

/// A place of the port file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub path: PathBuf,
}

/// The places of the port file, the one that counts most first: `$WGFILE` alone unless it is empty, or `wg.UID` in `$XDG_RUNTIME_DIR` and in
/// `/tmp`. A `$XDG_RUNTIME_DIR` that is not the user's, or that others may write to, is left out.
pub fn places() -> Vec<Place> {
    places_of(env::var_os("WGFILE"), env::var_os("XDG_RUNTIME_DIR"), account::user_id())
}

fn places_of(file: Option<OsString>, runtime_dir: Option<OsString>, user: u32) -> Vec<Place> {
    if let Some(file) = file.filter(|file| !file.is_empty()) {
        return vec![Place { path: file.into() }];
    }
    let name = format!("wg.{user}");
    let folders = folders_of(runtime_dir, user).into_iter();
    folders.map(|folder| Place { path: folder.join(&name) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        path::Path,
    };

    #[test]
    fn a_private_folder_comes_before_the_one_that_is_everybodys() {
        let folder = tempfile::tempdir().unwrap();
        let user = account::user_id();
        let paths = |runtime_dir: &Path, user| {
            let places = places_of(None, Some(runtime_dir.into()), user);
            places.into_iter().map(|place| place.path.display().to_string()).collect::<Vec<_>>()
        };
        let public = format!("/tmp/wg.{user}");
        let private = folder.path().join(format!("wg.{user}")).display().to_string();
        assert_eq!(paths(folder.path(), user), [&*private, &*public]);
        assert_eq!(paths(Path::new("relative"), user), [&*public]);
        assert_eq!(paths(folder.path(), user + 1).len(), 1, "somebody else's");
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert_eq!(paths(&link, user), [&*public]);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(paths(folder.path(), user), [&*public]);
        let given = places_of(Some("/x/y".into()), Some(folder.path().into()), user);
        assert_eq!(given, [Place { path: "/x/y".into() }]);
        let empty = places_of(Some("".into()), Some("relative".into()), user);
        assert_eq!(empty, [Place { path: public.into() }], "as if it were not set");
    }
}
