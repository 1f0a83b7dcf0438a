//! An authenticated connection: AP-REQ and AP-REP, then KRB-PRIV in both directions.

use super::{Context, Owned, Release, copied, ffi};
use crate::{
    binding::MemoryKeytab,
    error::Error,
    ticket::{Accepted, ServiceTicket},
};
use std::{
    net::{IpAddr, SocketAddr},
    ptr::{self, NonNull},
    time::SystemTime,
};
use zephyr_core::{auth::Ends, time::Now};

/// The library's state of one connection. Whatever fails in it is its end.
///
/// Messages carry sequence numbers and both addresses, each with its port, and no times: so there is no replay cache.
pub(crate) struct Association {
    context: Context,
    auth: NonNull<ffi::AuthContext>,
}

// SAFETY: an authentication context is plain heap memory that belongs to nobody else; the context is `Send`.
unsafe impl Send for Association {}

impl Drop for Association {
    fn drop(&mut self) {
        // SAFETY: made by `Association::new`, freed here once.
        unsafe { ffi::AuthContext::release(self.context.raw(), self.auth.as_ptr()) }
    }
}

/// The two ends' parts in making a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Sends an AP-REQ.
    Connector,
    /// Answers with an AP-REP, in which it chooses the key: whatever was recorded of another connection is worth nothing here.
    Acceptor,
}

impl Association {
    /// The state of a connection between these ends, before anything was said.
    pub(crate) fn new(part: Part, ends: Ends) -> Result<Self, Error> {
        let context = Context::new()?;
        let auth = context.auth_context()?;
        let flags = match part {
            Part::Connector => ffi::DO_SEQUENCE,
            Part::Acceptor => ffi::DO_SEQUENCE | ffi::USE_SUBKEY,
        };
        // SAFETY: both are open.
        context.checked(unsafe { ffi::krb5_auth_con_setflags(context.raw(), auth.raw(), flags) })?;
        context.set_ends(&auth, ends)?;
        let raw = auth.raw;
        // From here on the value that is made frees it.
        std::mem::forget(auth);
        Ok(Self { context, auth: raw })
    }

    /// The AP-REQ that begins the connection: with mutual authentication, a subkey and a sequence number.
    pub(crate) fn request(&mut self, ticket: &ServiceTicket, now: SystemTime) -> Result<Vec<u8>, Error> {
        // SAFETY: the authentication context is open.
        unsafe { self.context.request(self.auth, ffi::MUTUAL_REQUIRED | ffi::NEW_SUBKEY, ticket, now) }
    }

    /// Reads the AP-REP to [`Association::request`].
    pub(crate) fn finish(&mut self, answer: &[u8]) -> Result<(), Error> {
        let answer = ffi::Data::of(answer);
        let auth = self.auth.as_ptr();
        // SAFETY: all arguments are open and outlive the call; the place is for one structure, which `Owned` gives back.
        let read = self.context.receive(|context, out: *mut *mut ffi::ApRepEncPart| unsafe {
            ffi::krb5_rd_rep(context, auth, &raw const answer, out)
        });
        read.map(drop)
    }

    /// Verifies the AP-REQ that begins a connection.
    pub(crate) fn accept(
        &mut self,
        request: &[u8],
        realm: &[u8],
        keytab: &MemoryKeytab,
        now: Now,
    ) -> Result<Accepted, Error> {
        // SAFETY: the authentication context is open.
        unsafe { self.context.read_request(self.auth, request, realm, keytab, now) }
    }

    /// The AP-REP to an AP-REQ that was [accepted](Association::accept).
    pub(crate) fn answer(&mut self) -> Result<Vec<u8>, Error> {
        let auth = self.auth.as_ptr();
        // SAFETY: both are open; the place is for octets, which are given back.
        self.context.octets(|context, out| unsafe { ffi::krb5_mk_rep(context, auth, out) })
    }

    /// The types of the keys for what is sent and for what is received.
    pub(crate) fn enctypes(&self) -> Result<[i32; 2], Error> {
        let auth = self.auth.as_ptr();
        let of =
            |get: unsafe extern "C" fn(*mut ffi::Context, *mut ffi::AuthContext, *mut *mut ffi::Keyblock) -> i32| {
                // SAFETY: both are open; the place is for one key, which `Owned` gives back.
                let key: Owned<'_, ffi::Keyblock> =
                    self.context.receive(|context, out| unsafe { get(context, auth, out) })?;
                // SAFETY: the library made and filled it.
                Ok(unsafe { key.raw.as_ref() }.enctype)
            };
        Ok([of(ffi::krb5_auth_con_getsendsubkey)?, of(ffi::krb5_auth_con_getrecvsubkey)?])
    }

    /// The next message of ours.
    pub(crate) fn seal(&mut self, record: &[u8]) -> Result<Vec<u8>, Error> {
        let (auth, record) = (self.auth.as_ptr(), ffi::Data::of(record));
        // SAFETY: all arguments are open and outlive the call; the place is for octets, which are given back.
        self.context
            .octets(|context, out| unsafe { ffi::krb5_mk_priv(context, auth, &raw const record, out, ptr::null_mut()) })
    }

    /// The next message of the other end.
    pub(crate) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let (auth, sealed) = (self.auth.as_ptr(), ffi::Data::of(sealed));
        // SAFETY: as above.
        self.context
            .octets(|context, out| unsafe { ffi::krb5_rd_priv(context, auth, &raw const sealed, out, ptr::null_mut()) })
    }
}

/// An address and a port, each in the octets that Kerberos has for it.
struct End {
    kind: i32,
    address: Vec<u8>,
    port: [u8; 2],
}

impl From<SocketAddr> for End {
    fn from(end: SocketAddr) -> Self {
        let (kind, address) = match end.ip().to_canonical() {
            IpAddr::V4(address) => (ffi::ADDRESS_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (ffi::ADDRESS_IPV6, address.octets().to_vec()),
        };
        Self { kind, address, port: end.port().to_be_bytes() }
    }
}

impl Context {
    fn set_ends(&self, auth: &Owned<'_, ffi::AuthContext>, ends: Ends) -> Result<(), Error> {
        let ends = [End::from(ends.local), End::from(ends.remote)];
        let [mut local, mut remote] = ends.each_ref().map(|end| ffi::Address::of(end.kind, &end.address));
        // SAFETY: both are open; the addresses are views of things that outlive the call, and the library copies them.
        let set = unsafe { ffi::krb5_auth_con_setaddrs(self.raw(), auth.raw(), &raw mut local, &raw mut remote) };
        self.checked(set)?;
        let [mut local, mut remote] = ends.each_ref().map(|end| ffi::Address::of(ffi::ADDRESS_PORT, &end.port));
        // SAFETY: as above.
        self.checked(unsafe { ffi::krb5_auth_con_setports(self.raw(), auth.raw(), &raw mut local, &raw mut remote) })
    }

    /// The octets that `call` leaves in the place that it is given.
    pub(super) fn octets(&self, call: impl FnOnce(*mut ffi::Context, *mut ffi::Data) -> i32) -> Result<Vec<u8>, Error> {
        let mut made = ffi::Data::EMPTY;
        self.checked(call(self.raw(), &raw mut made))?;
        // SAFETY: the library filled it.
        let octets = unsafe { copied(&made) };
        // What was decrypted may hold keys, and the library wipes nothing.
        // SAFETY: the library allocated it, and nobody else has it.
        unsafe { ffi::Data::wipe(&mut made) };
        // SAFETY: the library allocated the contents, and they are given back once.
        unsafe { ffi::krb5_free_data_contents(self.raw(), &raw mut made) }
        Ok(octets)
    }
}
