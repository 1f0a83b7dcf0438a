//! What the parser says of a value, in words of the file's author: it speaks of types of Rust.

use super::one_line;

/// Kinds of values as the parser names what it found, before the value itself.
const KINDS: [&str; 5] = ["integer ", "boolean ", "floating point ", "string ", "character "];

/// The parser's message about a value, as "expected …, not …" where it has such a message.
pub(super) fn of_value(message: &str) -> String {
    let message = one_line(message).replace('`', "");
    let kinds = ["invalid type: ", "invalid value: ", "unknown variant "];
    let parts = kinds.iter().find_map(|kind| message.strip_prefix(kind)?.rsplit_once(", expected "));
    match parts {
        Some((found, expected)) => format!("expected {}, not {}", wanted(expected), given(found)),
        None => message,
    }
}

/// What is expected.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" => "a text in quotes",
        "a sequence" => "a list in [ ]",
        other => other,
    }
}

/// What stands there.
fn given(found: &str) -> &str {
    match found {
        "sequence" => "a list",
        "map" => "a section",
        found => KINDS.iter().find_map(|kind| found.strip_prefix(kind)).unwrap_or(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, de::DeserializeOwned};
    use std::fmt::Debug;
    use toml::de::{DeValue, ValueDeserializer};

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        One,
        Two,
        Three,
    }

    fn told<T: DeserializeOwned + Debug>(value: &str) -> String {
        let value = DeValue::parse(value).unwrap();
        of_value(T::deserialize(ValueDeserializer::from(value)).unwrap_err().message())
    }

    #[test]
    fn no_types_of_rust() {
        for (said, expected) in [
            (told::<usize>("true"), "expected a whole number from 0, not true"),
            (told::<usize>("-1"), "expected a whole number from 0, not -1"),
            (told::<u32>("99999999999"), "expected a whole number from 0, not 99999999999"),
            (told::<u64>("\"7\""), "expected a whole number from 0, not \"7\""),
            (told::<u64>("1.5"), "expected a whole number from 0, not 1.5"),
            (told::<bool>("7"), "expected true or false, not 7"),
            (told::<String>("7"), "expected a text in quotes, not 7"),
            (told::<String>("[\"a\"]"), "expected a text in quotes, not a list"),
            (told::<String>("{ a = 1 }"), "expected a text in quotes, not a section"),
            (told::<Vec<String>>("\"a\""), "expected a list in [ ], not \"a\""),
            (told::<Vec<String>>("[7]"), "expected a text in quotes, not 7"),
            (told::<Word>("\"four\""), "expected one of one, two, three, not four"),
        ] {
            assert_eq!(said, expected);
        }
        let words = [told::<Word>("7"), told::<Word>("\"\"")];
        assert!(words.iter().all(|word| !word.contains('`')), "{words:?}");
    }
}
