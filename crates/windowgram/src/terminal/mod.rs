//! Windowgrams on a terminal (zwgc, sections 9.3 and 9.4).
//!
//! What C counts in octets is counted in columns here: so what is in the middle is in the middle also for letters beyond ASCII.

mod codes;
pub mod terminfo;

pub use codes::{Attribute, Codes};

use crate::layout::{Alignment, Content, Piece, Windowgram};
use std::{borrow::Cow, iter};
use zephyr_core::{sanitize, screen};

/// Maximum number of blanks before what is in the middle or on the right, in octets for a whole windowgram. When it would have more, each of
/// its lines is laid out as if it were alone, so that what is in the middle or on the right begins on the left.
pub const MAX_PADDING: usize = 1 << 20;

const LINE_END: &[u8] = b"\r\n";

/// Renders a windowgram for a terminal with these codes: all that is to be written to it.
///
/// C0 controls in the text, such as an ESC that a description has, are written as they are. C1 controls, controls of the direction of text,
/// and what is no text in the terminal's character set are escaped (`zephyr_core::sanitize`).
pub fn present(windowgram: &Windowgram, codes: &Codes) -> Vec<u8> {
    let lines: Vec<Line<'_>> = windowgram.lines().map(|line| Line::new(line, windowgram.is_utf8())).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or_default();
    let padding = lines.iter().fold(0_usize, |sum, line| sum.saturating_add(line.padding(width)));
    let width = Some(width).filter(|_| padding <= MAX_PADDING);
    let mut shown = Vec::new();
    for line in &lines {
        line.push_to(&mut shown, width.unwrap_or_else(|| line.width()), codes);
        if windowgram.ends_lines() {
            shown.extend(LINE_END);
        }
    }
    shown
}

/// A line, with the columns that its three groups take.
struct Line<'w> {
    pieces: Vec<(&'w Piece, Cow<'w, [u8]>)>,
    left: usize,
    centre: usize,
    right: usize,
}

impl<'w> Line<'w> {
    fn new(pieces: &'w [Piece], is_utf8: bool) -> Self {
        let mut line = Self { pieces: Vec::with_capacity(pieces.len()), left: 0, centre: 0, right: 0 };
        for piece in pieces {
            let (shown, columns) = sanitized(&piece.content, is_utf8);
            *match piece.alignment {
                Alignment::Left => &mut line.left,
                Alignment::Centre => &mut line.centre,
                Alignment::Right => &mut line.right,
            } += columns;
            line.pieces.push((piece, shown));
        }
        line
    }

    /// The columns that it needs, alone. What is in the middle has as much beside it on either side.
    fn width(&self) -> usize {
        let beside = self.left.max(self.right);
        match (self.left, self.centre, self.right) {
            (left, 0, right) if left > 0 && right > 0 => left + 1 + right,
            (left, 0, right) => left + right,
            (0, centre, 0) => centre,
            (_, centre, _) => centre + 2 + 2 * beside,
        }
    }

    /// The blanks before what is in the middle, among so many columns.
    fn before_centre(&self, width: usize) -> usize {
        if self.centre == 0 { 0 } else { (width.saturating_sub(self.centre) / 2).saturating_sub(self.left) }
    }

    /// The blanks before what is on the right.
    fn before_right(&self, width: usize) -> usize {
        let before = self.left + self.before_centre(width) + self.centre;
        if self.right == 0 { 0 } else { width.saturating_sub(self.right).saturating_sub(before) }
    }

    fn padding(&self, width: usize) -> usize {
        self.before_centre(width).saturating_add(self.before_right(width))
    }

    fn push_to(&self, shown: &mut Vec<u8>, width: usize, codes: &Codes) {
        for (alignment, blanks) in [
            (Alignment::Left, 0),
            (Alignment::Centre, self.before_centre(width)),
            (Alignment::Right, self.before_right(width)),
        ] {
            shown.extend(iter::repeat_n(b' ', blanks));
            for (piece, text) in self.pieces.iter().filter(|(piece, _)| piece.alignment == alignment) {
                let attribute = codes.attribute(piece.bold, piece.italic);
                shown.extend(attribute.map_or(&b""[..], |attribute| &attribute.on));
                shown.extend(if piece.content == Content::Bell { &codes.bell } else { &**text });
                shown.extend(attribute.map_or(&b""[..], |attribute| &attribute.off));
            }
        }
    }
}

/// What is shown of a piece, and how many columns it takes. A bell counts as one, as in the C program.
fn sanitized(content: &Content, is_utf8: bool) -> (Cow<'_, [u8]>, usize) {
    match content {
        Content::Bell => (Cow::Borrowed(b""), 1),
        Content::Text(text) if is_utf8 => match sanitize::with_codes(text) {
            Cow::Borrowed(text) => (Cow::Borrowed(text.as_bytes()), screen::columns(text)),
            Cow::Owned(text) => {
                let columns = screen::columns(&text);
                (Cow::Owned(text.into_bytes()), columns)
            }
        },
        Content::Text(text) => {
            let text = sanitize::octets_with_codes(text);
            let columns = text.len();
            (text, columns)
        }
    }
}

#[cfg(test)]
mod tests;
