//! The message file: which text is for whom (clients, section 5).
//!
//! ```text
//! >bob
//! >tony
//! In the other room.
//! >%
//! Who are you?
//! >*
//! Back at five.
//! ```
//!
//! One or more `>` lines name the senders for whom the lines after them are, `>*` all, and `>%` those for whom nothing was found
//! before. What is for a sender is joined in the file's order.

/// The character that begins a line with a name.
const NAME_MARK: &[u8] = b">";
/// The name that is everybody's.
const EVERYBODY: &[u8] = b"*";
/// The name of whom nothing was for so far.
const NOBODY_ELSE: &[u8] = b"%";

/// The text for a sender's name, which is without realm; `None` when there is none. Names are compared octet for octet, without what
/// follows an `@` in the file, nor white space around them. A line keeps its end, but for the CR of CR LF.
pub fn text_for(file: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut block = Block { applies: false, has_text: true };
    for line in file.split_inclusive(|&octet| octet == b'\n') {
        if let Some(named) = line.strip_prefix(NAME_MARK) {
            if block.has_text {
                block = Block { applies: false, has_text: false };
            }
            let named = named.split(|&octet| octet == b'@').next().unwrap_or_default().trim_ascii();
            block.applies |= named == EVERYBODY || named == name || named == NOBODY_ELSE && text.is_empty();
            continue;
        }
        block.has_text = true;
        if block.applies {
            match line.strip_suffix(b"\r\n") {
                Some(line) => text.extend_from_slice(&[line, b"\n"].concat()),
                None => text.extend_from_slice(line),
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The lines with names and those after them, up to the next with a name.
struct Block {
    /// Whether one of the names is the sender's.
    applies: bool,
    /// Whether a line with a name begins another one.
    has_text: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the C program sent to bob for each of these, but where it says otherwise.
    #[test]
    fn which_text_is_for_whom() {
        for (file, expected) in [
            (">bob\nhi bob\n>%\nunknown\n>*\ncommon\n", Some("hi bob\ncommon\n")),
            (">bob\nhi bob", Some("hi bob")),
            ("before any name\n>bob\nhi\n", Some("hi\n")),
            (">BOB\nupper\n>bobby\nlonger\n", None),
            (">bob@X\none\n>bob@ATHENA.TEST\ntwo\n", Some("one\ntwo\n")),
            (">%\nunknown\n>bob\nbob\n>%\nunknown\n", Some("unknown\nbob\n")),
            ("", None),
            (">carol\nx\n", None),
            (">bob\n\nx\n\ny\n>*\n\n", Some("\nx\n\ny\n\n")),
            ("# c\n>bob\n# d\nx\n", Some("# d\nx\n")),
            (">carol\n>bob\n>*\nx\n>carol\n>bob\nonce\n>carol\nno\n", Some("x\nonce\n")),
            (">bob\n>*\nx\n", Some("x\n")),
            (">bob\n>*\n", None),
            (">bob\nx\n>>\n> \ny\n", Some("x\n")),
            // To C the blank and the CR are parts of the name.
            ("> bob \nblanks\n", Some("blanks\n")),
            (">bob\r\nhi\r\n>*\r\nall\r\n", Some("hi\nall\n")),
            (">bob\nx\ry\r", Some("x\ry\r")),
            // C loses what follows the NUL.
            (">bob\nx\0y\nz\n", Some("x\0y\nz\n")),
        ] {
            let text = text_for(file.as_bytes(), b"bob");
            assert_eq!(text.as_deref(), expected.map(str::as_bytes), "{file:?}");
        }
        assert_eq!(text_for(b">\nx\n", b""), Some(b"x\n".to_vec()));
    }
}
