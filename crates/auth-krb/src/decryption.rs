//! Decryption of Kerberos messages (RFC 3962 and RFC 8009), with cached derived keys.

use crate::{
    binding::Context,
    derivation::{self, Purpose},
    mac::Mac,
    ticket::Key,
};
use aes::{
    Aes128Dec, Aes256Dec, Block,
    cipher::{BlockCipherDecrypt, KeyInit},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The octets of an AES block, and of the random block that every plain text begins with.
const BLOCK: usize = 16;

/// A key, ready to decrypt what was encrypted for one usage.
pub(crate) struct Decryption(Method);

enum Method {
    /// AES with HMAC-SHA1 over the plain text (RFC 3962), or with HMAC-SHA2 over the cipher text (RFC 8009).
    Aes { cipher: Cipher, integrity: Mac, covers: Covers, tag_len: usize },
    /// As libkrb5 does it.
    Library { key: Key, usage: i32 },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Covers {
    PlainText,
    CipherText,
}

// In a box each: with their round keys they are large.
enum Cipher {
    Aes128(Box<Aes128Dec>),
    Aes256(Box<Aes256Dec>),
}

impl Decryption {
    /// For a key whose length is the one that its type has.
    pub(crate) fn new(key: Key, usage: i32) -> Self {
        let octets = &key.octets;
        let (encryption, integrity, covers, tag_len) = match key.enctype {
            17 | 18 => (
                derivation::rfc3961(octets, usage, Purpose::Encryption),
                derivation::mac_of_rfc3961(octets, usage, Purpose::Integrity),
                Covers::PlainText,
                12,
            ),
            19 | 20 => (
                derivation::rfc8009(octets, usage, Purpose::Encryption),
                derivation::mac_of_rfc8009(octets, usage, Purpose::Integrity),
                Covers::CipherText,
                if key.enctype == 19 { 16 } else { 24 },
            ),
            _ => return Self(Method::Library { key, usage }),
        };
        Self(match Cipher::new(&encryption) {
            Some(cipher) => Method::Aes { cipher, integrity, covers, tag_len },
            None => Method::Library { key, usage },
        })
    }

    /// The plain text, when it was encrypted with this key for this usage and not changed since. With the older types
    /// there may be octets after its end.
    pub(crate) fn decrypt(&self, octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (cipher, integrity, covers, tag_len) = match &self.0 {
            Method::Aes { cipher, integrity, covers, tag_len } => (cipher, integrity, *covers, *tag_len),
            Method::Library { key, usage } => {
                return Context::with_own(|context| context.decrypt(key, *usage, octets)).ok();
            }
        };
        let (encrypted, tag) = octets.split_at_checked(octets.len().checked_sub(tag_len)?)?;
        let is_intact = |parts: &[&[u8]]| bool::from(integrity.of(parts).first(tag_len).ct_eq(tag));
        if covers == Covers::CipherText && !is_intact(&[&[0; BLOCK], encrypted]) {
            return None;
        }
        let mut plain = cipher.decrypt(encrypted)?;
        if covers == Covers::PlainText && !is_intact(&[&plain]) {
            return None;
        }
        plain.drain(..BLOCK);
        Some(plain)
    }
}

impl Cipher {
    fn new(key: &[u8]) -> Option<Self> {
        let aes256 = Aes256Dec::new_from_slice(key).ok().map(|cipher| Self::Aes256(cipher.into()));
        aes256.or_else(|| Some(Self::Aes128(Aes128Dec::new_from_slice(key).ok()?.into())))
    }

    fn blocks(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(cipher) => cipher.decrypt_blocks(blocks),
            Self::Aes256(cipher) => cipher.decrypt_blocks(blocks),
        }
    }

    /// CBC with cipher text stealing, the last two blocks always swapped, from an initial vector of zeros (RFC 3962,
    /// section 5). `None` when there is no more than one block.
    fn decrypt(&self, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let whole = encrypted.len().checked_sub(BLOCK + 1)? / BLOCK + 1;
        let (blocks, tail) = encrypted.split_at_checked(whole * BLOCK)?;
        let mut decrypted: Vec<Block> = blocks.as_chunks::<BLOCK>().0.iter().map(|block| (*block).into()).collect();
        self.blocks(&mut decrypted);
        let mut plain = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        let last = decrypted.pop()?;
        let zeros = [0; BLOCK];
        let mut before: &[u8; BLOCK] = &zeros;
        for (block, octets) in decrypted.iter().zip(blocks.as_chunks().0) {
            plain.extend(block.iter().zip(before).map(|(a, b)| a ^ b));
            before = octets;
        }
        // The last whole block lends what the tail lacks.
        let mut stolen: Block = last;
        stolen.iter_mut().zip(tail).for_each(|(octet, tail)| *octet = *tail);
        let mut borrower = [stolen];
        self.blocks(&mut borrower);
        plain.extend(borrower.iter().flatten().zip(before).map(|(a, b)| a ^ b));
        plain.extend(last.iter().zip(tail).map(|(a, b)| a ^ b));
        Some(plain)
    }
}
