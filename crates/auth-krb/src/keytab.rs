//! The service's keytab, reloaded when the file has changed.

use crate::{
    binding::{KeytabError, MemoryKeytab},
    enctype::{self, Enctype, Permitted},
    error,
    known::KnownTickets,
    ownership::{self, NotOwn},
};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use zephyr_core::auth::AuthError;

/// The default keytab of servers.
pub const DEFAULT_KEYTAB: &str = "/etc/zephyr/krb5.keytab";

/// A stamp of a file's state; `None` when it is not there.
type Stamp = Option<[i64; 7]>;

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let (device, inode) = (file.dev().cast_signed(), file.ino().cast_signed());
    let size = file.size().cast_signed();
    Some([device, inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

/// The keys of one state of the file.
pub(crate) struct Keys {
    /// The keys themselves.
    pub(crate) keytab: MemoryKeytab,
    /// Tickets that were opened with them. Another state of the file may mean that they are not good any more, so it
    /// begins without any.
    pub(crate) known: KnownTickets,
}

struct Read {
    stamp: Stamp,
    keys: Arc<Keys>,
}

pub(crate) struct Keytab {
    path: PathBuf,
    realm: String,
    read: RwLock<Read>,
}

impl Keytab {
    /// Reads the keys that `realm`'s service has in the file at `path`.
    pub(crate) fn open(path: &Path, realm: &str) -> Result<Self, AuthError> {
        // Stamped before it is read: a change in between is then seen as one.
        let stamp = stamp(path);
        let keys = Arc::new(read(path, realm)?);
        Ok(Self { path: path.to_owned(), realm: realm.to_owned(), read: RwLock::new(Read { stamp, keys }) })
    }

    /// The keys of this moment. When the file cannot be read any more, those that were read last.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        let stamp = stamp(&self.path);
        {
            let known = self.read.read().unwrap_or_else(PoisonError::into_inner);
            if known.stamp == stamp {
                return Arc::clone(&known.keys);
            }
        }
        let mut known = self.read.write().unwrap_or_else(PoisonError::into_inner);
        if known.stamp != stamp {
            known.stamp = stamp;
            match read(&self.path, &self.realm) {
                Ok(keys) => {
                    known.keys = Arc::new(keys);
                    if let Some(warning) = open_to_all(&self.path) {
                        tracing::warn!("{warning}");
                    }
                }
                Err(error) => {
                    tracing::error!("the keytab has changed and cannot be used, so the keys read before stay: {error}");
                }
            }
        }
        Arc::clone(&known.keys)
    }
}

fn read(path: &Path, realm: &str) -> Result<Keys, AuthError> {
    let shown = || path.display().to_string();
    check_owner(path)?;
    let no_keytab = |reason: &str| AuthError::NoKeytab { path: shown(), reason: reason.to_owned() };
    let unreadable = |error| AuthError::KeytabUnreadable { path: shown(), reason: ownership::system_text(&error) };
    // Nobody but the server's user and root can exchange it any more. The library would wait for a pipe for ever.
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(no_keytab(if about.is_dir() { "it is a folder" } else { "it is no file" }));
    }
    // The library tells what cannot be opened and what is no keytab by the same errors.
    File::open(path).map_err(unreadable)?;
    if about.len() == 0 {
        return Err(no_keytab("it is empty"));
    }
    let keytab = MemoryKeytab::read(path, realm.as_bytes()).map_err(|error| match error {
        KeytabError::Unreadable(reason) => no_keytab(&reason),
        KeytabError::NoKey(others) => {
            let principal = format!("zephyr/zephyr@{realm}");
            AuthError::NoServiceKey { path: shown(), principal, others }
        }
        KeytabError::Library(error) => error::ours(error),
    })?;
    // Again: somebody may have put another file there while it was read.
    check_owner(path)?;
    Ok(Keys { keytab, known: KnownTickets::default() })
}

/// Whoever can change the keytab says who is proven here.
fn check_owner(path: &Path) -> Result<(), AuthError> {
    ownership::check(path).map_err(|refusal| match refusal {
        NotOwn::Unreadable { error, .. } => {
            AuthError::KeytabUnreadable { path: path.display().to_string(), reason: ownership::system_text(&error) }
        }
        refusal => AuthError::KeytabNotOwn {
            reason: match refusal.servers_user() {
                Some(user) => {
                    format!(
                        "{refusal}; do not run zephyrd as root but as {user}: sudo -u {user} zephyrd, or by its unit"
                    )
                }
                None => refusal.to_string(),
            },
        },
    })
}

/// What is allowed of the keytab of `realm`'s service and probably a mistake: that all users can read it, and that its keys
/// are of none of the types that may be used. None of a keytab that cannot be read.
pub fn keytab_warnings(path: &Path, realm: &str, permitted: &[Enctype]) -> Vec<String> {
    let Ok(keys) = read(path, realm) else { return Vec::new() };
    let types = Permitted::new(permitted);
    let refused: Vec<String> = keys.keytab.enctypes.iter().map_while(|&enctype| types.refusal("it", enctype)).collect();
    let useless = (refused.len() == keys.keytab.enctypes.len()).then(|| {
        let names: Vec<String> = keys.keytab.enctypes.iter().copied().map(enctype::name_of).collect();
        format!(
            "no key of zephyr/zephyr@{realm} in the keytab {} is of a type that is permitted here, so nobody can prove who he is: \
             there is {}",
            path.display(),
            names.join(", ")
        )
    });
    open_to_all(path).into_iter().chain(useless).collect()
}

/// Whoever can read the keytab can be anybody. That is how some sites have it, so it is no error.
fn open_to_all(path: &Path) -> Option<String> {
    const READABLE_BY_OTHERS: u32 = 0o004;
    let is_open = fs::metadata(path).is_ok_and(|file| file.mode() & READABLE_BY_OTHERS != 0);
    is_open.then(|| {
        format!("every user of this machine can read the keytab {0}, and so be anybody: chmod o= {0}", path.display())
    })
}
