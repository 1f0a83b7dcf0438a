//! Decoding of authenticators (RFC 4120, section 5.5.1), as the clients of this service write them.

use crate::{
    der::{Reader, unsigned},
    ticket::Made,
};

/// An authenticator that has nothing in it but who made it and when, and perhaps a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authenticator<'a> {
    /// The client's realm.
    pub(crate) realm: &'a [u8],
    /// The parts of the client's name, encoded, without the name's type.
    pub(crate) name: &'a [u8],
    /// When it was made.
    pub(crate) made: Made,
}

// Tags: universal, of this application, and of a message's fields.
const INTEGER: u8 = 0x02;
const GENERALIZED_TIME: u8 = 0x18;
const GENERAL_STRING: u8 = 0x1B;
const SEQUENCE: u8 = 0x30;
const AUTHENTICATOR: u8 = 0x62;
const fn field(number: u8) -> u8 {
    0xA0 | number
}

impl<'a> Authenticator<'a> {
    /// Reads one; `None` when it is not written the one way that is allowed, or has a checksum, a subkey or
    /// authorization data, which are for libkrb5 to judge.
    pub(crate) fn decode(octets: &'a [u8]) -> Option<Self> {
        const VERSION: u32 = 5;
        const MICROS: u32 = 1_000_000;
        let mut outside = Reader::new(octets);
        let mut inside = outside.enter(AUTHENTICATOR)?;
        let mut fields = inside.enter(SEQUENCE)?;
        if unsigned(fields.only(field(0), INTEGER)?)? != VERSION {
            return None;
        }
        let realm = fields.only(field(1), GENERAL_STRING)?;
        let mut client = fields.enter(field(2))?;
        let mut parts = client.enter(SEQUENCE)?;
        unsigned(parts.only(field(0), INTEGER)?)?;
        let name = parts.only(field(1), SEQUENCE)?;
        let mut names = Reader::new(name);
        while !names.end() {
            names.take(GENERAL_STRING)?;
        }
        let micros = unsigned(fields.only(field(4), INTEGER)?)?;
        if micros >= MICROS {
            return None;
        }
        let made = Made { seconds: seconds(fields.only(field(5), GENERALIZED_TIME)?)?, micros };
        if fields.next_is(field(7)) {
            unsigned(fields.only(field(7), INTEGER)?)?;
        }
        let ends = [outside.end(), inside.end(), fields.end(), client.end(), parts.end()];
        ends.iter().all(|end| *end).then_some(Self { realm, name, made })
    }
}

/// A moment as Kerberos writes it, `20261122110103Z`, in seconds since 1970.
fn seconds(time: &[u8]) -> Option<u32> {
    let digits = time.strip_suffix(b"Z").filter(|digits| digits.len() == 14)?;
    let number = |from: usize, to: usize| {
        digits
            .get(from..to)?
            .iter()
            .try_fold(0, |sum: i64, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March have their leap day at the end, and every five months of them have 153 days.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    const DAYS_BEFORE_1970: i64 = 719_468;
    u32::try_from((days - DAYS_BEFORE_1970) * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerberos_asn1::{Asn1Object, Authenticator as Other, Checksum, EncryptionKey, KerberosTime, PrincipalName};

    /// One as a client writes it, by the other encoder.
    fn usual() -> Other {
        let name = PrincipalName { name_type: 1, name_string: vec!["daemon".into(), "host".into()] };
        let (_, made) = KerberosTime::parse(b"\x18\x0f20270115080000Z").unwrap();
        Other {
            authenticator_vno: 5,
            crealm: "ZEPHYR.TEST".into(),
            cname: name,
            cksum: None,
            cusec: 999_999,
            ctime: made,
            subkey: None,
            seq_number: None,
            authorization_data: None,
        }
    }

    #[test]
    fn what_clients_write_is_read() {
        let octets = usual().build();
        let made = Made { seconds: 1_800_000_000, micros: 999_999 };
        let expected = Authenticator { realm: b"ZEPHYR.TEST", name: b"\x1b\x06daemon\x1b\x04host", made };
        assert_eq!(Authenticator::decode(&octets), Some(expected));
        let numbered = Other { seq_number: Some(0x7FFF_FFFF), ..usual() }.build();
        assert_eq!(Authenticator::decode(&numbered), Some(expected));
    }

    #[test]
    fn what_needs_a_closer_look_is_not() {
        let key = EncryptionKey { keytype: 18, keyvalue: vec![7; 32] };
        let checksum = Checksum { cksumtype: 0x8003, checksum: vec![0; 24] };
        for (name, unusual) in [
            ("subkey", Other { subkey: Some(key), ..usual() }),
            ("checksum", Other { cksum: Some(checksum), ..usual() }),
            ("authorization data", Other { authorization_data: Some(Vec::new()), ..usual() }),
            ("version", Other { authenticator_vno: 4, ..usual() }),
            ("microseconds", Other { cusec: 1_000_000, ..usual() }),
        ] {
            assert_eq!(Authenticator::decode(&unusual.build()), None, "{name}");
        }
    }

    /// What is read of a changed authenticator is what the other decoder reads.
    #[test]
    fn the_other_decoder_agrees_about_changed_ones() {
        let good = usual().build();
        let (mut changed, mut read) = (good.clone(), 0);
        for (at, &octet) in good.iter().enumerate() {
            for other in (0..=u8::MAX).filter(|&other| other != octet) {
                changed[at] = other;
                if let Some(ours) = Authenticator::decode(&changed) {
                    // The other decoder only knows texts that are UTF-8.
                    let text = [ours.realm, ours.name].concat();
                    if std::str::from_utf8(&text).is_err() {
                        continue;
                    }
                    let (rest, theirs) = Other::parse(&changed).unwrap();
                    assert!(rest.is_empty() && theirs.build() == changed, "octet {at}: {other:#x}");
                    assert_eq!(theirs.crealm.as_bytes(), ours.realm);
                    assert_eq!(theirs.ctime.timestamp(), i64::from(ours.made.seconds));
                    assert_eq!(theirs.cusec.cast_unsigned(), ours.made.micros);
                    read += 1;
                }
            }
            changed[at] = octet;
        }
        for len in 0..good.len() {
            assert_eq!(Authenticator::decode(&good[..len]), None);
        }
        assert!(read > 2000, "{read}");
    }

    #[test]
    fn moments() {
        for (text, moment) in [
            ("19700101000000Z", Some(0)),
            ("20000229235959Z", Some(951_868_799)),
            ("20261122110103Z", Some(1_795_345_263)),
            ("20380119031408Z", Some(0x8000_0000)),
            ("21060207062815Z", Some(u32::MAX)),
            ("21060207062816Z", None),
            ("19691231235959Z", None),
            ("20230229000000Z", None),
            ("21000229000000Z", None),
            ("20261301000000Z", None),
            ("20260001000000Z", None),
            ("20260100000000Z", None),
            ("20260101240000Z", None),
            ("20260101000060Z", None),
            ("20260101000000", None),
            ("2026010100000Z", None),
            ("20260101000000.0Z", None),
            ("-0260101000000Z", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), moment, "{text}");
        }
    }
}
