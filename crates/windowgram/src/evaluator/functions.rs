//! The functions that only compute (zwgc, section 7.8).

use super::{value::Value, variables::Variables};
use crate::language::SetFunction;

/// `substitute`: variables in place of `$name`, `${name}` and `$(name)`, and `$` in place of `$$`. Appends to `result`, as long as
/// that is not longer than `limit`.
pub(super) fn substitute(text: &Value, variables: &Variables, result: &mut Value, limit: usize) {
    let octets = &text.octets;
    let mut from = 0;
    while let Some(at) = octets.iter().skip(from).position(|&octet| octet == b'$').map(|at| from + at) {
        if result.octets.len() > limit {
            return;
        }
        result.push(&text.part(from..at));
        match octets.get(at..).and_then(reference) {
            Some((b"$", length)) => {
                result.push(&text.part(at..at + 1));
                from = at + length;
            }
            Some((name, length)) => {
                result.push(variables.get(name));
                from = at + length;
            }
            None => {
                result.push(&text.part(at..at + 1));
                from = at + 1;
            }
        }
    }
    result.push(&text.part(from..octets.len()));
}

/// The name in the reference at the beginning of a text, and the reference's length; nothing of a malformed one. `$$` has the name `$`.
fn reference(text: &[u8]) -> Option<(&[u8], usize)> {
    let named = |text: &[u8]| text.iter().take_while(|&&octet| octet.is_ascii_alphanumeric() || octet == b'_').count();
    let (inner, closer) = match text {
        [_, b'$', ..] => return Some((b"$", 2)),
        [_, b'{', inner @ ..] => (inner, &b"}"[..]),
        [_, b'(', inner @ ..] => (inner, &b")"[..]),
        [_, inner @ ..] => (inner, &b""[..]),
        [] => return None,
    };
    let (name, after) = inner.split_at(named(inner));
    let is_right = !name.is_empty() && after.starts_with(closer);
    is_right.then_some((name, 1 + name.len() + 2 * closer.len()))
}

/// Takes a part off a text: the part, and what is left of the text.
pub(super) fn cut(function: SetFunction, text: &Value, operand: &[u8]) -> (Value, Value) {
    let mut set = [false; 256];
    for &octet in operand {
        if let Some(member) = set.get_mut(usize::from(octet)) {
            *member = true;
        }
    }
    let is_member = |octet: &&u8| set.get(usize::from(**octet)) == Some(&true);
    let octets = &text.octets;
    let taken = match function {
        SetFunction::LeftAny | SetFunction::RightAny => operand.len().min(octets.len()),
        SetFunction::LeftBreak => octets.iter().take_while(|octet| !is_member(octet)).count(),
        SetFunction::LeftSpan => octets.iter().take_while(is_member).count(),
        SetFunction::RightBreak => octets.iter().rev().take_while(|octet| !is_member(octet)).count(),
        SetFunction::RightSpan => octets.iter().rev().take_while(is_member).count(),
    };
    match function {
        SetFunction::LeftAny | SetFunction::LeftBreak | SetFunction::LeftSpan => {
            (text.part(0..taken), text.part(taken..octets.len()))
        }
        SetFunction::RightAny | SetFunction::RightBreak | SetFunction::RightSpan => {
            let at = octets.len() - taken;
            (text.part(at..octets.len()), text.part(0..at))
        }
    }
}
