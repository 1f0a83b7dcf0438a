//! The descriptions in the guide and in the manual page are right.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{fs, path::Path};
use zephyr_windowgram::language::{Program, parse};

fn text_of(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)).unwrap()
}

/// The texts between two kinds of lines.
fn between(page: &str, begin: &str, end: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut lines = page.lines();
    while lines.any(|line| line == begin) {
        texts.push(lines.by_ref().take_while(|line| *line != end).map(|line| format!("{line}\n")).collect());
    }
    texts
}

fn parsed(text: &str) -> Program {
    let show = |problem: &zephyr_windowgram::language::Problem| problem.excerpt(text.as_bytes(), "page");
    parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{}", problems.iter().map(show).collect::<String>()))
}

#[test]
fn those_of_the_guide() {
    let texts = between(&text_of("guide/windowgrams.md"), "```text", "```");
    assert!(texts.len() >= 5, "{texts:?}");
    texts.iter().for_each(|text| assert!(!parsed(text).statements.is_empty(), "{text}"));
}

#[test]
fn that_of_the_manual_page() {
    let texts = between(&text_of("man/zwgc.desc.5"), ".Bd -literal -offset indent", ".Ed");
    assert_eq!(texts.len(), 1);
    assert_eq!(parsed(&texts[0].replace("\\e", "\\")).statements.len(), 2);
}
