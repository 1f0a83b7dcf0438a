//! Principals as text: `name@REALM` (RFC 1964, section 2.1.1; server behaviour, section 3).

/// A principal, split at the `@` that separates name and realm.
///
/// Kerberos writes an `@` that belongs to a name as `\@`; such a one separates nothing. Recipients are written the same
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// The name before the separator: everything, when there is none.
    pub name: &'a [u8],
    /// The realm after it; `None` when there is none.
    pub realm: Option<&'a [u8]>,
}

impl<'a> Principal<'a> {
    /// Parses a principal.
    pub fn parse(text: &'a [u8]) -> Self {
        let mut escaped = false;
        let at = text.iter().position(|&octet| {
            let separates = octet == b'@' && !escaped;
            escaped = octet == b'\\' && !escaped;
            separates
        });
        match at.and_then(|at| text.split_at_checked(at)) {
            Some((name, realm)) => Self { name, realm: realm.get(1..) },
            None => Self { name: text, realm: None },
        }
    }

    /// Whether it belongs to this realm; one that names no realm does.
    pub fn is_of(&self, realm: &[u8]) -> bool {
        self.realm.is_none_or(|own| own == realm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_that_is_not_escaped_counts() {
        for (text, name, realm) in [
            ("alice@ATHENA.TEST", "alice", Some("ATHENA.TEST")),
            ("alice", "alice", None),
            ("alice@", "alice", Some("")),
            ("@ATHENA.TEST", "", Some("ATHENA.TEST")),
            (r"al\@ice@R", r"al\@ice", Some("R")),
            (r"al\\@R", r"al\\", Some("R")),
            (r"al\@R", r"al\@R", None),
            ("a@b@c", "a", Some("b@c")),
            ("", "", None),
        ] {
            let parsed = Principal { name: name.as_bytes(), realm: realm.map(str::as_bytes) };
            assert_eq!(Principal::parse(text.as_bytes()), parsed, "{text}");
        }
        assert!(Principal::parse(b"alice").is_of(b"R") && Principal::parse(b"alice@R").is_of(b"R"));
        assert!(!Principal::parse(b"alice@S").is_of(b"R"));
    }
}
