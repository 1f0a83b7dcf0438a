//! Texts that are put into others: as they are, or without their environments (zwgc, sections 7.8 and 7.9).

use super::{AtSigns, Bracket, Item, Items, items};

/// Environments whose text is not shown.
const UNSEEN: [&[u8]; 2] = [b"font", b"color"];

/// A text, with its environments, that can stand within another environment: it ends none that it has not begun, and what it begins,
/// it ends (zwgc, section 7.9).
///
/// That holds for what is in it. An `@` just before it, or an `@` or a name at its end and a bracket after it, are an environment's
/// beginning as anywhere.
pub fn protect(text: &[u8]) -> Vec<u8> {
    let mut protected = Vec::with_capacity(text.len());
    let mut outside = Vec::new();
    let mut depth = 0_usize;
    for item in items(text) {
        if depth == 0 && matches!(item, Item::Open(..)) {
            push_outside(&outside, &mut protected);
            outside.clear();
        }
        depth += usize::from(matches!(item, Item::Open(..)));
        push(item, if depth == 0 { &mut outside } else { &mut protected });
        depth -= usize::from(matches!(item, Item::Close(_)));
    }
    push_outside(&outside, &mut protected);
    protected
}

/// A text that shows as what another one is, without being understood (zwgc, section 7.9). As in the C program, `@@` shows as
/// one `@` all the same, unless something in the text needs more than a pair of brackets around it.
pub fn verbatim(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len());
    if items(text).any(|item| matches!(item, Item::Open(..))) || !push_enclosed(text, &mut quoted) {
        for &octet in text {
            push_quoted(octet, &mut quoted);
        }
    }
    quoted
}

/// A text without its environments. What is in them stays, but not what is immediately in `@font` and `@color` (zwgc, section 7.8).
///
/// As in the C program, `@@` is two signs here, the second of which may begin an environment.
pub fn strip_styles(text: &[u8]) -> Vec<u8> {
    let mut stripped = Vec::with_capacity(text.len());
    let mut is_unseen = Vec::new();
    for item in Items::new(text, AtSigns::Single) {
        match item {
            Item::Open(name, _) => is_unseen.push(UNSEEN.iter().any(|unseen| unseen.eq_ignore_ascii_case(name))),
            Item::Close(_) => drop(is_unseen.pop()),
            Item::Text(_) | Item::At | Item::Newline => {
                if is_unseen.last() != Some(&true) {
                    push(item, &mut stripped);
                }
            }
        }
    }
    stripped
}

/// Appends a part of a text as it is written.
fn push(item: Item<'_>, text: &mut Vec<u8>) {
    match item {
        Item::Open(name, bracket) => {
            text.push(b'@');
            text.extend(name);
            text.push(bracket.opener());
        }
        Item::Close(bracket) => text.push(bracket.closer()),
        Item::Text(shown) => text.extend(shown),
        Item::At => text.extend(b"@@"),
        Item::Newline => text.push(b'\n'),
    }
}

/// Appends text without environments so that its brackets end none.
fn push_outside(text: &[u8], protected: &mut Vec<u8>) {
    if push_enclosed(text, protected) {
        return;
    }
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match (octet, after.first()) {
            (b'@', Some(b'@')) => {
                protected.extend(b"@@");
                rest = after.get(1..).unwrap_or_default();
            }
            // Before the `@` that quotes the bracket it would be half of `@@`.
            (b'@', Some(&next)) if bracket_of(next).is_some() => push_quoted(octet, protected),
            _ if bracket_of(octet).is_some() => push_quoted(octet, protected),
            _ => protected.push(octet),
        }
    }
}

/// Appends text without environments as it is, within brackets that it has none of, unless it has no brackets at all. Appends nothing and
/// says so when there are no such brackets.
fn push_enclosed(text: &[u8], quoted: &mut Vec<u8>) -> bool {
    if !text.iter().any(|&octet| bracket_of(octet).is_some()) {
        quoted.extend(text);
        return true;
    }
    let Some(free) = Bracket::ALL.into_iter().find(|bracket| !bracket.is_in(text)) else { return false };
    quoted.extend([b'@', free.opener()]);
    quoted.extend(text);
    quoted.push(free.closer());
    true
}

/// Appends an octet in brackets of another kind than it is, if it is of those that may need it.
fn push_quoted(octet: u8, quoted: &mut Vec<u8>) {
    let around = match bracket_of(octet) {
        Some(Bracket::Round) => Bracket::Angle,
        Some(Bracket::Angle) => Bracket::Square,
        Some(Bracket::Square) => Bracket::Curly,
        Some(Bracket::Curly) => Bracket::Round,
        None if octet == b'@' => Bracket::Round,
        None => return quoted.push(octet),
    };
    quoted.extend([b'@', around.opener(), octet, around.closer()]);
}

fn bracket_of(octet: u8) -> Option<Bracket> {
    Bracket::ALL.into_iter().find(|bracket| octet == bracket.opener() || octet == bracket.closer())
}
