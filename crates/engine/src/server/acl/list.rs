//! Access control lists (server behaviour, section 11.3).

use super::{
    network::{Network, NetworkError},
    pattern::{PatternError, PrincipalPattern},
    syntax::{SyntaxError, read_lines},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};
use zephyr_core::{
    principal::Principal,
    text_file::{Oddity, oddity},
};

/// The subject of an access check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// The principal, when it is proven.
    pub principal: Option<&'a [u8]>,
    /// The host, when it matters.
    pub address: Option<IpAddr>,
}

/// The decision of a list, and the line that made it (counted from one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListDecision {
    /// Yes.
    Admitted(usize),
    /// No: a line refuses, or no line admits.
    Refused(Option<usize>),
}

impl ListDecision {
    /// Whether it admits.
    pub const fn admits(self) -> bool {
        matches!(self, Self::Admitted(_))
    }
}

/// Errors of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A `!` and nothing else, or another `!`.
    #[error("a principal or @ADDRESS is expected after !")]
    NothingRefused,
    /// Several entries, or a name with a blank.
    #[error("white space inside a name: one principal or address on each line")]
    TwoEntries,
    /// More than one `@`.
    #[error("a second @; one that belongs to a name is written \\@")]
    TwoRealms,
    /// An `@` and no realm.
    #[error("a realm is expected after @; * is any")]
    NoRealm,
    /// No pattern.
    #[error(transparent)]
    PrincipalPattern(#[from] PatternError),
    /// No address.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Something that is not what it looks like.
    #[error(transparent)]
    Odd(#[from] Oddity),
    /// Longer than any principal.
    #[error("a line of more than {} octets", MAX_LINE_LEN)]
    TooLong,
    /// Too many lines.
    #[error("more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// What is valid in an entry, and hardly meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryDoubt {
    /// A sign that no name begins with.
    #[error("a principal that begins with {0:?}: who is refused has ! before his name")]
    Sign(char),
    /// A sign that other files put between or around names.
    #[error("a principal with {0:?} in it: one principal on each line, without quotes or other signs")]
    Punctuation(char),
}

/// Maximum octets of a line.
const MAX_LINE_LEN: usize = 1024;
/// Maximum number of entries.
const MAX_ENTRIES: usize = 100_000;

/// An access control list: principals and addresses that it admits, and others that it refuses.
///
/// The order of its lines does not matter.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    admitted: Entries,
    refused: Entries,
    doubts: Vec<(usize, EntryDoubt)>,
}

/// The entries, each with the number of its line.
#[derive(Clone, Debug, Default)]
struct Entries {
    /// Principals that are spelled out; most are.
    names: HashMap<Box<[u8]>, usize>,
    /// Patterns of name and realm; without a realm the pattern is for names that have none.
    patterns: Vec<(PrincipalPattern, Option<PrincipalPattern>, usize)>,
    networks: Vec<(Network, usize)>,
}

impl Acl {
    /// Reads the text of a file. A line is a principal `NAME@REALM`, in which both parts are [`PrincipalPattern`]s and
    /// `*.*` for a name is the same as `*`; or `@ADDRESS` or `@ADDRESS/BITS`; with `!` before either, whoever it names
    /// is refused. White space around the parts of a line does not matter. Empty lines, and what follows a `#` at the
    /// beginning of a line or after white space, say nothing.
    ///
    /// # Errors
    ///
    /// All invalid lines.
    pub fn read(text: &[u8]) -> Result<Self, Vec<SyntaxError<EntryError>>> {
        let mut acl = Self::default();
        let mut count = 0;
        let errors = read_lines(text, |number, line| {
            if line.len() > MAX_LINE_LEN {
                return Err((0, EntryError::TooLong));
            }
            let line = without_comment(line);
            if line.is_empty() {
                return Ok(());
            }
            count += 1;
            match count {
                // The first beyond is an error for all of them.
                beyond if beyond > MAX_ENTRIES + 1 => return Ok(()),
                beyond if beyond > MAX_ENTRIES => return Err((0, EntryError::TooMany)),
                _ => {}
            }
            let entry = Spelled::read(line)?;
            acl.add(&entry, number).map_err(|(place, reason)| (entry.offset(place), reason))
        });
        if errors.is_empty() { Ok(acl) } else { Err(errors) }
    }

    fn add(&mut self, entry: &Spelled, line: usize) -> Result<(), (usize, EntryError)> {
        let (start, entries) = match entry.octets.strip_prefix(b"!") {
            None => (0, &mut self.admitted),
            Some([] | [b'!', ..]) => return Err((0, EntryError::NothingRefused)),
            Some(_) => (1, &mut self.refused),
        };
        let text = entry.octets.get(start..).unwrap_or_default();
        if let Some(network) = text.strip_prefix(b"@") {
            let network = Network::read(network).map_err(|(at, error)| (start + 1 + at, error.into()))?;
            entries.networks.push((network, line));
            return Ok(());
        }
        if let Some(doubt) = doubt(text) {
            self.doubts.push((line, doubt));
        }
        let Principal { name, realm } = Principal::parse(text);
        let realm_start = start + name.len() + 1;
        if realm == Some(b"") {
            return Err((realm_start - 1, EntryError::NoRealm));
        }
        if let Some(Principal { name: first, realm: Some(_) }) = realm.map(Principal::parse) {
            return Err((realm_start + first.len(), EntryError::TwoRealms));
        }
        let name: &[u8] = if name == b"*.*" && realm.is_some() { b"*" } else { name };
        let name = PrincipalPattern::read(name).map_err(|(at, error)| (start + at, error.into()))?;
        let realm = realm
            .map(|realm| PrincipalPattern::read(realm).map_err(|(at, error)| (realm_start + at, error.into())))
            .transpose()?;
        entries.add(name, realm, line);
        Ok(())
    }

    /// Decides on a subject.
    ///
    /// A line that refuses wins over those of its kind that admit. One that refuses a principal is final. Of the others
    /// a refused address wins over an admitted principal, and an admitted address is enough, whoever is there.
    pub fn decide(&self, who: Who<'_>) -> ListDecision {
        let mut ruling = ListDecision::Refused(None);
        if let Some(principal) = who.principal {
            if let Some(line) = self.refused.principal(principal) {
                return ListDecision::Refused(Some(line));
            }
            if let Some(line) = self.admitted.principal(principal) {
                ruling = ListDecision::Admitted(line);
            }
        }
        if let Some(address) = who.address {
            if let Some(line) = self.refused.address(address) {
                return ListDecision::Refused(Some(line));
            }
            if let Some(line) = self.admitted.address(address) {
                ruling = ListDecision::Admitted(line);
            }
        }
        ruling
    }

    /// Lines that name a principal without a realm: in a domain where principals have realms they name nobody.
    pub fn without_realm(&self) -> Vec<usize> {
        let mut lines: Vec<usize> = Vec::new();
        for entries in [&self.admitted, &self.refused] {
            lines.extend(
                entries.names.iter().filter(|(name, _)| Principal::parse(name).realm.is_none()).map(|(_, line)| line),
            );
            lines.extend(entries.patterns.iter().filter(|(_, realm, _)| realm.is_none()).map(|(_, _, line)| line));
        }
        lines.sort_unstable();
        lines
    }

    /// Lines whose entries are valid, and hardly meant.
    pub fn doubts(&self) -> &[(usize, EntryDoubt)] {
        &self.doubts
    }

    /// The realms that principals are of, each with its lines. Patterns for several realms are left out.
    pub fn realms(&self) -> BTreeMap<Vec<u8>, Vec<usize>> {
        let mut realms: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        let mut add = |realm: Vec<u8>, line| realms.entry(realm).or_default().push(line);
        for entries in [&self.admitted, &self.refused] {
            for (name, &line) in &entries.names {
                Principal::parse(name).realm.into_iter().for_each(|realm| add(realm.to_vec(), line));
            }
            for (_, realm, line) in &entries.patterns {
                let realm = realm.as_ref().and_then(PrincipalPattern::only_text);
                realm.into_iter().for_each(|realm| add(realm, *line));
            }
        }
        realms.values_mut().for_each(|lines| lines.sort_unstable());
        realms
    }
}

impl Entries {
    fn add(&mut self, name: PrincipalPattern, realm: Option<PrincipalPattern>, line: usize) {
        let spelled_out = match (&name.only_text(), realm.as_ref().map(PrincipalPattern::only_text)) {
            (Some(name), Some(Some(realm))) => Some([name.as_slice(), b"@", &realm].concat()),
            (Some(name), None) => Some(name.clone()),
            _ => None,
        };
        match spelled_out {
            Some(principal) => {
                self.names.entry(principal.into()).or_insert(line);
            }
            None => self.patterns.push((name, realm, line)),
        }
    }

    fn principal(&self, principal: &[u8]) -> Option<usize> {
        if let Some(&line) = self.names.get(principal) {
            return Some(line);
        }
        let Principal { name, realm } = Principal::parse(principal);
        let fits = |pattern: &(PrincipalPattern, Option<PrincipalPattern>, usize)| match (&pattern.1, realm) {
            (Some(of_realm), Some(realm)) => of_realm.matches(realm) && pattern.0.matches(name),
            (None, None) => pattern.0.matches(name),
            _ => false,
        };
        self.patterns.iter().find(|pattern| fits(pattern)).map(|&(_, _, line)| line)
    }

    fn address(&self, address: IpAddr) -> Option<usize> {
        self.networks.iter().find(|(network, _)| network.contains(address)).map(|&(_, line)| line)
    }
}

/// What is doubtful in the text of a principal.
fn doubt(text: &[u8]) -> Option<EntryDoubt> {
    if let Some(&sign @ (b'-' | b'+' | b'~' | b'^')) = text.first() {
        return Some(EntryDoubt::Sign(sign.into()));
    }
    let sign = text.iter().find(|octet| matches!(octet, b';' | b',' | b'"' | b':'));
    sign.map(|&sign| EntryDoubt::Punctuation(sign.into()))
}

fn without_comment(line: &[u8]) -> &[u8] {
    let begins = |&(at, &octet): &(usize, &u8)| {
        octet == b'#' && at.checked_sub(1).and_then(|before| line.get(before)).is_none_or(u8::is_ascii_whitespace)
    };
    let end = line.iter().enumerate().find(begins).map_or(line.len(), |(at, _)| at);
    line.get(..end).unwrap_or_default().trim_ascii_end()
}

/// An entry without its white space.
struct Spelled {
    octets: Vec<u8>,
    /// The column of each octet.
    offsets: Vec<usize>,
}

impl Spelled {
    fn read(line: &[u8]) -> Result<Self, (usize, EntryError)> {
        if let Some((offset, odd)) = oddity(line) {
            return Err((offset, odd.into()));
        }
        let mut entry = Self { octets: Vec::with_capacity(line.len()), offsets: Vec::with_capacity(line.len()) };
        let mut after_blank = false;
        for (offset, &octet) in line.iter().enumerate() {
            if octet.is_ascii_whitespace() {
                after_blank = true;
                continue;
            }
            let apart = |octet| matches!(octet, b'!' | b'@' | b'/');
            if after_blank && !apart(octet) && !entry.octets.last().is_none_or(|&last| apart(last)) {
                return Err((offset, EntryError::TwoEntries));
            }
            after_blank = false;
            entry.octets.push(octet);
            entry.offsets.push(offset);
        }
        Ok(entry)
    }

    /// The column of the octet at this place.
    fn offset(&self, place: usize) -> usize {
        self.offsets.get(place).or(self.offsets.last()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Acl {
        Acl::read(text.as_bytes()).expect("a list")
    }

    fn ruling(text: &str, principal: Option<&str>, address: Option<&str>) -> ListDecision {
        let address = address.map(|address| address.parse().expect("an address"));
        read(text).decide(Who { principal: principal.map(str::as_bytes), address })
    }

    #[test]
    fn principals() {
        for (entry, yes, no) in [
            ("bob@R", &["bob@R"][..], &["Bob@R", "bob@r", "bob", "bob@RR", "alice@R"][..]),
            ("*@R", &["bob@R", "x/root@R", "a.b@R"], &["bob@S", "bob"]),
            ("*.*@R", &["bob@R", "x/root@R"], &["bob@S"]),
            ("*.*@*", &["bob@R", "x/root@S"], &["bob"]),
            ("*@*.EDU", &["bob@MIT.EDU"], &["bob@MIT.ORG", "x.EDU@R"]),
            ("*/root@R", &["x/root@R"], &["root@R"]),
            ("bob", &["bob"], &["bob@R"]),
            ("*", &["bob"], &["bob@R"]),
            ("b?b@[RS]", &["bob@R", "bab@S"], &["bob@T", "bb@R"]),
            (" b* @ R ", &["bob@R"], &["ob@R"]),
            ("odd\\@name@R", &["odd\\@name@R"], &["odd@name@R", "odd"]),
        ] {
            for principal in yes {
                assert_eq!(ruling(entry, Some(principal), None), ListDecision::Admitted(1), "{entry} {principal}");
            }
            for principal in no {
                assert_eq!(ruling(entry, Some(principal), None), ListDecision::Refused(None), "{entry} {principal}");
            }
        }
    }

    #[test]
    fn who_wins() {
        use ListDecision::{Admitted, Refused};
        let list = "*@R\n!carol@R\n@10.77.0.0/24\n!@10.77.0.66\n!@2001:db8::/32\n";
        for (principal, address, expected) in [
            (Some("bob@R"), None, Admitted(1)),
            (Some("bob@R"), Some("10.9.9.9"), Admitted(1)),
            (Some("carol@R"), None, Refused(Some(2))),
            (Some("carol@R"), Some("10.77.0.1"), Refused(Some(2))),
            (None, Some("10.77.0.1"), Admitted(3)),
            (None, Some("10.77.1.1"), Refused(None)),
            (None, None, Refused(None)),
            (Some("eve@S"), Some("10.77.0.1"), Admitted(3)),
            (Some("bob@R"), Some("10.77.0.66"), Refused(Some(4))),
            (Some("bob@R"), Some("::ffff:10.77.0.66"), Refused(Some(4))),
            (Some("bob@R"), Some("2001:db8::7"), Refused(Some(5))),
        ] {
            assert_eq!(ruling(list, principal, address), expected, "{principal:?} {address:?}");
        }
        assert_eq!(ruling("", Some("bob@R"), Some("10.0.0.1")), Refused(None), "an empty list admits nobody");
    }

    #[test]
    fn comments_and_white_space() {
        let list = "# operators\n\n  \t\r\n ! mallory @ R\t# gone\r\nops @ R\n\t@ 10.0.0.0 / 8\nnumber#one@R";
        for (principal, expected) in [
            ("mallory@R", ListDecision::Refused(Some(4))),
            ("ops@R", ListDecision::Admitted(5)),
            ("number#one@R", ListDecision::Admitted(7)),
            ("#operators", ListDecision::Refused(None)),
        ] {
            assert_eq!(ruling(list, Some(principal), None), expected, "{principal}");
        }
        assert_eq!(ruling(list, None, Some("10.1.1.1")), ListDecision::Admitted(6));
    }

    #[test]
    fn what_is_invalid_is_an_error_with_its_place() {
        for (line, column, reason) in [
            ("!", 1, EntryError::NothingRefused),
            ("  !!a@R", 3, EntryError::NothingRefused),
            ("alice@R bob@R", 9, EntryError::TwoEntries),
            ("al ice@R", 4, EntryError::TwoEntries),
            ("alice@R,bob@R", 12, EntryError::TwoRealms),
            ("alice@", 6, EntryError::NoRealm),
            ("a@R\u{1}", 4, Oddity::Control.into()),
            ("a@R # x\ry@R", 8, Oddity::CarriageReturn.into()),
            ("!a@R\u{a0}", 5, Oddity::Blank('\u{a0}').into()),
            ("@ATHENA.TEST", 2, NetworkError::Address.into()),
            ("! @ 10.0.0.0 / 33", 16, NetworkError::Length { max: 32 }.into()),
            ("@", 1, NetworkError::Address.into()),
            ("ab[c@R", 3, PatternError::OpenSet.into()),
            ("a @ R[", 6, PatternError::OpenSet.into()),
        ] {
            let text = format!("*@R\n# ok\n{line}\n@10.0.0.1\na@b@c\n");
            let errors = [(3, column, reason), (5, 4, EntryError::TwoRealms)];
            let errors = errors.map(|(line, column, reason)| SyntaxError { line, column, reason });
            assert_eq!(Acl::read(text.as_bytes()).map(|_| ()), Err(errors.into()), "{line:?}");
        }
        let errors = |text: String| Acl::read(text.as_bytes()).expect_err("invalid");
        assert_eq!(errors("a".repeat(1025))[0].to_string(), "1:1: a line of more than 1024 octets");
        assert_eq!(errors("!\n".repeat(2000)).len(), 1000, "there is an end to what is reported");
        let too_many = errors("a@R\n".repeat(100_002));
        assert_eq!(too_many.iter().map(|error| error.line).collect::<Vec<_>>(), [100_001], "said once");
    }

    #[test]
    fn names_without_realm_are_found() {
        assert_eq!(read("a@R\nb\n!c*\n@10.0.0.1\nd*@R").without_realm(), [2, 3]);
    }

    #[test]
    fn realms_are_found_with_their_lines() {
        let realms = read("a@R\n!*@S\nb\n@10.0.0.1\n!d*@R\n*@*.S\nx\\@y@S").realms();
        assert_eq!(realms.into_iter().collect::<Vec<_>>(), [(b"R".to_vec(), vec![1, 5]), (b"S".to_vec(), vec![2, 7])]);
    }

    #[test]
    fn signs_that_mean_nothing_are_doubtful() {
        use EntryDoubt::{Punctuation, Sign};
        for (line, doubt) in [
            ("!bob@R;", Some(Punctuation(';'))),
            ("\"bob@R\"", Some(Punctuation('"'))),
            ("bob,carol@R", Some(Punctuation(','))),
            ("-bob@R", Some(Sign('-'))),
            ("!-*@R", Some(Sign('-'))),
            ("half-blood@R-S", None),
            ("o'hara@R", None),
            ("[a-c]?*.x/admin@R", None),
            ("@2001:db8::1", None),
        ] {
            let found = read(&format!("a@R\n{line}\n"));
            assert_eq!(found.doubts(), doubt.map(|doubt| (2, doubt)).as_slice(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in prop::collection::vec(prop::sample::select(&b"ab@R!*?[]-\\#/1.0 \n\t\0\xff"[..]), 0..60),
            principal in "[ab@R*\\\\]{0,8}",
        ) {
            match Acl::read(&text) {
                Ok(acl) => { acl.decide(Who { principal: Some(principal.as_bytes()), address: None }); }
                Err(errors) => for error in errors {
                    let line = text.split(|&octet| octet == b'\n').nth(error.line - 1).expect("that line is there");
                    prop_assert!(error.column >= 1 && error.column <= line.len(), "{error}");
                }
            }
        }

        #[test]
        fn the_order_of_lines_does_not_matter(mut lines in prop::collection::vec("!?[ab*]{1,3}@[RS*]|!?@10\\.0\\.0\\.[12]", 1..6), principal in "[ab]{1,2}@[RS]", last in 1u8..3) {
            let address = Some(IpAddr::from([10, 0, 0, last]));
            let who = Who { principal: Some(principal.as_bytes()), address };
            let admits = |lines: &[String]| read(&lines.join("\n")).decide(who).admits();
            let before = admits(&lines);
            lines.reverse();
            prop_assert_eq!(before, admits(&lines));
        }
    }
}
