//! Sanitization of text from the network for display on a terminal.
//!
//! Control characters, which a terminal would obey, characters that change the direction of reading, and invisible ones are
//! escaped as `\u{1b}`; octets that are no text as `\xff`.

use zephyr_core::charset::Charset;

/// Sanitizes text of several lines, in the character set of its label. Newlines and tabs stay.
///
/// Without a known label it is decoded as UTF-8.
pub fn lines(octets: &[u8], charset: Charset) -> String {
    let mut shown = String::with_capacity(octets.len());
    match charset.normalized() {
        Charset::LATIN1 => octets.iter().for_each(|&octet| push(&mut shown, octet.into(), is_visible_in_lines)),
        _ => push_utf8(octets, &mut shown, is_visible_in_lines),
    }
    shown
}

/// Sanitizes text on one line, such as a header field or a name.
pub fn line(octets: &[u8]) -> String {
    let mut shown = String::with_capacity(octets.len());
    push_utf8(octets, &mut shown, is_visible_in_line);
    shown
}

fn push_utf8(octets: &[u8], shown: &mut String, visible: fn(char) -> bool) {
    for chunk in octets.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push(shown, character, visible));
        for octet in chunk.invalid() {
            shown.push_str(&format!("\\x{octet:02x}"));
        }
    }
}

fn push(shown: &mut String, character: char, visible: fn(char) -> bool) {
    if visible(character) {
        shown.push(character);
    } else {
        shown.extend(character.escape_unicode());
    }
}

fn is_visible_in_lines(character: char) -> bool {
    matches!(character, '\n' | '\t') || !(character.is_control() || is_directional(character))
}

fn is_visible_in_line(character: char) -> bool {
    !(character.is_control() || is_directional(character) || is_invisible(character))
}

/// Whether a character changes how text around it is read: direction marks, and separators that may be shown as line ends.
fn is_directional(character: char) -> bool {
    matches!(character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether a character has no width. Scripts and emoji need some of these within text, but names do not.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200D}'
        | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(lines(b"\x1b[31mred\x07\x08\r\x7f", Charset::UTF8), "\\u{1b}[31mred\\u{7}\\u{8}\\u{d}\\u{7f}");
        assert_eq!(lines("\u{9b}2J".as_bytes(), Charset::UTF8), "\\u{9b}2J");
        assert_eq!(lines(b"\x9b2J", Charset::LATIN1), "\\u{9b}2J");
        assert_eq!(lines(b"\x9b2J", Charset::UNKNOWN), "\\x9b2J");
        assert_eq!(lines(b"a\tb\nc", Charset::UTF8), "a\tb\nc");
        assert_eq!(line(b"a\tb\nAUTHENTIC"), "a\\u{9}b\\u{a}AUTHENTIC");
    }

    #[test]
    fn direction_marks_are_escaped() {
        for character in ['\u{202A}', '\u{202E}', '\u{2066}', '\u{2069}', '\u{200F}', '\u{2028}', '\u{2029}'] {
            let text = character.to_string();
            assert!(lines(text.as_bytes(), Charset::UTF8).is_ascii(), "{}", character.escape_unicode());
            assert!(line(text.as_bytes()).is_ascii(), "{}", character.escape_unicode());
        }
        assert_eq!(line("al\u{200B}ice".as_bytes()), "al\\u{200b}ice");
        assert_eq!(lines("👩\u{200D}🔬".as_bytes(), Charset::UTF8), "👩\u{200D}🔬");
    }

    #[test]
    fn character_sets() {
        assert_eq!(lines("Grüße, 世界".as_bytes(), Charset::UTF8), "Grüße, 世界");
        assert_eq!(lines(b"Gr\xFC\xDFe", Charset::LATIN1), "Grüße");
        assert_eq!(lines(b"Gr\xFC\xDFe", Charset::UTF8), "Gr\\xfc\\xdfe");
        assert_eq!(lines(b"Gr\xC3\xBCn", Charset(106)), "Grün", "the other byte order");
    }

    proptest! {
        #[test]
        fn no_control_character_remains(octets in proptest::collection::vec(any::<u8>(), 0..300), label in any::<u16>()) {
            for charset in [Charset(label), Charset::UTF8, Charset::LATIN1] {
                let shown = lines(&octets, charset);
                prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            }
            prop_assert!(!line(&octets).chars().any(char::is_control));
        }
    }
}
