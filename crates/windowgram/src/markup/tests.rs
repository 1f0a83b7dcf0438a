use super::*;
use proptest::{collection::vec, prelude::*, sample::select};

/// The parts as they would be written, with `|` between them.
fn written(text: &str) -> String {
    let parts = items(text.as_bytes()).map(|item| match item {
        Item::Open(name, bracket) => format!("@{}{}", name.escape_ascii(), char::from(bracket.opener())),
        Item::Close(bracket) => char::from(bracket.closer()).to_string(),
        Item::Text(text) => text.escape_ascii().to_string(),
        Item::At => "@@".to_owned(),
        Item::Newline => "\\n".to_owned(),
    });
    parts.collect::<Vec<_>>().join("|")
}

#[test]
fn parts_of_a_text() {
    for (text, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("@b(x)y", "@b(|x|)|y"),
        ("@(x]y)", "@(|x]y|)"),
        ("@b(a(b)c)", "@b(|a(b|)|c)"),
        ("@b(a@i[b)c]d)e)f", "@b(|a|@i[|b)c|]|d|)|e)f"),
        ("@b<a\nb>", "@b<|a|\\n|b|>"),
        ("@b{unclosed@i(", "@b{|unclosed|@i(|)|}"),
        ("x)y]", "x)y]"),
        ("a@@b(c)", "a|@@|b(c)"),
        ("@@@b(c)", "@@|@b(|c|)"),
        ("user@host.org @- @", "user@host.org @- @"),
        ("@b @_9(x)", "@b |@_9(|x|)"),
        ("@b\u{e9}(x)", "@b\\xc3\\xa9(x)"),
        ("@b()", "@b(|)"),
    ] {
        assert_eq!(written(text), expected, "{text:?}");
    }
}

/// The examples that the C program was asked about.
#[test]
fn protected_texts() {
    for (text, expected) in [
        ("@i[@b(x", "@i[@b(x)]"),
        ("@@(x)", "@<@@(x)>"),
        ("@foo{a}b}", "@foo{a}@<b}>"),
        (")@b(", "@<)>@b()"),
        ("@(x]y)", "@(x]y)"),
        ("", ""),
        ("mix ) ] } >", "mix @<)> @{]} @(}) @[>]"),
        ("@b<a>b>", "@b<a>@[b>]"),
        ("x@y(z", "x@y(z)"),
        // Here C makes `@@<)>`, whose `)` ends an environment around it.
        ("@)]}>", "@(@)@<)>@{]}@(})@[>]"),
        ("@@)]}>", "@@@<)>@{]}@(})@[>]"),
    ] {
        assert_eq!(protect(text.as_bytes()).escape_ascii().to_string(), expected, "{text:?}");
    }
}

#[test]
fn verbatim_texts() {
    for (text, expected) in [
        ("@b(x)", "@(@)b@<(>x@<)>"),
        ("@b<x>", "@(@)b@[<]x@[>]"),
        ("@@", "@@"),
        ("@", "@"),
        ("@(x)", "@(@)@<(>x@<)>"),
        ("user@host(x)", "user@(@)host@<(>x@<)>"),
        ("", ""),
        ("()<>[]{}@", "@<(>@<)>@[<]@[>]@{[}@{]}@({)@(})@(@)"),
        ("a@@b(c)", "@<a@@b(c)>"),
        ("@@@)", "@<@@@)>"),
        ("<x", "@[<x]"),
        ("<x]", "@{<x]}"),
        ("<x]}", "@(<x]})"),
    ] {
        assert_eq!(verbatim(text.as_bytes()).escape_ascii().to_string(), expected, "{text:?}");
    }
}

#[test]
fn texts_without_their_styles() {
    for (text, expected) in [
        ("@@", "@@"),
        ("a@b", "a@b"),
        ("@b(unclosed", "unclosed"),
        ("x)y", "x)y"),
        ("@b(a]b)c", "a]bc"),
        ("@center(x\ny)", "x\ny"),
        ("@color(a@b(c)d)e", "ce"),
        ("@b(@color(a)b@FoNt[@b(c\nd)]e)f", "bc\ndef"),
        ("@font(a@b(@i(c)x@u(y))z)e", "cxye"),
        ("@color(a@color(b)c)d", "d"),
        ("@@b(x)y", "@xy"),
        ("@(@)@b(@@@i<)>)", "@@@)"),
        ("@colors(z)", "z"),
    ] {
        assert_eq!(strip_styles(text.as_bytes()).escape_ascii().to_string(), expected.replace('\n', "\\n"), "{text:?}");
    }
}

/// Texts in which there is much markup.
pub(crate) fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => select(&b"@@@(<[{)>]}\nab "[..]).prop_map(|octet| vec![octet]),
        2 => select(&["@b(", "@i[", "@c{", "@r<", "@l(", "@beep(", "@color(", "@font<", "@roman{"][..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|octet| vec![octet]),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

/// What is shown of a text, when nothing hides it.
fn shown(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for item in items(text) {
        match item {
            Item::Text(text) => shown.extend(text),
            Item::At => shown.push(b'@'),
            Item::Newline => shown.push(b'\n'),
            Item::Open(..) | Item::Close(_) => {}
        }
    }
    shown
}

proptest! {
    #[test]
    fn environments_end_as_often_as_they_begin(text in any_text()) {
        let mut depth = 0_usize;
        for item in items(&text) {
            match item {
                Item::Open(..) => depth += 1,
                Item::Close(_) => depth = depth.checked_sub(1).expect("something is open"),
                Item::Text(text) => prop_assert!(!text.is_empty() && !text.contains(&b'\n')),
                Item::At | Item::Newline => {}
            }
        }
        prop_assert_eq!(depth, 0);
    }

    #[test]
    fn what_is_verbatim_shows_as_what_it_was(text in any_text()) {
        let quoted = verbatim(&text);
        let pairs = |text: &[u8]| text.windows(2).any(|two| two == b"@@");
        // Everything is quoted, or nothing is.
        let expected = if pairs(&text) && pairs(&quoted) { shown(&text) } else { text };
        prop_assert_eq!(shown(&quoted), expected);
    }

    #[test]
    fn what_is_protected_ends_nothing_around_it(text in any_text()) {
        for (opener, closer) in [("@b(", ")"), ("@b<", ">"), ("@b[", "]"), ("@b{", "}")] {
            let around = [opener.as_bytes(), &protect(&text), closer.as_bytes()].concat();
            let mut depth = 0_usize;
            let mut ends = 0_usize;
            for item in items(&around) {
                match item {
                    Item::Open(..) => depth += 1,
                    Item::Close(_) => {
                        depth -= 1;
                        ends += usize::from(depth == 0);
                    }
                    _ => prop_assert!(depth > 0, "{}", around.escape_ascii()),
                }
            }
            prop_assert_eq!(ends, 1);
        }
    }

    #[test]
    fn what_is_protected_shows_as_it_would_alone(text in any_text()) {
        prop_assert_eq!(shown(&protect(&text)), shown(&text));
    }
}

/// Of hostile sizes: this would not end if anything were done for each level of each level.
#[test]
fn deep_and_long_texts_take_no_time() {
    for part in ["@b(", "@", "@a", "@@", "@b()", ")", "a", "@b(\n)", "@color<"] {
        let text = part.repeat(400_000 / part.len()).into_bytes();
        assert_eq!(shown(&protect(&text)).len(), shown(&text).len());
        assert!(!verbatim(&text).is_empty());
        assert!(strip_styles(&text).len() <= text.len());
    }
    let name = [b"@".as_slice(), &b"a".repeat(400_000)].concat();
    assert_eq!(items(&name).count(), 1);
}
