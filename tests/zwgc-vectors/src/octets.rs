//! Octets in a case file: `{"text": …}` where they are UTF-8, else `{"base64": …}`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A run of octets, as a case file writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Octets(pub Vec<u8>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(String),
    Text { text: String },
    Base64 { base64: String },
}

impl TryFrom<Written> for Octets {
    type Error = anyhow::Error;

    fn try_from(written: Written) -> Result<Self> {
        Ok(Self(match written {
            Written::Plain(text) | Written::Text { text } => text.into_bytes(),
            Written::Base64 { base64 } => from_base64(&base64)?,
        }))
    }
}

/// Decodes base64 (RFC 4648, section 4), with its padding.
///
/// # Errors
///
/// When it is none.
pub fn from_base64(text: &str) -> Result<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        bail!("base64 of {} characters", text.len());
    }
    let (mut octets, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        bits = (bits << 6 | u32::from(value(digit).context("no digit of base64")?)) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.extend(u8::try_from(bits >> held & 0xFF));
        }
    }
    Ok(octets)
}

fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (json, octets) in [
            (r#"{"text": "a\n"}"#, &b"a\n"[..]),
            (r#""a""#, b"a"),
            (r#"{"base64": "cwBiYWQg//4gdGV4dAo="}"#, b"s\0bad \xff\xfe text\n"),
            (r#"{"base64": ""}"#, b""),
            (r#"{"base64": "+/8A"}"#, b"\xfb\xff\0"),
            (r#"{"base64": "/w=="}"#, b"\xff"),
        ] {
            assert_eq!(serde_json::from_str::<Octets>(json).unwrap().0, octets, "{json}");
        }
        for json in [r#"{"base64": "abc"}"#, r#"{"base64": "ab-="}"#, r#"{"base64": "a==="}"#, r#"{"octets": ""}"#] {
            assert!(serde_json::from_str::<Octets>(json).is_err(), "{json}");
        }
    }
}
