//! The service's own credentials: fetched with its keys, held in the library's memory, seen by nobody else.

use super::{Cache, Context, MemoryKeytab, ffi};
use crate::error::Error;
use std::{
    ffi::CString,
    ptr::{self, NonNull},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// A ticket-granting ticket of the service, and whatever was fetched with it, in a cache of their own.
pub(crate) struct OwnCredentials {
    name: CString,
    /// When the ticket begins and ends, in seconds since 1970 by the KDC's clock.
    pub(crate) starts: u32,
    pub(crate) ends: u32,
    /// The offset of the KDC's clock from ours, in seconds.
    pub(crate) kdc_ahead: i32,
    /// Keeps them; they are gone when it is.
    _held: Mutex<HeldCache>,
}

struct HeldCache {
    context: Context,
    cache: NonNull<ffi::Cache>,
}

// SAFETY: a memory cache is an entry of a table that the library keeps behind locks of its own; the context is `Send`.
unsafe impl Send for HeldCache {}

impl Drop for HeldCache {
    fn drop(&mut self) {
        // SAFETY: opened by `HeldCache::new`, given back here once.
        unsafe { ffi::krb5_cc_destroy(self.context.raw(), self.cache.as_ptr()) };
    }
}

impl HeldCache {
    fn new() -> Result<(Self, CString), Error> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let context = Context::new()?;
        let name = format!("MEMORY:zephyr-own-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let name = CString::new(name).unwrap_or_default();
        let cache = context.resolve_cache(&name)?;
        let raw = cache.0.raw;
        // From here on the value that is made gives it back.
        std::mem::forget(cache);
        Ok((Self { context, cache: raw }, name))
    }
}

impl OwnCredentials {
    /// Asks the KDC for a ticket-granting ticket of `realm`'s service, by its keys. May wait for the KDC.
    pub(crate) fn fetch(keytab: &MemoryKeytab, realm: &[u8]) -> Result<Self, Error> {
        let (held, name) = HeldCache::new()?;
        let context = &held.context;
        let service = context.service(realm)?;
        let keys = context.open_keytab(&keytab.name)?;
        let mut creds = ffi::Creds::wanted(ptr::null_mut(), ptr::null_mut(), 0);
        // SAFETY: principal and keytab are open; `creds` is a place for the result; the null pointers mean the realm's
        // ticket-granting service and the configuration's options.
        let code = unsafe {
            let (creds, service, keys) = (&raw mut creds, service.0.raw(), keys.raw());
            ffi::krb5_get_init_creds_keytab(context.raw(), creds, service, keys, 0, ptr::null(), ptr::null_mut())
        };
        context.checked(code)?;
        let ffi::Times { authenticated, starts, ends, .. } = creds.times;
        // SAFETY: cache and principal are open, and the library copies both.
        let code = unsafe {
            let cache = held.cache.as_ptr();
            match ffi::krb5_cc_initialize(context.raw(), cache, service.0.raw()) {
                0 => ffi::krb5_cc_store_cred(context.raw(), cache, &raw mut creds),
                code => code,
            }
        };
        let stored = context.checked(code);
        // SAFETY: the library filled it, and its contents are given back once.
        unsafe { ffi::krb5_free_cred_contents(context.raw(), &raw mut creds) };
        stored?;
        let kdc_ahead = context.kdc_ahead()?;
        drop((service, keys));
        let starts = if starts == 0 { authenticated } else { starts };
        let (starts, ends) = (starts.cast_unsigned(), ends.cast_unsigned());
        Ok(Self { name, starts, ends, kdc_ahead, _held: Mutex::new(held) })
    }

    /// The cache that they are in.
    pub(crate) fn cache<'c>(&self, context: &'c Context) -> Result<Cache<'c>, Error> {
        context.resolve_cache(&self.name)
    }
}
