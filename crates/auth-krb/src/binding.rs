//! The binding to libkrb5 and libk5crypto: the only file with unsafe code.
//!
//! Declared by hand, and only what is used. The library's structures are declared as they have been since the 1990s;
//! whatever is not listed in [`ffi`] stays opaque. Everything public here is safe to call.

#![allow(unsafe_code)]

use crate::{
    fault::{Error, code},
    ticket::{Accepted, Key, ServiceTicket},
};
use std::{
    cell::OnceCell,
    ffi::{CStr, CString, OsString, c_char},
    os::unix::ffi::OsStringExt,
    path::Path,
    ptr::{self, NonNull},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use zephyr_core::time::Now;
use zeroize::Zeroizing;

/// The service that every Zephyr server is.
pub(crate) const SERVICE: [&CStr; 2] = [c"zephyr", c"zephyr"];

mod ffi {
    use std::ffi::{c_char, c_int, c_uint, c_void};

    macro_rules! opaque {
        ($($name:ident)*) => {$(
            #[repr(C)]
            pub(super) struct $name {
                _private: [u8; 0],
            }
        )*};
    }
    opaque!(Context Principal Cache Keytab AuthContext);

    /// A text that the library allocated: of a principal, or of a realm.
    #[repr(transparent)]
    pub(super) struct PrincipalText(pub(super) c_char);
    #[repr(transparent)]
    pub(super) struct RealmText(pub(super) c_char);
    /// An array of texts, ended by a null pointer.
    #[repr(transparent)]
    pub(super) struct RealmList(pub(super) *mut c_char);

    #[repr(C)]
    pub(super) struct Data {
        pub(super) magic: i32,
        pub(super) length: c_uint,
        pub(super) data: *mut c_char,
    }

    #[repr(C)]
    pub(super) struct Keyblock {
        pub(super) magic: i32,
        pub(super) enctype: i32,
        pub(super) length: c_uint,
        pub(super) contents: *mut u8,
    }

    #[repr(C)]
    pub(super) struct Checksum {
        pub(super) magic: i32,
        pub(super) checksum_type: i32,
        pub(super) length: c_uint,
        pub(super) contents: *mut u8,
    }

    #[repr(C)]
    pub(super) struct Times {
        pub(super) authenticated: i32,
        pub(super) starts: i32,
        pub(super) ends: i32,
        pub(super) renewable_till: i32,
    }

    #[repr(C)]
    pub(super) struct Creds {
        pub(super) magic: i32,
        pub(super) client: *mut Principal,
        pub(super) server: *mut Principal,
        pub(super) keyblock: Keyblock,
        pub(super) times: Times,
        pub(super) is_skey: c_uint,
        pub(super) ticket_flags: i32,
        pub(super) addresses: *mut c_void,
        pub(super) ticket: Data,
        pub(super) second_ticket: Data,
        pub(super) authdata: *mut c_void,
    }

    #[repr(C)]
    pub(super) struct Authenticator {
        pub(super) magic: i32,
        pub(super) client: *mut Principal,
        pub(super) checksum: *mut Checksum,
        pub(super) cusec: i32,
        pub(super) ctime: i32,
        pub(super) subkey: *mut Keyblock,
        pub(super) seq_number: u32,
        pub(super) authdata: *mut c_void,
    }

    #[repr(C)]
    pub(super) struct KeytabEntry {
        pub(super) magic: i32,
        pub(super) principal: *mut Principal,
        pub(super) timestamp: i32,
        pub(super) vno: c_uint,
        pub(super) key: Keyblock,
    }

    impl Data {
        pub(super) const EMPTY: Self = Self { magic: 0, length: 0, data: std::ptr::null_mut() };

        /// The library's view of `octets`, which it does not write to.
        pub(super) fn of(octets: &[u8]) -> Self {
            let length = c_uint::try_from(octets.len()).unwrap_or(c_uint::MAX);
            Self { magic: 0, length, data: octets.as_ptr().cast_mut().cast() }
        }
    }

    impl Keyblock {
        pub(super) const fn empty(enctype: i32) -> Self {
            Self { magic: 0, enctype, length: 0, contents: std::ptr::null_mut() }
        }

        /// The library's view of `key`, which it does not write to.
        pub(super) fn of(key: &crate::ticket::Key) -> Self {
            let length = c_uint::try_from(key.octets.len()).unwrap_or(c_uint::MAX);
            Self { magic: 0, enctype: key.enctype, length, contents: key.octets.as_ptr().cast_mut() }
        }
    }

    impl Creds {
        /// Credentials of which only the two names and the wanted enctype (0: any) are known.
        pub(super) fn wanted(client: *mut Principal, server: *mut Principal, enctype: i32) -> Self {
            Self {
                magic: 0,
                client,
                server,
                keyblock: Keyblock::empty(enctype),
                times: Times { authenticated: 0, starts: 0, ends: 0, renewable_till: 0 },
                is_skey: 0,
                ticket_flags: 0,
                addresses: std::ptr::null_mut(),
                ticket: Data::EMPTY,
                second_ticket: Data::EMPTY,
                authdata: std::ptr::null_mut(),
            }
        }
    }

    /// `KRB5_GC_CACHED`: look only into the credential cache.
    pub(super) const GC_CACHED: i32 = 2;

    unsafe extern "C" {
        pub(super) fn krb5_init_context(context: *mut *mut Context) -> c_int;
        pub(super) fn krb5_free_context(context: *mut Context);
        pub(super) fn krb5_get_error_message(context: *mut Context, code: c_int) -> *const c_char;
        pub(super) fn krb5_free_error_message(context: *mut Context, message: *const c_char);

        pub(super) fn krb5_set_real_time(context: *mut Context, seconds: i32, micros: i32) -> c_int;
        pub(super) fn krb5_get_time_offsets(context: *mut Context, seconds: *mut i32, micros: *mut i32) -> c_int;

        pub(super) fn krb5_get_default_realm(context: *mut Context, realm: *mut *mut RealmText) -> c_int;
        pub(super) fn krb5_free_default_realm(context: *mut Context, realm: *mut RealmText);
        pub(super) fn krb5_get_host_realm(
            context: *mut Context,
            host: *const c_char,
            realms: *mut *mut RealmList,
        ) -> c_int;
        pub(super) fn krb5_get_fallback_host_realm(
            context: *mut Context,
            host: *mut Data,
            realms: *mut *mut RealmList,
        ) -> c_int;
        pub(super) fn krb5_free_host_realm(context: *mut Context, realms: *mut RealmList) -> c_int;

        pub(super) fn krb5_build_principal(
            context: *mut Context,
            principal: *mut *mut Principal,
            realm_length: c_uint,
            realm: *const c_char,
            ...
        ) -> c_int;
        pub(super) fn krb5_parse_name(
            context: *mut Context,
            name: *const c_char,
            principal: *mut *mut Principal,
        ) -> c_int;
        pub(super) fn krb5_unparse_name(
            context: *mut Context,
            principal: *const Principal,
            name: *mut *mut PrincipalText,
        ) -> c_int;
        pub(super) fn krb5_free_unparsed_name(context: *mut Context, name: *mut PrincipalText);
        pub(super) fn krb5_principal_compare(context: *mut Context, a: *const Principal, b: *const Principal)
        -> c_uint;
        pub(super) fn krb5_free_principal(context: *mut Context, principal: *mut Principal);

        pub(super) fn krb5_cc_default(context: *mut Context, cache: *mut *mut Cache) -> c_int;
        pub(super) fn krb5_cc_get_principal(
            context: *mut Context,
            cache: *mut Cache,
            principal: *mut *mut Principal,
        ) -> c_int;
        pub(super) fn krb5_cc_close(context: *mut Context, cache: *mut Cache) -> c_int;
        pub(super) fn krb5_get_credentials(
            context: *mut Context,
            options: i32,
            cache: *mut Cache,
            wanted: *mut Creds,
            found: *mut *mut Creds,
        ) -> c_int;
        pub(super) fn krb5_free_creds(context: *mut Context, creds: *mut Creds);

        pub(super) fn krb5_kt_resolve(context: *mut Context, name: *const c_char, keytab: *mut *mut Keytab) -> c_int;
        pub(super) fn krb5_kt_close(context: *mut Context, keytab: *mut Keytab) -> c_int;
        pub(super) fn krb5_kt_start_seq_get(
            context: *mut Context,
            keytab: *mut Keytab,
            cursor: *mut *mut c_void,
        ) -> c_int;
        pub(super) fn krb5_kt_next_entry(
            context: *mut Context,
            keytab: *mut Keytab,
            entry: *mut KeytabEntry,
            cursor: *mut *mut c_void,
        ) -> c_int;
        pub(super) fn krb5_kt_end_seq_get(
            context: *mut Context,
            keytab: *mut Keytab,
            cursor: *mut *mut c_void,
        ) -> c_int;
        pub(super) fn krb5_kt_add_entry(context: *mut Context, keytab: *mut Keytab, entry: *mut KeytabEntry) -> c_int;
        pub(super) fn krb5_free_keytab_entry_contents(context: *mut Context, entry: *mut KeytabEntry) -> c_int;

        pub(super) fn krb5_auth_con_init(context: *mut Context, auth: *mut *mut AuthContext) -> c_int;
        pub(super) fn krb5_auth_con_free(context: *mut Context, auth: *mut AuthContext) -> c_int;
        pub(super) fn krb5_auth_con_setflags(context: *mut Context, auth: *mut AuthContext, flags: i32) -> c_int;
        pub(super) fn krb5_auth_con_getkey(
            context: *mut Context,
            auth: *mut AuthContext,
            key: *mut *mut Keyblock,
        ) -> c_int;
        pub(super) fn krb5_free_keyblock(context: *mut Context, key: *mut Keyblock);
        pub(super) fn krb5_auth_con_getauthenticator(
            context: *mut Context,
            auth: *mut AuthContext,
            authenticator: *mut *mut Authenticator,
        ) -> c_int;
        pub(super) fn krb5_free_authenticator(context: *mut Context, authenticator: *mut Authenticator);
        pub(super) fn krb5_mk_req_extended(
            context: *mut Context,
            auth: *mut *mut AuthContext,
            options: i32,
            checksummed: *mut Data,
            creds: *mut Creds,
            request: *mut Data,
        ) -> c_int;
        pub(super) fn krb5_rd_req(
            context: *mut Context,
            auth: *mut *mut AuthContext,
            request: *const Data,
            server: *const Principal,
            keytab: *mut Keytab,
            options: *mut i32,
            ticket: *mut *mut c_void,
        ) -> c_int;
        pub(super) fn krb5_free_data_contents(context: *mut Context, data: *mut Data);

        pub(super) fn krb5_c_make_checksum(
            context: *mut Context,
            checksum_type: i32,
            key: *const Keyblock,
            usage: i32,
            input: *const Data,
            checksum: *mut Checksum,
        ) -> c_int;
        pub(super) fn krb5_free_checksum_contents(context: *mut Context, checksum: *mut Checksum);
    }
}

// The sizes that a C compiler gives these structures where pointers have eight octets.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<ffi::Data>() == 16 && size_of::<ffi::Keyblock>() == 24 && size_of::<ffi::Checksum>() == 24);
    assert!(size_of::<ffi::Creds>() == 120 && std::mem::offset_of!(ffi::Creds, ticket) == 80);
    assert!(size_of::<ffi::Authenticator>() == 56 && size_of::<ffi::KeytabEntry>() == 48);
};

/// The library with its configuration. One thread at a time may use it.
pub(crate) struct Context(NonNull<ffi::Context>);

// SAFETY: a context is plain heap memory without ties to the thread that made it; the library only forbids that two
// threads use one at the same time, which a type that is not `Sync` rules out.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by krb5_init_context, freed here once; everything made with it borrows it and is gone.
        unsafe { ffi::krb5_free_context(self.raw()) }
    }
}

/// Something that the library allocated and that must be given back to it.
trait Release {
    /// # Safety
    ///
    /// `raw` came from the library and is given back once.
    unsafe fn release(context: *mut ffi::Context, raw: *mut Self);
}

macro_rules! released_by {
    ($($type:ident: $free:ident,)*) => {$(
        impl Release for ffi::$type {
            unsafe fn release(context: *mut ffi::Context, raw: *mut Self) {
                // SAFETY: the caller's promise is what the function asks for.
                unsafe { ffi::$free(context, raw); }
            }
        }
    )*};
}
released_by! {
    Principal: krb5_free_principal,
    PrincipalText: krb5_free_unparsed_name,
    RealmText: krb5_free_default_realm,
    RealmList: krb5_free_host_realm,
    Cache: krb5_cc_close,
    Creds: krb5_free_creds,
    Keytab: krb5_kt_close,
    AuthContext: krb5_auth_con_free,
    Keyblock: krb5_free_keyblock,
    Authenticator: krb5_free_authenticator,
}

/// One thing of the library's, given back when dropped.
struct Owned<'c, T: Release> {
    context: &'c Context,
    raw: NonNull<T>,
}

impl<T: Release> Owned<'_, T> {
    const fn raw(&self) -> *mut T {
        self.raw.as_ptr()
    }
}

impl<T: Release> Drop for Owned<'_, T> {
    fn drop(&mut self) {
        // SAFETY: `Context::receive` got it from the library, and nobody else gives it back.
        unsafe { T::release(self.context.raw(), self.raw()) }
    }
}

/// A principal's name in the library's form.
pub(crate) struct Principal<'c>(Owned<'c, ffi::Principal>);

/// The user's credential cache.
pub(crate) struct Cache<'c>(Owned<'c, ffi::Cache>);

/// Where to look for a ticket.
#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    /// Only among those that the user has.
    Cached,
    /// There, and then at the KDC.
    Kdc,
}

thread_local! {
    static OF_THIS_THREAD: OnceCell<Context> = const { OnceCell::new() };
}

impl Context {
    /// Reads the library's configuration.
    pub(crate) fn new() -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a place for the result.
        let code = unsafe { ffi::krb5_init_context(&raw mut raw) };
        match NonNull::new(raw) {
            Some(context) if code == 0 => Ok(Self(context)),
            _ => Err(Error { code, text: error_text(ptr::null_mut(), code) }),
        }
    }

    /// Does something with the context that this thread keeps. Its configuration is that of the thread's first call.
    pub(crate) fn with_own<T>(action: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        OF_THIS_THREAD.with(|own| match own.get() {
            Some(context) => action(context),
            None => {
                let context = Self::new()?;
                action(own.get_or_init(|| context))
            }
        })
    }

    const fn raw(&self) -> *mut ffi::Context {
        self.0.as_ptr()
    }

    fn checked(&self, code: i32) -> Result<(), Error> {
        if code == 0 { Ok(()) } else { Err(Error { code, text: error_text(self.raw(), code) }) }
    }

    /// Takes over what `call` leaves in the place that it is given.
    fn receive<T: Release>(
        &self,
        call: impl FnOnce(*mut ffi::Context, *mut *mut T) -> i32,
    ) -> Result<Owned<'_, T>, Error> {
        let mut raw = ptr::null_mut();
        self.checked(call(self.raw(), &raw mut raw))?;
        let raw = NonNull::new(raw).ok_or_else(|| Error::invalid("the Kerberos library returned nothing"))?;
        Ok(Owned { context: self, raw })
    }

    /// From now on the library takes this for the time, with our clock going on.
    fn set_time(&self, seconds: i32, micros: i32) -> Result<(), Error> {
        // SAFETY: plain numbers.
        self.checked(unsafe { ffi::krb5_set_real_time(self.raw(), seconds, micros) })
    }

    /// The realm that the configuration calls the default one.
    pub(crate) fn default_realm(&self) -> Result<String, Error> {
        // SAFETY: the place is for one text, which `Owned` gives back.
        let text = self.receive(|context, out| unsafe { ffi::krb5_get_default_realm(context, out) })?;
        // SAFETY: a text of the library ends in NUL and lives as long as `text`.
        let text = unsafe { CStr::from_ptr(text.raw().cast()) };
        text.to_str().map(str::to_owned).map_err(|_| Error::invalid("the default realm is not UTF-8"))
    }

    /// The realm that the configuration gives a host, or else the one to be guessed from DNS or from its name.
    pub(crate) fn realm_of_host(&self, host: &CStr) -> Result<Option<String>, Error> {
        // SAFETY: `host` ends in NUL; the place is for one list, which `Owned` gives back.
        let known = self.receive(|context, out| unsafe { ffi::krb5_get_host_realm(context, host.as_ptr(), out) })?;
        if let Some(realm) = first_of(&known).filter(|realm| !realm.is_empty()) {
            return Ok(Some(realm));
        }
        let mut name = ffi::Data::of(host.to_bytes());
        // SAFETY: `name` is a view of `host`, which the library does not write to; the place is as above.
        let guessed =
            self.receive(|context, out| unsafe { ffi::krb5_get_fallback_host_realm(context, &raw mut name, out) })?;
        Ok(first_of(&guessed))
    }

    /// `zephyr/zephyr` in `realm`.
    pub(crate) fn service(&self, realm: &[u8]) -> Result<Principal<'_>, Error> {
        let length = u32::try_from(realm.len()).map_err(|_| Error::invalid("the realm's name is too long"))?;
        let [first, second] = SERVICE.map(CStr::as_ptr);
        // SAFETY: the realm is given with its length, the components end in NUL, and their list ends in a null pointer.
        let principal = self.receive(|context, out| unsafe {
            let end = ptr::null::<c_char>();
            ffi::krb5_build_principal(context, out, length, realm.as_ptr().cast(), first, second, end)
        })?;
        Ok(Principal(principal))
    }

    fn principal(&self, text: &CStr) -> Result<Principal<'_>, Error> {
        // SAFETY: the text ends in NUL; the place is for one principal, which `Owned` gives back.
        self.receive(|context, out| unsafe { ffi::krb5_parse_name(context, text.as_ptr(), out) }).map(Principal)
    }

    /// # Safety
    ///
    /// `principal` is one that the library made, and still there.
    unsafe fn text_of(&self, principal: *const ffi::Principal) -> Result<CString, Error> {
        // SAFETY: see above; the place is for one text, which `Owned` gives back.
        let text = self.receive(|context, out| unsafe { ffi::krb5_unparse_name(context, principal, out) })?;
        // SAFETY: a text of the library ends in NUL and lives as long as `text`.
        Ok(unsafe { CStr::from_ptr(text.raw().cast()) }.to_owned())
    }

    /// The user's credential cache, whether or not there is anything in it.
    pub(crate) fn default_cache(&self) -> Result<Cache<'_>, Error> {
        // SAFETY: the place is for one cache, which `Owned` gives back.
        self.receive(|context, out| unsafe { ffi::krb5_cc_default(context, out) }).map(Cache)
    }

    /// Whose the cache is.
    pub(crate) fn principal_of(&self, cache: &Cache<'_>) -> Result<Principal<'_>, Error> {
        let cache = cache.0.raw();
        // SAFETY: the cache is open; the place is for one principal, which `Owned` gives back.
        self.receive(|context, out| unsafe { ffi::krb5_cc_get_principal(context, cache, out) }).map(Principal)
    }

    /// A principal as text with its realm.
    pub(crate) fn text(&self, principal: &Principal<'_>) -> Result<CString, Error> {
        // SAFETY: it is owned by the argument.
        unsafe { self.text_of(principal.0.raw()) }
    }

    /// A ticket for the service of `realm` with a session key of `enctype`, or of any when that is 0.
    pub(crate) fn ticket(
        &self,
        lookup: Lookup,
        cache: &Cache<'_>,
        client: &Principal<'_>,
        realm: &[u8],
        enctype: i32,
    ) -> Result<ServiceTicket, Error> {
        let service = self.service(realm)?;
        let options = match lookup {
            Lookup::Cached => ffi::GC_CACHED,
            Lookup::Kdc => 0,
        };
        let mut wanted = ffi::Creds::wanted(client.0.raw(), service.0.raw(), enctype);
        // SAFETY: cache and principals are open, `wanted` outlives the call; the place is for one set of credentials,
        // which `Owned` gives back.
        let found = self.receive(|context, out| unsafe {
            ffi::krb5_get_credentials(context, options, cache.0.raw(), &raw mut wanted, out)
        })?;
        let (mut kdc_ahead, mut micros) = (0, 0);
        // SAFETY: two places for the results.
        self.checked(unsafe { ffi::krb5_get_time_offsets(self.raw(), &raw mut kdc_ahead, &raw mut micros) })?;
        // SAFETY: the library made and filled the structure, nobody else has it, and it lives as long as its owner.
        let (key, octets, ends) = unsafe {
            let found = found.raw.as_ref();
            (copied_key(&found.keyblock), copied(&found.ticket), found.times.ends)
        };
        Ok(ServiceTicket {
            client: self.text(client)?,
            realm: realm.into(),
            key,
            ticket: octets.into(),
            ends: ends.cast_unsigned(),
            kdc_ahead,
        })
    }

    /// A fresh AP-REQ: no options, no subkey, no checksum, no sequence number.
    pub(crate) fn make_request(&self, ticket: &ServiceTicket, now: SystemTime) -> Result<Vec<u8>, Error> {
        let client = self.principal(&ticket.client)?;
        let service = self.service(&ticket.realm)?;
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX).cast_signed();
        self.set_time(seconds.wrapping_add(ticket.kdc_ahead), since.subsec_micros().cast_signed())?;

        let mut creds = ffi::Creds::wanted(client.0.raw(), service.0.raw(), 0);
        creds.keyblock = ffi::Keyblock::of(&ticket.key);
        creds.ticket = ffi::Data::of(&ticket.ticket);
        creds.times.ends = ticket.ends.cast_signed();
        let mut request = ffi::Data::EMPTY;
        let auth = self.auth_context()?;
        let mut slot = auth.raw();
        // SAFETY: `creds` is made of views of things that outlive the call and that the library does not write to; with
        // an existing authentication context it is used as it is, and `request` is a place for the result.
        self.checked(unsafe {
            ffi::krb5_mk_req_extended(self.raw(), &raw mut slot, 0, ptr::null_mut(), &raw mut creds, &raw mut request)
        })?;
        // SAFETY: the library filled `request`.
        let octets = unsafe { copied(&request) };
        // SAFETY: the library allocated the contents, and they are given back once.
        unsafe { ffi::krb5_free_data_contents(self.raw(), &raw mut request) }
        Ok(octets)
    }

    /// Judges an AP-REQ by all of the library's rules as if it had arrived at `now`, without a replay cache: the same
    /// packet may come again.
    pub(crate) fn accept(
        &self,
        request: &[u8],
        realm: &[u8],
        keytab: &MemoryKeytab,
        now: Now,
    ) -> Result<Accepted, Error> {
        let (seconds, micros) = now.unix();
        self.set_time(seconds.cast_signed(), micros.cast_signed())?;
        let service = self.service(realm)?;
        let keytab = self.open_keytab(&keytab.name)?;
        let auth = self.auth_context()?;
        let mut slot = auth.raw();
        let request = ffi::Data::of(request);
        // SAFETY: all arguments are open and outlive the call; the two null places are for results nobody wants.
        self.checked(unsafe {
            ffi::krb5_rd_req(
                self.raw(),
                &raw mut slot,
                &raw const request,
                service.0.raw(),
                keytab.raw(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })?;
        let auth = auth.raw();
        // SAFETY: `auth` is open; the places are for one thing each, which `Owned` gives back.
        let key = self.receive(|context, out| unsafe { ffi::krb5_auth_con_getkey(context, auth, out) })?;
        // SAFETY: as above.
        let maker = self.receive(|context, out| unsafe { ffi::krb5_auth_con_getauthenticator(context, auth, out) })?;
        // SAFETY: the library made both structures, nobody else has them, and they live as long as their owners.
        let (key, maker) = unsafe { (copied_key(key.raw.as_ref()), self.text_of(maker.raw.as_ref().client)?) };
        Ok(Accepted { client: maker.into_bytes(), key })
    }

    /// A checksum of `input` by the library.
    pub(crate) fn checksum(&self, kind: i32, key: &Key, usage: i32, input: &[u8]) -> Result<Vec<u8>, Error> {
        let key = ffi::Keyblock::of(key);
        let input = ffi::Data::of(input);
        let mut made = ffi::Checksum { magic: 0, checksum_type: 0, length: 0, contents: ptr::null_mut() };
        // SAFETY: key and input are views of things that outlive the call; `made` is a place for the result.
        self.checked(unsafe {
            ffi::krb5_c_make_checksum(self.raw(), kind, &raw const key, usage, &raw const input, &raw mut made)
        })?;
        // SAFETY: the library filled `made`.
        let octets = unsafe { octets(made.contents, made.length) }.to_vec();
        // SAFETY: the library allocated the contents, and they are given back once.
        unsafe { ffi::krb5_free_checksum_contents(self.raw(), &raw mut made) }
        Ok(octets)
    }

    fn open_keytab(&self, name: &CStr) -> Result<Owned<'_, ffi::Keytab>, Error> {
        // SAFETY: the name ends in NUL; the place is for one keytab, which `Owned` gives back.
        self.receive(|context, out| unsafe { ffi::krb5_kt_resolve(context, name.as_ptr(), out) })
    }

    fn auth_context(&self) -> Result<Owned<'_, ffi::AuthContext>, Error> {
        // SAFETY: the place is for one authentication context, which `Owned` gives back.
        let auth = self.receive(|context, out| unsafe { ffi::krb5_auth_con_init(context, out) })?;
        // SAFETY: both are open. Without the time flag there is no replay cache; times are checked nevertheless.
        self.checked(unsafe { ffi::krb5_auth_con_setflags(self.raw(), auth.raw(), 0) })?;
        Ok(auth)
    }
}

/// Why a keytab cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeytabError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It can be read, but the service's key is not in it.
    #[error("no key for the service")]
    NoKey,
    /// The library fails.
    #[error(transparent)]
    Library(#[from] Error),
}

/// The service's keys, in the library's memory and visible to all threads.
pub(crate) struct MemoryKeytab {
    name: CString,
    /// Keeps the keys alive; they are gone when the last one who opened them closes them.
    _keys: Mutex<HeldKeytab>,
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
        let keys = HeldKeytab { context, keytab: raw };
        if keys.copy_from(path, realm)? == 0 {
            return Err(KeytabError::NoKey);
        }
        Ok(Self { name, _keys: Mutex::new(keys) })
    }
}

impl HeldKeytab {
    fn copy_from(&self, path: &Path, realm: &[u8]) -> Result<usize, KeytabError> {
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
        let mut copied = 0;
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
                break if next == code::KT_END { Ok(copied) } else { context.checked(next).map(|()| copied) };
            }
            // SAFETY: both principals are the library's and open.
            let ours = unsafe { ffi::krb5_principal_compare(context.raw(), entry.principal, service.0.raw()) } != 0;
            let added = if ours {
                // SAFETY: the keytab is open; the entry is copied.
                unsafe { ffi::krb5_kt_add_entry(context.raw(), self.keytab.as_ptr(), &raw mut entry) }
            } else {
                0
            };
            // SAFETY: the library filled the entry, and its contents are given back once.
            unsafe { ffi::krb5_free_keytab_entry_contents(context.raw(), &raw mut entry) };
            if let Err(error) = context.checked(added) {
                break Err(error);
            }
            copied += usize::from(ours);
        };
        // SAFETY: begun above, ended once.
        unsafe { ffi::krb5_kt_end_seq_get(context.raw(), file.raw(), &raw mut cursor) };
        outcome.map_err(unreadable)
    }
}

fn error_text(context: *mut ffi::Context, code: i32) -> String {
    // SAFETY: the context may be null here; the message ends in NUL and is given back below, once.
    let message = unsafe { ffi::krb5_get_error_message(context, code) };
    if message.is_null() {
        return format!("Kerberos error {code}");
    }
    // SAFETY: not null, and ends in NUL.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    // SAFETY: see above.
    unsafe { ffi::krb5_free_error_message(context, message) };
    text
}

fn first_of(realms: &Owned<'_, ffi::RealmList>) -> Option<String> {
    // SAFETY: the list has at least its end, a null pointer.
    let first = unsafe { realms.raw.as_ref() }.0;
    // SAFETY: not null, a text that ends in NUL and lives as long as the list.
    (!first.is_null()).then(|| unsafe { CStr::from_ptr(first) }.to_string_lossy().into_owned())
}

/// The library's octets; none where it gives none.
///
/// # Safety
///
/// Start and length are of one structure that the library filled, and that outlives the result.
unsafe fn octets<'a>(start: *const u8, length: u32) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: the caller's promise.
        Ok(length) if !start.is_null() => unsafe { std::slice::from_raw_parts(start, length) },
        _ => &[],
    }
}

/// # Safety
///
/// The library filled the structure.
unsafe fn copied(data: &ffi::Data) -> Vec<u8> {
    // SAFETY: the caller's promise, and the octets are copied at once.
    unsafe { octets(data.data.cast(), data.length) }.to_vec()
}

/// # Safety
///
/// The library filled the structure.
unsafe fn copied_key(key: &ffi::Keyblock) -> Key {
    // SAFETY: the caller's promise, and the octets are copied at once.
    let octets = unsafe { octets(key.contents, key.length) }.to_vec();
    Key { enctype: key.enctype, octets: Zeroizing::new(octets) }
}
