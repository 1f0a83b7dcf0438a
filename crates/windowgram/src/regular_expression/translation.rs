//! From the syntax of POSIX to that of the `fancy-regex` crate.

use super::{PatternError, bracket};
use std::{fmt::Write as _, iter::Peekable, str::Chars};

/// Maximum number of groups within each other.
const MAX_DEPTH: usize = 30;
/// Maximum number of times that something is repeated, as in the GNU C library.
const MAX_REPETITIONS: u32 = 0x7fff;
/// Maximum number of repetitions of repetitions.
const MAX_REPEATED: usize = 8;

/// Translates a pattern.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut translation = Translation {
        rest: pattern.chars().peekable(),
        // A dot is also a newline.
        result: "(?s)".to_owned(),
        groups: 0,
        closed: 0,
        depth: 0,
    };
    translation.alternatives()?;
    Ok(translation.result)
}

/// Writes a character that means itself, within brackets or not.
pub(super) fn push_literal(result: &mut String, character: char) {
    if character.is_ascii_alphanumeric() {
        result.push(character);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(result, "\\x{{{:x}}}", u32::from(character));
    }
}

struct Translation<'p> {
    rest: Peekable<Chars<'p>>,
    result: String,
    /// The number of groups that began.
    groups: u32,
    /// The groups that ended, the first one as the lowest bit.
    closed: u32,
    depth: usize,
}

/// What stands in a pattern, and whether it can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Anchor,
    Repeatable,
}

impl Translation<'_> {
    /// What `\|` separates, up to the end or the `\)` of a group, which is taken.
    fn alternatives(&mut self) -> Result<(), PatternError> {
        // At the beginning, `^` is an anchor and `*` a character; after an anchor as well.
        let mut at_beginning = true;
        loop {
            let start = self.result.len();
            let Some(character) = self.rest.next() else {
                return if self.depth == 0 { Ok(()) } else { Err(PatternError::UnmatchedParenthesis) };
            };
            let part = match character {
                '\\' => match self.rest.next().ok_or(PatternError::TrailingBackslash)? {
                    ')' if self.depth == 0 => return Err(PatternError::UnmatchedParenthesis),
                    ')' => return Ok(()),
                    '|' => {
                        self.result.push('|');
                        at_beginning = true;
                        continue;
                    }
                    '{' => return Err(PatternError::NothingToRepeat),
                    escaped => self.escaped(escaped)?,
                },
                '[' => self.bracket()?,
                '.' => self.push(".", Part::Repeatable),
                '^' if at_beginning => self.push("\\A", Part::Anchor),
                '$' if self.is_at_end() => self.push("\\z", Part::Anchor),
                // Where nothing is to be repeated, `*` is a character: what follows something was taken with it.
                character => {
                    push_literal(&mut self.result, character);
                    Part::Repeatable
                }
            };
            at_beginning = part == Part::Anchor;
            if part == Part::Repeatable {
                self.repetitions(start)?;
            }
        }
    }

    fn push(&mut self, text: &str, part: Part) -> Part {
        self.result.push_str(text);
        part
    }

    /// What a backslash is before.
    fn escaped(&mut self, escaped: char) -> Result<Part, PatternError> {
        Ok(match escaped {
            '(' => {
                self.group()?;
                Part::Repeatable
            }
            '1'..='9' => {
                let number = u32::from(escaped) - u32::from('0');
                if self.closed & (1 << (number - 1)) == 0 {
                    return Err(PatternError::BackReference);
                }
                let _ = write!(self.result, "(?:\\{number})");
                Part::Repeatable
            }
            'w' | 'W' | 's' | 'S' => {
                self.result.extend(['\\', escaped]);
                Part::Repeatable
            }
            'b' | 'B' => self.push(if escaped == 'b' { "\\b" } else { "\\B" }, Part::Anchor),
            '<' => self.push("\\b(?=\\w)", Part::Anchor),
            '>' => self.push("\\b(?<=\\w)", Part::Anchor),
            '`' => self.push("\\A", Part::Anchor),
            '\'' => self.push("\\z", Part::Anchor),
            literal => {
                push_literal(&mut self.result, literal);
                Part::Repeatable
            }
        })
    }

    fn group(&mut self) -> Result<(), PatternError> {
        if self.depth == MAX_DEPTH {
            return Err(PatternError::TooBig);
        }
        self.groups += 1;
        let number = self.groups;
        self.depth += 1;
        self.result.push('(');
        self.alternatives()?;
        self.result.push(')');
        self.depth -= 1;
        if number <= 9 {
            self.closed |= 1 << (number - 1);
        }
        Ok(())
    }

    fn bracket(&mut self) -> Result<Part, PatternError> {
        bracket::translate(&mut self.rest, &mut self.result)?;
        Ok(Part::Repeatable)
    }

    /// Whether `$`, which was just taken, is the last one of the pattern, a group or an alternative.
    fn is_at_end(&self) -> bool {
        let mut rest = self.rest.clone();
        match rest.next() {
            None => true,
            Some('\\') => matches!(rest.next(), Some(')' | '|')),
            Some(_) => false,
        }
    }

    /// The repetitions of what was written from `start` on.
    fn repetitions(&mut self, start: usize) -> Result<(), PatternError> {
        for repeated in 0.. {
            let Some(repetition) = self.repetition()? else { return Ok(()) };
            // The GNU C library takes `\+` and `\?` after a repetition, but no others.
            if repeated > 0 && !matches!(repetition.as_str(), "+" | "?") {
                return Err(PatternError::NothingToRepeat);
            }
            if repeated == MAX_REPEATED {
                return Err(PatternError::TooBig);
            }
            self.result.insert_str(start, "(?:");
            self.result.push_str(&repetition);
            self.result.push(')');
        }
        Ok(())
    }

    fn repetition(&mut self) -> Result<Option<String>, PatternError> {
        let mut ahead = self.rest.clone();
        let sign = match (ahead.next(), ahead.next()) {
            (Some('*'), _) => {
                self.rest.next();
                return Ok(Some("*".to_owned()));
            }
            (Some('\\'), Some(sign @ ('+' | '?' | '{'))) => sign,
            _ => return Ok(None),
        };
        self.rest = ahead;
        if sign == '{' { self.interval().map(Some) } else { Ok(Some(sign.to_string())) }
    }

    /// `\{n\}`, `\{n,\}`, `\{,m\}` or `\{n,m\}` after its beginning.
    fn interval(&mut self) -> Result<String, PatternError> {
        let least = self.number();
        let is_range = self.rest.next_if_eq(&',').is_some();
        let most = if is_range { self.number() } else { least };
        let mut ahead = self.rest.clone();
        if (ahead.next(), ahead.next()) != (Some('\\'), Some('}')) {
            // What is wrong is said of the end, if there is one.
            let is_ended = self.rest.clone().zip(self.rest.clone().skip(1)).any(|pair| pair == ('\\', '}'));
            return Err(if is_ended { PatternError::BraceContent } else { PatternError::UnmatchedBrace });
        }
        self.rest = ahead;
        let from = match least {
            Some(least) => least,
            None if is_range => 0,
            None => return Err(PatternError::BraceContent),
        };
        if most.is_some_and(|most| most < from) {
            return Err(PatternError::BraceContent);
        }
        if most.unwrap_or(from) > MAX_REPETITIONS {
            return Err(PatternError::TooBig);
        }
        let to = most.map(|most| most.to_string()).unwrap_or_default();
        Ok(if is_range { format!("{{{from},{to}}}") } else { format!("{{{from}}}") })
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|character| character.to_digit(10)) {
            self.rest.next();
            let sum: u32 = number.unwrap_or(0) * 10 + digit;
            number = Some(sum.min(MAX_REPETITIONS + 1));
        }
        number
    }
}
