//! What a text with markup says on a terminal: lines of pieces, each with its place and its style (zwgc, sections 9.2 and 9.3).

use crate::{
    charsets::{Charsets, ConversionError},
    markup::{self, Item},
};
use std::{iter, mem};

/// A text that is laid out, in the terminal's character set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windowgram {
    pieces: Vec<Piece>,
    /// Where the pieces of each line end.
    line_ends: Vec<usize>,
    ends_lines: bool,
    is_utf8: bool,
}

/// What is shown in one style at one place of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where in its line.
    pub alignment: Alignment,
    /// Whether it is bold.
    pub bold: bool,
    /// Whether it is italic.
    pub italic: bool,
    /// What it is.
    pub content: Content,
}

/// The place of a piece in its line. Pieces at the same place stand one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alignment {
    /// At the line's beginning.
    #[default]
    Left,
    /// In its middle.
    Centre,
    /// At its end.
    Right,
}

/// What a piece is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text without newlines, not empty.
    Text(Vec<u8>),
    /// The bell. A windowgram has one at most.
    Bell,
}

impl Windowgram {
    /// Lays a text out, and says why parts of it are not converted to the terminal's character set, if some are not; of several reasons
    /// the last one.
    ///
    /// Names of environments are as they are written here, in lower case.
    pub fn new(text: &[u8], charsets: Charsets<'_>) -> (Self, Option<ConversionError>) {
        let mut layout = Layout::new(charsets);
        for item in markup::items(text) {
            match item {
                Item::Open(name, _) => layout.open(name),
                Item::Close(_) => layout.close(),
                Item::Text(text) => layout.text.extend(text),
                Item::At => layout.text.push(b'@'),
                Item::Newline => layout.end_line(),
            }
        }
        layout.end_text();
        (layout.windowgram, layout.error)
    }

    /// The lines, from above.
    pub fn lines(&self) -> impl Iterator<Item = &[Piece]> {
        let starts = iter::once(0).chain(self.line_ends.iter().copied());
        starts.zip(&self.line_ends).map(|(start, &end)| self.pieces.get(start..end).unwrap_or_default())
    }

    /// Whether each line is ended, also the last one: not in a text without newlines, after which the next one goes on.
    pub fn ends_lines(&self) -> bool {
        self.ends_lines
    }

    /// Whether text is UTF-8, as far as it is any; otherwise an octet is a character.
    pub fn is_utf8(&self) -> bool {
        self.is_utf8
    }
}

/// What environments make of the text in them.
#[derive(Clone, Copy, Debug, Default)]
struct Style {
    alignment: Alignment,
    bold: bool,
    italic: bool,
    is_hidden: bool,
}

impl Style {
    /// The style in an environment of this name within this style.
    fn within(mut self, name: &[u8]) -> Self {
        match name {
            b"b" | b"bold" => self.bold = true,
            b"i" | b"italic" => self.italic = true,
            b"roman" => (self.bold, self.italic) = (false, false),
            b"l" | b"left" => self.alignment = Alignment::Left,
            b"c" | b"center" => self.alignment = Alignment::Centre,
            b"r" | b"right" => self.alignment = Alignment::Right,
            b"color" | b"font" => self.is_hidden = true,
            _ => {}
        }
        self
    }
}

struct Layout<'c> {
    windowgram: Windowgram,
    charsets: Charsets<'c>,
    error: Option<ConversionError>,
    style: Style,
    /// Those around it, from the outermost.
    outer: Vec<Style>,
    /// What is not yet a piece.
    text: Vec<u8>,
    has_rung: bool,
}

impl<'c> Layout<'c> {
    fn new(charsets: Charsets<'c>) -> Self {
        Self {
            windowgram: Windowgram { is_utf8: charsets.is_utf8_terminal(), ..Windowgram::default() },
            charsets,
            error: None,
            style: Style::default(),
            outer: Vec::new(),
            text: Vec::new(),
            has_rung: false,
        }
    }

    fn open(&mut self, name: &[u8]) {
        self.end_piece();
        self.outer.push(self.style);
        self.style = self.style.within(name);
        if name == b"beep" && !self.style.is_hidden && !mem::replace(&mut self.has_rung, true) {
            self.push(Content::Bell);
        }
    }

    fn close(&mut self) {
        self.end_piece();
        self.style = self.outer.pop().unwrap_or_default();
    }

    fn end_piece(&mut self) {
        let text = mem::take(&mut self.text);
        if text.is_empty() || self.style.is_hidden {
            return;
        }
        let converted = self.charsets.convert(&text).map(|converted| converted.into_owned());
        let text = converted.unwrap_or_else(|error| {
            self.error = Some(error);
            text
        });
        self.push(Content::Text(text));
    }

    fn push(&mut self, content: Content) {
        let Style { alignment, bold, italic, is_hidden: _ } = self.style;
        self.windowgram.pieces.push(Piece { alignment, bold, italic, content });
    }

    fn end_line(&mut self) {
        self.end_piece();
        self.windowgram.line_ends.push(self.windowgram.pieces.len());
        self.windowgram.ends_lines = true;
    }

    fn end_text(&mut self) {
        self.end_piece();
        let end = self.windowgram.pieces.len();
        if self.windowgram.line_ends.last().copied().unwrap_or_default() < end {
            self.windowgram.line_ends.push(end);
        }
    }
}

#[cfg(test)]
mod tests;
