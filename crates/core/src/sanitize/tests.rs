use super::*;
use proptest::prelude::*;

fn text(text: &str) -> String {
    lines(text.as_bytes(), Charset::UTF8)
}

#[test]
fn control_characters_are_escaped() {
    assert_eq!(lines(b"\x1b[31mred\x07\x08\r\x7f", Charset::UTF8), "\\u{1b}[31mred\\u{7}\\u{8}\\u{d}\\u{7f}");
    assert_eq!(text("\u{9b}2J"), "\\u{9b}2J");
    assert_eq!(lines(b"\x9b2J", Charset::LATIN1), "\\u{9b}2J");
    assert_eq!(lines(b"\x9b2J", Charset::UNKNOWN), "\\x9b2J");
    assert_eq!(text("a\tb\nc"), "a\tb\nc");
    assert_eq!(text("a\r\n\r\nb\r\n"), "a\n\nb\n", "CR LF ends a line");
    assert_eq!(lines(b"a\r\nb", Charset::LATIN1), "a\nb");
    assert_eq!(text("a\rb\r\r\nc\r"), "a\\u{d}b\\u{d}\nc\\u{d}", "no other goes back to a line's beginning");
    for one_line in [name, line] {
        assert_eq!(one_line(b"a\tb\nAUTHENTIC"), "a\\u{9}b\\u{a}AUTHENTIC");
        assert_eq!(one_line(b"a\r\nb"), "a\\u{d}\\u{a}b");
    }
}

#[test]
fn character_sets() {
    assert_eq!(text("Grüße, 世界"), "Grüße, 世界");
    assert_eq!(lines(b"Gr\xFC\xDFe", Charset::LATIN1), "Grüße");
    assert_eq!(lines(b"Gr\xFC\xDFe", Charset::UTF8), "Gr\\xfc\\xdfe");
    assert_eq!(lines(b"Gr\xC3\xBCn", Charset(106)), "Grün", "the other byte order");
    assert_eq!(lines(b"a\xC2\xA0b\xE9", Charset::LATIN1), "aÂ\u{a0}bé");
}

/// Characters that are neither seen nor harmless, of every kind that Unicode has.
const UNSEEN: [char; 32] = [
    '\u{00AD}',
    '\u{034F}',
    '\u{061C}',
    '\u{115F}',
    '\u{17B4}',
    '\u{180E}',
    '\u{180B}',
    '\u{200B}',
    '\u{200C}',
    '\u{200D}',
    '\u{200E}',
    '\u{200F}',
    '\u{2028}',
    '\u{2029}',
    '\u{202E}',
    '\u{2060}',
    '\u{2063}',
    '\u{2065}',
    '\u{2069}',
    '\u{206A}',
    '\u{3164}',
    '\u{FE0F}',
    '\u{FEFF}',
    '\u{FFA0}',
    '\u{FFF0}',
    '\u{FFF9}',
    '\u{1BCA0}',
    '\u{1D173}',
    '\u{E0001}',
    '\u{E0100}',
    '\u{E0FFF}',
    '\u{10FFFD}',
];

#[test]
fn what_is_not_seen_is_escaped() {
    for character in UNSEEN {
        let around = format!("a{character}b");
        let expected = format!("a{}b", character.escape_unicode());
        assert_eq!(name(around.as_bytes()), expected);
        assert_eq!(line(around.as_bytes()), expected);
        assert_eq!(text(&around), expected, "between letters, nothing needs it");
    }
    for blank in ['\u{A0}', '\u{2002}', '\u{202F}', '\u{3000}', '\u{2800}'] {
        let around = format!("a{blank}b");
        assert_eq!(line(around.as_bytes()), format!("a{}b", blank.escape_unicode()));
        assert_eq!(text(&around), around, "blanks may be in text");
    }
}

#[test]
fn what_scripts_and_pictures_need_stays_in_texts() {
    for needed in [
        "👩\u{200D}🔬",
        "👩🏽\u{200D}🔬",
        "❤\u{FE0F}\u{200D}🔥",
        "1\u{FE0F}\u{20E3}",
        "می\u{200C}خواهم",
        "ه\u{200D}",
        "क्\u{200D}ष",
        "क्\u{200C}ष",
        "葛\u{E0100}",
        "ᠠ\u{180B}",
        "שָׁלוֹם",
        "สวัสดีครับ ที่นี่",
        "Tie\u{302}\u{301}ng",
    ] {
        assert_eq!(text(needed), needed);
    }
    assert_eq!(text("👩\u{200D}\u{200D}🔬"), "👩\\u{200d}\\u{200d}🔬");
    assert_eq!(text("👩\u{200D}"), "👩\\u{200d}");
    assert_eq!(text("a\u{FE0F}"), "a\\u{fe0f}");
    assert_eq!(line("👩\u{200D}🔬".as_bytes()), "👩\\u{200d}🔬", "but a name needs none");
}

#[test]
fn marks_join_onto_nothing_of_ours() {
    for shown in [name, line, |octets: &[u8]| lines(octets, Charset::UTF8)] {
        assert_eq!(shown("\u{301}a\u{301}".as_bytes()), "\\u{301}a\u{301}");
        assert_eq!(shown("a \u{301}".as_bytes()), "a \\u{301}");
        assert_eq!(shown(b"\x1b\xcc\x81"), "\\u{1b}\\u{301}");
        assert_eq!(shown(b"\xff\xcc\x81"), "\\xff\\u{301}");
        let tower = format!("a{}", "\u{301}".repeat(20));
        assert_eq!(shown(tower.as_bytes()).chars().filter(|&mark| mark == '\u{301}').count(), MAX_MARKS);
    }
    assert_eq!(text("a\n\u{301}"), "a\n\\u{301}");
}

#[test]
fn names_are_read_from_left_to_right() {
    assert_eq!(name("שלa".as_bytes()), "\\u{5e9}\\u{5dc}a");
    assert_eq!(name("٣".as_bytes()), "\\u{663}");
    assert_eq!(line("של".as_bytes()), "של");
    assert_eq!(name("Grüße 世界 Привет".as_bytes()), "Grüße 世界 Привет");
}

/// Any text, and those characters that there are rules about.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![any::<char>(), proptest::sample::select(&UNSEEN[..]), proptest::char::range(' ', '~')];
    proptest::collection::vec(character, 0..80).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn no_control_character_remains(octets in proptest::collection::vec(any::<u8>(), 0..300), label in any::<u16>()) {
        for charset in [Charset(label), Charset::UTF8, Charset::LATIN1] {
            let shown = lines(&octets, charset);
            prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
        }
        prop_assert!(!line(&octets).chars().any(char::is_control));
        prop_assert!(!name(&octets).chars().any(char::is_control));
    }

    #[test]
    fn once_is_enough(text in any_text()) {
        for shown in [name, line, |octets: &[u8]| lines(octets, Charset::UTF8)] {
            let once = shown(text.as_bytes());
            prop_assert_eq!(shown(once.as_bytes()), once);
        }
    }

    #[test]
    fn one_line_has_only_what_is_seen_in_its_order(text in any_text()) {
        let (name, line) = (name(text.as_bytes()), line(text.as_bytes()));
        prop_assert!(!name.chars().any(is_right_to_left));
        for shown in [name, line] {
            prop_assert!(shown.chars().all(|c| c == ' ' || !(is_forbidden(c) || is_blank(c))));
            prop_assert!(!shown.starts_with(is_mark));
        }
    }
}
