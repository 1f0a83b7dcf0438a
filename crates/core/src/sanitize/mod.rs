//! Sanitization of text from the network, files and users, for whoever prints it: a terminal, a log, a dump.
//!
//! What a terminal would obey, what cannot be seen, and what changes the order of reading is escaped as `\u{1b}`; octets that are no
//! text as `\xff`. What is what is taken from Unicode's own tables, not from lists of known tricks. There are three
//! strengths:
//!
//! * [`name`]: a name or another word within a line of ours. Nothing in it changes how the rest of the line is read, so it has no
//!   letters that are read from right to left either: a terminal that turns them would turn a number that follows, too.
//! * [`line()`]: text on one line of which ours is only the beginning, such as a signature. It may be in any script.
//! * [`lines`]: text of several lines. Newlines, tabs, all blanks, and the joiners and variation selectors that a script or an emoji
//!   needs stay. A carriage return before a newline is a part of the line's end; any other would go back to the line's beginning.
//!
//! [`with_codes`] is for text whose author is the user himself, as in a description of windowgrams: it may have codes for terminals.
//!
//! Names that look alike are another matter, and not this module's.

mod characters;
mod codes;

pub use characters::is_right_to_left;
pub(crate) use characters::{is_picture, is_wide_somewhere};
pub use codes::{octets_with_codes, with_codes};

use crate::charset::Charset;
use characters::{Joiner, is_blank, is_forbidden, is_mark, is_selected_by, may_join};
use std::fmt::Write as _;

/// Maximum number of combining marks on one character. Scripts need three or four; a tower of them covers the lines above it.
const MAX_MARKS: usize = 6;

/// Sanitizes a name or another word that stands within a line.
pub fn name(octets: &[u8]) -> String {
    sanitized(octets, Strength::Name)
}

/// Sanitizes text on one line after which nothing of ours follows but punctuation or Latin words.
pub fn line(octets: &[u8]) -> String {
    sanitized(octets, Strength::Line)
}

/// Sanitizes text of several lines, in the character set of its label. Newlines and tabs stay, and CR LF is a newline.
///
/// Without a known label it is decoded as UTF-8.
pub fn lines(octets: &[u8], charset: Charset) -> String {
    match charset.normalized() {
        Charset::LATIN1 => sanitized(charset.decode(octets).as_bytes(), Strength::Lines),
        _ => sanitized(octets, Strength::Lines),
    }
}

fn sanitized(octets: &[u8], strength: Strength) -> String {
    if let Some(plain) =
        str::from_utf8(octets).ok().filter(|text| text.bytes().all(|octet| matches!(octet, b' '..=b'~')))
    {
        return plain.to_owned();
    }
    let mut text = Sanitized { shown: String::with_capacity(octets.len()), strength, cluster: Cluster::default() };
    for chunk in octets.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(character) = characters.next() {
            text.push(character, characters.peek().copied());
        }
        for octet in chunk.invalid() {
            text.cluster = Cluster::default();
            // Writing to a string cannot fail.
            let _ = write!(text.shown, "\\x{octet:02x}");
        }
    }
    text.shown
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Name,
    Line,
    Lines,
}

/// What has been shown of the character that marks, joiners and selectors would belong to.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    /// `None` where a mark would join onto something that is not the sender's: at the beginning, after a blank or an escape.
    base: Option<char>,
    /// The last of the cluster's characters.
    last: Option<char>,
    marks: usize,
}

struct Sanitized {
    shown: String,
    strength: Strength,
    cluster: Cluster,
}

impl Sanitized {
    fn push(&mut self, character: char, next: Option<char>) {
        if self.strength == Strength::Lines && (character, next) == ('\r', Some('\n')) {
            return;
        }
        match self.part(character, next) {
            Part::Escape => {
                self.shown.extend(character.escape_unicode());
                self.cluster = Cluster::default();
                return;
            }
            Part::Blank => self.cluster = Cluster::default(),
            Part::Base => self.cluster = Cluster { base: Some(character), last: Some(character), marks: 0 },
            Part::Extension => {
                self.cluster.last = Some(character);
                self.cluster.marks += 1;
            }
        }
        self.shown.push(character);
    }

    /// The part that a character plays where it stands.
    fn part(&self, character: char, next: Option<char>) -> Part {
        let Cluster { base, last, marks } = self.cluster;
        match (character, self.strength) {
            // Most characters are such ones.
            ('!'..='~', _) => return Part::Base,
            (' ', _) | ('\n' | '\t', Strength::Lines) => return Part::Blank,
            (_, Strength::Lines) => {
                let joins = |joiner| may_join(joiner, base, last, next);
                let fits = Joiner::of(character).is_some_and(joins) || is_selected_by(last, character);
                if fits && marks < MAX_MARKS {
                    return Part::Extension;
                }
            }
            (_, Strength::Name) if is_right_to_left(character) => return Part::Escape,
            (_, Strength::Name | Strength::Line) if is_blank(character) => return Part::Escape,
            (_, Strength::Name | Strength::Line) => {}
        }
        if is_forbidden(character) {
            Part::Escape
        } else if is_blank(character) {
            Part::Blank
        } else if !is_mark(character) {
            Part::Base
        } else if base.is_some() && marks < MAX_MARKS {
            Part::Extension
        } else {
            Part::Escape
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Not to be shown.
    Escape,
    /// Shown, and nothing may join onto it.
    Blank,
    /// Shown, and marks may join onto it.
    Base,
    /// A mark, a joiner or a selector that belongs to the base.
    Extension,
}

#[cfg(test)]
mod tests;
