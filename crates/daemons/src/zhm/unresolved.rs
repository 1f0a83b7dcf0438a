//! Servers whose names are not known, for a host manager that is only to say that its host has started: as in C, it ends
//! when it knows where none of them is (host manager, section 6).

use std::{collections::BTreeMap, fmt};
use zephyr_engine::host_manager::LookupAnswer;

/// Why servers' names are not known.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    reasons: BTreeMap<(Box<str>, u16), Box<str>>,
}

impl Unresolved {
    /// Notes the result of a look-up; whether none of so many servers is known now.
    pub(super) fn note(&mut self, answer: &LookupAnswer, servers: usize) -> bool {
        let server = (answer.lookup.host.clone(), answer.lookup.port);
        match &answer.found {
            Ok(_) => self.reasons.remove(&server),
            Err(reason) => self.reasons.insert(server, reason.clone()),
        };
        self.reasons.len() >= servers.max(1)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unknown server name: ")?;
        for (number, ((host, _), reason)) in self.reasons.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{host} ({reason})")?;
        }
        f.write_str("; no server was told that this host has started")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_engine::host_manager::{Located, Lookup};

    fn answer(host: &str, is_known: bool) -> LookupAnswer {
        let located = Located { name: host.into(), address: ([10, 0, 0, 1], 2103).into(), others: vec![], local: None };
        let lookup = Lookup { host: host.into(), port: 2103 };
        lookup.answer(if is_known { Ok(located) } else { Err("no such host".into()) })
    }

    #[test]
    fn one_that_is_known_is_enough() {
        let mut unresolved = Unresolved::default();
        assert!(!unresolved.note(&answer("one", false), 2));
        assert!(!unresolved.note(&answer("one", false), 2), "the same one again");
        assert!(!unresolved.note(&answer("two", true), 2));
        assert!(unresolved.note(&answer("two", false), 2));
        let text = "Unknown server name: one (no such host), two (no such host); no server was told that this host has started";
        assert_eq!(unresolved.to_string(), text);
        assert!(!unresolved.note(&answer("one", true), 2));
    }
}
