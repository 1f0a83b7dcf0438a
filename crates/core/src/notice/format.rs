//! Formatting of packets.

use super::{Claim, MIN_PROVABLE_FIELDS, Notice, VERSION};
use crate::{
    coding::{ascii, zcode},
    limits::Limits,
};
use bytes::Bytes;
use std::net::IpAddr;

/// Errors of formatting a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The header is too long.
    #[error("a notice header of {len} octets, more than {limit}")]
    HeaderTooLong {
        /// Octets of header, the last NUL included.
        len: usize,
        /// The limit that applied.
        limit: usize,
    },
    /// Header and body together are too long.
    #[error("a packet of {len} octets, more than {limit}")]
    PacketTooLong {
        /// Octets of the whole packet.
        len: usize,
        /// The limit that applied.
        limit: usize,
    },
    /// A text field holds a NUL, which would end it.
    #[error("a NUL in a header field")]
    NulInField,
    /// A checksum is wanted for a header too short to be proven.
    #[error("a header of {0} fields cannot carry proof")]
    Unprovable(u32),
}

/// The place of the checksum among the fields.
const CHECKSUM_FIELD: usize = 14;

impl<'a> Notice<'a> {
    /// The packet that carries this notice with a claim that is already known: none, or that of a received packet.
    ///
    /// # Errors
    ///
    /// When it does not fit `limits`, or a text holds a NUL.
    pub fn write(&self, claim: &Claim<'_>, limits: Limits) -> Result<Bytes, FormatError> {
        let mut packet = Vec::with_capacity(limits.packet);
        self.write_fields(claim, &mut packet, |_| ())?;
        self.finish(packet, limits)
    }

    /// The packet up to its checksum, which is still to be made over [`Unsealed::covered`].
    ///
    /// `authent_len` is the authenticator's length before coding, `authenticator` its text; zero and empty for what a
    /// server sends to a client.
    ///
    /// # Errors
    ///
    /// When a text holds a NUL, or the notice has too few header fields to be proven.
    pub fn unsealed(&self, authent_len: usize, authenticator: &[u8]) -> Result<Unsealed<'a>, FormatError> {
        if self.written_fields() < MIN_PROVABLE_FIELDS {
            return Err(FormatError::Unprovable(self.written_fields()));
        }
        let claim = Claim {
            auth: 1,
            authent_len: i32::try_from(authent_len).unwrap_or(i32::MAX),
            authenticator,
            checksum: b"",
        };
        let mut header = Vec::with_capacity(crate::limits::MAX_PACKET);
        let mut checksum_at = 0;
        self.write_fields(&claim, &mut header, |at| checksum_at = at)?;
        let tail = header.split_off(checksum_at + 1);
        header.truncate(checksum_at);
        Ok(Unsealed { head: header, tail, notice: *self })
    }

    fn write_fields(
        &self,
        claim: &Claim<'_>,
        out: &mut Vec<u8>,
        mut checksum_at: impl FnMut(usize),
    ) -> Result<(), FormatError> {
        let count = self.written_fields();
        let text = |field: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(field);
            if field.contains(&0) { Err(FormatError::NulInField) } else { Ok(()) }
        };
        for index in 0..usize::try_from(count).unwrap_or(0) {
            match index {
                0 => out.extend_from_slice(VERSION),
                1 => ascii::encode_u32(count, out),
                2 => ascii::encode_u32(self.kind.number(), out),
                3 => ascii::encode(&self.uid.to_octets(), out),
                4 => ascii::encode_u16(self.port, out),
                5 => ascii::encode_u32(claim.auth, out),
                6 => ascii::encode_u32(claim.authent_len.cast_unsigned(), out),
                7 => text(claim.authenticator, out)?,
                8 => text(self.class, out)?,
                9 => text(self.instance, out)?,
                10 => text(self.opcode, out)?,
                11 => text(self.sender, out)?,
                12 => text(self.recipient, out)?,
                13 => text(self.default_format, out)?,
                CHECKSUM_FIELD => {
                    checksum_at(out.len());
                    text(claim.checksum, out)?;
                }
                15 => text(self.multinotice, out)?,
                16 => ascii::encode(&self.multiuid.to_octets(), out),
                17 => match self.address {
                    IpAddr::V4(address) => zcode::encode(&address.octets(), out),
                    IpAddr::V6(address) => zcode::encode(&address.octets(), out),
                },
                18 => ascii::encode_u16(self.charset.0, out),
                other => text(self.other.as_slice().get(other - 19).copied().unwrap_or_default(), out)?,
            }
            out.push(0);
        }
        Ok(())
    }

    fn finish(&self, mut header: Vec<u8>, limits: Limits) -> Result<Bytes, FormatError> {
        if header.len() > limits.header {
            return Err(FormatError::HeaderTooLong { len: header.len(), limit: limits.header });
        }
        let len = header.len() + self.body.len();
        if len > limits.packet {
            return Err(FormatError::PacketTooLong { len, limit: limits.packet });
        }
        header.extend_from_slice(self.body);
        Ok(header.into())
    }
}

/// A packet that lacks its checksum.
#[derive(Debug)]
pub struct Unsealed<'a> {
    head: Vec<u8>,
    tail: Vec<u8>,
    notice: Notice<'a>,
}

impl Unsealed<'_> {
    /// The octets that the checksum must cover, in order; the same as [`super::Packet::covered`] of the finished
    /// packet.
    pub fn covered(&self) -> [&[u8]; 3] {
        [&self.head, &self.tail, self.notice.body]
    }

    /// The finished packet, with the checksum in zcode.
    ///
    /// # Errors
    ///
    /// When it does not fit `limits`.
    pub fn seal(mut self, checksum: &[u8], limits: Limits) -> Result<Bytes, FormatError> {
        zcode::encode(checksum, &mut self.head);
        self.head.push(0);
        self.head.append(&mut self.tail);
        self.notice.finish(self.head, limits)
    }
}
