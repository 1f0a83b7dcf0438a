use super::*;
use crate::markup::tests::any_text;
use proptest::prelude::*;

const AS_IT_IS: Charsets<'static> = Charsets { notice: b"UNKNOWN", terminal: b"UTF-8" };

/// The pieces of each line: where and how, and what.
fn laid_out(text: &str) -> Vec<String> {
    let (windowgram, error) = Windowgram::new(text.as_bytes(), AS_IT_IS);
    assert_eq!(error, None);
    let line = |line: &[Piece]| line.iter().map(piece).collect::<Vec<_>>().join("|");
    windowgram.lines().map(line).collect()
}

fn piece(piece: &Piece) -> String {
    let place = match piece.alignment {
        Alignment::Left => "",
        Alignment::Centre => "c",
        Alignment::Right => "r",
    };
    let text = match &piece.content {
        Content::Text(text) => text.escape_ascii().to_string(),
        Content::Bell => "BELL".to_owned(),
    };
    let (bold, italic) = (if piece.bold { "b" } else { "" }, if piece.italic { "i" } else { "" });
    format!("{place}{bold}{italic}:{text}")
}

#[test]
fn environments_make_styles() {
    for (text, expected) in [
        ("@b(1@i(2@roman(3)4)5)6@c(7)8", "b:1|bi:2|:3|bi:4|b:5|:6|c:7|:8"),
        ("@bold(x)@italic(y)@left(@center(a)@right(@l(b)c))", "b:x|i:y|c:a|:b|r:c"),
        ("@B(x)@Center(y)@large(z)@(q)", ":x|:y|:z|:q"),
        ("@b(a@@b)c", "b:a@b|:c"),
        ("@b()x@i(@b())", ":x"),
        ("@b(@color(red)x)y @color(@b(z)w)v@font<a>", "b:x|:y |:v"),
    ] {
        assert_eq!(laid_out(text), [expected], "{text:?}");
    }
}

#[test]
fn one_bell() {
    for (text, expected) in [
        ("@beep[in]side", ":BELL|:in|:side"),
        ("@b(a@beep(x)b)", "b:a|b:BELL|b:x|b:b"),
        ("@beep(@beep(x))@beep()y", ":BELL|:x|:y"),
        ("@color(@beep(y))x@beep()", ":x|:BELL"),
        ("@r(@beep())", "r:BELL"),
    ] {
        assert_eq!(laid_out(text), [expected], "{text:?}");
    }
}

#[test]
fn lines() {
    for (text, expected, ends) in [
        ("", &[][..], false),
        ("a", &[":a"], false),
        ("@b()", &[], false),
        ("\n", &[""], true),
        ("a\nb", &[":a", ":b"], true),
        ("a\n", &[":a"], true),
        ("a\n@b()", &[":a"], true),
        ("a\n@beep()", &[":a", ":BELL"], true),
        ("@b(a\n\nb)", &["b:a", "", "b:b"], true),
        ("@color(a\nb\n)x", &["", "", ":x"], true),
    ] {
        assert_eq!(laid_out(text), expected, "{text:?}");
        assert_eq!(Windowgram::new(text.as_bytes(), AS_IT_IS).0.ends_lines(), ends, "{text:?}");
    }
}

#[test]
fn each_piece_is_converted_alone() {
    let to_latin_1 = Charsets { notice: b"UTF-8", terminal: b"ISO-8859-1" };
    let shown = |text: &[u8]| {
        let (windowgram, error) = Windowgram::new(text, to_latin_1);
        assert!(!windowgram.is_utf8());
        let pieces: Vec<_> = windowgram.lines().flatten().map(piece).collect();
        (pieces.join("|"), error)
    };
    assert_eq!(shown("é@b(€)".as_bytes()), (":\\xe9|b:?".to_owned(), None));
    assert_eq!(
        shown(b"\xc3\xa9@b(\xff)\xc3\xa9"),
        (":\\xe9|b:\\xff|:\\xe9".to_owned(), Some(ConversionError::Invalid))
    );
    assert_eq!(
        shown(b"@b(\xff)\xc3"),
        ("b:\\xff|:\\xc3".to_owned(), Some(ConversionError::Incomplete)),
        "the last reason"
    );
    assert_eq!(shown(b"@color(\xff)x"), (":x".to_owned(), None), "what is not shown is not converted");
    assert!(Windowgram::new(b"", AS_IT_IS).0.is_utf8());
}

proptest! {
    #[test]
    fn pieces_are_never_empty_and_lines_never_have_newlines(text in any_text()) {
        let (windowgram, _) = Windowgram::new(&text, AS_IT_IS);
        let newlines = text.iter().filter(|&&octet| octet == b'\n').count();
        prop_assert_eq!(windowgram.ends_lines(), newlines > 0);
        prop_assert!((newlines..=newlines + 1).contains(&windowgram.lines().count()));
        let mut bells = 0;
        for piece in windowgram.lines().flatten() {
            match &piece.content {
                Content::Text(text) => prop_assert!(!text.is_empty() && !text.contains(&b'\n')),
                Content::Bell => bells += 1,
            }
        }
        prop_assert!(bells <= 1);
    }
}
