//! `/etc/default/zephyr-clients`: the shell variable `zhm_args`, which Debian's start script puts behind `zhm`.

use crate::ServerName;

const VARIABLE: &str = "zhm_args";

/// The servers among the arguments of the last assignment: options are left out, and words that are no host names, such as
/// `$HOSTS`, which a shell would replace.
pub fn servers(content: &str) -> Vec<ServerName> {
    let arguments = assignments(content).filter(|(name, _)| name == VARIABLE).last();
    let words = arguments.as_ref().map(|(_, value)| value.as_str()).unwrap_or_default().split_ascii_whitespace();
    words.filter(|word| !word.starts_with('-')).filter_map(|word| word.parse().ok()).collect()
}

/// The assignments of a file that a shell would read, as far as they are plain ones.
fn assignments(content: &str) -> impl Iterator<Item = (String, String)> {
    words(content).into_iter().filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
}

/// The words of a shell's text, with what is quoted as one, and without comments.
fn words(content: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = content.chars();
    while let Some(char) = chars.next() {
        match char {
            '#' if word.is_none() => {
                // To the line's end.
                let _ = chars.by_ref().find(|&char| char == '\n');
            }
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|&char| char != '\'')),
            '"' => double_quoted(&mut chars, word.get_or_insert_default()),
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            ';' | '&' | '|' => words.extend(word.take()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn double_quoted(chars: &mut impl Iterator<Item = char>, word: &mut String) {
    while let Some(char) = chars.next() {
        match char {
            '"' => return,
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_the_words_that_are_no_options() {
        for (content, expected) in [
            ("# as shipped\nzhm_args=\"one.test two.test\"\n", vec!["one.test", "two.test"]),
            ("zhm_args=one.test # zhm_args=no\n#zhm_args=no\n", vec!["one.test"]),
            ("zhm_args='-N -f  one.test:2203\ttwo'\n", vec!["one.test:2203", "two"]),
            ("export zhm_args=\"-h \\\n one.test\"; other=x", vec!["one.test"]),
            ("zhm_args=a\nzhm_args=b\nnot_zhm_args=c\n", vec!["b"]),
            ("zhm_args=\"$HOSTS `hostname` one.test\"", vec!["one.test"]),
            ("zhm_args=\\a.test", vec!["a.test"]),
            ("zhm_args=", vec![]),
            ("zhm_args = a", vec![]),
            ("zhm_args=\"one.test", vec!["one.test"]),
            ("", vec![]),
        ] {
            let found: Vec<String> = servers(content).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{content}");
        }
    }
}
