//! Notices, and their conversion to packets and back (wire format, sections 2 and 3).
//!
//! [`Packet::parse`] reads a datagram, borrowing from it. [`Notice`] is what its header and body say, apart from the
//! proof of origin, which is the [`Claim`]. A notice is written with the claim it should carry: [`Notice::write`] with
//! one that is already known, [`Notice::unsealed`] with one whose checksum is still to be made.

mod fields;
mod format;
mod parse;

pub use fields::OtherFields;
pub use format::{FormatError, Unsealed};
pub use parse::{Layout, OwnedPacket, Packet, ParseError, leading_uid};

use crate::{charset::Charset, kind::Kind, uid::Uid};
use std::net::{IpAddr, Ipv4Addr};

/// The protocol version that every packet of ours carries.
pub const VERSION: &[u8] = b"ZEPH0.2";
/// Header fields of a current notice, the other fields not counted.
pub const CURRENT_FIELDS: u32 = 19;
/// The fewest header fields of a well-formed packet: up to the authenticator.
pub const MIN_FIELDS: u32 = 8;
/// The fewest header fields of a notice whose checksum can be trusted to cover it: up to the multiuid.
pub const MIN_PROVABLE_FIELDS: u32 = 17;

/// One notice, or one fragment of it: the header fields and the body, without the proof of origin.
///
/// All texts are octets without NUL; nothing says that they are UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice<'a> {
    /// The number of header fields it is written with; see [`Notice::written_fields`].
    pub field_count: u32,
    /// Its part in the exchange.
    pub kind: Kind,
    /// The unique identifier of the packet.
    pub uid: Uid,
    /// The UDP port for replies to the sender, in host order.
    pub port: u16,
    /// The first part of what people subscribe to.
    pub class: &'a [u8],
    /// The second part of what people subscribe to.
    pub instance: &'a [u8],
    /// The notice's purpose, for programs.
    pub opcode: &'a [u8],
    /// The principal who, so the packet says, sent it.
    pub sender: &'a [u8],
    /// Empty, a principal, or `@REALM`.
    pub recipient: &'a [u8],
    /// How the sender would like it shown.
    pub default_format: &'a [u8],
    /// `offset/total` of this fragment's body, or empty.
    pub multinotice: &'a [u8],
    /// The uid of the first fragment.
    pub multiuid: Uid,
    /// The sender's address, as it says; informational.
    pub address: IpAddr,
    /// The label of the body's character set.
    pub charset: Charset,
    /// Header fields after the known ones.
    pub other: OtherFields<'a>,
    /// The body: by convention texts that each end in NUL.
    pub body: &'a [u8],
}

impl Notice<'_> {
    /// A current notice with nothing in it.
    pub const EMPTY: Self = {
        let uid = Uid { address: Ipv4Addr::UNSPECIFIED, seconds: 0, micros: 0 };
        Notice {
            field_count: CURRENT_FIELDS,
            kind: Kind::Unsafe,
            uid,
            port: 0,
            class: b"",
            instance: b"",
            opcode: b"",
            sender: b"",
            recipient: b"",
            default_format: b"",
            multinotice: b"",
            multiuid: uid,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            charset: Charset::UNKNOWN,
            other: OtherFields::NONE,
            body: b"",
        }
    };

    /// The number of fields that its header really gets: the field count, raised to what a well-formed packet needs and
    /// lowered to the fields there are.
    pub fn written_fields(&self) -> u32 {
        self.field_count.clamp(MIN_FIELDS, CURRENT_FIELDS + self.other.count())
    }
}

/// The claimed proof of a packet's origin. Nothing in here is true until a backend has judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Zero when the packet claims nothing.
    pub auth: u32,
    /// Octets of the authenticator before coding, as the packet says; may be negative.
    pub authent_len: i32,
    /// The authenticator's text, still coded.
    pub authenticator: &'a [u8],
    /// The checksum's text, still coded.
    pub checksum: &'a [u8],
}

impl<'a> Claim<'a> {
    /// The text that stands for no checksum.
    pub const NO_CHECKSUM: &'static [u8] = b"0x00000000";
    /// No claim at all.
    pub const NONE: Self = Self { auth: 0, authent_len: 0, authenticator: b"", checksum: Self::NO_CHECKSUM };

    /// The claim as an acknowledgement repeats it: everything but a checksum in zcode.
    pub fn echoed(&self) -> Self {
        let checksum = match crate::coding::ascii::decode_u32(self.checksum) {
            Ok(_) => self.checksum,
            Err(_) => Self::NO_CHECKSUM,
        };
        Self { checksum, ..*self }
    }
}
