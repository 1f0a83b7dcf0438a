//! Key derivation from a session key (RFC 3961 and RFC 8009), one key for each usage.

use crate::mac::Mac;
use aes::{
    Aes128, Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use ring::hmac;
use zeroize::Zeroizing;

/// The octets of an AES key of the longer kind.
const AES256_LEN: usize = 32;

/// The purpose of a derived key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Checksums over what is sent in clear.
    Checksum = 0x99,
    /// Encryption.
    Encryption = 0xAA,
    /// Proving that what is encrypted was not changed.
    Integrity = 0x55,
}

/// The constant of a key derivation: the usage and the purpose.
fn constant(usage: i32, purpose: Purpose) -> [u8; 5] {
    let [a, b, c, d] = usage.to_be_bytes();
    [a, b, c, d, purpose as u8]
}

/// RFC 3961, section 5.1, for a key of 16 or 32 octets: the folded constant, encrypted again and again until there are
/// octets enough for a key.
pub(crate) fn rfc3961(key: &[u8], usage: i32, purpose: Purpose) -> Zeroizing<Vec<u8>> {
    let mut block = n_folded(constant(usage, purpose)).to_be_bytes().into();
    let mut derived = Zeroizing::new(Vec::with_capacity(key.len()));
    while derived.len() < key.len() {
        if let Ok(cipher) = Aes256::new_from_slice(key) {
            cipher.encrypt_block(&mut block);
        } else if let Ok(cipher) = Aes128::new_from_slice(key) {
            cipher.encrypt_block(&mut block);
        }
        derived.extend_from_slice(&block);
    }
    derived
}

/// A derived key of RFC 3961, ready to be used with HMAC-SHA1.
pub(crate) fn mac_of_rfc3961(key: &[u8], usage: i32, purpose: Purpose) -> Mac {
    Mac::sha1(&rfc3961(key, usage, purpose))
}

/// RFC 3961, section 5.1, n-fold of five octets to sixteen: sixteen copies, each turned right by thirteen bits more
/// than the one before, cut into sixteens and added with the carry going round.
fn n_folded(constant: [u8; 5]) -> u128 {
    const BITS: u32 = 40;
    let [a, b, c, d, e] = constant;
    let value = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let mut row = [0; 80];
    for (copy, place) in (0..).zip(row.chunks_exact_mut(5)) {
        let turn = 13 * copy % BITS;
        let turned = (value >> turn) | (value << (BITS - turn));
        let [_, _, _, turned @ ..] = turned.to_be_bytes();
        place.copy_from_slice(&turned);
    }
    row.as_chunks().0.iter().fold(0, |sum: u128, chunk| {
        let (sum, carry) = sum.overflowing_add(u128::from_be_bytes(*chunk));
        // A sum that overflowed has room for the carry.
        sum.wrapping_add(u128::from(carry))
    })
}

/// RFC 8009, section 3, for a key of 16 or 32 octets: KDF-HMAC-SHA2.
pub(crate) fn rfc8009(key: &[u8], usage: i32, purpose: Purpose) -> Zeroizing<Vec<u8>> {
    let bits: u32 = match (key.len() == AES256_LEN, purpose) {
        (true, Purpose::Encryption) => 256,
        (true, _) => 192,
        (false, _) => 128,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(sha2_for(key), key));
    context.update(&1_u32.to_be_bytes());
    context.update(&constant(usage, purpose));
    context.update(&[0]);
    context.update(&bits.to_be_bytes());
    let mut derived = Zeroizing::new(context.sign().as_ref().to_vec());
    derived.truncate(usize::try_from(bits / 8).unwrap_or(0));
    derived
}

/// A derived key of RFC 8009, ready to be used with the HMAC-SHA2 that goes with its length.
pub(crate) fn mac_of_rfc8009(key: &[u8], usage: i32, purpose: Purpose) -> Mac {
    Mac::sha2(sha2_for(key), &rfc8009(key, usage, purpose))
}

fn sha2_for(key: &[u8]) -> hmac::Algorithm {
    if key.len() == AES256_LEN { hmac::HMAC_SHA384 } else { hmac::HMAC_SHA256 }
}
