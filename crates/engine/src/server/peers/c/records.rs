//! Records of dumps of C servers (server to server, section 3.4): each is a packet.

use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use zephyr_core::{
    auth::SessionKey,
    body::{self, Place},
    coding::zcode,
    exposure::Exposure,
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    uid::Uid,
};
use zeroize::Zeroizing;

/// Octets of a key at most, and of its type and length before it.
const MAX_KEY: usize = 256;
const KEY_HEADER: usize = 8;

/// A record of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A location of a user.
    Location {
        /// Whose.
        user: &'a [u8],
        /// Who may know.
        exposure: Exposure,
        /// Where it was told from.
        address: SocketAddrV4,
        /// Where he is.
        place: Place<'a>,
    },
    /// A client, whose subscriptions follow.
    Client {
        /// Whose.
        principal: &'a [u8],
        /// Where it receives.
        address: SocketAddrV4,
        /// The key of its session.
        key: Key,
    },
    /// A subscription of the client before.
    Subscription([&'a [u8]; 3]),
    /// Another realm, whose subscriptions here follow.
    Realm(&'a [u8]),
    /// A subscription of the realm before.
    RealmSubscription([&'a [u8]; 3]),
    /// That is all.
    Done,
}

/// The key of a client in a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A key.
    Session(SessionKey),
    /// There is none.
    None,
    /// One that nobody can use: of an old kind, or malformed.
    Useless,
}

/// Why a packet is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is no notice.
    #[error("a record that is no notice")]
    NoNotice,
    /// There is no such record.
    #[error("a record of an unknown kind: class {0}, opcode {1}")]
    Unknown(String, String),
    /// What a record of its kind has is missing or wrong.
    #[error("a malformed record {0}")]
    Malformed(&'static str),
}

/// What all records of a dump of ours have.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// This server's name.
    pub host: &'a [u8],
    /// Its port.
    pub port: u16,
    /// Its address.
    pub address: Ipv4Addr,
}

impl<'a> Record<'a> {
    /// Reads a record.
    ///
    /// # Errors
    ///
    /// When it is none that a C server sends.
    pub fn read(octets: &'a [u8]) -> Result<Self, RecordError> {
        let packet = Packet::parse(octets).map_err(|_| RecordError::NoNotice)?;
        let notice = packet.notice;
        if notice.class.eq_ignore_ascii_case(names::LOGIN) {
            return location(&notice);
        }
        match (notice.class.to_ascii_uppercase().as_slice(), notice.opcode) {
            (names::ZEPHYR_ADMIN, names::NEXT_CLIENT) => client(&notice),
            (names::ZEPHYR_ADMIN, names::NEXT_REALM) => Ok(Self::Realm(body::first_text(notice.body))),
            (names::ZEPHYR_ADMIN, names::DUMP_DONE) => Ok(Self::Done),
            (names::ZEPHYR_CTL, names::SUBSCRIBE) => triple(notice.body).map(Self::Subscription),
            (names::ZEPHYR_CTL, names::RLM_SUBSCRIBE) => triple(notice.body).map(Self::RealmSubscription),
            (class, opcode) => {
                Err(RecordError::Unknown(class.escape_ascii().to_string(), opcode.escape_ascii().to_string()))
            }
        }
    }

    /// Writes a record; `None` when it does not fit into one, or a text of it cannot be written.
    pub fn write(&self, sender: &Sender<'_>, uid: Uid) -> Option<Bytes> {
        let admin = |opcode| Notice { kind: Kind::ServAck, class: names::ZEPHYR_ADMIN, opcode, ..Notice::EMPTY };
        let control = |opcode| Notice { kind: Kind::Acked, class: names::ZEPHYR_CTL, opcode, ..Notice::EMPTY };
        let at = |notice: Notice<'a>, address: &SocketAddrV4| Notice {
            port: address.port(),
            address: (*address.ip()).into(),
            ..notice
        };
        let body;
        let notice = match self {
            Self::Location { user, exposure, address, place } => {
                body = place.body();
                let notice = Notice { kind: Kind::Acked, class: names::LOGIN, instance: user, ..Notice::EMPTY };
                at(Notice { opcode: exposure.name().as_bytes(), ..notice }, address)
            }
            Self::Client { principal, address, key } => {
                let (instance, text) = match key {
                    Key::Session(key) => (names::CBLOCK, key_text(key)),
                    Key::None | Key::Useless => (&b""[..], Zeroizing::new(Vec::new())),
                };
                let mut texts = body::of_texts([address.port().to_string().as_bytes()]);
                if !text.is_empty() {
                    texts.extend_from_slice(&text);
                    texts.push(0);
                }
                body = texts;
                at(Notice { instance, sender: principal, ..admin(names::NEXT_CLIENT) }, address)
            }
            Self::Subscription(triple) => {
                body = body::of_texts(triple.iter().copied());
                Notice { port: sender.port, ..control(names::SUBSCRIBE) }
            }
            Self::Realm(name) => {
                body = body::of_texts([*name]);
                Notice { port: sender.port, ..admin(names::NEXT_REALM) }
            }
            Self::RealmSubscription(triple) => {
                body = body::of_texts(triple.iter().copied());
                Notice { port: sender.port, ..control(names::RLM_SUBSCRIBE) }
            }
            Self::Done => {
                body = Vec::new();
                Notice { sender: sender.host, ..admin(names::DUMP_DONE) }
            }
        };
        let from = if matches!(self, Self::Location { .. }) { sender.host } else { notice.sender };
        let address =
            if notice.address == Notice::EMPTY.address { IpAddr::from(sender.address) } else { notice.address };
        let notice = Notice { uid, multiuid: uid, sender: from, address, body: &body, ..notice };
        notice.write(&Claim::NONE, Limits::WHOLE_PACKET).ok()
    }

    /// A record of a subscription, from its client's address and port as C servers have it.
    pub fn write_of(&self, client: SocketAddrV4, sender: &Sender<'_>, uid: Uid) -> Option<Bytes> {
        self.write(&Sender { address: *client.ip(), port: client.port(), ..*sender }, uid)
    }
}

/// The address of a record that has one: IPv4, and a port.
fn address(notice: &Notice<'_>, port: u16) -> Option<SocketAddrV4> {
    match notice.address {
        IpAddr::V4(address) if port != 0 && !address.is_unspecified() => Some(SocketAddrV4::new(address, port)),
        _ => None,
    }
}

fn location<'a>(notice: &Notice<'a>) -> Result<Record<'a>, RecordError> {
    let malformed = RecordError::Malformed("LOGIN");
    let exposure = Exposure::from_opcode(notice.opcode).filter(|exposure| *exposure != Exposure::None);
    match (exposure, address(notice, notice.port), Place::read(notice.body)) {
        (Some(exposure), Some(address), Some(place)) if !notice.instance.is_empty() => {
            Ok(Record::Location { user: notice.instance, exposure, address, place })
        }
        _ => Err(malformed),
    }
}

fn client<'a>(notice: &Notice<'a>) -> Result<Record<'a>, RecordError> {
    let mut texts = notice.body.splitn(2, |&octet| octet == 0);
    let port = texts.next().and_then(|text| str::from_utf8(text).ok()?.trim().parse().ok());
    let address = port.and_then(|port| address(notice, port)).ok_or(RecordError::Malformed("NEXT_CLIENT"))?;
    // The body behind the port, up to its NUL: no octet of zcode is one.
    let text = texts.next().unwrap_or_default().split(|&octet| octet == 0).next().unwrap_or_default();
    let key = match notice.instance {
        names::CBLOCK => read_key(text).map_or(Key::Useless, Key::Session),
        _ => Key::None,
    };
    Ok(Record::Client { principal: notice.sender, address, key })
}

/// Type, length and octets of a key, in zcode. What begins otherwise is a key of DES.
fn read_key(text: &[u8]) -> Option<SessionKey> {
    let octets = Zeroizing::new(zcode::decode(text, MAX_KEY + KEY_HEADER).ok()?);
    let (kind, rest) = octets.split_first_chunk::<4>()?;
    let (length, key) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let key = (length == key.len() && length > 0).then(|| Zeroizing::new(key.to_vec()))?;
    Some(SessionKey { kind: i32::from_be_bytes(*kind), octets: key })
}

fn key_text(key: &SessionKey) -> Zeroizing<Vec<u8>> {
    let length = u32::try_from(key.octets.len()).unwrap_or(u32::MAX);
    let mut octets = Zeroizing::new(Vec::with_capacity(KEY_HEADER + key.octets.len()));
    octets.extend_from_slice(&key.kind.to_be_bytes());
    octets.extend_from_slice(&length.to_be_bytes());
    octets.extend_from_slice(&key.octets);
    let mut text = Zeroizing::new(Vec::with_capacity(2 * octets.len() + 1));
    zcode::encode(&octets, &mut text);
    text
}

fn triple(body: &[u8]) -> Result<[&[u8]; 3], RecordError> {
    let mut texts = body.split(|&octet| octet == 0);
    match (texts.next(), texts.next(), texts.next(), texts.next()) {
        (Some(class), Some(instance), Some(recipient), Some(_)) if !class.is_empty() => {
            Ok([class, instance, recipient])
        }
        _ => Err(RecordError::Malformed("SUBSCRIBE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: Uid = Uid { address: Ipv4Addr::new(10, 77, 0, 1), seconds: 0x6B02_C9AA, micros: 7 };
    const SENDER: Sender<'static> = Sender { host: b"zsrv.test", port: 2103, address: Ipv4Addr::new(10, 77, 0, 1) };
    const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 9), 40_000);

    fn key() -> SessionKey {
        SessionKey { kind: 18, octets: Zeroizing::new(vec![0, 0xff, 3, b'Z']) }
    }

    fn all() -> Vec<Record<'static>> {
        vec![
            Record::Location {
                user: b"bob@R",
                exposure: Exposure::RealmVisible,
                address: AT,
                place: Place { machine: b"m", time: b"t", tty: b"y" },
            },
            Record::Client { principal: b"bob@R", address: AT, key: Key::Session(key()) },
            Record::Client { principal: b"bob@R", address: AT, key: Key::None },
            Record::Subscription([b"c", b"*", b""]),
            Record::Realm(b"OTHER"),
            Record::RealmSubscription([b"c", b"i", b""]),
            Record::Done,
        ]
    }

    fn text(octets: &[u8]) -> String {
        octets.escape_ascii().to_string().replace("\\x00", "|")
    }

    /// As C servers write them, field by field.
    #[test]
    fn records_are_these_octets() {
        let written: Vec<String> = all().iter().map(|it| text(&it.write(&SENDER, UID).unwrap())).collect();
        // The uid, the claim, and what is behind the default format.
        let (uid, none) = ("0x0A4D0001 0x6B02C9AA 0x00000007", "0x00000000|0x00000000||");
        let end = |address: &str| format!("|||0x00000000||{uid}|{address}|0x0000|");
        let (client, own) = ("Z\\nM\\xff\\xf0\\t", "Z\\nM\\xff\\xf0\\x01");
        let head = |kind: u8| format!("ZEPH0.2|0x00000013|0x0000000{kind}|{uid}|");
        let expected = [
            format!("{}0x9C40|{none}LOGIN|bob@R|REALM-VISIBLE|zsrv.test{}m|t|y|", head(2), end(client)),
            format!(
                "{}0x9C40|{none}ZEPHYR_ADMIN|CBLOCK|NEXT_CLIENT|bob@R{}40000|\
                 Z\\xff\\xf0\\xff\\xf0\\xff\\xf0\\x12\\xff\\xf0\\xff\\xf0\\xff\\xf0\\x04\\xff\\xf0\\xff\\xf1\\x03Z|",
                head(5),
                end(client)
            ),
            format!("{}0x9C40|{none}ZEPHYR_ADMIN||NEXT_CLIENT|bob@R{}40000|", head(5), end(client)),
            format!("{}0x0837|{none}ZEPHYR_CTL||SUBSCRIBE|{}c|*||", head(2), end(own)),
            format!("{}0x0837|{none}ZEPHYR_ADMIN||NEXT_REALM|{}OTHER|", head(5), end(own)),
            format!("{}0x0837|{none}ZEPHYR_CTL||RLM_SUBSCRIBE|{}c|i||", head(2), end(own)),
            format!("{}0x0000|{none}ZEPHYR_ADMIN||DUMP_DONE|zsrv.test{}", head(5), end(own)),
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn what_was_written_is_read() {
        for record in all() {
            let written = record.write(&SENDER, UID).unwrap();
            assert_eq!(Record::read(&written), Ok(record));
        }
    }

    /// C servers crash on such records.
    #[test]
    fn a_client_with_a_malformed_key_has_none() {
        let read = |instance: &'static [u8], key: &[u8]| {
            let body = [b"40000\0", key].concat();
            let notice = Notice {
                class: names::ZEPHYR_ADMIN,
                instance,
                opcode: names::NEXT_CLIENT,
                sender: b"bob@R",
                address: IpAddr::from(*AT.ip()),
                body: &body,
                ..Notice::EMPTY
            };
            let octets = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
            match Record::read(&octets) {
                Ok(Record::Client { key, .. }) => key,
                other => panic!("{other:?}"),
            }
        };
        let coded = |kind: u32, length: u32, key: &[u8]| {
            zcode::encoded(&[&kind.to_be_bytes()[..], &length.to_be_bytes(), key].concat())
        };
        assert_eq!(
            read(names::CBLOCK, &coded(18, 2, b"ab")),
            Key::Session(SessionKey { kind: 18, octets: Zeroizing::new(b"ab".to_vec()) })
        );
        let long = vec![1; MAX_KEY + 1];
        let useless = [
            Vec::new(),
            b"Z".to_vec(),
            b"Z\xff".to_vec(),
            b"0x00000000 0x00000000".to_vec(),
            coded(18, 0, b""),
            coded(18, 3, b"ab"),
            coded(18, 1, b"ab"),
            coded(18, u32::MAX, b"ab"),
            coded(18, 257, &long),
        ];
        for text in useless {
            assert_eq!(read(names::CBLOCK, &text), Key::Useless, "{}", text.escape_ascii());
        }
        assert_eq!(read(b"", b""), Key::None);
        assert_eq!(read(b"", &coded(18, 2, b"ab")), Key::None, "no key is announced");
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let good = Notice { class: names::LOGIN, instance: b"bob", opcode: b"NET-VISIBLE", port: 5, ..Notice::EMPTY };
        let good = Notice { address: IpAddr::from(*AT.ip()), body: b"m\0t\0y\0", ..good };
        let read = |notice: Notice<'_>| {
            let octets = notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
            Record::read(&octets).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(read(good), Ok(()));
        let login = Err("a malformed record LOGIN".to_owned());
        for wrong in [
            Notice { opcode: b"NONE", ..good },
            Notice { opcode: b"USER_LOGIN", ..good },
            Notice { port: 0, ..good },
            Notice { instance: b"", ..good },
            Notice { body: b"m\0t\0y", ..good },
            Notice { address: Ipv4Addr::UNSPECIFIED.into(), ..good },
            Notice { address: [0; 16].into(), ..good },
        ] {
            assert_eq!(read(wrong), login, "{wrong:?}");
        }
        let admin = Notice { class: names::ZEPHYR_ADMIN, opcode: names::NEXT_CLIENT, ..good };
        for body in [&b""[..], b"x\0", b"0\0", b"65536\0", b"-1\0"] {
            assert_eq!(read(Notice { body, ..admin }), Err("a malformed record NEXT_CLIENT".to_owned()));
        }
        let control = Notice { class: names::ZEPHYR_CTL, opcode: names::SUBSCRIBE, ..good };
        for body in [&b""[..], b"\0\0\0", b"c\0i\0", b"c\0i\0r"] {
            assert_eq!(read(Notice { body, ..control }), Err("a malformed record SUBSCRIBE".to_owned()));
        }
        let other = Notice { class: b"message", opcode: b"\n", ..good };
        assert_eq!(read(other), Err("a record of an unknown kind: class MESSAGE, opcode \\n".to_owned()));
        assert_eq!(Record::read(b"ZEPH"), Err(RecordError::NoNotice));
        let long = vec![b'c'; 1000];
        assert_eq!(Record::Subscription([&long, b"", b""]).write(&SENDER, UID), None, "it does not fit");
    }
}
