//! Reading a datagram.

use super::{Claim, MIN_FIELDS, MIN_PROVABLE_FIELDS, Notice, OtherFields};
use crate::{
    charset::Charset,
    coding::{CodingError, ascii, decimal::leading_integer, zcode},
    kind::Kind,
    uid::Uid,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a datagram is not a notice.
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
    /// A field is not what its coding demands.
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

/// A datagram that is well-formed: what it says ([`Packet::notice`]), what it claims ([`Packet::claim`]), and its octets.
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
    /// Where the covered octets break off before the checksum and go on after it.
    covered: Option<(usize, usize, usize)>,
}

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    ///
    /// When it is not a well-formed packet of protocol version 0, by the rules of the wire format, section 3.
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
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
            Some(text) => read_address(text)?,
            None => IpAddr::V4(uid.address),
        };
        let charset = Charset(fields.optional("charset", ascii::decode_u16)?.unwrap_or(0));
        let mut other = OtherFields::NONE;
        let mut covered_to = fields.at;
        while let Some(field) = fields.next() {
            if other.as_slice().len() < crate::limits::MAX_OTHER_FIELDS {
                covered_to = fields.at;
            }
            other.push(field);
        }
        if fields.left > 0 {
            return Err(ParseError::EndOfHeader(fields.left));
        }

        let (_, body) = octets.split_at_checked(fields.at).unwrap_or((octets, b""));
        Ok(Self {
            version,
            notice: Notice {
                field_count,
                kind,
                uid,
                port,
                class,
                instance,
                opcode,
                sender,
                recipient,
                default_format,
                multinotice,
                multiuid,
                address,
                charset,
                other,
                body,
            },
            claim: Claim { auth, authent_len, authenticator, checksum },
            time: (multiuid.seconds, multiuid.micros),
            octets,
            header_len: fields.at,
            covered: (field_count >= MIN_PROVABLE_FIELDS).then_some((before_checksum, after_checksum, covered_to)),
        })
    }

    /// The whole datagram.
    pub const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Octets of header, the last NUL included.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// What the checksum covers, in order: all that is kept of the packet but the checksum field and its NUL.
    ///
    /// `None` for a header of fewer than [`MIN_PROVABLE_FIELDS`] fields, whose octets cannot all be told apart from the
    /// checksum: such a packet proves nothing (authentication, section 5).
    pub fn covered(&self) -> Option<[&'a [u8]; 3]> {
        let (before, after, to) = self.covered?;
        Some([self.octets.get(..before)?, self.octets.get(after..to)?, self.notice.body])
    }
}

/// The header read field by field.
struct Fields<'a> {
    octets: &'a [u8],
    at: usize,
    left: u32,
}

impl<'a> Fields<'a> {
    /// The next field, when the header has one more and its NUL is there.
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.octets.get(self.at..)?;
        let left = self.left.checked_sub(1)?;
        let end = rest.iter().position(|&octet| octet == 0)?;
        self.at += end + 1;
        self.left = left;
        rest.get(..end)
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
        let Some(text) = self.next() else {
            return Ok(None);
        };
        read(text).map(Some).map_err(|reason| ParseError::BadField { field, reason })
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
