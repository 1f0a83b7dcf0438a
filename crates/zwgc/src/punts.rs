//! What the user does not want to see (zwgc, section 5.3).

use std::collections::BTreeSet;
use zephyr_client::Subscription;
use zephyr_core::{
    fold::{FoldedName, NameTooLong},
    limits::MAX_NOTICE,
    names::ANY_INSTANCE,
    notice::Notice,
};

/// The maximum number of punts; further ones are not taken.
const MAX_PUNTS: usize = 1000;

/// The triples of class, instance and recipient that are not shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Punts(BTreeSet<Punt>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Punt {
    class: FoldedName,
    instance: FoldedName,
    recipient: FoldedName,
}

impl Punt {
    fn new(class: &[u8], instance: &[u8], recipient: &[u8]) -> Result<Self, NameTooLong> {
        let recipient = match recipient {
            [] => b"*",
            [b'@', ..] => &[b"*", recipient].concat()[..],
            other => other,
        };
        let [class, instance, recipient] = [class, instance, recipient].map(FoldedName::bounded);
        Ok(Self { class: class?, instance: instance?, recipient: recipient? })
    }
}

/// A punt is not taken: it is none, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotTaken;

impl Punts {
    /// From now on what this names is not shown.
    pub(crate) fn add(&mut self, triple: &Subscription) -> Result<(), NotTaken> {
        let punt = Punt::new(&triple.class, &triple.instance, &triple.recipient).map_err(|NameTooLong| NotTaken)?;
        if self.0.len() >= MAX_PUNTS && !self.0.contains(&punt) {
            return Err(NotTaken);
        }
        self.0.insert(punt);
        Ok(())
    }

    /// What this names is shown again.
    pub(crate) fn remove(&mut self, triple: &Subscription) {
        if let Ok(punt) = Punt::new(&triple.class, &triple.instance, &triple.recipient) {
            self.0.remove(&punt);
        }
    }

    /// Whether a notice is not shown: its own triple is one of them, or the same with any instance.
    pub(crate) fn hide(&self, notice: &Notice<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let has =
            |instance| Punt::new(notice.class, instance, notice.recipient).is_ok_and(|punt| self.0.contains(&punt));
        has(notice.instance) || has(ANY_INSTANCE)
    }

    /// A line `class,instance,recipient` for each, no longer than a notice may be.
    pub(crate) fn list(&self) -> Vec<u8> {
        let mut list = Vec::new();
        for Punt { class, instance, recipient } in &self.0 {
            let line = [&**class, b",", instance, b",", recipient, b"\n"].concat();
            if list.len() + line.len() > MAX_NOTICE {
                break;
            }
            list.extend(line);
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hides(punts: &Punts, class: &str, instance: &str, recipient: &str) -> bool {
        let [class, instance, recipient] = [class, instance, recipient].map(str::as_bytes);
        punts.hide(&Notice { class, instance, recipient, ..Notice::EMPTY })
    }

    #[test]
    fn a_punt_hides_its_own_triple() {
        let mut punts = Punts::default();
        punts.add(&Subscription::new("message", "Personal", "")).unwrap();
        assert!(hides(&punts, "MESSAGE", "PERSONAL", ""));
        assert!(!hides(&punts, "MESSAGE", "PERSONAL", "alice@TEST") && !hides(&punts, "MESSAGE", "other", ""));
        assert!(!hides(&punts, "other", "personal", ""));
        punts.remove(&Subscription::new("MESSAGE", "personal", "*"));
        assert!(!hides(&punts, "MESSAGE", "PERSONAL", ""));
    }

    #[test]
    fn any_instance_and_realms() {
        let mut punts = Punts::default();
        punts.add(&Subscription::new("c", "*", "*")).unwrap();
        punts.add(&Subscription::new("r", "i", "@ELSEWHERE")).unwrap();
        punts.add(&Subscription::new("*", "x", "*")).unwrap();
        assert!(hides(&punts, "c", "whatever", "") && hides(&punts, "R", "I", "@elsewhere"));
        assert!(!hides(&punts, "d", "x", "") && !hides(&punts, "c", "x", "somebody"), "no other wildcards");
        assert_eq!(punts.list(), b"*,x,*\nc,*,*\nr,i,*@elsewhere\n");
    }

    #[test]
    fn there_are_not_too_many() {
        let mut punts = Punts::default();
        let punt = |number: usize| Subscription::new(number.to_string(), "*", "*");
        assert!((0..MAX_PUNTS).all(|number| punts.add(&punt(number)).is_ok()));
        assert_eq!(punts.add(&punt(MAX_PUNTS)), Err(NotTaken));
        assert_eq!(punts.add(&punt(0)), Ok(()), "it is there");
        let long = Subscription::new("x".repeat(5000), "*", "*");
        assert_eq!(Punts::default().add(&long), Err(NotTaken));
    }

    #[test]
    fn a_list_fits_into_a_notice() {
        let mut punts = Punts::default();
        for number in 0..MAX_PUNTS {
            punts.add(&Subscription::new(format!("{number:0>1000}"), "*", "*")).unwrap();
        }
        let list = punts.list();
        assert!(list.len() <= MAX_NOTICE && list.len() > MAX_NOTICE - 2000 && list.ends_with(b"\n"));
    }
}
