//! `/etc/default/zephyr-clients`: the shell variable `zhm_args`, which Debian's start script puts behind `zhm`.

use crate::{ServerName, server_list::Listed};

const VARIABLE: &str = "zhm_args";
/// The options of `zhm` behind which a word stands that is theirs.
pub const OPTIONS_WITH_VALUE: [&str; 3] = ["--listen", "--config-dir", "--pid-file"];
/// What stands before servers, where options end.
const END_OF_OPTIONS: &str = "--";

/// The servers among the arguments of the last assignment. Options and their values are left out. A word that is no host name,
/// such as `$HOSTS`, which a shell would replace, is wrong.
pub fn read(content: &str) -> Listed {
    let arguments = assignments(content).filter(|(name, _)| name == VARIABLE).last();
    let value = arguments.as_ref().map(|(_, value)| value.as_str()).unwrap_or_default();
    let Listed { mut names, mut wrong } = Listed::default();
    for word in servers(value) {
        match word.parse::<ServerName>() {
            Ok(name) => names.push(name),
            Err(error) => {
                wrong.get_or_insert_with(|| format!("{VARIABLE}: {error}"));
            }
        }
    }
    Listed { names, wrong }
}

/// The words that are meant to be servers.
fn servers(arguments: &str) -> Vec<&str> {
    let mut words = arguments.split_ascii_whitespace();
    let mut servers = Vec::new();
    while let Some(word) = words.next() {
        if word == END_OF_OPTIONS {
            servers.extend(words.by_ref());
        } else if OPTIONS_WITH_VALUE.contains(&word) {
            let _value = words.next();
        } else if !word.starts_with('-') {
            servers.push(word);
        }
    }
    servers
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
            ("zhm_args='--listen 127.0.0.1:2104 --pid-file pid --config-dir=etc --config-dir etc -N two'", vec!["two"]),
            ("zhm_args='--listen=127.0.0.1:2104 one two --pid-file'", vec!["one", "two"]),
            ("zhm_args='-N -- one two'", vec!["one", "two"]),
            ("", vec![]),
        ] {
            let found: Vec<String> = read(content).names.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{content}");
        }
    }

    #[test]
    fn a_word_that_is_no_server_is_told_and_costs_itself_alone() {
        for (content, names, wrong) in [
            ("zhm_args='bad_name:port ??'", 0, Some("zhm_args: expected HOST or HOST:PORT, not \"bad_name:port\"")),
            ("zhm_args=\"-N $SERVERS\"", 0, Some("zhm_args: expected HOST or HOST:PORT, not \"$SERVERS\"")),
            ("zhm_args='?? one.test'", 1, Some("zhm_args: expected HOST or HOST:PORT, not \"??\"")),
            ("zhm_args='-N --pid-file /run/x one.test'\nother='??'", 1, None),
        ] {
            let listed = read(content);
            assert_eq!((listed.names.len(), listed.wrong.as_deref()), (names, wrong), "{content}");
        }
    }
}
