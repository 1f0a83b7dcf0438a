//! A forger with all the keys: valid and invalid tickets, authenticators and packets.

use aes::{
    Aes128Enc, Aes256Enc, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use kerberos_asn1::{
    ApReq, Asn1Object, Authenticator, EncTicketPart, EncryptedData, EncryptionKey, KerberosTime, PrincipalName, Ticket,
    TransitedEncoding,
};
use ring::hmac;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zephyr_auth_krb::internals::{Purpose, checksum, derived};
use zephyr_core::{coding::zcode, limits::Limits, notice::Notice};

pub(crate) const REALM: &str = "ZEPHYR.TEST";
pub(crate) const ALICE: &str = "alice@ZEPHYR.TEST";
pub(crate) const KVNO: u32 = 3;
pub(crate) const ENCTYPES: [i32; 4] = [17, 18, 19, 20];

/// A key of the service, or of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) enctype: i32,
    pub(crate) octets: Vec<u8>,
}

impl Secret {
    /// One that follows from a number.
    pub(crate) fn of(enctype: i32, number: u8) -> Self {
        let len = if matches!(enctype, 17 | 19) { 16 } else { 32 };
        let octets = (0..len).map(|at| number.wrapping_mul(31).wrapping_add(at * 7)).collect();
        Self { enctype, octets }
    }

    /// AES as RFC 3962 and RFC 8009 have it; the random block is not random.
    pub(crate) fn encrypt(&self, usage: i32, plain: &[u8]) -> Vec<u8> {
        let derived = |purpose| derived(self.enctype, &self.octets, usage, &purpose);
        let text = [&[0x5A; 16], plain].concat();
        let mut cipher = encrypted(&derived(Purpose::Encryption), &text);
        let (algorithm, len) = match self.enctype {
            17 | 18 => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 12),
            19 => (hmac::HMAC_SHA256, 16),
            _ => (hmac::HMAC_SHA384, 24),
        };
        let key = hmac::Key::new(algorithm, &derived(Purpose::Integrity));
        let covered = if self.enctype < 19 { text } else { [&[0; 16], &cipher[..]].concat() };
        cipher.extend(&hmac::sign(&key, &covered).as_ref()[..len]);
        cipher
    }
}

/// CBC with cipher text stealing.
fn encrypted(key: &[u8], text: &[u8]) -> Vec<u8> {
    let block = |block: &mut Block| match key.len() {
        16 => Aes128Enc::new_from_slice(key).unwrap().encrypt_block(block),
        _ => Aes256Enc::new_from_slice(key).unwrap().encrypt_block(block),
    };
    let mut before = Block::default();
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for part in text.chunks(16) {
        let mut next = before;
        next.iter_mut().zip(part).for_each(|(octet, part)| *octet ^= part);
        block(&mut next);
        blocks.push(next.to_vec());
        before = next;
    }
    let last = blocks.pop().unwrap();
    let mut stolen = blocks.pop().unwrap();
    stolen.truncate(text.len() - 16 * (blocks.len() + 1));
    [blocks.concat(), last, stolen].concat()
}

/// A moment in Kerberos' form.
pub(crate) fn moment(seconds: u64) -> KerberosTime {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for len in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let text = format!("\x18\x0f{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", day + 1);
    KerberosTime::parse(text.as_bytes()).unwrap().1
}

pub(crate) fn name(parts: &[&str]) -> PrincipalName {
    PrincipalName { name_type: 1, name_string: parts.iter().map(|part| (*part).to_owned()).collect() }
}

/// One AP-REQ before anything of it is encrypted.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) service: Secret,
    pub(crate) kvno: Option<u32>,
    pub(crate) ticket: EncTicketPart,
    pub(crate) session: Secret,
    pub(crate) authenticator: Authenticator,
}

impl Draft {
    /// A good one, made now.
    pub(crate) fn good(service: Secret, session: Secret, now: u64) -> Self {
        const PRE_AUTHENT: u32 = 0x0020_0000;
        let ticket = EncTicketPart {
            flags: PRE_AUTHENT.into(),
            key: EncryptionKey { keytype: session.enctype, keyvalue: session.octets.clone() },
            crealm: REALM.into(),
            cname: name(&["alice"]),
            transited: TransitedEncoding { tr_type: 1, contents: Vec::new() },
            authtime: moment(now - 60),
            starttime: Some(moment(now - 30)),
            endtime: moment(now + 36_000),
            renew_till: None,
            caddr: None,
            authorization_data: None,
        };
        let authenticator = Authenticator {
            authenticator_vno: 5,
            crealm: REALM.into(),
            cname: name(&["alice"]),
            cksum: None,
            cusec: 123_456,
            ctime: moment(now),
            subkey: None,
            seq_number: None,
            authorization_data: None,
        };
        Self { service, kvno: Some(KVNO), ticket, session, authenticator }
    }

    pub(crate) fn encrypted_ticket(&self, plain: &[u8]) -> Ticket {
        let cipher = self.service.encrypt(2, plain);
        let encrypted = EncryptedData { etype: self.service.enctype, kvno: self.kvno, cipher };
        Ticket::new(REALM.into(), name(&["zephyr", "zephyr"]), encrypted)
    }

    pub(crate) fn request_of(&self, ticket: Ticket, authenticator: &[u8]) -> ApReq {
        let cipher = self.session.encrypt(11, authenticator);
        let authenticator = EncryptedData { etype: self.session.enctype, kvno: None, cipher };
        ApReq { pvno: 5, msg_type: 14, ap_options: 0.into(), ticket, authenticator }
    }

    pub(crate) fn request(&self) -> Vec<u8> {
        self.request_of(self.encrypted_ticket(&self.ticket.build()), &self.authenticator.build()).build()
    }

    /// The whole packet around an AP-REQ, its checksum made with the session key.
    pub(crate) fn packet(&self, request: &[u8]) -> Vec<u8> {
        self.packet_of(&notice(), request)
    }

    /// As [`Draft::packet`], of a given notice.
    pub(crate) fn packet_of(&self, notice: &Notice<'_>, request: &[u8]) -> Vec<u8> {
        packet(&self.session, notice, request)
    }
}

pub(crate) fn notice() -> Notice<'static> {
    Notice {
        class: b"MESSAGE",
        instance: b"PERSONAL",
        sender: ALICE.as_bytes(),
        recipient: b"bob@ZEPHYR.TEST",
        body: b"alice\0hello",
        ..Notice::EMPTY
    }
}

fn packet(session: &Secret, notice: &Notice<'_>, request: &[u8]) -> Vec<u8> {
    const ROOMY: Limits = Limits { header: 8192, packet: 8192 };
    let unsealed = notice.unsealed(request.len(), &zcode::encoded(request)).unwrap();
    let covered = unsealed.covered().concat();
    let checksum = checksum(session.enctype, &session.octets, 1027, &covered).unwrap();
    unsealed.seal(&checksum, ROOMY).unwrap().to_vec()
}

/// The service's keys, one of each type, and a keytab with them.
pub(crate) fn keytab(folder: &Path) -> (PathBuf, Vec<Secret>) {
    let keys: Vec<Secret> = ENCTYPES.map(|enctype| Secret::of(enctype, 200)).to_vec();
    let length_prefixed = |octets: &[u8]| [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat();
    let mut file = vec![5, 2];
    for key in &keys {
        let names =
            [length_prefixed(REALM.as_bytes()), length_prefixed(b"zephyr"), length_prefixed(b"zephyr")].concat();
        let version = [0, 0, 0, 1, 0, 0, 0, 0, u8::try_from(KVNO).unwrap()];
        let enctype = u16::try_from(key.enctype).unwrap().to_be_bytes();
        let entry = [&[0, 2][..], &names, &version, &enctype, &length_prefixed(&key.octets)].concat();
        file.extend(i32::try_from(entry.len()).unwrap().to_be_bytes());
        file.extend(entry);
    }
    let path = folder.join("zephyr.keytab");
    fs::write(&path, file).unwrap();
    (path, keys)
}
