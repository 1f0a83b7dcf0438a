//! The end of all attributes, as programs for termcap get it.
//!
//! `sgr0` of terminfo may end the use of another set of characters as well. In termcap that is a matter of its own, so what does it is taken
//! away, where it can be told: `sgr` without any attribute does what `sgr0` does, and it also says how the set of characters is
//! switched.

use super::{padding, parameters};

/// The parameters of `sgr` for text without attributes: the last one is for the other set of characters.
const NORMAL: [i32; 9] = [0; 9];
const ALTERNATE: [i32; 9] = [0, 0, 0, 0, 0, 0, 0, 0, 1];

/// What codes with numbers begin with.
const CSI: &[u8] = b"\x1b[";

/// The codes between which another set of characters is used; empty if there are none.
pub(super) struct Alternate {
    pub(super) enter: Vec<u8>,
    pub(super) exit: Vec<u8>,
}

/// The end of all attributes, by `sgr0` and by `sgr` with its parameters.
pub(super) fn exit(exit: Vec<u8>, set: &[u8], alternate: &Alternate) -> Vec<u8> {
    let applied = |values| parameters::applied(set, values).map(|string| padding::removed(&string));
    let (Some(normal), Some(other)) = (applied(NORMAL), applied(ALTERNATE)) else { return exit };
    let (normal, other) = (at_end(normal, &alternate.exit), at_end(other, &alternate.enter));
    if !is_similar(&normal, &at_end(exit.clone(), &alternate.exit)) || is_similar(&normal, &other) {
        return exit;
    }
    without_code(&normal, &alternate.exit).or_else(|| without_font(&normal)).unwrap_or(normal)
}

/// A string with this code moved from its beginning to its end.
fn at_end(mut string: Vec<u8>, code: &[u8]) -> Vec<u8> {
    if string.len() > code.len() && string.starts_with(code) {
        string.rotate_left(code.len());
    }
    string
}

/// Whether one is what the other begins with, and a zero that may be left out does not count.
fn is_similar(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = match (one.strip_prefix(CSI), other.strip_prefix(CSI)) {
        (Some(one), Some(other)) if one.first() != other.first() => (after_zero(one), after_zero(other)),
        _ => (one, other),
    };
    !one.is_empty() && !other.is_empty() && (one.starts_with(other) || other.starts_with(one))
}

/// A string without the first of these codes in it.
fn without_code(string: &[u8], code: &[u8]) -> Option<Vec<u8>> {
    if code.is_empty() || string.len() <= code.len() {
        return None;
    }
    let start = string.windows(code.len()).position(|part| part == code)?;
    let (before, after) = (string.get(..start)?, string.get(start + code.len()..)?);
    Some([before, after].concat())
}

/// A string without the number 10, the normal font, which some terminals' other set of characters is left by.
fn without_font(string: &[u8]) -> Option<Vec<u8>> {
    let number = after_zero(string.strip_prefix(CSI).filter(|_| string.ends_with(b"m"))?);
    let zero = number.strip_prefix(b"1")?;
    let after = after_zero(zero);
    if after.len() == zero.len() {
        return None;
    }
    let before = string.get(..string.len() - number.len())?;
    Some([before.strip_suffix(b";").unwrap_or(before), after].concat())
}

/// What comes after a number zero, if the parameters of a code begin with one.
fn after_zero(parameters: &[u8]) -> &[u8] {
    match parameters {
        [b'0', b';', rest @ ..] => rest,
        [b'0', rest @ ..] if rest.first().is_some_and(u8::is_ascii_alphabetic) => rest,
        _ => parameters,
    }
}
