//! What every character is folded to, as the build has found out.

/// What a character is folded to.
pub(super) struct Piece {
    /// The text, normalised.
    pub(super) text: &'static str,
    /// Whether its beginning may compose or change places with the character before it.
    pub(super) joins: bool,
}

/// Characters on a page.
const PAGE_LEN: usize = 64;
/// The cell of a character that stays as it is and stands for itself.
const SEPARATE: u16 = 0;
/// The cell of a character that stays as it is and may compose or change places with the one before it.
const JOINING: u16 = 1;
/// The cell of the last mark, of which each stays as it is: behind `JOINING`, by their combining classes.
const LAST_MARK: u16 = JOINING + u8::MAX as u16;
/// The cell of the first piece.
const FIRST_PIECE: u16 = LAST_MARK + 1;

include!(concat!(env!("OUT_DIR"), "/fold_table.rs"));

/// The folding of one character.
pub(super) enum Folding {
    /// It stays as it is; and whether it may compose or change places with the character before it.
    Same {
        /// Whether it may.
        joins: bool,
    },
    /// It becomes this.
    Becomes(&'static Piece),
}

fn cell(character: char) -> u16 {
    let code = character as usize;
    let page = PAGE_NUMBERS.get(code / PAGE_LEN).and_then(|&number| PAGES.get(usize::from(number)));
    page.and_then(|page| page.get(code % PAGE_LEN)).copied().unwrap_or(SEPARATE)
}

/// What a character is folded to.
pub(super) fn folding(character: char) -> Folding {
    match cell(character) {
        SEPARATE => Folding::Same { joins: false },
        JOINING..=LAST_MARK => Folding::Same { joins: true },
        number => match PIECES.get(usize::from(number - FIRST_PIECE)) {
            Some(piece) => Folding::Becomes(piece),
            None => Folding::Same { joins: false },
        },
    }
}

/// The combining class of a mark that stays as it is and does not decompose; `None` for any other character.
pub(super) fn mark_class(character: char) -> Option<u8> {
    let class = cell(character).checked_sub(JOINING).filter(|&class| class > 0)?;
    u8::try_from(class).ok()
}
