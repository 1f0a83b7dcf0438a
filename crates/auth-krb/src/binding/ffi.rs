//! The library's functions and structures, declared by hand: only what is used.
//!
//! The structures are as they have been since the 1990s; whatever is not listed stays opaque.

use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use zeroize::Zeroize;

macro_rules! opaque {
    ($($name:ident)*) => {$(
        #[repr(C)]
        pub(crate) struct $name {
            _private: [u8; 0],
        }
    )*};
}
opaque!(Context Principal Cache Keytab AuthContext Profile);

/// A text that the library allocated: of a principal, or of a realm.
#[repr(transparent)]
pub(crate) struct PrincipalText(pub(super) c_char);
#[repr(transparent)]
pub(crate) struct RealmText(pub(super) c_char);
/// An array of texts, ended by a null pointer.
#[repr(transparent)]
pub(crate) struct RealmList(pub(super) *mut c_char);

#[repr(C)]
pub(crate) struct Data {
    pub(crate) magic: i32,
    pub(crate) length: c_uint,
    pub(crate) data: *mut c_char,
}

#[repr(C)]
pub(crate) struct Keyblock {
    pub(crate) magic: i32,
    pub(crate) enctype: i32,
    pub(crate) length: c_uint,
    pub(crate) contents: *mut u8,
}

#[repr(C)]
pub(crate) struct Checksum {
    pub(crate) magic: i32,
    pub(crate) checksum_type: i32,
    pub(crate) length: c_uint,
    pub(crate) contents: *mut u8,
}

#[repr(C)]
pub(crate) struct Times {
    pub(crate) authenticated: i32,
    pub(crate) starts: i32,
    pub(crate) ends: i32,
    pub(crate) renewable_till: i32,
}

#[repr(C)]
pub(crate) struct Creds {
    pub(crate) magic: i32,
    pub(crate) client: *mut Principal,
    pub(crate) server: *mut Principal,
    pub(crate) keyblock: Keyblock,
    pub(crate) times: Times,
    pub(crate) is_skey: c_uint,
    pub(crate) ticket_flags: i32,
    pub(crate) addresses: *mut c_void,
    pub(crate) ticket: Data,
    pub(crate) second_ticket: Data,
    pub(crate) authdata: *mut c_void,
}

#[repr(C)]
pub(crate) struct Authenticator {
    pub(crate) magic: i32,
    pub(crate) client: *mut Principal,
    pub(crate) checksum: *mut Checksum,
    pub(crate) cusec: i32,
    pub(crate) ctime: i32,
    pub(crate) subkey: *mut Keyblock,
    pub(crate) seq_number: u32,
    pub(crate) authdata: *mut c_void,
}

#[repr(C)]
pub(crate) struct KeytabEntry {
    pub(crate) magic: i32,
    pub(crate) principal: *mut Principal,
    pub(crate) timestamp: i32,
    pub(crate) vno: c_uint,
    pub(crate) key: Keyblock,
}

#[repr(C)]
pub(crate) struct EncryptedData {
    pub(crate) magic: i32,
    pub(crate) enctype: i32,
    pub(crate) kvno: c_uint,
    pub(crate) cipher: Data,
}

#[repr(C)]
pub(crate) struct Ticket {
    pub(crate) magic: i32,
    pub(crate) server: *mut Principal,
    pub(crate) encrypted: EncryptedData,
    pub(crate) enc_part2: *mut EncTicketPart,
}

/// The ticket flag of a KDC that has looked at the realms on the way.
pub(crate) const TRANSIT_POLICY_CHECKED: i32 = 1 << (31 - 12);

/// The encrypted part of a ticket, up to the last member that we look at.
#[repr(C)]
pub(crate) struct EncTicketPart {
    pub(crate) magic: i32,
    pub(crate) flags: i32,
    pub(crate) session: *mut Keyblock,
    pub(crate) client: *mut Principal,
    pub(crate) transited: Transited,
    pub(crate) times: Times,
}

#[repr(C)]
pub(crate) struct Transited {
    pub(crate) magic: i32,
    pub(crate) kind: u8,
    pub(crate) contents: Data,
}

#[repr(C)]
pub(crate) struct Address {
    pub(crate) magic: i32,
    pub(crate) kind: i32,
    pub(crate) length: c_uint,
    pub(crate) contents: *mut u8,
}

/// The encrypted part of an AP-REP.
#[repr(C)]
pub(crate) struct ApRepEncPart {
    pub(crate) magic: i32,
    pub(crate) ctime: i32,
    pub(crate) cusec: i32,
    pub(crate) subkey: *mut Keyblock,
    pub(crate) seq_number: u32,
}

impl Address {
    /// The library's view of `octets`, which it does not write to.
    pub(crate) fn of(kind: i32, octets: &[u8]) -> Self {
        let length = c_uint::try_from(octets.len()).unwrap_or(c_uint::MAX);
        Self { magic: 0, kind, length, contents: octets.as_ptr().cast_mut() }
    }
}

impl Data {
    pub(crate) const EMPTY: Self = Self { magic: 0, length: 0, data: std::ptr::null_mut() };

    /// The library's view of `octets`, which it does not write to.
    pub(crate) fn of(octets: &[u8]) -> Self {
        let length = c_uint::try_from(octets.len()).unwrap_or(c_uint::MAX);
        Self { magic: 0, length, data: octets.as_ptr().cast_mut().cast() }
    }

    /// Overwrites the octets.
    ///
    /// # Safety
    ///
    /// The library allocated them, and nobody else has them.
    pub(super) unsafe fn wipe(&mut self) {
        if let Ok(length) = usize::try_from(self.length)
            && !self.data.is_null()
        {
            // SAFETY: the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(self.data.cast::<u8>(), length) }.zeroize();
        }
    }
}

impl Keyblock {
    pub(crate) const fn empty(enctype: i32) -> Self {
        Self { magic: 0, enctype, length: 0, contents: std::ptr::null_mut() }
    }

    /// The library's view of `key`, which it does not write to.
    pub(crate) fn of(key: &crate::ticket::Key) -> Self {
        let length = c_uint::try_from(key.octets.len()).unwrap_or(c_uint::MAX);
        Self { magic: 0, enctype: key.enctype, length, contents: key.octets.as_ptr().cast_mut() }
    }
}

impl Creds {
    /// Credentials of which only the two names and the wanted enctype (0: any) are known.
    pub(crate) fn wanted(client: *mut Principal, server: *mut Principal, enctype: i32) -> Self {
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

/// `AP_OPTS_MUTUAL_REQUIRED`: the acceptor must prove itself, too.
pub(crate) const MUTUAL_REQUIRED: i32 = 0x2000_0000;
/// `AP_OPTS_USE_SUBKEY`: a key for this connection alone, chosen by the connector.
pub(crate) const NEW_SUBKEY: i32 = 1;
/// `KRB5_AUTH_CONTEXT_DO_SEQUENCE`: messages are numbered.
pub(crate) const DO_SEQUENCE: i32 = 4;
/// `KRB5_AUTH_CONTEXT_USE_SUBKEY`: the acceptor chooses another key for the connection.
pub(crate) const USE_SUBKEY: i32 = 0x20;
/// `ADDRTYPE_INET`, `ADDRTYPE_INET6` and `ADDRTYPE_IPPORT`.
pub(crate) const ADDRESS_IPV4: i32 = 2;
pub(crate) const ADDRESS_IPV6: i32 = 24;
pub(crate) const ADDRESS_PORT: i32 = 0x101;

/// `KRB5_GC_CACHED`: look only into the credential cache.
pub(crate) const GC_CACHED: i32 = 2;

unsafe extern "C" {
    pub(crate) fn krb5_init_context(context: *mut *mut Context) -> c_int;
    pub(crate) fn krb5_free_context(context: *mut Context);
    pub(crate) fn krb5_get_error_message(context: *mut Context, code: c_int) -> *const c_char;
    pub(crate) fn krb5_free_error_message(context: *mut Context, message: *const c_char);

    pub(crate) fn krb5_set_real_time(context: *mut Context, seconds: i32, micros: i32) -> c_int;
    pub(crate) fn krb5_get_time_offsets(context: *mut Context, seconds: *mut i32, micros: *mut i32) -> c_int;

    pub(crate) fn krb5_get_default_realm(context: *mut Context, realm: *mut *mut RealmText) -> c_int;
    pub(crate) fn krb5_free_default_realm(context: *mut Context, realm: *mut RealmText);
    pub(crate) fn krb5_get_host_realm(context: *mut Context, host: *const c_char, realms: *mut *mut RealmList)
    -> c_int;
    pub(crate) fn krb5_get_fallback_host_realm(
        context: *mut Context,
        host: *mut Data,
        realms: *mut *mut RealmList,
    ) -> c_int;
    pub(crate) fn krb5_free_host_realm(context: *mut Context, realms: *mut RealmList) -> c_int;

    pub(crate) fn krb5_get_profile(context: *mut Context, profile: *mut *mut Profile) -> c_int;
    pub(crate) fn profile_release(profile: *mut Profile);
    pub(crate) fn profile_get_subsection_names(
        profile: *mut Profile,
        path: *const *const c_char,
        names: *mut *mut *mut c_char,
    ) -> c_long;
    pub(crate) fn profile_get_relation_names(
        profile: *mut Profile,
        path: *const *const c_char,
        names: *mut *mut *mut c_char,
    ) -> c_long;
    pub(crate) fn profile_get_values(
        profile: *mut Profile,
        path: *const *const c_char,
        values: *mut *mut *mut c_char,
    ) -> c_long;
    pub(crate) fn profile_free_list(list: *mut *mut c_char);

    pub(crate) fn krb5_build_principal(
        context: *mut Context,
        principal: *mut *mut Principal,
        realm_length: c_uint,
        realm: *const c_char,
        ...
    ) -> c_int;
    pub(crate) fn krb5_parse_name(context: *mut Context, name: *const c_char, principal: *mut *mut Principal) -> c_int;
    pub(crate) fn krb5_unparse_name(
        context: *mut Context,
        principal: *const Principal,
        name: *mut *mut PrincipalText,
    ) -> c_int;
    pub(crate) fn krb5_free_unparsed_name(context: *mut Context, name: *mut PrincipalText);
    pub(crate) fn krb5_principal_compare(context: *mut Context, a: *const Principal, b: *const Principal) -> c_uint;
    pub(crate) fn krb5_free_principal(context: *mut Context, principal: *mut Principal);

    pub(crate) fn krb5_cc_default(context: *mut Context, cache: *mut *mut Cache) -> c_int;
    pub(crate) fn krb5_cc_resolve(context: *mut Context, name: *const c_char, cache: *mut *mut Cache) -> c_int;
    pub(crate) fn krb5_cc_select(
        context: *mut Context,
        server: *mut Principal,
        cache: *mut *mut Cache,
        client: *mut *mut Principal,
    ) -> c_int;
    pub(crate) fn krb5_cc_initialize(context: *mut Context, cache: *mut Cache, principal: *mut Principal) -> c_int;
    pub(crate) fn krb5_cc_store_cred(context: *mut Context, cache: *mut Cache, creds: *mut Creds) -> c_int;
    pub(crate) fn krb5_cc_destroy(context: *mut Context, cache: *mut Cache) -> c_int;
    pub(crate) fn krb5_get_init_creds_keytab(
        context: *mut Context,
        creds: *mut Creds,
        client: *mut Principal,
        keytab: *mut Keytab,
        start: i32,
        service: *const c_char,
        options: *mut c_void,
    ) -> c_int;
    pub(crate) fn krb5_free_cred_contents(context: *mut Context, creds: *mut Creds);
    pub(crate) fn krb5_cc_get_principal(
        context: *mut Context,
        cache: *mut Cache,
        principal: *mut *mut Principal,
    ) -> c_int;
    pub(crate) fn krb5_cc_get_full_name(context: *mut Context, cache: *mut Cache, name: *mut *mut c_char) -> c_int;
    pub(crate) fn krb5_free_string(context: *mut Context, text: *mut c_char);
    pub(crate) fn krb5_cc_close(context: *mut Context, cache: *mut Cache) -> c_int;
    pub(crate) fn krb5_get_credentials(
        context: *mut Context,
        options: i32,
        cache: *mut Cache,
        wanted: *mut Creds,
        found: *mut *mut Creds,
    ) -> c_int;
    pub(crate) fn krb5_free_creds(context: *mut Context, creds: *mut Creds);

    pub(crate) fn krb5_kt_resolve(context: *mut Context, name: *const c_char, keytab: *mut *mut Keytab) -> c_int;
    pub(crate) fn krb5_kt_close(context: *mut Context, keytab: *mut Keytab) -> c_int;
    pub(crate) fn krb5_kt_start_seq_get(context: *mut Context, keytab: *mut Keytab, cursor: *mut *mut c_void) -> c_int;
    pub(crate) fn krb5_kt_next_entry(
        context: *mut Context,
        keytab: *mut Keytab,
        entry: *mut KeytabEntry,
        cursor: *mut *mut c_void,
    ) -> c_int;
    pub(crate) fn krb5_kt_end_seq_get(context: *mut Context, keytab: *mut Keytab, cursor: *mut *mut c_void) -> c_int;
    pub(crate) fn krb5_kt_add_entry(context: *mut Context, keytab: *mut Keytab, entry: *mut KeytabEntry) -> c_int;
    pub(crate) fn krb5_free_keytab_entry_contents(context: *mut Context, entry: *mut KeytabEntry) -> c_int;

    pub(crate) fn krb5_auth_con_init(context: *mut Context, auth: *mut *mut AuthContext) -> c_int;
    pub(crate) fn krb5_auth_con_free(context: *mut Context, auth: *mut AuthContext) -> c_int;
    pub(crate) fn krb5_auth_con_setflags(context: *mut Context, auth: *mut AuthContext, flags: i32) -> c_int;
    pub(crate) fn krb5_auth_con_getkey(context: *mut Context, auth: *mut AuthContext, key: *mut *mut Keyblock)
    -> c_int;
    pub(crate) fn krb5_free_keyblock(context: *mut Context, key: *mut Keyblock);
    pub(crate) fn krb5_auth_con_getauthenticator(
        context: *mut Context,
        auth: *mut AuthContext,
        authenticator: *mut *mut Authenticator,
    ) -> c_int;
    pub(crate) fn krb5_free_authenticator(context: *mut Context, authenticator: *mut Authenticator);
    pub(crate) fn krb5_mk_req_extended(
        context: *mut Context,
        auth: *mut *mut AuthContext,
        options: i32,
        checksummed: *mut Data,
        creds: *mut Creds,
        request: *mut Data,
    ) -> c_int;
    pub(crate) fn krb5_rd_req(
        context: *mut Context,
        auth: *mut *mut AuthContext,
        request: *const Data,
        server: *const Principal,
        keytab: *mut Keytab,
        options: *mut i32,
        ticket: *mut *mut Ticket,
    ) -> c_int;
    pub(crate) fn krb5_mk_rep(context: *mut Context, auth: *mut AuthContext, reply: *mut Data) -> c_int;
    pub(crate) fn krb5_rd_rep(
        context: *mut Context,
        auth: *mut AuthContext,
        reply: *const Data,
        inside: *mut *mut ApRepEncPart,
    ) -> c_int;
    pub(crate) fn krb5_free_ap_rep_enc_part(context: *mut Context, inside: *mut ApRepEncPart);
    pub(crate) fn krb5_mk_priv(
        context: *mut Context,
        auth: *mut AuthContext,
        plain: *const Data,
        message: *mut Data,
        replay: *mut c_void,
    ) -> c_int;
    pub(crate) fn krb5_rd_priv(
        context: *mut Context,
        auth: *mut AuthContext,
        message: *const Data,
        plain: *mut Data,
        replay: *mut c_void,
    ) -> c_int;
    pub(crate) fn krb5_auth_con_setaddrs(
        context: *mut Context,
        auth: *mut AuthContext,
        local: *mut Address,
        remote: *mut Address,
    ) -> c_int;
    pub(crate) fn krb5_auth_con_setports(
        context: *mut Context,
        auth: *mut AuthContext,
        local: *mut Address,
        remote: *mut Address,
    ) -> c_int;
    pub(crate) fn krb5_auth_con_getsendsubkey(
        context: *mut Context,
        auth: *mut AuthContext,
        key: *mut *mut Keyblock,
    ) -> c_int;
    pub(crate) fn krb5_auth_con_getrecvsubkey(
        context: *mut Context,
        auth: *mut AuthContext,
        key: *mut *mut Keyblock,
    ) -> c_int;
    pub(crate) fn krb5_free_ticket(context: *mut Context, ticket: *mut Ticket);
    pub(crate) fn krb5_check_clockskew(context: *mut Context, date: i32) -> c_int;
    pub(crate) fn krb5_free_data_contents(context: *mut Context, data: *mut Data);

    pub(crate) fn krb5_c_decrypt(
        context: *mut Context,
        key: *const Keyblock,
        usage: i32,
        state: *const Data,
        input: *const EncryptedData,
        output: *mut Data,
    ) -> c_int;
    pub(crate) fn krb5_c_make_checksum(
        context: *mut Context,
        checksum_type: i32,
        key: *const Keyblock,
        usage: i32,
        input: *const Data,
        checksum: *mut Checksum,
    ) -> c_int;
    pub(crate) fn krb5_c_verify_checksum(
        context: *mut Context,
        key: *const Keyblock,
        usage: i32,
        input: *const Data,
        checksum: *const Checksum,
        holds: *mut c_uint,
    ) -> c_int;
    pub(crate) fn krb5_free_checksum_contents(context: *mut Context, checksum: *mut Checksum);
}
