//! The class registry: which classes have access control lists (server behaviour, section 11.1).

use super::syntax::{SyntaxError, read_lines};
use std::collections::HashMap;
use zephyr_core::{
    fold::fold,
    sanitize,
    text_file::{Oddity, oddity},
};

/// A class of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// As the registry spells it; so its lists' file names are spelled.
    pub spelling: Box<[u8]>,
    /// As classes are compared.
    pub folded: Box<[u8]>,
    /// The line that says so.
    pub line: usize,
}

/// Errors of a line of the registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nothing before the colon.
    #[error("a class is expected before :")]
    NoName,
    /// Something that no file name can have.
    #[error("a class with / or a control character has no access control lists")]
    NoFileName,
    /// The same class in another spelling, which leaves its files ambiguous.
    #[error("the same class as in line {line}, spelled {}: its lists' file names would be ambiguous", sanitize::name(.spelling))]
    OtherSpelling {
        /// Where it was first.
        line: usize,
        /// How it was spelled there.
        spelling: Box<[u8]>,
    },
    /// Something that is not what it looks like.
    #[error(transparent)]
    Odd(#[from] Oddity),
    /// No class is that long.
    #[error("a class of more than {MAX_CLASS_LEN} octets")]
    TooLong,
    /// Too many.
    #[error("more than {MAX_CLASSES} classes")]
    TooMany,
}

/// Maximum octets of a class: file names end soon after.
const MAX_CLASS_LEN: usize = 240;
/// Maximum number of classes.
const MAX_CLASSES: usize = 10_000;

/// The classes that have access control lists, in the order of the file. All others are free.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry(Vec<Registered>);

impl Registry {
    /// Reads the text of a file: on each line a class, and perhaps a colon, behind which nothing matters. Empty lines
    /// and those that begin with `#` say nothing, nor does white space around a class.
    ///
    /// Gives the classes of all valid lines, so that their lists can be looked at as well, and all invalid lines. A server must not
    /// use a registry with any.
    pub fn read(text: &[u8]) -> (Self, Vec<SyntaxError<RegistryError>>) {
        let mut classes: Vec<Registered> = Vec::new();
        let mut known: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut is_full = false;
        let errors = read_lines(text, |number, line| {
            if line.starts_with(b"#") {
                return Ok(());
            }
            let class = line.split(|&octet| octet == b':').next().unwrap_or_default().trim_ascii_end();
            check_name(class)?;
            let folded = fold(class);
            if let Some(first) = known.get(&folded).and_then(|&index| classes.get(index)) {
                if *first.spelling == *class {
                    return Ok(());
                }
                let (line, spelling) = (first.line, first.spelling.clone());
                return Err((0, RegistryError::OtherSpelling { line, spelling }));
            }
            if classes.len() >= MAX_CLASSES {
                // The first beyond is an error for all of them.
                let is_known = std::mem::replace(&mut is_full, true);
                return if is_known { Ok(()) } else { Err((0, RegistryError::TooMany)) };
            }
            known.insert(folded.clone(), classes.len());
            classes.push(Registered { spelling: class.into(), folded, line: number });
            Ok(())
        });
        (Self(classes), errors)
    }

    /// The classes.
    pub fn classes(&self) -> &[Registered] {
        &self.0
    }
}

/// Checks that a class can be the end of a file's name, and is what it looks like.
fn check_name(class: &[u8]) -> Result<(), (usize, RegistryError)> {
    if class.is_empty() {
        return Err((0, RegistryError::NoName));
    }
    if class.len() > MAX_CLASS_LEN {
        return Err((0, RegistryError::TooLong));
    }
    if let Some((offset, odd)) = oddity(class) {
        return Err((offset, odd.into()));
    }
    match class.iter().position(|&octet| octet == b'/' || octet.is_ascii_control()) {
        Some(offset) => Err((offset, RegistryError::NoFileName)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spellings(text: &str) -> Vec<String> {
        let (registry, errors) = Registry::read(text.as_bytes());
        assert_eq!(errors, []);
        registry.classes().iter().map(|class| String::from_utf8_lossy(&class.spelling).into_owned()).collect()
    }

    #[test]
    fn classes_as_they_are_spelled() {
        assert_eq!(
            spellings("wg_ctl:\n\n# comment:\n  Foo : since 2020\r\nmy class:\nlast"),
            ["wg_ctl", "Foo", "my class", "last"]
        );
        assert_eq!(spellings("foo:\nbar:\nfoo:\n"), ["foo", "bar"], "twice is once");
        assert_eq!(&*Registry::read("STRAßE".as_bytes()).0.classes()[0].folded, b"strasse");
        assert!(spellings("").is_empty());
    }

    #[test]
    fn what_is_invalid_is_an_error_with_its_place() {
        for (line, column, reason) in [
            (" :", 2, RegistryError::NoName),
            ("a/b:", 2, RegistryError::NoFileName),
            ("../../etc/passwd", 3, RegistryError::NoFileName),
            ("a\0b", 2, Oddity::Nul.into()),
            ("a\tb", 2, RegistryError::NoFileName),
            ("a:\rb:", 3, Oddity::CarriageReturn.into()),
            ("# a\rb:", 4, Oddity::CarriageReturn.into()),
            ("\u{feff}a:", 1, Oddity::Invisible('\u{feff}').into()),
            ("FIRST:", 1, RegistryError::OtherSpelling { line: 1, spelling: b"First".as_slice().into() }),
        ] {
            let text = format!("First:\n\n{line}\n:\nlast:\n");
            let (registry, errors) = Registry::read(text.as_bytes());
            let expected = [(3, column, reason), (4, 1, RegistryError::NoName)];
            let expected = expected.map(|(line, column, reason)| SyntaxError { line, column, reason });
            assert_eq!((registry.classes().len(), errors), (2, expected.into()), "{line:?}");
        }
    }
}
