//! The binding to libkrb5 and libk5crypto: the only place with unsafe code.
//!
//! Declared by hand, and only what is used. The library's structures are declared as they have been since the 1990s;
//! whatever is not listed in [`ffi`] stays opaque. Everything public here is safe to call.

#![allow(unsafe_code)]

use crate::{
    error::Error,
    ticket::{Accepted, Key, Made, ServiceTicket, Validity, Way},
};
use std::{
    cell::OnceCell,
    ffi::{CStr, CString, c_char},
    ptr::{self, NonNull},
    time::{SystemTime, UNIX_EPOCH},
};
use zephyr_core::time::Now;
use zeroize::Zeroizing;

/// The service that every Zephyr server is.
pub(crate) const SERVICE: [&CStr; 2] = [c"zephyr", c"zephyr"];

mod association;
mod credentials;
mod ffi;
mod keys;
mod realms;

pub(crate) use association::{Association, Part};
pub(crate) use credentials::OwnCredentials;
pub(crate) use keys::{KeytabError, MemoryKeytab, ServiceKey};

// The sizes that a C compiler gives these structures where pointers have eight octets.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<ffi::Data>() == 16 && size_of::<ffi::Keyblock>() == 24 && size_of::<ffi::Checksum>() == 24);
    assert!(size_of::<ffi::Creds>() == 120 && std::mem::offset_of!(ffi::Creds, ticket) == 80);
    assert!(size_of::<ffi::Authenticator>() == 56 && size_of::<ffi::KeytabEntry>() == 48);
    assert!(size_of::<ffi::EncryptedData>() == 32 && std::mem::offset_of!(ffi::Ticket, enc_part2) == 48);
    assert!(std::mem::offset_of!(ffi::EncTicketPart, times) == 48);
    assert!(size_of::<ffi::Address>() == 24);
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

/// A resource that the library allocates and releases.
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
    Ticket: krb5_free_ticket,
    Keyblock: krb5_free_keyblock,
    Authenticator: krb5_free_authenticator,
    ApRepEncPart: krb5_free_ap_rep_enc_part,
}

impl Release for ffi::Profile {
    unsafe fn release(_: *mut ffi::Context, raw: *mut Self) {
        // SAFETY: the caller's promise is what the function asks for.
        unsafe { ffi::profile_release(raw) }
    }
}

/// An owned resource of the library, released when dropped.
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

/// A checksum, and its type.
pub(crate) struct Checksum<'a> {
    pub(crate) kind: i32,
    pub(crate) octets: &'a [u8],
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

    /// Runs an action with the context of this thread. Its configuration is that of the thread's first call.
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

    /// Owns the resource that `call` leaves in the place that it is given.
    fn receive<T: Release>(
        &self,
        call: impl FnOnce(*mut ffi::Context, *mut *mut T) -> i32,
    ) -> Result<Owned<'_, T>, Error> {
        let mut raw = ptr::null_mut();
        self.checked(call(self.raw(), &raw mut raw))?;
        let raw = NonNull::new(raw).ok_or_else(|| Error::invalid("the Kerberos library returned nothing"))?;
        Ok(Owned { context: self, raw })
    }

    /// Sets the library's time, from which it goes on with our clock.
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

    /// The cache that the library would take for the service of `realm`, of all that the user has: the one that `.k5identity` says,
    /// else one of a principal of that realm; `None` when it has no opinion.
    pub(crate) fn cache_for(&self, realm: &[u8]) -> Option<Cache<'_>> {
        let service = self.service(realm).ok()?;
        let mut client = ptr::null_mut();
        // SAFETY: the service is open; the places are for one cache, which `Owned` gives back, and for one principal.
        let chosen =
            self.receive(|context, out| unsafe { ffi::krb5_cc_select(context, service.0.raw(), out, &raw mut client) });
        // It may name a principal that there is no cache of.
        drop(NonNull::new(client).map(|raw| Owned { context: self, raw }));
        chosen.ok().map(Cache)
    }

    /// The cache of this name, whether or not there is anything in it.
    fn resolve_cache(&self, name: &CStr) -> Result<Cache<'_>, Error> {
        // SAFETY: the name ends in NUL; the place is for one cache, which `Owned` gives back.
        self.receive(|context, out| unsafe { ffi::krb5_cc_resolve(context, name.as_ptr(), out) }).map(Cache)
    }

    /// The cache's name with its type: `FILE:/tmp/krb5cc_0`.
    pub(crate) fn name_of(&self, cache: &Cache<'_>) -> Result<CString, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: the cache is open; the place is for one text.
        self.checked(unsafe { ffi::krb5_cc_get_full_name(self.raw(), cache.0.raw(), &raw mut raw) })?;
        if raw.is_null() {
            return Err(Error::invalid("the Kerberos library returned nothing"));
        }
        // SAFETY: not null, and a text of the library ends in NUL.
        let name = unsafe { CStr::from_ptr(raw) }.to_owned();
        // SAFETY: the library allocated it, and it is given back once.
        unsafe { ffi::krb5_free_string(self.raw(), raw) };
        Ok(name)
    }

    /// The principal of the cache.
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
        let kdc_ahead = self.kdc_ahead()?;
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

    /// The offset of the KDC's clock from ours in seconds, as far as the library has learned it.
    fn kdc_ahead(&self) -> Result<i32, Error> {
        let (mut seconds, mut micros) = (0, 0);
        // SAFETY: two places for the results.
        self.checked(unsafe { ffi::krb5_get_time_offsets(self.raw(), &raw mut seconds, &raw mut micros) })?;
        Ok(seconds)
    }

    /// Sets the library's time to that of a KDC whose clock is so many seconds ahead of ours.
    pub(crate) fn follow(&self, kdc_ahead: i32, now: SystemTime) -> Result<(), Error> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = u32::try_from(since.as_secs()).unwrap_or(u32::MAX).cast_signed();
        self.set_time(seconds.wrapping_add(kdc_ahead), since.subsec_micros().cast_signed())
    }

    /// A fresh AP-REQ: no options, no subkey, no checksum, no sequence number.
    pub(crate) fn make_request(&self, ticket: &ServiceTicket, now: SystemTime) -> Result<Vec<u8>, Error> {
        let auth = self.auth_context()?;
        // SAFETY: the authentication context is open.
        unsafe { self.request(auth.raw, 0, ticket, now) }
    }

    /// A fresh AP-REQ with these options.
    ///
    /// # Safety
    ///
    /// The authentication context is open.
    unsafe fn request(
        &self,
        auth: NonNull<ffi::AuthContext>,
        options: i32,
        ticket: &ServiceTicket,
        now: SystemTime,
    ) -> Result<Vec<u8>, Error> {
        let client = self.principal(&ticket.client)?;
        let service = self.service(&ticket.realm)?;
        self.follow(ticket.kdc_ahead, now)?;

        let mut creds = ffi::Creds::wanted(client.0.raw(), service.0.raw(), 0);
        creds.keyblock = ffi::Keyblock::of(&ticket.key);
        creds.ticket = ffi::Data::of(&ticket.ticket);
        creds.times.ends = ticket.ends.cast_signed();
        let mut slot = auth.as_ptr();
        // SAFETY: `creds` is made of views of things that outlive the call and that the library does not write to; with
        // an existing authentication context it is used as it is, and the place is for octets, which are given back.
        self.octets(|context, out| unsafe {
            ffi::krb5_mk_req_extended(context, &raw mut slot, options, ptr::null_mut(), &raw mut creds, out)
        })
    }

    /// Verifies an AP-REQ by all of the library's rules as if it had arrived at `now`, without a replay cache: the same
    /// packet may come again.
    pub(crate) fn accept(
        &self,
        request: &[u8],
        realm: &[u8],
        keytab: &MemoryKeytab,
        now: Now,
    ) -> Result<Accepted, Error> {
        let auth = self.auth_context()?;
        // SAFETY: the authentication context is open.
        unsafe { self.read_request(auth.raw, request, realm, keytab, now) }
    }

    /// Verifies an AP-REQ.
    ///
    /// # Safety
    ///
    /// The authentication context is open.
    unsafe fn read_request(
        &self,
        auth: NonNull<ffi::AuthContext>,
        request: &[u8],
        realm: &[u8],
        keytab: &MemoryKeytab,
        now: Now,
    ) -> Result<Accepted, Error> {
        let (seconds, micros) = now.unix();
        self.set_time(seconds.cast_signed(), micros.cast_signed())?;
        let service = self.service(realm)?;
        let keytab = self.open_keytab(&keytab.name)?;
        let auth = auth.as_ptr();
        let mut slot = auth;
        let request = ffi::Data::of(request);
        // SAFETY: all arguments are open and outlive the call; the place is for one ticket, which `Owned` gives back.
        let ticket = self.receive(|context, out| unsafe {
            let (service, keytab) = (service.0.raw(), keytab.raw());
            ffi::krb5_rd_req(context, &raw mut slot, &raw const request, service, keytab, ptr::null_mut(), out)
        })?;
        // SAFETY: `auth` is open; the places are for one thing each, which `Owned` gives back.
        let key = self.receive(|context, out| unsafe { ffi::krb5_auth_con_getkey(context, auth, out) })?;
        // SAFETY: as above.
        let maker = self.receive(|context, out| unsafe { ffi::krb5_auth_con_getauthenticator(context, auth, out) })?;
        // SAFETY: the library made the structures, nobody else has them, and they live as long as their owners.
        let (key, maker, is_service, made) = unsafe {
            let maker = maker.raw.as_ref();
            let made = Made { seconds: maker.ctime.cast_unsigned(), micros: maker.cusec.cast_unsigned() };
            let is_service = ffi::krb5_principal_compare(self.raw(), maker.client, service.0.raw()) != 0;
            (copied_key(key.raw.as_ref()), self.text_of(maker.client)?, is_service, made)
        };
        // SAFETY: as above; what is inside was decrypted, or is not there.
        let inside = unsafe { ticket.raw.as_ref().enc_part2.as_ref() }.map(|enc_part2| {
            let ffi::Times { authenticated, starts, ends, .. } = enc_part2.times;
            let starts = if starts == 0 { authenticated } else { starts };
            let validity = Validity { starts: starts.cast_unsigned(), ends: ends.cast_unsigned() };
            let is_checked = enc_part2.flags & ffi::TRANSIT_POLICY_CHECKED != 0;
            // SAFETY: the library filled it.
            let list = unsafe { copied(&enc_part2.transited.contents) };
            (validity, Way { kind: enc_part2.transited.kind, list, is_checked })
        });
        let (validity, way) =
            inside.ok_or_else(|| Error::invalid("the Kerberos library hides what is in the ticket"))?;
        Ok(Accepted { client: maker.into_bytes(), is_service, key, validity, way, made })
    }

    /// The maximum clock skew in seconds, by the library's configuration.
    pub(crate) fn clock_skew(&self) -> Result<u32, Error> {
        const SOME_TIME: i32 = 1_000_000_000;
        let is_within = |seconds: i32| {
            self.set_time(SOME_TIME, 0)?;
            // SAFETY: plain numbers.
            let checked = self.checked(unsafe { ffi::krb5_check_clockskew(self.raw(), SOME_TIME + seconds) });
            Ok::<bool, Error>(checked.is_ok())
        };
        // The library does not tell, so it is asked whether it would take this and that time.
        let (mut within, mut beyond) = (0, SOME_TIME);
        while within + 1 < beyond {
            let middle = i32::midpoint(within, beyond);
            if is_within(middle)? { within = middle } else { beyond = middle }
        }
        Ok(within.cast_unsigned())
    }

    /// Decrypts what was encrypted with `key` for this usage; there may be octets after its end.
    pub(crate) fn decrypt(&self, key: &Key, usage: i32, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut plain = Zeroizing::new(vec![0; cipher.len()]);
        let block = ffi::Keyblock::of(key);
        let input = ffi::EncryptedData { magic: 0, enctype: key.enctype, kvno: 0, cipher: ffi::Data::of(cipher) };
        let mut output = ffi::Data::of(&plain);
        output.data = plain.as_mut_ptr().cast();
        // SAFETY: key and input are views of things that outlive the call; `output` is a view of `plain`, which nobody
        // else has and which is as long as the library asks for.
        self.checked(unsafe {
            let (key, input) = (&raw const block, &raw const input);
            ffi::krb5_c_decrypt(self.raw(), key, usage, ptr::null(), input, &raw mut output)
        })?;
        plain.truncate(usize::try_from(output.length).unwrap_or(0));
        Ok(plain)
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

    /// Whether `claimed` is the checksum of `input`, by the library.
    pub(crate) fn verify(&self, claimed: Checksum<'_>, key: &Key, usage: i32, input: &[u8]) -> Result<bool, Error> {
        let Checksum { kind, octets } = claimed;
        let key = ffi::Keyblock::of(key);
        let input = ffi::Data::of(input);
        let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        let contents = octets.as_ptr().cast_mut();
        let claimed = ffi::Checksum { magic: 0, checksum_type: kind, length, contents };
        let mut holds = 0;
        // SAFETY: all are views of things that outlive the call and that the library does not write to; `holds` is a
        // place for the result.
        self.checked(unsafe {
            let (key, input, claimed) = (&raw const key, &raw const input, &raw const claimed);
            ffi::krb5_c_verify_checksum(self.raw(), key, usage, input, claimed, &raw mut holds)
        })?;
        Ok(holds != 0)
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
