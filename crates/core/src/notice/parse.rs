//! Parsing of packets.

use super::{Claim, MIN_FIELDS, MIN_PROVABLE_FIELDS, Notice, OtherFields};
use crate::{
    charset::Charset,
    coding::{CodingError, ascii, decimal::leading_integer, zcode},
    kind::Kind,
    limits::{MAX_OTHER_FIELDS, MAX_PACKET},
    uid::Uid,
};
use bytes::Bytes;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// Errors of parsing a datagram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It does not begin with `ZEPH`, or is of another major version than 0.
    #[error("not a packet of protocol version ZEPH0")]
    Version,
    /// It begins with `ZEPH` and says no version.
    #[error("no protocol version")]
    NoVersion,
    /// The header ends before this field.
    #[error("the header ends before its {0}")]
    Missing(&'static str),
    /// A field that cannot be decoded.
    #[error("bad {field}: {reason}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: CodingError,
    },
    /// The field count is below what a header must have.
    #[error("a header of {0} fields, fewer than {MIN_FIELDS}")]
    TooFewFields(i32),
    /// The sender's address is neither four nor sixteen octets.
    #[error("a sender address of {0} octets, not 4 or 16")]
    AddressLength(usize),
    /// The header has fewer fields than it says.
    #[error("{0} more header fields promised than there are")]
    EndOfHeader(u32),
}

/// A datagram that is well-formed: what it says ([`Packet::notice`]), what it claims ([`Packet::claim`]), and its
/// octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The version text as received, from `ZEPH` on.
    pub version: &'a [u8],
    /// Header fields and body.
    pub notice: Notice<'a>,
    /// The claimed proof of origin.
    pub claim: Claim<'a>,
    /// The text of the multiuid's time, or of the uid's when there is no multiuid: seconds and microseconds.
    pub time: (u32, u32),
    octets: &'a [u8],
    header_len: usize,
    /// The ends of the covered octets before and after the checksum.
    covered: Option<(usize, usize, usize)>,
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    ///
    /// When it is not a well-formed packet of protocol version 0, by the rules of the wire format, section 3.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        Ok(Layout::read(octets)?.of(octets))
    }

    /// The whole datagram.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Octets of header, the last NUL included.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// The octets that the checksum covers, in order: all that is kept of the packet but the checksum field and its
    /// NUL.
    ///
    /// `None` for a header of fewer than [`MIN_PROVABLE_FIELDS`] fields, whose octets cannot all be told apart from the
    /// checksum: such a packet proves nothing (authentication, section 5).
    pub fn covered(&self) -> Option<[&'a [u8]; 3]> {
        let (before, after, to) = self.covered?;
        Some([self.octets.get(..before)?, self.octets.get(after..to)?, self.notice.body])
    }
}

/// A datagram that is well-formed, with its octets; it was read once, when it came. A clone shares them.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedPacket(Arc<Kept>);

#[derive(PartialEq, Eq)]
struct Kept {
    octets: Bytes,
    layout: Layout,
}

impl OwnedPacket {
    /// Reads and keeps one datagram as receivers do: what is beyond [`MAX_PACKET`] octets is cut off.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`].
    pub fn receive(datagram: &[u8]) -> Result<Self, ParseError> {
        let datagram = datagram.get(..MAX_PACKET).unwrap_or(datagram);
        Ok(Layout::read(datagram)?.keep(Bytes::copy_from_slice(datagram)))
    }

    /// Reads one datagram.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`].
    pub fn parse(octets: Bytes) -> Result<Self, ParseError> {
        Ok(Layout::read(&octets)?.keep(octets))
    }

    /// The packet, without parsing it again.
    pub fn packet(&self) -> Packet<'_> {
        self.0.layout.of(&self.0.octets)
    }

    /// The claimed proof of origin.
    pub fn claim(&self) -> Claim<'_> {
        self.0.layout.claim_of(&self.0.octets)
    }

    /// The notice, without the claimed proof.
    pub fn notice(&self) -> Notice<'_> {
        self.packet().notice
    }

    /// The whole datagram.
    pub fn octets(&self) -> &Bytes {
        &self.0.octets
    }
}

impl fmt::Debug for OwnedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.packet().fmt(f)
    }
}

/// The range of a text in a datagram: its first octet, and the one after its last.
type Piece = (u32, u32);

/// The parsed layout of a datagram: its numbers, and where its texts are. Whoever must decide first whether to keep a
/// datagram reads its layout, and needs not read it again.
#[derive(Clone, PartialEq, Eq)]
pub struct Layout {
    field_count: u32,
    kind: Kind,
    uid: Uid,
    port: u16,
    auth: u32,
    authent_len: i32,
    multiuid: Uid,
    address: IpAddr,
    charset: Charset,
    version: Piece,
    authenticator: Piece,
    class: Piece,
    instance: Piece,
    opcode: Piece,
    sender: Piece,
    recipient: Piece,
    default_format: Piece,
    checksum: Piece,
    multinotice: Piece,
    other: [Piece; MAX_OTHER_FIELDS],
    other_count: usize,
    header_len: usize,
    covered: Option<(usize, usize, usize)>,
}

impl Layout {
    /// Reads one datagram.
    ///
    /// # Errors
    ///
    /// As [`Packet::parse`].
    pub fn read(octets: &[u8]) -> Result<Self, ParseError> {
        let mut fields = Fields { octets, at: 0, left: u32::MAX };

        let numbers = octets.strip_prefix(b"ZEPH").ok_or(ParseError::Version)?;
        let version = fields.next().ok_or(ParseError::NoVersion)?;
        if matches!(numbers.first(), None | Some(0)) {
            return Err(ParseError::NoVersion);
        }
        if leading_integer(numbers) != 0 {
            return Err(ParseError::Version);
        }

        let count = fields.required("field count", ascii::decode_u32)?.cast_signed();
        let field_count = u32::try_from(count).unwrap_or(0);
        if field_count < MIN_FIELDS {
            return Err(ParseError::TooFewFields(count));
        }
        fields.left = field_count - 2;

        let kind = Kind::from(fields.required("kind", ascii::decode_u32)?);
        let uid = Uid::from(fields.required("uid", ascii::decode)?);
        let port = fields.required("port", ascii::decode_u16)?;
        let auth = fields.required("auth", ascii::decode_u32)?;
        let authent_len = fields.required("authenticator length", ascii::decode_u32)?.cast_signed();
        let authenticator = fields.next().ok_or(ParseError::Missing("authenticator"))?;
        let [class, instance, opcode, sender, recipient, default_format] =
            std::array::from_fn(|_| fields.next().unwrap_or_default());
        let before_checksum = fields.at;
        let checksum = fields.next().unwrap_or_default();
        let after_checksum = fields.at;
        let multinotice = fields.next().unwrap_or_default();
        let multiuid = fields.optional("multiuid", ascii::decode)?.map_or(uid, Uid::from);
        let address = match fields.next() {
            Some(piece) => read_address(piece_of(octets, piece))?,
            None => IpAddr::V4(uid.address),
        };
        let charset = Charset(fields.optional("charset", ascii::decode_u16)?.unwrap_or(0));
        let (mut other, mut other_count) = ([(0, 0); MAX_OTHER_FIELDS], 0);
        let mut covered_to = fields.at;
        while let Some(piece) = fields.next() {
            if let Some(place) = other.get_mut(other_count) {
                *place = piece;
                other_count += 1;
                covered_to = fields.at;
            }
        }
        if fields.left > 0 {
            return Err(ParseError::EndOfHeader(fields.left));
        }
        Ok(Self {
            field_count,
            kind,
            uid,
            port,
            auth,
            authent_len,
            multiuid,
            address,
            charset,
            version,
            authenticator,
            class,
            instance,
            opcode,
            sender,
            recipient,
            default_format,
            checksum,
            multinotice,
            other,
            other_count,
            header_len: fields.at,
            covered: (field_count >= MIN_PROVABLE_FIELDS).then_some((before_checksum, after_checksum, covered_to)),
        })
    }

    /// The packet that keeps the octets, which must be those that this was read from.
    pub fn keep(self, octets: Bytes) -> OwnedPacket {
        OwnedPacket(Arc::new(Kept { octets, layout: self }))
    }

    /// The kind of the packet.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The packet of the octets that this was read from; with others its texts are nonsense.
    pub fn of<'a>(&self, octets: &'a [u8]) -> Packet<'a> {
        let text = |piece| piece_of(octets, piece);
        let other = self.other.iter().take(self.other_count);
        Packet {
            version: text(self.version),
            notice: Notice {
                field_count: self.field_count,
                kind: self.kind,
                uid: self.uid,
                port: self.port,
                class: text(self.class),
                instance: text(self.instance),
                opcode: text(self.opcode),
                sender: text(self.sender),
                recipient: text(self.recipient),
                default_format: text(self.default_format),
                multinotice: text(self.multinotice),
                multiuid: self.multiuid,
                address: self.address,
                charset: self.charset,
                other: if self.other_count == 0 {
                    OtherFields::NONE
                } else {
                    other.map(|&piece| text(piece)).collect()
                },
                body: octets.get(self.header_len..).unwrap_or_default(),
            },
            claim: self.claim_of(octets),
            time: (self.multiuid.seconds, self.multiuid.micros),
            octets,
            header_len: self.header_len,
            covered: self.covered,
        }
    }

    fn claim_of<'a>(&self, octets: &'a [u8]) -> Claim<'a> {
        Claim {
            auth: self.auth,
            authent_len: self.authent_len,
            authenticator: piece_of(octets, self.authenticator),
            checksum: piece_of(octets, self.checksum),
        }
    }
}

fn piece_of(octets: &[u8], (from, to): Piece) -> &[u8] {
    octets.get(from as usize..to as usize).unwrap_or_default()
}

/// The uid of a packet of which only the beginning may be there, as errors of the network quote it. `None` when the uid is
/// not among it as a whole.
pub fn leading_uid(beginning: &[u8]) -> Option<Uid> {
    let mut fields = Fields { octets: beginning, at: 0, left: u32::MAX };
    let (_version, _count, _kind) = (fields.next()?, fields.next()?, fields.next()?);
    ascii::decode(piece_of(beginning, fields.next()?)).ok().map(Uid::from)
}

/// The header read field by field.
struct Fields<'a> {
    octets: &'a [u8],
    at: usize,
    left: u32,
}

impl Fields<'_> {
    /// The next field, when the header has one more and its NUL is there.
    fn next(&mut self) -> Option<Piece> {
        let rest = self.octets.get(self.at..)?;
        let left = self.left.checked_sub(1)?;
        let len = rest.iter().position(|&octet| octet == 0)?;
        let (from, to) = (self.at, self.at + len);
        let piece = (u32::try_from(from).ok()?, u32::try_from(to).ok()?);
        self.at = to + 1;
        self.left = left;
        Some(piece)
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, CodingError>,
    ) -> Result<T, ParseError> {
        self.optional(field, read)?.ok_or(ParseError::Missing(field))
    }

    fn optional<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&[u8]) -> Result<T, CodingError>,
    ) -> Result<Option<T>, ParseError> {
        let Some(piece) = self.next() else {
            return Ok(None);
        };
        read(piece_of(self.octets, piece)).map(Some).map_err(|reason| ParseError::BadField { field, reason })
    }
}

/// The current form is zcode of four or sixteen octets; the old one is four octets in hexadecimal.
fn read_address(text: &[u8]) -> Result<IpAddr, ParseError> {
    let bad = |reason| ParseError::BadField { field: "sender address", reason };
    if !text.starts_with(b"Z") {
        return ascii::decode::<4>(text).map(IpAddr::from).map_err(bad);
    }
    let octets = zcode::decode(text, 16).map_err(bad)?;
    if let Ok(v4) = <[u8; 4]>::try_from(octets.as_slice()) {
        return Ok(Ipv4Addr::from(v4).into());
    }
    match <[u8; 16]>::try_from(octets.as_slice()) {
        Ok(v6) => Ok(Ipv6Addr::from(v6).into()),
        Err(_) => Err(ParseError::AddressLength(octets.len())),
    }
}
