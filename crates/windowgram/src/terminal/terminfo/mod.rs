//! Entries of the terminfo database as they are compiled: term(5), with numbers of 16 or of 32 bits.

mod attributes;
mod padding;
mod parameters;

use attributes::Alternate;

/// Maximum length of an entry, in octets.
pub const MAX_OCTETS: usize = 32_768;

/// The first number of an entry, and how many octets each of the numbers in it has.
const NUMBER_SIZES: [(usize, usize); 2] = [(0o432, 2), (0o1036, 4)];
/// The length of what an entry begins with: six numbers of two octets.
const HEADER: usize = 12;

/// The places of strings in an entry.
mod places {
    pub(super) const BELL: usize = 1;
    pub(super) const ENTER_ALTERNATE: usize = 25;
    pub(super) const ENTER_BOLD: usize = 27;
    pub(super) const ENTER_STANDOUT: usize = 35;
    pub(super) const ENTER_UNDERLINE: usize = 36;
    pub(super) const EXIT_ALTERNATE: usize = 38;
    pub(super) const EXIT_ATTRIBUTES: usize = 39;
    pub(super) const EXIT_STANDOUT: usize = 43;
    pub(super) const EXIT_UNDERLINE: usize = 44;
    pub(super) const SET_ATTRIBUTES: usize = 131;
}

/// What an entry says of bold, underlined and other text. The strings are without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terminfo {
    pub(super) bell: Option<Vec<u8>>,
    pub(super) enter_bold: Option<Vec<u8>>,
    pub(super) enter_standout: Option<Vec<u8>>,
    pub(super) exit_standout: Option<Vec<u8>>,
    pub(super) enter_underline: Option<Vec<u8>>,
    pub(super) exit_underline: Option<Vec<u8>>,
    /// As programs for termcap get it: it does not switch to another set of characters where that can be told.
    pub(super) exit_attributes: Option<Vec<u8>>,
}

impl Terminfo {
    /// Reads a compiled entry; `None` if it is none, or longer than [`MAX_OCTETS`].
    pub fn parse(entry: &[u8]) -> Option<Self> {
        let strings = Strings::of(entry)?;
        let string = |place| strings.get(place);
        let exit_attributes = string(places::EXIT_ATTRIBUTES).map(|exit| {
            let alternate = Alternate {
                enter: string(places::ENTER_ALTERNATE).unwrap_or_default(),
                exit: string(places::EXIT_ALTERNATE).unwrap_or_default(),
            };
            match strings.raw(places::SET_ATTRIBUTES) {
                Some(set) => attributes::exit(exit, set, &alternate),
                None => exit,
            }
        });
        Some(Self {
            bell: string(places::BELL),
            enter_bold: string(places::ENTER_BOLD),
            enter_standout: string(places::ENTER_STANDOUT),
            exit_standout: string(places::EXIT_STANDOUT),
            enter_underline: string(places::ENTER_UNDERLINE),
            exit_underline: string(places::EXIT_UNDERLINE),
            exit_attributes,
        })
    }
}

/// The strings of an entry.
struct Strings<'e> {
    /// Where each of them begins, two octets a number.
    offsets: &'e [u8],
    table: &'e [u8],
}

impl<'e> Strings<'e> {
    fn of(entry: &'e [u8]) -> Option<Self> {
        if entry.len() > MAX_OCTETS {
            return None;
        }
        let header = |place: usize| number(entry, place);
        let magic = header(0)?;
        let (_, number_size) = NUMBER_SIZES.into_iter().find(|&(known, _)| known == magic)?;
        let before_numbers = HEADER + header(1)? + header(2)?;
        let offsets = before_numbers.next_multiple_of(2) + header(3)? * number_size;
        let table = offsets + header(4)? * 2;
        Some(Self { offsets: entry.get(offsets..table)?, table: entry.get(table..table + header(5)?)? })
    }

    /// A string as it is, if there is one: the offsets of others are behind any table.
    fn raw(&self, place: usize) -> Option<&'e [u8]> {
        let offset = number(self.offsets, place)?;
        let string = self.table.get(offset..)?;
        string.iter().position(|&octet| octet == 0).and_then(|end| string.get(..end))
    }

    fn get(&self, place: usize) -> Option<Vec<u8>> {
        self.raw(place).map(padding::removed)
    }
}

/// The number at a place of a list of numbers of two octets.
fn number(list: &[u8], place: usize) -> Option<usize> {
    let octets = list.get(place * 2..)?.first_chunk()?;
    Some(u16::from_le_bytes(*octets).into())
}

#[cfg(test)]
mod tests;
