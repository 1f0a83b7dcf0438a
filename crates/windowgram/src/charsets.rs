//! The character sets of notices and terminals (zwgc, section 9.5).

/// The character sets that a text is put with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charsets<'a> {
    /// That of the notice: `$notice_charset`.
    pub notice: &'a [u8],
    /// That of the terminal: `$tty_charset`.
    pub terminal: &'a [u8],
}
