//! Descriptions of all kinds: what is written and parsed again is the same, and no text is too odd for the parser.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod printer;
mod strategies;

use proptest::{collection::vec, prelude::*};
use zephyr_windowgram::language::{MAX_PROBLEMS, Program, parse};

/// Parses a text and looks at what was found.
fn examine(text: &[u8]) {
    let Err(problems) = parse(text) else { return };
    assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
    let lines = text.iter().filter(|&&octet| octet == b'\n').count() + 1;
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line) && problem.column >= 1, "{problem:?}");
        // After a sign that wants another one, a line's end is taken away before the line is said.
        assert!((1..=lines).contains(&problem.c_line()), "{problem:?}");
        let excerpt = problem.excerpt(text, "file");
        assert_eq!(excerpt.lines().count(), 3, "{excerpt}");
        assert!(!excerpt.chars().any(|character| character.is_control() && character != '\n'), "{excerpt}");
    }
    for (index, problem) in problems.iter().enumerate() {
        assert!(!problems[..index].contains(problem), "twice: {problem:?}");
    }
}

/// Texts that are nearly descriptions.
fn scraps() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "if ",
        "then ",
        "elseif ",
        "else ",
        "endif ",
        "case ",
        "match ",
        "default ",
        "endcase ",
        "while ",
        "do ",
        "endwhile ",
        "set ",
        "x ",
        "= ",
        "\"a\" ",
        "$x ",
        "( ",
        ") ",
        ", ",
        "+ ",
        "== ",
        "=~ ",
        "! ",
        "& ",
        "| ",
        "lany ",
        "get ",
        "buffer ",
        "show ",
        "endshow ",
        "put ",
        "print ",
        "fields ",
        "noop ",
        "\n",
        "\"",
        "\\",
        "/*",
        "*/",
        "#",
        "$",
        "/",
        "@",
        ".",
        "\r",
        "\0",
        "\u{e9}",
        "\u{1b}",
        "If ",
        "exec ",
        "execport ",
        "break ",
        "closeport ",
    ];
    vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn no_octets_are_too_odd(text in vec(any::<u8>(), 0..300)) {
        examine(&text);
    }

    #[test]
    fn no_words_are_too_odd(text in scraps()) {
        examine(&text);
    }

    #[test]
    fn what_is_written_is_read(statements in strategies::statements()) {
        let program = Program { statements };
        let text = printer::printed(&program);
        prop_assert_eq!(parse(&text), Ok(program), "{}", text.escape_ascii());
    }

    /// A description in which something is missing, is cut off or is other.
    #[test]
    fn broken_descriptions_are_told(statements in strategies::statements(), at in any::<prop::sample::Index>(), by in any::<u8>()) {
        let mut text = printer::printed(&Program { statements });
        text.push(b'\n');
        let at = at.index(text.len());
        examine(&text[..at]);
        text[at] = by;
        examine(&text);
        text.remove(at);
        examine(&text);
    }
}
