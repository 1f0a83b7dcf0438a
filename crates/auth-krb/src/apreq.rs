//! A strict look at an AP-REQ before libkrb5 sees it: nothing but what a client of this service sends gets through.

use crate::{binding::SERVICE, checksum};
use rasn_kerberos::{ApReq, EncryptedData};

/// The largest authenticator, in octets: a packet holds no more.
pub(crate) const MAX_AUTHENTICATOR: usize = zephyr_core::limits::MAX_PACKET;

/// Kerberos version 5.
const VERSION: i128 = 5;
/// The number of AP-REQ among Kerberos messages.
const AP_REQ: i128 = 14;
/// The types of long-term keys that a keytab may hold for the service: those of session keys, and exportable RC4.
const RC4_EXPORT: i32 = 24;

/// Why octets are not an AP-REQ for this service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0} octets are too many for an AP-REQ")]
    TooLong(usize),
    #[error("not an AP-REQ")]
    NotAnApReq,
    #[error("not in canonical form")]
    NotCanonical,
    #[error("Kerberos version {0}, not {VERSION}")]
    Version(String),
    #[error("message type {0}, not {AP_REQ}")]
    MessageType(String),
    #[error("AP options are set")]
    Options,
    #[error("a ticket for another service")]
    OtherService,
    #[error("a ticket for the service of another realm")]
    OtherRealm,
    #[error("unknown enctype {0}")]
    Enctype(i32),
    #[error("nothing is encrypted")]
    Empty,
}

/// Looks at an AP-REQ that should be for the service of `realm`.
pub(crate) fn inspect(octets: &[u8], realm: &[u8]) -> Result<(), Refusal> {
    if octets.len() > MAX_AUTHENTICATOR {
        return Err(Refusal::TooLong(octets.len()));
    }
    let request: ApReq = rasn::der::decode(octets).map_err(|_| Refusal::NotAnApReq)?;
    // There is one way to write it; this refuses trailing octets, long forms of short lengths, and whatever else the
    // decoder forgives.
    if rasn::der::encode(&request).ok().as_deref() != Some(octets) {
        return Err(Refusal::NotCanonical);
    }
    for version in [&request.pvno, &request.ticket.tkt_vno] {
        if *version != VERSION.into() {
            return Err(Refusal::Version(version.to_string()));
        }
    }
    if request.msg_type != AP_REQ.into() {
        return Err(Refusal::MessageType(request.msg_type.to_string()));
    }
    let options = &request.ap_options.0;
    if options.len() != 32 || options.any() {
        return Err(Refusal::Options);
    }
    let name = &request.ticket.sname.string;
    if !name.iter().map(|part| -> &[u8] { part.as_ref() }).eq(SERVICE.map(std::ffi::CStr::to_bytes)) {
        return Err(Refusal::OtherService);
    }
    let ticket_realm: &[u8] = request.ticket.realm.as_ref();
    if ticket_realm != realm {
        return Err(Refusal::OtherRealm);
    }
    encrypted(&request.ticket.enc_part, |enctype| checksum::is_known(enctype) || enctype == RC4_EXPORT)?;
    encrypted(&request.authenticator, checksum::is_known)
}

fn encrypted(data: &EncryptedData, is_known: impl Fn(i32) -> bool) -> Result<(), Refusal> {
    if !is_known(data.etype) {
        return Err(Refusal::Enctype(data.etype));
    }
    if data.cipher.is_empty() { Err(Refusal::Empty) } else { Ok(()) }
}
