//! Bracket expressions: `[a-z_]`, `[^[:space:]]`.

use super::{PatternError, translation::push_literal};
use std::{iter::Peekable, str::Chars};

/// Translates a bracket expression after its `[`.
pub(super) fn translate(rest: &mut Peekable<Chars<'_>>, result: &mut String) -> Result<(), PatternError> {
    result.push('[');
    if rest.next_if_eq(&'^').is_some() {
        result.push('^');
    }
    if rest.peek().is_none() {
        return Err(PatternError::Invalid);
    }
    let mut is_first = true;
    loop {
        let character = rest.next().ok_or(PatternError::UnmatchedBracket)?;
        if character == ']' && !is_first {
            break;
        }
        // Only at the beginning, at the end, or as the end of a range is it a character.
        if character == '-' && !is_first && *rest.peek().ok_or(PatternError::UnmatchedBracket)? != ']' {
            return Err(PatternError::RangeEnd);
        }
        is_first = false;
        match element(character, rest)? {
            Element::Class(class) => {
                if is_range(rest) {
                    return Err(PatternError::RangeEnd);
                }
                result.push_str(class);
            }
            Element::Character(first) => {
                push_literal(result, first);
                if !is_range(rest) {
                    continue;
                }
                rest.next();
                let end = rest.next().ok_or(PatternError::UnmatchedBracket)?;
                match element(end, rest)? {
                    Element::Character(last) if first <= last => {
                        result.push('-');
                        push_literal(result, last);
                    }
                    Element::Character(_) | Element::Class(_) => return Err(PatternError::RangeEnd),
                }
            }
        }
    }
    result.push(']');
    Ok(())
}

/// Whether a hyphen follows that is not the last one of the expression.
fn is_range(rest: &Peekable<Chars<'_>>) -> bool {
    let mut ahead = rest.clone();
    ahead.next() == Some('-') && ahead.next().is_some_and(|character| character != ']')
}

enum Element {
    Character(char),
    /// What stands for it within brackets.
    Class(&'static str),
}

/// A character, `[:CLASS:]`, `[=CHARACTER=]` or `[.CHARACTER.]`, of which the first character was taken.
fn element(first: char, rest: &mut Peekable<Chars<'_>>) -> Result<Element, PatternError> {
    let Some(kind) = rest.next_if(|&next| first == '[' && matches!(next, ':' | '=' | '.')) else {
        return Ok(Element::Character(first));
    };
    let mut name = String::new();
    loop {
        let character = rest.next().ok_or(PatternError::UnmatchedBracket)?;
        if character == kind && rest.next_if_eq(&']').is_some() {
            break;
        }
        name.push(character);
    }
    let mut characters = name.chars();
    match (kind, characters.next(), characters.next()) {
        (':', ..) => class(&name).map(Element::Class).ok_or(PatternError::CharacterClass),
        (_, Some(only), None) => Ok(Element::Character(only)),
        _ => Err(PatternError::CollatingElement),
    }
}

fn class(name: &str) -> Option<&'static str> {
    Some(match name {
        "alpha" => "\\p{Alphabetic}",
        "alnum" => "\\p{Alphabetic}\\p{Nd}",
        "blank" => "\\t\\p{Zs}",
        "cntrl" => "\\p{Cc}",
        "digit" => "0-9",
        "graph" => "[\\P{C}&&\\S]",
        "lower" => "\\p{Lowercase}",
        "print" => "\\P{C}",
        "punct" => "\\p{P}\\p{S}",
        "space" => "\\s",
        "upper" => "\\p{Uppercase}",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}
