//! Makes the table of what characters are folded to, so that folding a name takes a look at it for each character.
//!
//! The table is made of the same crates by which names were folded one character after the other, and which the tests
//! of `fold` still compare it with.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a build that cannot make its table must end")]

use caseless::Caseless;
use std::{collections::HashMap, env, fmt::Write, fs, path::Path};
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::canonical_combining_class, is_nfc_quick};

/// Characters on a page of the table. The reader knows it as well.
const PAGE_LEN: usize = 64;
/// The cell of a character that stays as it is and may join the one before it. One that never does has a cell less, and
/// a mark has this one and its combining class.
const JOINING: u16 = 1;
/// Cells below are no numbers of pieces.
const SPECIAL_CELLS: u16 = JOINING + 1 + u8::MAX as u16;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = env::var_os("OUT_DIR").expect("Cargo names a folder");
    fs::write(Path::new(&folder).join("fold_table.rs"), Table::new().text()).expect("the folder can be written");
}

/// What a character is folded to, normalised; and whether its beginning may join or change places with what is before
/// it.
#[derive(PartialEq, Eq, Hash, Clone)]
struct Piece {
    text: String,
    joins: bool,
}

impl Piece {
    fn of(character: char) -> Self {
        let folded: Vec<char> =
            std::iter::once(character).nfkd().default_case_fold().nfkd().default_case_fold().nfkd().collect();
        let joins = folded.first().is_none_or(|&first| {
            canonical_combining_class(first) != 0 || is_nfc_quick(std::iter::once(first)) != IsNormalized::Yes
        });
        Self { text: folded.into_iter().nfc().collect(), joins }
    }

    fn is_only(&self, character: char) -> bool {
        self.text.chars().eq([character])
    }
}

/// For each page of characters the number of its cells, and for each cell what becomes of the character.
#[derive(Default)]
struct Table {
    page_numbers: Vec<usize>,
    pages: Vec<[u16; PAGE_LEN]>,
    pieces: Vec<Piece>,
    numbers: HashMap<Piece, u16>,
}

impl Table {
    fn new() -> Self {
        let mut table = Self::default();
        for page in 0..=u32::from(char::MAX) as usize / PAGE_LEN {
            let mut cells = [0; PAGE_LEN];
            for (offset, cell) in cells.iter_mut().enumerate() {
                let code = u32::try_from(page * PAGE_LEN + offset).expect("a code point");
                *cell = char::from_u32(code).map_or(0, |character| table.cell(character));
            }
            let number = table.pages.iter().position(|known| *known == cells).unwrap_or_else(|| {
                table.pages.push(cells);
                table.pages.len() - 1
            });
            table.page_numbers.push(number);
        }
        // Most of what is beyond stays as it is.
        let is_plain = |number: Option<&usize>| number.is_some_and(|&number| table.pages[number] == [0; PAGE_LEN]);
        let mut numbers = table.page_numbers.clone();
        while is_plain(numbers.last()) {
            numbers.pop();
        }
        table.page_numbers = numbers;
        table
    }

    fn cell(&mut self, character: char) -> u16 {
        let piece = Piece::of(character);
        if piece.is_only(character) {
            let is_whole = std::iter::once(character).nfd().eq([character]);
            let class = if is_whole { canonical_combining_class(character) } else { 0 };
            return if piece.joins { JOINING + u16::from(class) } else { 0 };
        }
        let next = u16::try_from(self.pieces.len()).expect("few pieces") + SPECIAL_CELLS;
        let number = *self.numbers.entry(piece.clone()).or_insert(next);
        if number == next {
            self.pieces.push(piece);
        }
        number
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| writeln!(out, "{text}").expect("memory");
        line(format_args!("static PAGE_NUMBERS: [u16; {}] = {:?};", self.page_numbers.len(), self.page_numbers));
        line(format_args!("static PAGES: [[u16; {PAGE_LEN}]; {}] = {:?};", self.pages.len(), self.pages));
        line(format_args!("static PIECES: [Piece; {}] = [", self.pieces.len()));
        for Piece { text, joins } in &self.pieces {
            line(format_args!("    Piece {{ text: {text:?}, joins: {joins} }},"));
        }
        line(format_args!("];"));
        out
    }
}
