//! What a terminal is told so that text becomes bold or italic (zwgc, section 9.4).

use super::terminfo::Terminfo;

/// The bell of every terminal.
const BELL: u8 = 0x07;

/// The codes of a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// Around bold text, also where it is italic; nothing where there are no such codes.
    pub bold: Option<Attribute>,
    /// Around text that is italic only.
    pub italic: Option<Attribute>,
    /// What rings.
    pub bell: Vec<u8>,
}

/// What an attribute of text begins and ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Before the text.
    pub on: Vec<u8>,
    /// After it.
    pub off: Vec<u8>,
}

impl Codes {
    /// For everything that is no terminal, or an unknown one: text, and the bell.
    pub fn plain() -> Self {
        Self { bold: None, italic: None, bell: vec![BELL] }
    }

    /// Those that an entry of the terminfo database has. Bold is shown as bold, else standing out, else underlined; italic is underlined.
    pub fn of(terminfo: &Terminfo) -> Self {
        let attribute =
            |on: &Option<Vec<u8>>, off: &Option<Vec<u8>>| Some(Attribute { on: on.clone()?, off: off.clone()? });
        let underlined = attribute(&terminfo.enter_underline, &terminfo.exit_underline);
        let bold = attribute(&terminfo.enter_bold, &terminfo.exit_attributes)
            .or_else(|| attribute(&terminfo.enter_standout, &terminfo.exit_standout))
            .or_else(|| underlined.clone());
        Self { bold, italic: underlined, bell: terminfo.bell.clone().unwrap_or_else(|| vec![BELL]) }
    }

    pub(super) fn attribute(&self, bold: bool, italic: bool) -> Option<&Attribute> {
        if bold { self.bold.as_ref() } else { self.italic.as_ref().filter(|_| italic) }
    }
}
