//! The service's keys: read from a keytab file, held in the library's memory.

use super::{Context, Release, copied_key, ffi};
use crate::{
    error::{Error, code},
    ticket::Key,
};
use std::{
    collections::BTreeSet,
    ffi::{CString, OsString},
    os::unix::ffi::OsStringExt,
    path::Path,
    ptr::{self, NonNull},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// Errors of loading a keytab.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeytabError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It can be read, but the service's key is not in it; the keys of these are, or some of them.
    #[error("no key for the service")]
    NoKey(Vec<String>),
    /// The library fails.
    #[error(transparent)]
    Library(#[from] Error),
}

/// Principals named at most, where the service is not among them.
const MAX_OTHERS: usize = 3;

/// One of the service's keys.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ServiceKey {
    /// Its version number.
    pub(crate) version: u32,
    pub(crate) key: Key,
}

/// The service's keys, in the library's memory and visible to all threads.
pub(crate) struct MemoryKeytab {
    pub(super) name: CString,
    /// The keys for ourselves, in the order of the file.
    pub(crate) keys: Vec<ServiceKey>,
    /// The types of its keys.
    pub(crate) enctypes: BTreeSet<i32>,
    /// Keeps the keys alive; they are gone when the last one who opened them closes them.
    _held: Mutex<HeldKeytab>,
}

struct HeldKeytab {
    context: Context,
    keytab: NonNull<ffi::Keytab>,
}

// SAFETY: a memory keytab is an entry of a list that the library keeps behind a lock of its own; the context is `Send`.
unsafe impl Send for HeldKeytab {}

impl Drop for HeldKeytab {
    fn drop(&mut self) {
        // SAFETY: opened by `MemoryKeytab::read`, closed here once.
        unsafe { ffi::Keytab::release(self.context.raw(), self.keytab.as_ptr()) }
    }
}

impl MemoryKeytab {
    /// Reads the keys of the service in `realm` from a keytab file.
    pub(crate) fn read(path: &Path, realm: &[u8]) -> Result<Self, KeytabError> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let context = Context::new()?;
        let name = CString::new(format!("MEMORY:zephyr-{}", MADE.fetch_add(1, Ordering::Relaxed))).unwrap_or_default();
        let keytab = context.open_keytab(&name)?;
        let raw = keytab.raw;
        // From here on the guard below closes it.
        std::mem::forget(keytab);
        let held = HeldKeytab { context, keytab: raw };
        let (copied, others) = held.copy_from(path, realm)?;
        if copied.is_empty() {
            return Err(KeytabError::NoKey(others));
        }
        let enctypes = copied.iter().map(|key| key.key.enctype).collect();
        Ok(Self { name, keys: copied, enctypes, _held: Mutex::new(held) })
    }
}

impl HeldKeytab {
    /// Copies the service's keys; gives them, and the first of the others who have keys.
    fn copy_from(&self, path: &Path, realm: &[u8]) -> Result<(Vec<ServiceKey>, Vec<String>), KeytabError> {
        let context = &self.context;
        let service = context.service(realm)?;
        let mut name = OsString::from("FILE:");
        name.push(path);
        let name = CString::new(name.into_vec()).map_err(|_| KeytabError::Unreadable("NUL in its name".to_owned()))?;
        let unreadable = |error: Error| KeytabError::Unreadable(error.text);
        let file = context.open_keytab(&name).map_err(unreadable)?;

        let mut cursor = ptr::null_mut();
        // SAFETY: the keytab is open, and `cursor` is a place for the position.
        let begun = unsafe { ffi::krb5_kt_start_seq_get(context.raw(), file.raw(), &raw mut cursor) };
        context.checked(begun).map_err(unreadable)?;
        let (mut copied, mut others) = (Vec::new(), Vec::new());
        let outcome = loop {
            let mut entry = ffi::KeytabEntry {
                magic: 0,
                principal: ptr::null_mut(),
                timestamp: 0,
                vno: 0,
                key: ffi::Keyblock::empty(0),
            };
            // SAFETY: the keytab is open at `cursor`, and `entry` is a place for the result.
            let next = unsafe { ffi::krb5_kt_next_entry(context.raw(), file.raw(), &raw mut entry, &raw mut cursor) };
            if next != 0 {
                break if next == code::KT_END { Ok(()) } else { context.checked(next) };
            }
            // SAFETY: both principals are the library's and open.
            let ours = unsafe { ffi::krb5_principal_compare(context.raw(), entry.principal, service.0.raw()) } != 0;
            // SAFETY: the library filled the entry.
            let key = ServiceKey { version: entry.vno, key: unsafe { copied_key(&entry.key) } };
            let added = if ours {
                // SAFETY: the keytab is open; the entry is copied.
                unsafe { ffi::krb5_kt_add_entry(context.raw(), self.keytab.as_ptr(), &raw mut entry) }
            } else {
                if others.len() < MAX_OTHERS {
                    // SAFETY: the library made the principal, and the entry is given back below.
                    let name = unsafe { context.text_of(entry.principal) };
                    let name = name.map(|name| name.to_string_lossy().escape_debug().to_string());
                    others.extend(name.ok().filter(|name| !others.contains(name)));
                }
                0
            };
            // SAFETY: the library filled the entry, and its contents are given back once.
            unsafe { ffi::krb5_free_keytab_entry_contents(context.raw(), &raw mut entry) };
            if let Err(error) = context.checked(added) {
                break Err(error);
            }
            if ours {
                copied.push(key);
            }
        };
        // SAFETY: begun above, ended once.
        unsafe { ffi::krb5_kt_end_seq_get(context.raw(), file.raw(), &raw mut cursor) };
        outcome.map(|()| (copied, others)).map_err(unreadable)
    }
}
