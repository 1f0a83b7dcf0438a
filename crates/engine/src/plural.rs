//! Numbers with nouns, in the singular or plural.

use std::fmt;

/// A number with its noun: `1 class`, `2 classes`.
#[derive(Clone, Copy, Debug)]
pub struct Plural(
    /// How many.
    pub usize,
    /// The noun for one.
    pub &'static str,
    /// The noun for any other number.
    pub &'static str,
);

impl fmt::Display for Plural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = *self;
        write!(f, "{count} {}", if count == 1 { one } else { many })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let classes = |count| Plural(count, "class", "classes").to_string();
        assert_eq!((classes(0), classes(1), classes(2)), ("0 classes".into(), "1 class".into(), "2 classes".into()));
    }
}
