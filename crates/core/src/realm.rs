//! Realms and recipients (server behaviour, sections 3 and 8).

use crate::principal::Principal;
use std::borrow::Cow;

/// The recipient as it is written into a header: one that is not empty and names no realm gets the local one.
pub fn completed<'a>(recipient: &'a [u8], local_realm: &[u8]) -> Cow<'a, [u8]> {
    if recipient.is_empty() || Principal::parse(recipient).realm.is_some() {
        return Cow::Borrowed(recipient);
    }
    Cow::Owned([recipient, b"@", local_realm].concat())
}

/// The realms that a server knows: its own, and those it has servers for.
#[derive(Clone, Debug)]
pub struct Realms {
    local: Box<[u8]>,
    foreign: Vec<Box<[u8]>>,
}

impl Realms {
    /// The realms of a server that knows only its own.
    pub fn local_only(realm: &[u8]) -> Self {
        Self { local: realm.into(), foreign: Vec::new() }
    }

    /// Adds a foreign realm; earlier ones win where an abbreviation fits several.
    pub fn add(&mut self, realm: &[u8]) {
        self.foreign.push(realm.into());
    }

    /// The server's own realm.
    pub fn local(&self) -> &[u8] {
        &self.local
    }

    /// The known realm that `name` means: the same name in any case, or else the first of which it is a beginning.
    pub fn expand<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        let known = || std::iter::once(&self.local).chain(&self.foreign).map(AsRef::as_ref);
        let begins = |realm: &&[u8]| realm.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        known().find(|realm| realm.eq_ignore_ascii_case(name)).or_else(|| known().find(begins)).unwrap_or(name)
    }

    /// The recipient as it is matched with subscriptions: its realm spelled out, and empty when it is the whole local
    /// realm (`@LOCAL`).
    pub fn matched_recipient<'a>(&'a self, recipient: &'a [u8]) -> Cow<'a, [u8]> {
        let Principal { name: user, realm: Some(realm) } = Principal::parse(recipient) else {
            return Cow::Borrowed(recipient);
        };
        let realm = self.expand(realm);
        if user.is_empty() && realm == self.local() {
            return Cow::Borrowed(b"");
        }
        Cow::Owned([user, b"@", realm].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations() {
        let mut realms = Realms::local_only(b"ATHENA.MIT.EDU");
        realms.add(b"ATH.ORG");
        realms.add(b"CS.CMU.EDU");
        for (given, meant) in [
            ("athena.mit.edu", "ATHENA.MIT.EDU"),
            ("ath", "ATHENA.MIT.EDU"),
            ("ath.", "ATH.ORG"),
            ("ath.org", "ATH.ORG"),
            ("cs", "CS.CMU.EDU"),
            ("", "ATHENA.MIT.EDU"),
            ("nowhere", "nowhere"),
        ] {
            assert_eq!(realms.expand(given.as_bytes()), meant.as_bytes(), "{given}");
        }
    }

    #[test]
    fn recipients() {
        let realms = Realms::local_only(b"ATHENA.MIT.EDU");
        for (given, matched) in [
            ("", ""),
            ("alice", "alice"),
            ("alice@", "alice@ATHENA.MIT.EDU"),
            ("alice@ath", "alice@ATHENA.MIT.EDU"),
            ("@ATHENA.MIT.EDU", ""),
            ("@elsewhere", "@elsewhere"),
        ] {
            assert_eq!(realms.matched_recipient(given.as_bytes()), matched.as_bytes(), "{given}");
        }
        assert_eq!(completed(b"alice", b"R").as_ref(), b"alice@R");
        assert_eq!(completed(b"", b"R").as_ref(), b"");
        assert_eq!(completed(b"alice@", b"R").as_ref(), b"alice@");
    }
}
