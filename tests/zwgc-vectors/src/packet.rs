//! The packets that a case sends straight to the client.

use crate::{
    case::{NameOrNumber, Sent},
    octets::from_base64,
};
use anyhow::{Context, Result, bail};
use std::net::{IpAddr, Ipv4Addr};
use zephyr_core::{
    charset::Charset,
    kind::Kind,
    limits::Limits,
    notice::{Claim, Notice},
    uid::Uid,
};

/// More than what our programs send: a case is sent as it is.
const LIMITS: Limits = Limits { header: 60_000, packet: 60_000 };

const KINDS: [(&str, Kind); 9] = [
    ("unsafe", Kind::Unsafe),
    ("unacked", Kind::Unacked),
    ("acked", Kind::Acked),
    ("hmack", Kind::HmAck),
    ("hmctl", Kind::HmCtl),
    ("servack", Kind::ServAck),
    ("servnak", Kind::ServNak),
    ("clientack", Kind::ClientAck),
    ("stat", Kind::Stat),
];
const CHARSETS: [(&str, Charset); 3] =
    [("UNKNOWN", Charset::UNKNOWN), ("ISO-8859-1", Charset::LATIN1), ("UTF-8", Charset::UTF8)];

/// The packet that is the `number`th of its case, which makes its uid unlike those of the others.
///
/// # Errors
///
/// When the case names a kind or a character set that there is not, or the packet is too long for UDP.
pub(crate) fn packet(sent: &Sent, number: usize) -> Result<Vec<u8>> {
    let address = sent.sender_addr.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let maker = match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let uid = Uid { address: maker, seconds: sent.time, micros: u32::try_from(number)? + 1 };
    let body = match &sent.message_base64 {
        Some(text) => from_base64(text)?,
        None => body(&sent.fields, sent.trailing_nul),
    };
    let notice = Notice {
        kind: kind(sent.kind.as_ref())?,
        uid,
        port: sent.port,
        class: sent.class.as_bytes(),
        instance: sent.instance.as_bytes(),
        opcode: sent.opcode.as_bytes(),
        sender: sent.sender.as_bytes(),
        recipient: sent.recipient.as_bytes(),
        default_format: sent.default_format.as_bytes(),
        multiuid: uid,
        address,
        charset: charset(sent.charset.as_ref())?,
        body: &body,
        ..Notice::EMPTY
    };
    let checksum = sent.checksum.as_deref().map_or(Claim::NO_CHECKSUM, str::as_bytes);
    let claim = Claim { auth: sent.auth_flag, checksum, ..Claim::NONE };
    Ok(notice.write(&claim, LIMITS)?.to_vec())
}

fn body(fields: &[String], trailing_nul: bool) -> Vec<u8> {
    let mut body = fields.join("\0").into_bytes();
    if trailing_nul {
        body.push(0);
    }
    body
}

fn kind(written: Option<&NameOrNumber>) -> Result<Kind> {
    match written {
        None => Ok(Kind::Acked),
        Some(NameOrNumber::Name(name)) => {
            let known = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|(_, kind)| *kind).with_context(|| format!("{name:?} is no kind"))
        }
        Some(NameOrNumber::Number(number)) => Ok(KINDS
            .iter()
            .map(|(_, kind)| *kind)
            .find(|kind| kind.number() == *number)
            .unwrap_or(Kind::Other(*number))),
    }
}

fn charset(written: Option<&NameOrNumber>) -> Result<Charset> {
    match written {
        None => Ok(Charset::UNKNOWN),
        Some(NameOrNumber::Name(name)) => {
            let known = CHARSETS.iter().find(|(known, _)| known == name);
            known.map(|(_, charset)| *charset).with_context(|| format!("{name:?} is no character set"))
        }
        Some(NameOrNumber::Number(number)) => match u16::try_from(*number) {
            Ok(number) => Ok(Charset(number.swap_bytes())),
            Err(_) => bail!("{number} is no number of a character set"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_core::notice::Packet;

    fn sent(json: &str) -> Sent {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_field_is_as_the_case_says() {
        let sent = sent(
            r#"{"class": "C", "instance": "I", "opcode": "O", "sender": "s@R", "recipient": "r", "default_format": "f",
                "kind": "servnak", "auth_flag": 1, "checksum": "0x00000007", "charset": "UTF-8", "port": 33059,
                "time": 700000000, "sender_addr": "10.77.0.2", "fields": ["a", "", "c"], "trailing_nul": true}"#,
        );
        let octets = packet(&sent, 3).unwrap();
        let packet = Packet::parse(&octets).unwrap();
        let notice = packet.notice;
        let maker = Ipv4Addr::new(10, 77, 0, 2);
        assert_eq!(notice.uid, Uid { address: maker, seconds: 700_000_000, micros: 4 });
        assert_eq!((notice.address, notice.kind, notice.port), (IpAddr::V4(maker), Kind::ServNak, 33_059));
        let texts = [notice.class, notice.instance, notice.opcode, notice.sender, notice.recipient];
        assert_eq!(texts.map(|text| text.to_vec()), [&b"C"[..], b"I", b"O", b"s@R", b"r"].map(<[u8]>::to_vec));
        assert_eq!((notice.default_format, notice.charset, notice.body), (&b"f"[..], Charset::UTF8, &b"a\0\0c\0"[..]));
        assert_eq!((packet.claim.auth, packet.claim.checksum), (1, &b"0x00000007"[..]));
        assert!(packet.claim.authenticator.is_empty());
    }

    #[test]
    fn kinds_by_number_and_bodies_that_are_no_text() {
        let octets = packet(&sent(r#"{"kind": 7, "message_base64": "cwD//g==", "charset": 4}"#), 0).unwrap();
        let notice = Packet::parse(&octets).unwrap().notice;
        assert_eq!((notice.kind, notice.charset, notice.body), (Kind::ClientAck, Charset::LATIN1, &b"s\0\xff\xfe"[..]));
        let octets = packet(&sent(r#"{"kind": 77, "fields": [""]}"#), 0).unwrap();
        let notice = Packet::parse(&octets).unwrap().notice;
        assert_eq!((notice.kind, notice.body), (Kind::Other(77), &b""[..]));
        for json in [r#"{"kind": "odd"}"#, r#"{"charset": "odd"}"#, r#"{"charset": 70000}"#, r#"{"class": "\u0000"}"#] {
            assert!(packet(&sent(json), 0).is_err(), "{json}");
        }
    }
}
