//! Octets in JSON: hexadecimal, or text where all of it is printable.

use serde::{Deserialize, Deserializer, de::Error};
use std::fmt;

/// Octets written in hexadecimal.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Hex(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes().chunks(2);
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        digits.map(octet).collect::<Option<Vec<u8>>>().map(Self).ok_or_else(|| D::Error::custom("not hexadecimal"))
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// A header text: as it is when printable, else `{"hex": …}`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Plain(String),
    Coded { hex: Hex },
}

impl Text {
    pub(super) fn octets(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Coded { hex } => &hex.0,
        }
    }
}

/// A uid as the vectors write it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Uid {
    addr: std::net::Ipv4Addr,
    sec: u32,
    usec: u32,
}

impl From<zephyr_core::uid::Uid> for Uid {
    fn from(uid: zephyr_core::uid::Uid) -> Self {
        Self { addr: uid.address, sec: uid.seconds, usec: uid.micros }
    }
}
