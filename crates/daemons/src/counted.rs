//! Numbers with their words, as people read them.

use std::fmt;

/// So many of something: `1 class`, `2 classes`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted(pub(crate) usize, pub(crate) &'static str, pub(crate) &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, one, many) = *self;
        write!(f, "{count} {}", if count == 1 { one } else { many })
    }
}

/// The words for default subscriptions and restricted classes.
pub(crate) fn rules(default_subscriptions: usize, restricted_classes: usize) -> String {
    let subscriptions = Counted(default_subscriptions, "default subscription", "default subscriptions");
    let classes = Counted(restricted_classes, "restricted class", "restricted classes");
    format!("{subscriptions}, {classes}")
}

/// The words for problems.
pub(crate) const fn problems(count: usize) -> Counted {
    Counted(count, "problem", "problems")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(rules(0, 1), "0 default subscriptions, 1 restricted class");
        assert_eq!(rules(1, 2), "1 default subscription, 2 restricted classes");
        assert_eq!(problems(1).to_string(), "1 problem");
    }
}
