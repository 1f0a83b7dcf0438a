//! Descriptions of windowgrams are parsed, or refused with places that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zephyr_windowgram::language::{self, MAX_PROBLEMS};

fuzz_target!(|text: &[u8]| {
    let Err(problems) = language::parse(text) else { return };
    assert!((1..=MAX_PROBLEMS).contains(&problems.len()));
    let lines = text.iter().filter(|&&octet| octet == b'\n').count() + 1;
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line) && (1..=lines).contains(&problem.c_line()));
        let excerpt = problem.excerpt(text, "description");
        assert_eq!(excerpt.lines().count(), 3);
        assert!(!excerpt.chars().any(|character| character.is_control() && character != '\n'));
    }
});
