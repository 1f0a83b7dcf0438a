//! Test cases of the two encodings.

use super::{Outcome, octets::Hex, with_quirk};
use serde::Deserialize;
use zephyr_core::coding::{ascii, zcode};

#[derive(Deserialize)]
pub(super) struct Case {
    op: String,
    in_hex: Option<Hex>,
    /// Of numbers to be written only the low 32 bits count.
    value: Option<u64>,
    buf_len: Option<usize>,
    num: Option<usize>,
    max: Option<usize>,
    #[serde(default)]
    result: String,
    out_hex: Option<Hex>,
    quirk: Option<String>,
}

/// What an operation gives: text or octets, or a number.
#[derive(Debug, PartialEq, Eq)]
enum Product {
    Octets(Vec<u8>),
    Number(u64),
}

impl Case {
    pub(super) fn run(&self) -> Outcome {
        let input = || self.in_hex.clone().unwrap_or_default().0;
        let number = (self.value.unwrap_or(0) & u64::from(u32::MAX)) as u32;
        let write = |encode: &dyn Fn(&mut Vec<u8>)| {
            let mut text = Vec::new();
            encode(&mut text);
            // A C writer needs room for the final NUL as well, unless there is nothing to write.
            let fits = text.is_empty() || self.buf_len.is_none_or(|max| text.len() < max);
            if fits { Ok(Product::Octets(text)) } else { Err("ZERR_FIELDLEN") }
        };
        let bad = |_| "ZERR_BADFIELD";
        let came = match self.op.as_str() {
            "make_ascii" => write(&|out| ascii::encode(&input(), out)),
            "make_zcode" => write(&|out| zcode::encode(&input(), out)),
            "make_ascii32" => write(&|out| ascii::encode_u32(number, out)),
            "make_ascii16" => write(&|out| ascii::encode_u16((number & 0xFFFF) as u16, out)),
            "make_zcode32" => write(&|out| zcode::encode(&number.to_be_bytes(), out)),
            "read_ascii" => {
                let mut octets = vec![0; self.num.unwrap_or(0)];
                ascii::decode_into(&input(), &mut octets).map(|()| Product::Octets(octets)).map_err(bad)
            }
            "read_ascii32" => ascii::decode_u32(&input()).map(|value| Product::Number(value.into())).map_err(bad),
            "read_ascii16" => ascii::decode_u16(&input()).map(|value| Product::Number(value.into())).map_err(bad),
            "read_zcode" => zcode::decode(&input(), self.max.unwrap_or(0)).map(Product::Octets).map_err(bad),
            "quad_cksum" => return Outcome::Skipped("the DES quad checksum: no current library has such keys".into()),
            other => return Outcome::Failed(format!("unknown operation {other}")),
        };
        let expected = match (self.result.as_str(), &self.out_hex, self.value) {
            ("ZERR_NONE", Some(octets), _) => Ok(Product::Octets(octets.0.clone())),
            ("ZERR_NONE", None, Some(value)) => Ok(Product::Number(value)),
            (error, ..) => Err(error),
        };
        with_quirk(self.quirk.as_deref(), came.is_err(), Outcome::compare("result", &expected, &came))
    }
}
