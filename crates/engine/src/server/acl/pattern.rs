//! Shell patterns, as they stand in access control lists.

/// A shell pattern over octets: `*` any run, `?` any octet, `[a-z]` and `[!a-z]` sets.
///
/// `*`, `?`, `[`, `]` preceded by `\` mean themselves. Any other `\` begins one of the pairs that Kerberos writes names
/// with (`\@`, `\/`, `\\`, `\n`, `\t`, `\b`, `\0`) and stands for that pair. Case matters; nothing is special about `/`
/// and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalPattern(Box<[Token]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Octet(u8),
    AnyOctet,
    AnyRun,
    Set(Box<Set>),
}

/// A set of octets, one bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set([u64; 4]);

/// Errors of parsing a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A set has no end.
    #[error("[ without ]")]
    OpenSet,
    /// A range whose end is before its beginning.
    #[error("the range {}-{} is empty", .first.escape_ascii(), .last.escape_ascii())]
    EmptyRange {
        /// Its beginning.
        first: u8,
        /// Its end.
        last: u8,
    },
    /// A named class of characters that does not exist, or a collating element.
    #[error("unknown class of characters; known are [:alpha:], [:digit:], [:alnum:], [:upper:], [:lower:], [:punct:]")]
    UnknownClass,
    /// A backslash before something that needs none.
    #[error("\\ must stand before one of * ? [ ] @ / \\ n t b 0")]
    Escape,
}

impl PrincipalPattern {
    /// Reads a pattern. An error comes with the offset of what is wrong.
    ///
    /// # Errors
    ///
    /// See [`PatternError`]. Shells take some of these for plain text; in a list that admits people that would hide a
    /// slip.
    pub fn read(text: &[u8]) -> Result<Self, (usize, PatternError)> {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(&octet) = text.get(at) {
            let next = text.get(at + 1).copied();
            match (octet, next) {
                (b'*', _) => {
                    if tokens.last() != Some(&Token::AnyRun) {
                        tokens.push(Token::AnyRun);
                    }
                    at += 1;
                }
                (b'?', _) => {
                    tokens.push(Token::AnyOctet);
                    at += 1;
                }
                (b'[', _) => {
                    let (set, length) = Set::read(text.get(at..).unwrap_or_default()).map_err(|error| (at, error))?;
                    tokens.push(Token::Set(Box::new(set)));
                    at += length;
                }
                (b'\\', Some(special @ (b'*' | b'?' | b'[' | b']'))) => {
                    tokens.push(Token::Octet(special));
                    at += 2;
                }
                (b'\\', Some(named @ (b'@' | b'/' | b'\\' | b'n' | b't' | b'b' | b'0'))) => {
                    tokens.extend([Token::Octet(b'\\'), Token::Octet(named)]);
                    at += 2;
                }
                (b'\\', _) => return Err((at, PatternError::Escape)),
                (octet, _) => {
                    tokens.push(Token::Octet(octet));
                    at += 1;
                }
            }
        }
        Ok(Self(tokens.into()))
    }

    /// Whether the pattern matches the whole text. Takes at most as many steps as both lengths multiplied, and with one
    /// `*` no more than the pattern has tokens: names may be long.
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some(last) = self.0.iter().rposition(|token| *token == Token::AnyRun) else { return fits(&self.0, text) };
        let (pattern, end) = self.0.split_at_checked(last + 1).unwrap_or_default();
        let Some((text, text_end)) = text.len().checked_sub(end.len()).and_then(|at| text.split_at_checked(at)) else {
            return false;
        };
        fits(end, text_end) && fits(pattern, text)
    }

    /// The only text of this pattern, when there is only one.
    pub(crate) fn only_text(&self) -> Option<Vec<u8>> {
        let octet = |token: &Token| match token {
            Token::Octet(octet) => Some(*octet),
            _ => None,
        };
        self.0.iter().map(octet).collect()
    }
}

/// Whether the whole text fits all tokens.
fn fits(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut octet) = (0, 0);
    // What follows the last `*`, and how far that `*` reaches so far. Earlier ones never need to reach further.
    let mut last_run: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), text.get(octet)) {
            (None, None) => return true,
            (Some(Token::AnyRun), _) if token + 1 == tokens.len() => return true,
            (Some(Token::AnyRun), _) => {
                token += 1;
                last_run = Some((token, octet));
            }
            (Some(one), Some(&other)) if one.matches(other) => {
                token += 1;
                octet += 1;
            }
            _ => match last_run {
                Some((after, reached)) if reached < text.len() => {
                    last_run = Some((after, reached + 1));
                    (token, octet) = (after, reached + 1);
                }
                _ => return false,
            },
        }
    }
}

impl Token {
    fn matches(&self, octet: u8) -> bool {
        match self {
            Self::Octet(own) => *own == octet,
            Self::AnyOctet | Self::AnyRun => true,
            Self::Set(set) => set.contains(octet),
        }
    }
}

impl Set {
    /// Reads a set that begins with `[`; gives its length in octets too.
    fn read(text: &[u8]) -> Result<(Self, usize), PatternError> {
        let mut set = Self::default();
        let negated = matches!(text.get(1), Some(b'!' | b'^'));
        let first = if negated { 2 } else { 1 };
        let mut at = first;
        loop {
            match text.get(at) {
                None => return Err(PatternError::OpenSet),
                // A ] at the very beginning is a member.
                Some(b']') if at > first => break,
                Some(b'[') if matches!(text.get(at + 1), Some(b':' | b'.' | b'=')) => {
                    at += set.add_class(text.get(at..).unwrap_or_default())?;
                }
                Some(_) => {
                    let (low, length) = member(text.get(at..).unwrap_or_default())?;
                    at += length;
                    let ends_range = text.get(at) == Some(&b'-') && text.get(at + 1).is_some_and(|&next| next != b']');
                    if ends_range {
                        let (high, length) = member(text.get(at + 1..).unwrap_or_default())?;
                        if high < low {
                            return Err(PatternError::EmptyRange { first: low, last: high });
                        }
                        at += 1 + length;
                        (low..=high).for_each(|octet| set.add(octet));
                    } else {
                        set.add(low);
                    }
                }
            }
        }
        if negated {
            set.0 = set.0.map(|bits| !bits);
        }
        Ok((set, at + 1))
    }

    fn add_class(&mut self, text: &[u8]) -> Result<usize, PatternError> {
        type IsMember = fn(&u8) -> bool;
        let classes: [(&[u8], IsMember); 6] = [
            (b"[:alpha:]", u8::is_ascii_alphabetic),
            (b"[:digit:]", u8::is_ascii_digit),
            (b"[:alnum:]", u8::is_ascii_alphanumeric),
            (b"[:upper:]", u8::is_ascii_uppercase),
            (b"[:lower:]", u8::is_ascii_lowercase),
            (b"[:punct:]", u8::is_ascii_punctuation),
        ];
        let (name, is_member) =
            classes.iter().find(|(name, _)| text.starts_with(name)).ok_or(PatternError::UnknownClass)?;
        (0..=u8::MAX).filter(is_member).for_each(|octet| self.add(octet));
        Ok(name.len())
    }

    fn add(&mut self, octet: u8) {
        if let Some(bits) = self.0.get_mut(usize::from(octet / 64)) {
            *bits |= 1 << (octet % 64);
        }
    }

    fn contains(&self, octet: u8) -> bool {
        self.0.get(usize::from(octet / 64)).is_some_and(|bits| bits & (1 << (octet % 64)) != 0)
    }
}

/// One member of a set, and its length as written.
fn member(text: &[u8]) -> Result<(u8, usize), PatternError> {
    match text {
        [b'\\', escaped, ..] => Ok((*escaped, 2)),
        [octet, ..] if *octet != b'\\' => Ok((*octet, 1)),
        _ => Err(PatternError::OpenSet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    fn matches(pattern: &str, text: &str) -> bool {
        PrincipalPattern::read(pattern.as_bytes()).expect("a pattern").matches(text.as_bytes())
    }

    #[test]
    fn what_shells_match() {
        for (pattern, yes, no) in [
            ("", &[""][..], &["a"][..]),
            ("alice", &["alice"], &["Alice", "alic", "alicee", ""]),
            ("*", &["", "a", "a/root", ".x"], &[]),
            ("a*", &["a", "ab"], &["ba", ""]),
            ("*/root", &["alice/root", "/root", "a/b/root"], &["alice/admin", "root"]),
            ("a*b*c", &["abc", "axxbyyc", "abbcc", "abcbc"], &["acb", "abcd"]),
            ("a?c", &["abc", "a/c"], &["ac", "abbc"]),
            ("[abc]x", &["ax", "cx"], &["dx", "x", "abcx"]),
            ("[a-c0-2]", &["b", "0"], &["d", "3", "-"]),
            ("[!a-c]", &["d", "-"], &["a", "b", ""]),
            ("[^a]", &["b"], &["a"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[\\]]", &["]"], &["\\"]),
            ("x[[:digit:]_]", &["x1", "x_"], &["xa", "x:"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a\\@b", &["a\\@b"], &["a@b"]),
            ("**a**", &["a", "bab"], &["b"]),
        ] {
            for text in yes {
                assert!(matches(pattern, text), "{pattern} must match {text}");
            }
            for text in no {
                assert!(!matches(pattern, text), "{pattern} must not match {text}");
            }
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for (pattern, offset, error) in [
            ("ab[c", 2, PatternError::OpenSet),
            ("[]", 0, PatternError::OpenSet),
            ("[!]", 0, PatternError::OpenSet),
            ("[a\\", 0, PatternError::OpenSet),
            ("[z-a]", 0, PatternError::EmptyRange { first: b'z', last: b'a' }),
            ("a[[:vowel:]]", 1, PatternError::UnknownClass),
            ("[[.a.]]", 0, PatternError::UnknownClass),
            ("abc\\", 3, PatternError::Escape),
            ("\\a", 0, PatternError::Escape),
        ] {
            assert_eq!(PrincipalPattern::read(pattern.as_bytes()), Err((offset, error)), "{pattern}");
        }
    }

    #[test]
    fn no_pattern_takes_exponentially_long() {
        let pattern = PrincipalPattern::read(("*a".repeat(250) + "c").as_bytes()).expect("a pattern");
        let start = Instant::now();
        assert!(!pattern.matches(&b"a".repeat(10_000)));
        assert!(start.elapsed().as_secs() < 5, "millions of steps, not 2^250");
    }

    /// The obvious recursive matcher.
    fn naive(pattern: &[Token], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((Token::AnyRun, rest)), _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, later)| naive(pattern, later))
            }
            (Some((token, rest)), Some((octet, later))) => token.matches(*octet) && naive(rest, later),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matches_as_the_definition_says(pattern in "[ab*?]{0,10}", text in "[abc]{0,10}") {
            let pattern = PrincipalPattern::read(pattern.as_bytes()).expect("a pattern");
            prop_assert_eq!(pattern.matches(text.as_bytes()), naive(&pattern.0, text.as_bytes()));
        }

        #[test]
        fn any_text_is_read_or_refused(pattern in prop::collection::vec(any::<u8>(), 0..40), text in prop::collection::vec(any::<u8>(), 0..40)) {
            match PrincipalPattern::read(&pattern) {
                Ok(read) => { read.matches(&text); }
                Err((offset, _)) => prop_assert!(offset < pattern.len()),
            }
        }
    }
}
