//! Bodies with a form that the protocol fixes: texts that each end in NUL.

use crate::names;
use std::{borrow::Cow, collections::HashSet};

/// The texts of a body, without their NULs; what follows the last NUL is one more text if it is not empty.
pub fn texts(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = body.strip_suffix(b"\0").unwrap_or(body);
    body.split(|&octet| octet == 0)
}

/// The first text, up to its NUL; the whole body where there is none.
pub fn first_text(body: &[u8]) -> &[u8] {
    body.split(|&octet| octet == 0).next().unwrap_or_default()
}

/// The body of these texts. A text ends at a NUL that it holds, so NULs are left out.
pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    texts.into_iter().flat_map(|text| text.iter().copied().filter(|&octet| octet != 0).chain([0])).collect()
}

/// The signature and the text of a message with this default format. By convention they are the first and second of the body's
/// texts; further ones go on with the second, on lines of their own. A single text is no signature, unless a NUL ends it and the format
/// has signatures: then the text after it is empty.
pub fn signature_and_text<'a>(body: &'a [u8], default_format: &[u8]) -> (&'a [u8], Cow<'a, [u8]>) {
    let texts = body.strip_suffix(b"\0").unwrap_or(body);
    match texts.iter().position(|&octet| octet == 0).and_then(|end| texts.split_at_checked(end)) {
        Some((signature, rest)) => (signature, on_lines(rest.get(1..).unwrap_or_default())),
        None if texts.len() < body.len() && has_signature(default_format) => (texts, Cow::Borrowed(b"")),
        None => (b"", texts.into()),
    }
}

/// Whether a default format shows a signature before the text: that of zwrite and of programs that do as it does, or one with a second
/// text.
fn has_signature(default_format: &[u8]) -> bool {
    let contains = |part: &[u8]| default_format.windows(part.len()).any(|window| window == part);
    default_format == names::DEFAULT_FORMAT || contains(b"$2") || contains(b"$signature")
}

/// The texts of a body, each on a line of its own.
pub fn on_lines(texts: &[u8]) -> Cow<'_, [u8]> {
    match texts.contains(&0) {
        true => texts.iter().map(|&octet| if octet == 0 { b'\n' } else { octet }).collect(),
        false => texts.into(),
    }
}

/// The fewest octets of a subscription of a list.
const MIN_LEN: usize = 4;

/// A list of subscriptions, parsed until its end or until one that is cut off (server behaviour, section 4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionList<'a> {
    /// Class, instance and recipient of each that has a class; what is there twice, octet by octet, is here once.
    pub triples: Vec<[&'a [u8]; 3]>,
    /// How many have none, and so mean nothing.
    pub without_class: usize,
    /// The number of the triple that is cut off, counted from one.
    pub malformed: Option<usize>,
}

impl<'a> SubscriptionList<'a> {
    /// Reads the body of a subscription request. Triples without a class are passed over; a class that is empty because nothing
    /// but NULs follows ends the list.
    pub fn read(body: &'a [u8]) -> Self {
        let mut list = Self { triples: Vec::new(), without_class: 0, malformed: None };
        let mut rest = body;
        let padding = body.iter().rev().take_while(|&&octet| octet == 0).count();
        let (mut number, mut seen) = (0, HashSet::with_capacity(body.len() / MIN_LEN));
        while !rest.is_empty() && (rest.len() > padding || !rest.starts_with(b"\0")) {
            let mut fields = rest.splitn(4, |&octet| octet == 0);
            let (Some(class), Some(instance), Some(recipient), Some(after)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                list.malformed = Some(number + 1);
                break;
            };
            number += 1;
            if class.is_empty() {
                list.without_class += 1;
            } else if seen.insert(rest.strip_suffix(after).unwrap_or(rest)) {
                list.triples.push([class, instance, recipient]);
            }
            rest = after;
        }
        list
    }
}

/// A location as its user reports it: three texts, uninterpreted (server behaviour, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The machine.
    pub machine: &'a [u8],
    /// The time.
    pub time: &'a [u8],
    /// The terminal.
    pub tty: &'a [u8],
}

impl<'a> Place<'a> {
    /// The first three NUL-terminated texts of a body.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut texts = body.split(|&octet| octet == 0);
        let (machine, time, tty) = (texts.next()?, texts.next()?, texts.next()?);
        // What follows the third NUL; without it the third text is not terminated.
        texts.next()?;
        Some(Self { machine, time, tty })
    }

    /// The body that says this.
    pub fn body(&self) -> Vec<u8> {
        of_texts([self.machine, self.time, self.tty])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_at_their_end_or_in_the_middle() {
        let read = |body: &'static [u8]| {
            let list = SubscriptionList::read(body);
            (list.triples.len(), list.malformed)
        };
        assert_eq!(read(b""), (0, None));
        assert_eq!(read(b"a\0b\0\0"), (1, None));
        assert_eq!(read(b"a\0b\0\0c\0*\0@R\0"), (2, None));
        assert_eq!(read(b"a\0b\0\0\0\0\0\0"), (1, None), "NULs behind a list are no part of it");
        assert_eq!(read(b"a\0b\0\0\0x"), (1, Some(2)));
        assert_eq!(read(b"a\0b\0\0c\0"), (1, Some(2)));
        assert_eq!(read(b"a\0b\0\0A\0b\0\0a\0b\0\0c\0"), (2, Some(4)), "the same again");
        assert_eq!(read(b"class"), (0, Some(1)));
        assert_eq!(read(b"a\0b\0c"), (0, Some(1)), "the last text is not terminated");
    }

    #[test]
    fn a_subscription_without_a_class_costs_itself_alone() {
        for (body, classes, without_class) in [
            (&b"a\0b\0\0\0x\0y\0c\0d\0\0"[..], &[&b"a"[..], b"c"][..], 1),
            (b"\0x\0\0a\0b\0\0", &[b"a"], 1),
            (b"\0\0\0a\0b\0\0", &[b"a"], 1),
            (b"\0\0\0\0\0\0a\0b\0@R\0\0\0", &[b"a"], 2),
            (b"\0x\0y\0", &[], 1),
            (b"\0\0\0", &[], 0),
        ] {
            let list = SubscriptionList::read(body);
            let read: Vec<&[u8]> = list.triples.iter().map(|[class, ..]| *class).collect();
            let expected = (classes.to_vec(), without_class, None);
            assert_eq!((read, list.without_class, list.malformed), expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn three_terminated_texts_make_a_place() {
        assert_eq!(Place::read(b"m\0t\0y"), None);
        assert_eq!(Place::read(b"m\0t\0"), None);
        assert_eq!(Place::read(b""), None);
        assert!(Place::read(b"m\0t\0y\0more").is_some());
        assert!(Place::read(b"\0\0\0").is_some());
        let place = Place { machine: b"m", time: b"t", tty: b"y\0y" };
        assert_eq!(place.body(), b"m\0t\0yy\0");
    }

    #[test]
    fn messages_have_a_signature_and_a_text() {
        for (body, signature, text) in [
            (&b""[..], "", ""),
            (b"only", "", "only"),
            (b"only\0", "", "only"),
            (b"\0text", "", "text"),
            (b"sig\0text\0", "sig", "text"),
            (b"sig\0one\0two\0", "sig", "one\ntwo"),
        ] {
            let expected = (signature.as_bytes(), text.as_bytes().into());
            assert_eq!(signature_and_text(body, b""), expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn an_empty_message_has_its_signature_all_the_same() {
        let old = b"Class $class, Instance $instance:\nFrom: @bold{$1 <$sender>}\n\n$2";
        for (format, body, signature, text) in [
            (names::DEFAULT_FORMAT, &b"sig\0"[..], "sig", ""),
            (old, b"sig\0", "sig", ""),
            (b"@bold($signature): $message", b"sig\0", "sig", ""),
            (names::DEFAULT_FORMAT, b"\0", "", ""),
            (names::DEFAULT_FORMAT, b"sig\0\0", "sig", ""),
            (names::DEFAULT_FORMAT, b"only", "", "only"),
            (b"$1", b"only\0", "", "only"),
            (b"", b"only\0", "", "only"),
        ] {
            let expected = (signature.as_bytes(), text.as_bytes().into());
            assert_eq!(signature_and_text(body, format), expected, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn texts_with_and_without_their_last_nul() {
        assert_eq!(texts(b"a\0b\0").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(texts(b"a\0b").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!((first_text(b"a\0b"), first_text(b"a"), first_text(b"")), (&b"a"[..], &b"a"[..], &b""[..]));
    }
}
