//! Values, and how much of them is the description's own.

use std::ops::Range;

/// A text, with what may come from a notice told from what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) octets: Vec<u8>,
    /// The number of octets at the beginning that come from the description or from the user's system. Of those after them nothing
    /// is known.
    own: usize,
}

impl Value {
    /// A text of the description or of the user's system.
    pub(super) const fn own(octets: Vec<u8>) -> Self {
        Self { own: octets.len(), octets }
    }

    /// A text that somebody else may have made up.
    pub(super) const fn foreign(octets: Vec<u8>) -> Self {
        Self { octets, own: 0 }
    }

    /// What is true or false.
    pub(super) fn truth(is_true: bool) -> Self {
        Self::own(if is_true { b"TRUE".to_vec() } else { b"FALSE".to_vec() })
    }

    pub(super) const fn is_true(&self) -> bool {
        self.octets.as_slice().eq_ignore_ascii_case(b"true")
    }

    pub(super) const fn is_own(&self) -> bool {
        self.own == self.octets.len()
    }

    /// What is the description's own, and what may be somebody else's after it.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.octets.split_at(self.own)
    }

    pub(super) fn push(&mut self, other: &Self) {
        if self.is_own() {
            self.own += other.own;
        }
        self.octets.extend_from_slice(&other.octets);
    }

    pub(super) fn push_own(&mut self, octets: &[u8]) {
        if self.is_own() {
            self.own += octets.len();
        }
        self.octets.extend_from_slice(octets);
    }

    /// What a function makes of the text, of which no part is known to come from a part of the text.
    pub(super) fn map(&self, function: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        let octets = function(&self.octets);
        Self { own: if self.is_own() { octets.len() } else { 0 }, octets }
    }

    /// The octets of a range; none where it is out of bounds.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let own = self.own.saturating_sub(range.start).min(range.len());
        let octets = self.octets.get(range).unwrap_or_default().to_vec();
        Self { own: own.min(octets.len()), octets }
    }
}
