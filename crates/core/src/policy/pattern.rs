//! Patterns for the names of domains, classes and senders.

use std::fmt;

/// A name, or many: `*` stands for any run of octets, `?` for any one; everything else for itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NamePattern {
    text: Box<[u8]>,
    /// Where its last `*` is: looked for once, since names are compared with it again and again.
    last_star: Option<usize>,
}

impl NamePattern {
    /// The pattern that is written so.
    pub fn new(text: &[u8]) -> Self {
        Self { text: text.into(), last_star: text.iter().rposition(|&octet| octet == b'*') }
    }

    /// As it is written.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the name is one of those. Takes at most as many steps as the lengths of both, multiplied, and with one `*`
    /// no more than the pattern has octets: names are made up by whoever sends them.
    pub fn matches(&self, name: &[u8]) -> bool {
        let Some(last) = self.last_star else { return self.text.len() == name.len() && fits(&self.text, name) };
        let (pattern, end) = self.text.split_at_checked(last + 1).unwrap_or_default();
        let Some((name, name_end)) = name.len().checked_sub(end.len()).and_then(|at| name.split_at_checked(at)) else {
            return false;
        };
        fits(end, name_end) && fits(pattern, name)
    }

    /// The specificity of the pattern: one that stands for a single name says more than any other, then counts the
    /// number of octets that it names.
    fn specificity(&self) -> (bool, usize) {
        let wild = self.text.iter().filter(|octet| matches!(octet, b'*' | b'?')).count();
        (wild == 0, self.text.len() - wild)
    }
}

/// Whether the whole name fits the whole pattern.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut octet) = (0, 0);
    // What follows the last `*`, and how far that reaches so far: earlier ones never need to reach further.
    let mut run: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), name.get(octet)) {
            (None, None) => return true,
            (Some(b'*'), _) if at + 1 == pattern.len() => return true,
            (Some(b'*'), _) => {
                at += 1;
                run = Some((at, octet));
            }
            (Some(b'?'), Some(_)) => (at, octet) = (at + 1, octet + 1),
            (Some(one), Some(other)) if one == other => (at, octet) = (at + 1, octet + 1),
            _ => match run {
                Some((after, reached)) if reached < name.len() => {
                    run = Some((after, reached + 1));
                    (at, octet) = (after, reached + 1);
                }
                _ => return false,
            },
        }
    }
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamePattern({})", self.text.escape_ascii())
    }
}

/// The entry whose pattern says most of those that the name fits, the first of equals; and its number.
pub(super) fn most_specific<'a, T>(
    entries: &'a [T],
    pattern: impl Fn(&T) -> &NamePattern,
    name: &[u8],
) -> Option<(usize, &'a T)> {
    let fitting = entries.iter().enumerate().rev().filter(|(_, entry)| pattern(entry).matches(name));
    fitting.max_by_key(|(_, entry)| pattern(entry).specificity())
}

impl NamePattern {
    /// The number of the pattern that says most of those that the name fits, the first of equals.
    pub fn most_specific(patterns: &[Self], name: &[u8]) -> Option<usize> {
        most_specific(patterns, |pattern| pattern, name).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for (pattern, fitting, others) in [
            ("A.B", &["A.B"][..], &["A.BC", "", "a.b"][..]),
            ("*", &["", "x", "a*b"], &[]),
            ("*.EDU", &[".EDU", "MIT.EDU", "A.EDU.EDU"], &["EDU", "MIT.EDUX"]),
            ("a*b*c", &["abc", "axxbyyc", "abcbc"], &["ab", "acb"]),
            ("ab*ba", &["abba", "abxba"], &["aba", "ab", "ba"]),
            ("*?b", &["ab", "xab"], &["b", "", "ba"]),
            ("?", &["x"], &["", "xy"]),
            ("", &[""], &["x"]),
        ] {
            let pattern = NamePattern::new(pattern.as_bytes());
            for name in fitting {
                assert!(pattern.matches(name.as_bytes()), "{pattern:?} {name}");
            }
            for name in others {
                assert!(!pattern.matches(name.as_bytes()), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn long_names_do_not_take_for_ever() {
        assert!(!NamePattern::new(&[b"*a".repeat(300), b"c".to_vec()].concat()).matches(&[b'a'; 5000]));
    }

    #[test]
    fn the_most_specific_one_counts() {
        let patterns =
            ["*", "*.EDU", "M*.EDU", "?IT.EDU", "MIT.EDU", "*.EDU"].map(|text| NamePattern::new(text.as_bytes()));
        for (name, number) in
            [("MIT.EDU", Some(4)), ("BIT.EDU", Some(3)), ("MX.EDU", Some(2)), ("CMU.EDU", Some(1)), ("ORG", Some(0))]
        {
            assert_eq!(NamePattern::most_specific(&patterns, name.as_bytes()), number, "{name}");
        }
        assert_eq!(NamePattern::most_specific(&patterns[1..], b"ORG"), None);
    }
}
