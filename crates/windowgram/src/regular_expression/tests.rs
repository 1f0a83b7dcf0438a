use super::*;

fn is_match(pattern: &str, text: &str) -> bool {
    matches(pattern.as_bytes(), text.as_bytes()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

#[test]
fn what_matches() {
    for (pattern, matching, others) in [
        ("b", &["b", "abc"][..], &["", "B"][..]),
        ("", &["", "a"], &[]),
        ("^a.c$", &["abc", "a\nc", "aéc"], &["xabc", "abcd", "abc\n"]),
        ("ab*c", &["ac", "abbc"], &["adc"]),
        ("*a", &["*a"], &["a"]),
        ("^*a", &["*a"], &["a", "**b"]),
        ("\\(*a\\)", &["*a"], &["a"]),
        ("a\\+b\\?$", &["a", "aab"], &["b", "abb"]),
        ("a+b?", &["a+b?"], &["aab"]),
        ("^\\(a\\|bc\\)$", &["a", "bc"], &["c", "abc"]),
        ("a|b", &["a|b"], &["a"]),
        ("x\\{2,3\\}y", &["xxy", "xxxy"], &["xy"]),
        ("^x\\{,2\\}y", &["y", "xxy"], &["xxxy"]),
        ("^x\\{2\\}$", &["xx"], &["x", "xxx"]),
        ("^x\\{2,\\}$", &["xx", "xxxx"], &["x"]),
        ("^\\(a*\\)-\\1$", &["aa-aa", "-"], &["aa-a"]),
        ("a^b$c", &["a^b$c"], &["abc"]),
        ("\\(^a\\)\\|b$", &["ax", "xb"], &["xa"]),
        ("[]x-]", &["]", "x", "-"], &["a"]),
        ("^[^[:space:]0-9]*$", &["ab", ""], &["a b", "1"]),
        ("[[.-.]]", &["-"], &["."]),
        ("[\\n]", &["\\", "n"], &["\n"]),
        ("^[[:alpha:]_]*$", &["é_a"], &["1"]),
        ("\\<is\\>", &["it is", "is"], &["this"]),
        ("\\bis\\B", &["isn"], &["is"]),
        ("^\\w\\W\\s\\S$", &["a- b"], &["a-b-"]),
        ("\\.\\/", &["./"], &["a/"]),
    ] {
        matching.iter().for_each(|text| assert!(is_match(pattern, text), "{pattern} {text:?}"));
        others.iter().for_each(|text| assert!(!is_match(pattern, text), "{pattern} {text:?}"));
    }
}

#[test]
fn what_is_wrong() {
    for (pattern, error) in [
        ("a\\", "Trailing backslash"),
        ("\\(a", "Unmatched ( or \\("),
        ("a\\)", "Unmatched ( or \\("),
        ("[a", "Unmatched [, [^, [:, [., or [="),
        ("[", "Invalid regular expression"),
        ("[z-a]", "Invalid range end"),
        ("[a-c-e]", "Invalid range end"),
        ("[[:alpha:]-z]", "Invalid range end"),
        ("[[:letter:]]", "Invalid character class name"),
        ("[[.space.]]", "Invalid collation character"),
        ("\\1\\(a\\)", "Invalid back reference"),
        ("\\(a\\1\\)", "Invalid back reference"),
        ("a**", "Invalid preceding regular expression"),
        ("\\{1\\}", "Invalid preceding regular expression"),
        ("a\\{x\\}", "Invalid content of \\{\\}"),
        ("a\\{2,1\\}", "Invalid content of \\{\\}"),
        ("a\\{\\}", "Invalid content of \\{\\}"),
        ("a\\{1", "Unmatched \\{"),
        ("a\\{40000\\}", "Regular expression too big"),
    ] {
        assert_eq!(matches(pattern.as_bytes(), b"").unwrap_err().to_string(), error, "{pattern}");
    }
}

#[test]
fn octets_that_are_no_text_are_characters() {
    assert_eq!(matches(b"^a.b$", b"a\xffb"), Ok(true));
    assert_eq!(matches(b"[\xf0-\xff]", b"a\xf8"), Ok(true));
    assert_eq!(matches("é".as_bytes(), b"\xe9"), Ok(false));
}

#[test]
fn what_takes_too_much_is_refused() {
    let nested = "\\(".repeat(1000) + &"\\)".repeat(1000);
    let exponential = "\\(a*\\)*\\1\\(a*\\)*\\2\\(a*\\)*\\3b";
    let repeated = "\\(\\(\\(x\\{1000\\}\\)\\{1000\\}\\)\\{1000\\}\\)";
    let repetitions = "a".to_owned() + &"\\?".repeat(100);
    for pattern in [&nested, exponential, repeated, &"x".repeat(5000), &repetitions] {
        assert_eq!(matches(pattern.as_bytes(), "a".repeat(200).as_bytes()), Err(PatternError::TooBig), "{pattern}");
    }
}
