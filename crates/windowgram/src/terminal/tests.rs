use super::*;
use crate::{charsets::Charsets, markup::tests::any_text, markup::verbatim};
use proptest::prelude::*;

fn shown(text: &[u8], codes: &Codes) -> Vec<u8> {
    let (windowgram, _) = Windowgram::new(text, Charsets { notice: b"UNKNOWN", terminal: b"UTF-8" });
    present(&windowgram, codes)
}

fn plain(text: &str) -> String {
    String::from_utf8(shown(text.as_bytes(), &Codes::plain())).expect("UTF-8")
}

/// A terminal whose codes can be read.
fn legible() -> Codes {
    let attribute = |on: &str, off: &str| Some(Attribute { on: on.into(), off: off.into() });
    Codes { bold: attribute("[", "]"), italic: attribute("{", "}"), bell: b"*".to_vec() }
}

/// The examples that the C program was asked about.
#[test]
fn lines_and_places() {
    for (text, expected) in [
        ("@c(x)\n", "x\r\n"),
        ("1234567\n@c(ab)\n@c(abc)\n@r(ab)\n", "1234567\r\n  ab\r\n  abc\r\n     ab\r\n"),
        (
            "@center(two\nlines here\nx)\n0123456789abcdef\n",
            "      two\r\n   lines here\r\n       x\r\n0123456789abcdef\r\n",
        ),
        (
            "@c(@l(left)in@r(right)c)\n0123456789012345678901234567890\n",
            "left          inc         right\r\n0123456789012345678901234567890\r\n",
        ),
        ("@r(R1)L1@c(C1)L2@r(R2)@c(C2)\n", "L1L2 C1C2 R1R2\r\n"),
        ("@r(a)\n@c(b)\nlong enough line\n", "               a\r\n       b\r\nlong enough line\r\n"),
        ("a@r(b)", "a b"),
        ("a\nb", "a\r\nb\r\n"),
        ("", ""),
        ("\n", "\r\n"),
        ("22:@c(@l()x)@b(@r())\n\n", "22: x\r\n\r\n"),
        ("@c(@beep())x", "x \x07"),
        ("6:@r(@beep())x@c(abc)\nlonger one line", "6:x   abc     \x07\r\nlonger one line\r\n"),
    ] {
        assert_eq!(plain(text), expected, "{text:?}");
    }
}

#[test]
fn every_piece_has_its_codes() {
    for (text, expected) in [
        ("plain @b(bold) @i[italic] @b{@i<both>} @b(x@roman(y)z)", "plain [bold] {italic} [both] [x]y[z]"),
        ("@b(a\n\nb)", "[a]\r\n\r\n[b]\r\n"),
        ("@b(a@@b)@c(@i(x))\n1234567890", "[a@b] {x}\r\n1234567890\r\n"),
        ("@b(@beep(x))y", "[*][x]y"),
        ("@i(@beep(@b(x)))", "{*}[x]"),
    ] {
        assert_eq!(String::from_utf8_lossy(&shown(text.as_bytes(), &legible())), expected, "{text:?}");
    }
    let only_bold = Codes { italic: None, ..legible() };
    assert_eq!(shown(b"@b(x)@i(y)@i(@b(z))", &only_bold), b"[x]y[z]");
    let only_italic = Codes { bold: None, ..legible() };
    assert_eq!(shown(b"@b(x)@i(y)@i(@b(z))", &only_italic), b"x{y}z");
}

#[test]
fn columns_are_counted_and_not_octets() {
    assert_eq!(
        plain("@r(世界)\n@r(é)\n@r(e\u{301})\n12345678\n"),
        "    世界\r\n       é\r\n       e\u{301}\r\n12345678\r\n"
    );
    assert_eq!(plain("@c(世界)\n12345678\n"), "  世界\r\n12345678\r\n");
    let latin_1 = Charsets { notice: b"UTF-8", terminal: b"ISO-8859-1" };
    let (windowgram, _) = Windowgram::new("@r(éé)\nabc\n".as_bytes(), latin_1);
    assert_eq!(present(&windowgram, &Codes::plain()), b" \xe9\xe9\r\nabc\r\n");
}

#[test]
fn what_arises_by_cutting_and_joining_is_seen() {
    assert_eq!(plain("\x1b[31mred\x07\x08\r\x7f"), "\x1b[31mred\x07\x08\r\x7f", "a description may do so");
    assert_eq!(plain("\u{9b}31m \u{202e}x"), "\\u{9b}31m \\u{202e}x");
    assert_eq!(shown(b"\xe4\xb8@b(\x96)\xff", &legible()), b"\\xe4\\xb8[\\x96]\\xff");
    assert_eq!(plain("@r(\u{9b})\n12345678"), "  \\u{9b}\r\n12345678\r\n", "what is seen is counted");
    for terminal in [&b"ISO-8859-1"[..], b"KOI8-R", b"ANSI_X3.4-1968"] {
        let (windowgram, _) = Windowgram::new(b"\x1b[1m\x9b2J\xe9", Charsets { notice: b"UNKNOWN", terminal });
        assert_eq!(present(&windowgram, &Codes::plain()), b"\x1b[1m\\x9b2J\xe9");
    }
}

#[test]
fn blanks_have_an_end() {
    let lines = |right: usize| format!("{}\n{}", "x".repeat(1 << 10), "@r(y)\n".repeat(right));
    let some = plain(&lines(1000));
    assert_eq!(some.len(), (1 << 10) + 2 + 1000 * ((1 << 10) + 2));
    let many = plain(&format!("{}a@r(b)\na@c(bc)\n", lines(1100)));
    assert_eq!(many, format!("{}\r\n{}a b\r\na bc\r\n", "x".repeat(1 << 10), "y\r\n".repeat(1100)));
}

/// The costliest that 400,000 octets can be.
#[test]
fn large_windowgrams_take_no_time() {
    for part in ["\n", "@r(", "@r(a)\n", "@b(a)", "a", "@b(", "@beep()", "\u{202e}", "@c(\n", "世", "e\u{301}"] {
        let text = part.repeat(400_000 / part.len());
        let length = shown(text.as_bytes(), &legible()).len();
        assert!(length <= 4 * text.len() + MAX_PADDING, "{part:?}: {length}");
    }
    let wide = format!("{}\n{}", "x".repeat(200_000), "@r(y)\n".repeat(33_000));
    assert!(plain(&wide).len() < 400_000);
}

proptest! {
    #[test]
    fn what_is_verbatim_is_shown_as_it_is(text in "[ -?A-~\n]{0,60}") {
        let expected = text.strip_suffix('\n').unwrap_or(&text).replace('\n', "\r\n");
        let shown = shown(&verbatim(text.as_bytes()), &Codes::plain());
        let shown = shown.strip_suffix(b"\r\n").unwrap_or(&shown);
        prop_assert_eq!(String::from_utf8_lossy(shown), expected);
    }

    #[test]
    fn lines_are_not_wider_than_the_widest_has_to_be(text in any_text()) {
        let shown = String::from_utf8(shown(&text, &Codes::plain())).expect("UTF-8");
        let (windowgram, _) = Windowgram::new(&text, Charsets { notice: b"UNKNOWN", terminal: b"UTF-8" });
        let widest = windowgram.lines().map(|line| Line::new(line, true).width()).max().unwrap_or_default();
        for line in shown.split("\r\n") {
            prop_assert!(screen::columns(line) <= widest);
        }
    }
}
