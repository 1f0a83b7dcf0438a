//! Numbers with the nouns that the daemons count.

pub(crate) use zephyr_engine::plural::Plural;

/// The numbers of default subscriptions and restricted classes.
pub(crate) fn rules(default_subscriptions: usize, restricted_classes: usize) -> String {
    let subscriptions = Plural(default_subscriptions, "default subscription", "default subscriptions");
    let classes = Plural(restricted_classes, "restricted class", "restricted classes");
    format!("{subscriptions}, {classes}")
}

/// A number of problems.
pub(crate) const fn problems(count: usize) -> Plural {
    Plural(count, "problem", "problems")
}

/// So many of something whose plural has an s.
pub(crate) fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(rules(0, 1), "0 default subscriptions, 1 restricted class");
        assert_eq!(rules(1, 2), "1 default subscription, 2 restricted classes");
        assert_eq!(problems(1).to_string(), "1 problem");
        assert_eq!([count(1, "client"), count(2, "client")], ["1 client", "2 clients"]);
    }
}
