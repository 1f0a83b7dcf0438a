//! Texts with markup are quoted, laid out and shown, whatever octets they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_windowgram::{
    charsets::Charsets,
    layout::Windowgram,
    markup::{self, Item},
    terminal::{self, Codes, MAX_PADDING, terminfo::Terminfo},
};

fuzz_target!(|text: &[u8]| {
    let verbatim = markup::verbatim(text);
    // Two such signs are one, unless something else has to be quoted.
    if !text.windows(2).any(|two| two == b"@@") {
        assert_eq!(shown(&verbatim), text);
    }
    assert!(markup::strip_styles(text).len() <= text.len());
    let protected = markup::protect(text);
    assert_eq!(shown(&protected), shown(text));
    for (opener, closer) in [("@b(", ")"), ("@<", ">"), ("@left[", "]"), ("@_{", "}")] {
        assert!(is_one_environment(&[opener.as_bytes(), &protected, closer.as_bytes()].concat()));
    }
    for (notice, terminal) in [("UNKNOWN", "UTF-8"), ("UTF-8", "ISO-8859-1"), ("ISO-8859-1", "UTF-8"), ("UTF-8", "X")] {
        let charsets = Charsets { notice: notice.as_bytes(), terminal: terminal.as_bytes() };
        let (windowgram, _) = Windowgram::new(text, charsets);
        let presented = terminal::present(&windowgram, &Codes::plain());
        assert!(presented.len() <= 8 * text.len() + MAX_PADDING);
        if terminal == "UTF-8" {
            let presented = str::from_utf8(&presented).expect("what is no text is escaped");
            assert!(!presented.chars().any(|character| ('\u{80}'..='\u{9f}').contains(&character)));
        }
    }
    if let Some(terminfo) = Terminfo::parse(text) {
        Codes::of(&terminfo);
    }
});

/// What is shown of a text without styles that hide it.
fn shown(text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for item in markup::items(text) {
        match item {
            Item::Text(text) => shown.extend(text),
            Item::At => shown.push(b'@'),
            Item::Newline => shown.push(b'\n'),
            Item::Open(..) | Item::Close(_) => {}
        }
    }
    shown
}

/// Whether a text is one environment from its beginning to its end.
fn is_one_environment(text: &[u8]) -> bool {
    let (mut depth, mut ends) = (0_usize, 0_usize);
    for item in markup::items(text) {
        match item {
            Item::Open(..) => depth += 1,
            Item::Close(_) => {
                depth -= 1;
                ends += usize::from(depth == 0);
            }
            Item::Text(_) | Item::At | Item::Newline if depth == 0 => return false,
            Item::Text(_) | Item::At | Item::Newline => {}
        }
    }
    ends == 1
}
