//! The markup of texts that are shown: environments, which begin like `@bold(` and end with the other bracket (zwgc, section 9.1).
//!
//! [`items`] is what whoever shows a text reads. [`protect`], [`verbatim`] and [`strip_styles`] are functions of the language. All of them
//! take time and memory in proportion to the text, however deep its environments are.

mod quoting;

pub use quoting::{protect, strip_styles, verbatim};

/// The brackets that an environment may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bracket {
    /// `(` and `)`.
    Round,
    /// `<` and `>`.
    Angle,
    /// `[` and `]`.
    Square,
    /// `{` and `}`.
    Curly,
}

impl Bracket {
    /// In the order in which [`verbatim`] tries them.
    const ALL: [Self; 4] = [Self::Angle, Self::Square, Self::Curly, Self::Round];

    /// What an environment begins with after its name.
    pub const fn opener(self) -> u8 {
        match self {
            Self::Round => b'(',
            Self::Angle => b'<',
            Self::Square => b'[',
            Self::Curly => b'{',
        }
    }

    /// What an environment ends with.
    pub const fn closer(self) -> u8 {
        match self {
            Self::Round => b')',
            Self::Angle => b'>',
            Self::Square => b']',
            Self::Curly => b'}',
        }
    }

    fn of_opener(octet: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|bracket| bracket.opener() == octet)
    }

    fn is_in(self, text: &[u8]) -> bool {
        text.iter().any(|&octet| octet == self.opener() || octet == self.closer())
    }
}

/// A part of a text with markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'t> {
    /// An environment begins. Its name, as it is written, may be empty; it consists of letters, digits and `_`.
    Open(&'t [u8], Bracket),
    /// The innermost open environment ends. There is one for every [`Item::Open`]: what is open ends with the text.
    Close(Bracket),
    /// Text to be shown, at least one octet and no newline.
    Text(&'t [u8]),
    /// `@@`, which is one `@`.
    At,
    /// A line ends.
    Newline,
}

/// The parts of a text, in order. Any octets are such a text.
pub fn items(text: &[u8]) -> impl Iterator<Item = Item<'_>> {
    Items::new(text, AtSigns::Paired)
}

/// What `@@` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtSigns {
    /// One sign, which begins nothing.
    Paired,
    /// Two signs, of which the second may begin an environment.
    Single,
}

struct Items<'t> {
    rest: &'t [u8],
    at_signs: AtSigns,
    open: Vec<Bracket>,
}

impl<'t> Items<'t> {
    fn new(text: &'t [u8], at_signs: AtSigns) -> Self {
        Self { rest: text, at_signs, open: Vec::new() }
    }

    /// What begins with this text and is more than text, and how many octets it is. A name is looked at for its `@` only.
    fn mark(&self, text: &'t [u8]) -> Option<(Item<'t>, usize)> {
        let (&first, rest) = text.split_first()?;
        match first {
            b'\n' => Some((Item::Newline, 1)),
            b'@' if self.at_signs == AtSigns::Paired && rest.first() == Some(&b'@') => Some((Item::At, 2)),
            b'@' => {
                let name = rest.iter().position(|&octet| !is_of_name(octet)).and_then(|end| rest.get(..end))?;
                let bracket = rest.get(name.len()).and_then(|&octet| Bracket::of_opener(octet))?;
                Some((Item::Open(name, bracket), name.len() + 2))
            }
            _ => {
                let bracket = self.open.last().copied().filter(|bracket| bracket.closer() == first)?;
                Some((Item::Close(bracket), 1))
            }
        }
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = Item<'t>;

    fn next(&mut self) -> Option<Item<'t>> {
        let text = self.rest;
        if text.is_empty() {
            return self.open.pop().map(Item::Close);
        }
        if let Some((item, length)) = self.mark(text) {
            self.rest = text.get(length..).unwrap_or_default();
            match item {
                Item::Open(_, bracket) => self.open.push(bracket),
                Item::Close(_) => drop(self.open.pop()),
                Item::Text(_) | Item::At | Item::Newline => {}
            }
            return Some(item);
        }
        let is_end = |&at: &usize| text.get(at..).is_some_and(|rest| self.mark(rest).is_some());
        let length = (1..text.len()).find(is_end).unwrap_or(text.len());
        let (shown, rest) = text.split_at_checked(length)?;
        self.rest = rest;
        Some(Item::Text(shown))
    }
}

fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

#[cfg(test)]
pub(crate) mod tests;
