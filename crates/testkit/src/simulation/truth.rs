//! The oracle: what was really sent and by whom, against which everything authentic is checked.

use std::collections::{HashMap, HashSet};
use zephyr_core::{fragment::Span, notice::Notice};

/// What a sender proves of a notice, apart from its body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Heading {
    /// Who has sent it.
    pub sender: Vec<u8>,
    /// Its class.
    pub class: Vec<u8>,
    /// Its instance.
    pub instance: Vec<u8>,
    /// Its opcode.
    pub opcode: Vec<u8>,
    /// Whom it is for.
    pub recipient: Vec<u8>,
}

impl Heading {
    /// What a notice says.
    pub(super) fn of(notice: &Notice<'_>) -> Self {
        let [sender, class, instance, opcode, recipient] =
            [notice.sender, notice.class, notice.instance, notice.opcode, notice.recipient].map(<[u8]>::to_vec);
        Self { sender, class, instance, opcode, recipient }
    }
}

/// All that was said with proof.
#[derive(Debug, Default)]
pub(super) struct Truth {
    said: HashMap<Heading, HashSet<Vec<u8>>>,
}

impl Truth {
    /// Somebody says something, and proves it.
    pub(super) fn say(&mut self, heading: Heading, body: &[u8]) {
        self.said.entry(heading).or_default().insert(body.to_vec());
    }

    /// Whether a whole notice was said just so.
    pub(super) fn was_said(&self, notice: &Notice<'_>) -> bool {
        self.said.get(&Heading::of(notice)).is_some_and(|bodies| bodies.contains(notice.body))
    }

    /// Whether a notice, or this part of one, was said just so.
    pub(super) fn part_was_said(&self, notice: &Notice<'_>, span: Span) -> bool {
        let end = span.offset + notice.body.len();
        let holds = |body: &Vec<u8>| body.len() == span.total && body.get(span.offset..end) == Some(notice.body);
        self.said.get(&Heading::of(notice)).is_some_and(|bodies| bodies.iter().any(holds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_was_said() {
        let mut truth = Truth::default();
        let notice = Notice { class: b"c", sender: b"alice@R", body: b"hello world", ..Notice::EMPTY };
        truth.say(Heading::of(&notice), notice.body);
        assert!(truth.was_said(&notice));
        for other in [
            Notice { body: b"hello", ..notice },
            Notice { sender: b"bob@R", ..notice },
            Notice { opcode: b"x", ..notice },
        ] {
            assert!(!truth.was_said(&other));
        }
        let part = Notice { body: b"world", ..notice };
        assert!(truth.part_was_said(&part, Span { offset: 6, total: 11 }));
        assert!(!truth.part_was_said(&part, Span { offset: 5, total: 11 }));
        assert!(!truth.part_was_said(&part, Span { offset: 6, total: 12 }));
    }
}
