//! What is wrong in a description, and where.

use std::fmt::{self, Display, Formatter};
use zephyr_core::{sanitize, screen};

/// Maximum number of characters of a line that an excerpt shows.
const MAX_SHOWN: usize = 100;

/// How many characters before the place are shown of a line that is too long.
const SHOWN_BEFORE: usize = 60;

/// Something that is wrong in a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line to look at, from 1. Where the end of a construct is missing, it is where the construct begins.
    pub line: usize,
    /// The character in this line to look at, from 1.
    pub column: usize,
    /// What zwgc calls it.
    pub kind: ProblemKind,
    /// The same for people, such as "expected `then`, not `put`".
    pub detail: String,
    pub(super) c_line: usize,
}

/// The kinds of problems; displayed, they are the texts that scripts know (zwgc, section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// Something stands where it cannot.
    Syntax,
    /// The file ends within a string.
    UnterminatedString,
    /// A line ends within a string.
    LineEndInString,
    /// The file ends within the text of `show`.
    UnterminatedShow,
    /// The file ends within a comment.
    UnterminatedComment,
    /// More than [`super::MAX_DEPTH`] levels; the C program has no such limit.
    TooDeep,
}

impl Display for ProblemKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax error",
            Self::UnterminatedString => "unterminated string found beginning",
            Self::LineEndInString => "carriage return found in string",
            Self::UnterminatedShow => "unterminated show beginning",
            Self::UnterminatedComment => "unterminated c style comment found beginning",
            Self::TooDeep => "nesting too deep",
        })
    }
}

impl Problem {
    /// The line as the C program counts it: where its lexer was, or where an unterminated text begins.
    pub fn c_line(&self) -> usize {
        self.c_line
    }

    /// The place and what is wrong, the line and a caret under the place: three lines, sanitized, with a newline each.
    pub fn excerpt(&self, text: &[u8], name: &str) -> String {
        let Self { line, column, detail, .. } = self;
        let source = text.split(|&octet| octet == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let source = String::from_utf8_lossy(source);
        let source = source.strip_suffix('\r').unwrap_or(&source);
        let before = column.saturating_sub(1);
        // Of a long line, what is around the place.
        let skipped = if source.chars().count() > MAX_SHOWN { before.saturating_sub(SHOWN_BEFORE) } else { 0 };
        let shown = |from: usize, to: usize| sanitized(source.chars().skip(from).take(to.saturating_sub(from)));
        let (left, right) = (shown(skipped, before), shown(before, skipped + MAX_SHOWN));
        let blanks = " ".repeat(screen::columns(&left));
        let name = sanitized(name.chars());
        let source = format!("  | {left}{right}");
        format!("{name}:{line}:{column}: {detail}\n{}\n  | {blanks}^\n", source.trim_end())
    }
}

/// A part of a description within a sentence: in backquotes, sanitized and not too long.
pub(super) fn quoted(part: &[u8]) -> String {
    const MAX_QUOTED: usize = 40;
    let part = String::from_utf8_lossy(part);
    let mut shown = sanitized(part.chars().take(MAX_QUOTED));
    if part.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Characters as they can be shown on a line; a tab is a blank.
fn sanitized(characters: impl Iterator<Item = char>) -> String {
    let text: String = characters.map(|character| if character == '\t' { ' ' } else { character }).collect();
    sanitize::line(text.as_bytes())
}
