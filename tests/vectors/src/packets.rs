//! Test cases of whole datagrams.

use super::{
    Outcome,
    octets::{Hex, Text, Uid},
    with_quirk,
};
use serde::Deserialize;
use std::net::IpAddr;
use zephyr_core::{
    coding::ascii,
    notice::{Packet, ParseError},
};

#[derive(Deserialize)]
pub(super) struct Case {
    packet_hex: Hex,
    decoded: Decoded,
    quirk: Option<String>,
}

#[derive(Deserialize)]
struct Decoded {
    result: String,
    #[serde(flatten)]
    fields: Option<DecodedFields>,
}

#[derive(Deserialize)]
struct DecodedFields {
    version: Text,
    num_hdr_fields: u32,
    kind: i32,
    uid: Uid,
    multiuid: Uid,
    port: u16,
    auth: i64,
    authent_len: i32,
    ascii_authent: Text,
    class: Text,
    class_inst: Text,
    opcode: Text,
    sender: Text,
    recipient: Text,
    default_format: Text,
    ascii_checksum: Text,
    checksum: u32,
    multinotice: Text,
    sender_addr: IpAddr,
    charset: u16,
    time: Time,
    other_fields: Vec<Text>,
    header_len: usize,
    message_len: usize,
    message_hex: Hex,
}

#[derive(Deserialize)]
struct Time {
    sec: u32,
    usec: u32,
}

impl Case {
    pub(super) fn run(&self) -> Outcome {
        let parsed = Packet::parse(&self.packet_hex.0);
        let outcome = match (&parsed, &self.decoded.fields) {
            (Ok(packet), Some(fields)) => fields.compare(packet),
            (Ok(_), None) => Outcome::Failed(format!("expected {}, but it was read", self.decoded.result)),
            (Err(error), _) => Outcome::compare("result", &self.decoded.result.as_str(), &result_of(error)),
        };
        with_quirk(self.quirk.as_deref(), parsed.is_err(), outcome)
    }
}

/// The name that C programs have for this error.
pub(super) fn result_of(error: &ParseError) -> &'static str {
    match error {
        ParseError::Version => "ZERR_VERS",
        _ => "ZERR_BADPKT",
    }
}

impl DecodedFields {
    fn compare(&self, packet: &Packet<'_>) -> Outcome {
        let (notice, claim) = (&packet.notice, &packet.claim);
        let number = Outcome::compare::<i64>;
        let texts = [
            ("version", &self.version, packet.version),
            ("authenticator", &self.ascii_authent, claim.authenticator),
            ("class", &self.class, notice.class),
            ("instance", &self.class_inst, notice.instance),
            ("opcode", &self.opcode, notice.opcode),
            ("sender", &self.sender, notice.sender),
            ("recipient", &self.recipient, notice.recipient),
            ("default format", &self.default_format, notice.default_format),
            ("checksum text", &self.ascii_checksum, claim.checksum),
            ("multinotice", &self.multinotice, notice.multinotice),
        ];
        let texts = texts.map(|(what, expected, came)| Outcome::compare(what, &expected.octets(), &came));
        let others: Vec<&[u8]> = self.other_fields.iter().map(Text::octets).collect();
        let checksum = ascii::decode_u32(claim.checksum).unwrap_or(0);
        Outcome::first(texts.into_iter().chain([
            number("field count", &self.num_hdr_fields.into(), &notice.field_count.into()),
            number("kind", &self.kind.into(), &notice.kind.number().cast_signed().into()),
            number("port", &self.port.into(), &notice.port.into()),
            number("auth", &self.auth, &claim.auth.cast_signed().into()),
            number("authenticator length", &self.authent_len.into(), &claim.authent_len.into()),
            number("checksum", &self.checksum.into(), &checksum.into()),
            // The library that made the vectors reads the label with its octets swapped.
            number("charset", &self.charset.into(), &notice.charset.0.swap_bytes().into()),
            Outcome::compare("uid", &self.uid, &notice.uid.into()),
            Outcome::compare("multiuid", &self.multiuid, &notice.multiuid.into()),
            Outcome::compare("time", &(self.time.sec, self.time.usec), &packet.time),
            Outcome::compare("sender address", &self.sender_addr, &notice.address),
            Outcome::compare("other fields", &others.as_slice(), &notice.other.as_slice()),
            Outcome::compare("header length", &self.header_len, &packet.header_len()),
            Outcome::compare("body length", &self.message_len, &notice.body.len()),
            Outcome::compare("body", &self.message_hex, &Hex(notice.body.to_vec())),
        ]))
    }
}
