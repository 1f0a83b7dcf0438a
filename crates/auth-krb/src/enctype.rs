//! Kerberos encryption types: their names, and which are permitted.

use std::{fmt, str::FromStr};

/// An encryption type of keys that notices can be proven with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enctype(i32);

/// Numbers, and the names that MIT Kerberos has for them in its configuration: the one that it shows, and others.
const NAMES: [(i32, &[&str]); 8] = [
    (20, &["aes256-cts-hmac-sha384-192", "aes256-sha2"]),
    (19, &["aes128-cts-hmac-sha256-128", "aes128-sha2"]),
    (18, &["aes256-cts-hmac-sha1-96", "aes256-cts", "aes256-sha1"]),
    (17, &["aes128-cts-hmac-sha1-96", "aes128-cts", "aes128-sha1"]),
    (26, &["camellia256-cts-cmac", "camellia256-cts"]),
    (25, &["camellia128-cts-cmac", "camellia128-cts"]),
    (23, &["arcfour-hmac", "rc4-hmac", "arcfour-hmac-md5"]),
    (16, &["des3-cbc-sha1", "des3-hmac-sha1", "des3-cbc-sha1-kd"]),
];

/// An unknown name of an encryption type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown encryption type {0:?}: it must be one of {names}", names = known_names())]
pub struct UnknownEnctype(pub String);

fn known_names() -> String {
    NAMES.iter().filter_map(|(_, names)| names.first().copied()).collect::<Vec<_>>().join(", ")
}

impl Enctype {
    /// The permitted types by default: AES and Camellia. Triple DES and RC4, which can be broken or soon
    /// will be, must be asked for.
    pub const DEFAULT: [Self; 6] = [Self(20), Self(19), Self(18), Self(17), Self(26), Self(25)];

    /// The type with this number, if notices can be proven with it.
    pub fn from_number(number: i32) -> Option<Self> {
        NAMES.iter().any(|(known, _)| *known == number).then_some(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for Enctype {
    type Err = UnknownEnctype;

    fn from_str(word: &str) -> Result<Self, UnknownEnctype> {
        let is_named = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(word));
        let found = NAMES.iter().find(|(_, names)| is_named(names));
        found.map(|(number, _)| Self(*number)).ok_or_else(|| UnknownEnctype(word.to_owned()))
    }
}

impl fmt::Display for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(number, _)| *number == self.0).and_then(|(_, names)| names.first());
        f.write_str(name.copied().unwrap_or_default())
    }
}

impl fmt::Debug for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Types of which only some are permitted.
pub(crate) struct Permitted(Vec<i32>);

impl Permitted {
    pub(crate) fn new(enctypes: &[Enctype]) -> Self {
        Self(enctypes.iter().map(|enctype| enctype.0).collect())
    }

    /// Whether a type is permitted.
    pub(crate) fn has(&self, enctype: i32) -> bool {
        self.0.contains(&enctype)
    }

    /// The refusal of a type, or `None` when it is permitted.
    pub(crate) fn refusal(&self, what: &str, enctype: i32) -> Option<String> {
        if self.has(enctype) {
            return None;
        }
        Some(format!("{what} is of type {}, which is not permitted here", name_of(enctype)))
    }
}

/// The name of the type with this number; the number where notices cannot be proven with it.
pub(crate) fn name_of(enctype: i32) -> String {
    Enctype::from_number(enctype).map_or_else(|| enctype.to_string(), |known| known.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (number, names) in NAMES {
            for name in names {
                assert_eq!(name.parse().map(Enctype::number), Ok(number));
            }
            assert_eq!(Enctype(number).to_string(), names[0]);
            assert_eq!(Enctype::from_number(number), Some(Enctype(number)));
            assert!(crate::checksum::is_known(number));
        }
        assert_eq!("RC4-HMAC".parse(), Ok(Enctype(23)));
        let unknown = "des-cbc-crc".parse::<Enctype>().unwrap_err().to_string();
        assert!(unknown.contains("\"des-cbc-crc\"") && unknown.contains("camellia128-cts-cmac"), "{unknown}");
        assert_eq!(Enctype::from_number(3), None);
    }

    #[test]
    fn what_is_permitted() {
        let permitted = Permitted::new(&Enctype::DEFAULT);
        for enctype in [17, 18, 19, 20, 25, 26] {
            assert_eq!(permitted.refusal("a key", enctype), None);
        }
        let refusal = permitted.refusal("the session key", 23);
        assert_eq!(refusal.as_deref(), Some("the session key is of type arcfour-hmac, which is not permitted here"));
        for enctype in [1, 3, 16, 24] {
            assert!(permitted.refusal("a key", enctype).is_some());
        }
    }
}
