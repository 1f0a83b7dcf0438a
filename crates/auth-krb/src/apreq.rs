//! A strict parser of AP-REQ messages, run before libkrb5 sees them. Nothing but what a client of this service sends
//! gets through, or another server that connects to it.

use crate::{
    binding::SERVICE,
    checksum,
    der::{Reader, unsigned},
};
use rasn_kerberos::{ApReq, EncryptedData};
use zephyr_core::auth::MAX_TOKEN;

/// The largest authenticator, in octets: a packet holds no more.
pub(crate) const MAX_AUTHENTICATOR: usize = zephyr_core::limits::MAX_PACKET;

/// Kerberos version 5.
const VERSION: i128 = 5;
/// The number of AP-REQ among Kerberos messages.
const AP_REQ: i128 = 14;
/// A type of long-term keys that session keys do not have: exportable RC4.
const RC4_EXPORT: i32 = 24;

/// Errors of parsing an AP-REQ for this service.
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
    #[error("AP options other than mutual authentication")]
    NotMutual,
    #[error("a ticket for another service")]
    OtherService,
    #[error("a ticket for the service of another realm")]
    OtherRealm,
    #[error("unknown enctype {0}")]
    Enctype(i32),
    #[error("nothing is encrypted")]
    Empty,
}

/// The types of the keys that an AP-REQ says it was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enctypes {
    /// Of the service's key, which the ticket is encrypted with.
    pub(crate) ticket: i32,
    /// Of the session key, which the authenticator is encrypted with.
    pub(crate) session: i32,
}

/// Mutual authentication, among the AP options.
const MUTUAL_REQUIRED: u32 = 1 << (31 - 2);

/// Parses an AP-REQ of a notice for the service of `realm`.
pub(crate) fn inspect(octets: &[u8], realm: &[u8]) -> Result<Enctypes, Refusal> {
    let (enctypes, options) = parse(octets, realm, MAX_AUTHENTICATOR)?;
    if options == Some(0) { Ok(enctypes) } else { Err(Refusal::Options) }
}

/// Parses an AP-REQ by which another server connects to that of `realm`.
pub(crate) fn inspect_mutual(octets: &[u8], realm: &[u8]) -> Result<Enctypes, Refusal> {
    let (enctypes, options) = parse(octets, realm, MAX_TOKEN)?;
    if options == Some(MUTUAL_REQUIRED) { Ok(enctypes) } else { Err(Refusal::NotMutual) }
}

/// The types of its keys, and its options where they are so many as they must be.
fn parse(octets: &[u8], realm: &[u8], max_len: usize) -> Result<(Enctypes, Option<u32>), Refusal> {
    if octets.len() > max_len {
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
    let options = (options.len() == 32).then(|| options.iter().fold(0, |number, bit| number << 1 | u32::from(*bit)));
    let name = &request.ticket.sname.string;
    if !name.iter().map(|part| -> &[u8] { part.as_ref() }).eq(SERVICE.map(std::ffi::CStr::to_bytes)) {
        return Err(Refusal::OtherService);
    }
    let ticket_realm: &[u8] = request.ticket.realm.as_ref();
    if ticket_realm != realm {
        return Err(Refusal::OtherRealm);
    }
    encrypted(&request.ticket.enc_part, |enctype| checksum::is_known(enctype) || enctype == RC4_EXPORT)?;
    encrypted(&request.authenticator, checksum::is_known)?;
    Ok((Enctypes { ticket: request.ticket.enc_part.etype, session: request.authenticator.etype }, options))
}

fn encrypted(data: &EncryptedData, is_known: impl Fn(i32) -> bool) -> Result<(), Refusal> {
    if !is_known(data.etype) {
        return Err(Refusal::Enctype(data.etype));
    }
    if data.cipher.is_empty() { Err(Refusal::Empty) } else { Ok(()) }
}

/// An AP-REQ in its parts.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The ticket, encoded.
    pub(crate) ticket: &'a [u8],
    /// The type of the session key.
    pub(crate) enctype: i32,
    /// The encrypted authenticator.
    pub(crate) cipher: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The parts of an AP-REQ that looks like all others, but for what is in the ticket: when that is one of an AP-REQ
    /// that was [inspected](inspect), this one would pass, too.
    pub(crate) fn of(octets: &'a [u8]) -> Option<Self> {
        const BEGINNING: &[u8] = b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e\xa2\x07\x03\x05\0\0\0\0\0";
        let mut outside = Reader::new(octets);
        let mut message = outside.enter(0x6E)?;
        let mut fields = Reader::new(message.take(0x30)?.strip_prefix(BEGINNING)?);
        let mut inside = fields.enter(0xA3)?;
        let (_, ticket) = inside.whole(0x61)?;
        let mut authenticator = fields.enter(0xA4)?;
        let mut encrypted = authenticator.enter(0x30)?;
        let enctype = unsigned(encrypted.only(0xA0, 0x02)?)?.cast_signed();
        let cipher = encrypted.only(0xA2, 0x04)?;
        let ends = [outside, message, fields, inside, authenticator, encrypted].iter().all(Reader::end);
        (ends && octets.len() <= MAX_AUTHENTICATOR && !cipher.is_empty() && checksum::is_known(enctype))
            .then_some(Self { ticket, enctype, cipher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerberos_asn1::{Asn1Object, EncryptedData as Encrypted, PrincipalName, Ticket};

    const REALM: &[u8] = b"ATHENA.TEST";

    /// An AP-REQ as clients send it, written by the other decoder.
    fn request() -> kerberos_asn1::ApReq {
        let encrypted = |etype, kvno, len| Encrypted { etype, kvno, cipher: vec![0x5A; len] };
        let name = PrincipalName { name_type: 1, name_string: vec!["zephyr".into(), "zephyr".into()] };
        kerberos_asn1::ApReq {
            pvno: 5,
            msg_type: 14,
            ap_options: kerberos_asn1::ApOptions::default(),
            ticket: Ticket::new("ATHENA.TEST".into(), name, encrypted(18, Some(3), 200)),
            authenticator: encrypted(18, None, 90),
        }
    }

    fn said_of(change: impl FnOnce(&mut kerberos_asn1::ApReq)) -> Result<(), Refusal> {
        let mut request = request();
        change(&mut request);
        inspect(&request.build(), REALM).map(drop)
    }

    #[test]
    fn what_a_client_sends_gets_through() {
        assert_eq!(said_of(|_| ()), Ok(()));
        assert_eq!(said_of(|request| request.ticket.enc_part.kvno = None), Ok(()));
        assert_eq!(said_of(|request| request.ticket.enc_part.kvno = Some(0x7FFF_FFFF)), Ok(()));
        assert_eq!(said_of(|request| request.ticket.sname.name_type = 2), Ok(()));
        for enctype in [16, 17, 18, 19, 20, 23, 25, 26] {
            let both = |request: &mut kerberos_asn1::ApReq| {
                request.ticket.enc_part.etype = enctype;
                request.authenticator.etype = enctype;
            };
            assert_eq!(said_of(both), Ok(()), "{enctype}");
        }
    }

    #[test]
    fn anything_else_does_not() {
        assert_eq!(said_of(|request| request.pvno = 4), Err(Refusal::Version("4".into())));
        assert_eq!(said_of(|request| request.ticket.tkt_vno = -5), Err(Refusal::Version("-5".into())));
        assert_eq!(said_of(|request| request.msg_type = 15), Err(Refusal::MessageType("15".into())));
        for flag in [0, 1, 2, 31] {
            assert_eq!(said_of(|request| request.ap_options.flags = 1 << flag), Err(Refusal::Options), "{flag}");
        }
        assert_eq!(said_of(|request| request.ticket.realm = "ATHENA.TESt".into()), Err(Refusal::OtherRealm));
        for name in [&["zephyr"][..], &["zephyr", "zephyr", ""], &["zephyr", "host"], &["zephyr/zephyr"], &[]] {
            let name: Vec<String> = name.iter().map(|part| (*part).into()).collect();
            let said = said_of(|request| request.ticket.sname.name_string = name.clone());
            assert_eq!(said, Err(Refusal::OtherService), "{name:?}");
        }
        for enctype in [0, 1, 3, 24, 27, -138, i32::MIN] {
            assert_eq!(said_of(|request| request.authenticator.etype = enctype), Err(Refusal::Enctype(enctype)));
        }
        assert_eq!(said_of(|request| request.ticket.enc_part.etype = 3), Err(Refusal::Enctype(3)));
        assert_eq!(said_of(|request| request.ticket.enc_part.cipher.clear()), Err(Refusal::Empty));
        assert_eq!(said_of(|request| request.authenticator.cipher.clear()), Err(Refusal::Empty));
        let long = said_of(|request| request.authenticator.cipher = vec![0; 1024]);
        assert!(matches!(long, Err(Refusal::TooLong(_))), "{long:?}");
    }

    #[test]
    fn who_connects_asks_for_mutual_authentication_and_nothing_else() {
        let said_of = |change: fn(&mut kerberos_asn1::ApReq)| {
            let mut request = request();
            request.ap_options.flags = MUTUAL_REQUIRED;
            change(&mut request);
            inspect_mutual(&request.build(), REALM)
        };
        assert_eq!(said_of(|_| ()), Ok(Enctypes { ticket: 18, session: 18 }));
        let changes: [fn(&mut kerberos_asn1::ApReq); 3] = [
            |request| request.ap_options.flags = 0,
            |request| request.ap_options.flags |= 1 << 30,
            |request| request.ap_options.flags |= 1,
        ];
        for change in changes {
            assert_eq!(said_of(change), Err(Refusal::NotMutual));
        }
        assert_eq!(said_of(|request| request.ticket.realm = "OTHER".into()), Err(Refusal::OtherRealm));
        // Longer than a packet, as tickets with a PAC are.
        assert!(said_of(|request| request.authenticator.cipher = vec![1; 4000]).is_ok());
        let long = said_of(|request| request.authenticator.cipher = vec![1; MAX_TOKEN]);
        assert!(matches!(long, Err(Refusal::TooLong(_))), "{long:?}");
    }

    #[test]
    fn only_the_canonical_form_gets_through() {
        let good = request().build();
        let [0x6E, 0x82, high, low] = good[..4] else { panic!("no tag 14 with a length of two octets") };
        assert!(inspect(&[&good[..], b"\0"].concat(), REALM).is_err());
        let long_length = [&[0x6E, 0x83, 0, high, low], &good[4..]].concat();
        assert!(inspect(&long_length, REALM).is_err());
        // A number marked as made of parts, which the decoder forgives.
        assert_eq!(good[10..13], [0x02, 0x01, 0x05]);
        let of_parts = [&good[..10], &[0x22], &good[11..]].concat();
        assert_eq!(inspect(&of_parts, REALM), Err(Refusal::NotCanonical));
        let endless = [&[0x6E, 0x80], &good[4..], b"\0\0"].concat();
        assert!(inspect(&endless, REALM).is_err());
        for len in 0..good.len() {
            assert!(inspect(&good[..len], REALM).is_err(), "cut to {len}");
        }
    }

    /// Wherever the strict look lets a changed request through, the other decoder reads the same and finds nothing that
    /// should have been refused.
    #[test]
    fn the_other_decoder_agrees_about_changed_requests() {
        let good = request().build();
        let ticket = request().ticket.build();
        let (mut changed, mut through, mut in_parts) = (good.clone(), 0, 0);
        for (at, &octet) in good.iter().enumerate() {
            for other in (0..=u8::MAX).filter(|&other| other != octet) {
                changed[at] = other;
                if inspect(&changed, REALM).is_ok() {
                    through += 1;
                    let (rest, read) = kerberos_asn1::ApReq::parse(&changed).unwrap();
                    assert!(rest.is_empty());
                    assert_eq!(read.build(), changed, "octet {at}: {other:#x}");
                    let names = (read.pvno, read.msg_type, read.ap_options.flags, read.ticket.tkt_vno);
                    assert_eq!(names, (5, 14, 0, 5));
                    assert_eq!(read.ticket.realm.as_bytes(), REALM);
                    assert_eq!(read.ticket.sname.name_string, ["zephyr", "zephyr"]);
                }
                if let Some(parts) = Parts::of(&changed).filter(|parts| parts.ticket == ticket) {
                    let (_, read) = kerberos_asn1::ApReq::parse(&changed).unwrap();
                    assert!(inspect(&changed, REALM).is_ok(), "octet {at}: {other:#x}");
                    assert_eq!((parts.enctype, parts.cipher), (read.authenticator.etype, &*read.authenticator.cipher));
                    in_parts += 1;
                }
            }
            changed[at] = octet;
        }
        // All changes of the two ciphers' octets, and a few of types and numbers.
        assert!((290 * 255..300 * 255).contains(&through), "{through}");
        assert!((90 * 255..91 * 255).contains(&in_parts), "{in_parts}");
    }
}
