//! What the help of a command says of its options: lines such as `-f FILE   the description`.

/// An option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandOption {
    /// With its dashes.
    pub(super) name: String,
    /// The name of its value, if it takes one.
    pub(super) value: Option<String>,
    /// What it does; may be empty.
    pub(super) text: String,
}

impl CommandOption {
    /// Whether its value is a file's or a directory's name.
    pub(super) fn takes_file(&self) -> bool {
        self.value.as_deref().is_some_and(|value| matches!(value, "FILE" | "DIR"))
    }
}

/// The options in the help, in its order. Of a line such as `-v, -q   say more; say less` all have the same text.
pub(super) fn options(help: &str) -> Vec<CommandOption> {
    help.lines().map(str::trim).filter(|line| line.starts_with('-')).flat_map(of_line).collect()
}

fn of_line(line: &str) -> Vec<CommandOption> {
    let (names, text) = line.split_once("  ").unwrap_or((line, ""));
    // A text that goes on in further lines ends where it can.
    let text = text.trim().trim_end_matches(|end: char| !end.is_alphanumeric() && !">)\"".contains(end));
    let option = |part: &str| {
        let mut words = part.split(' ');
        let name = words.next().filter(|name| name.starts_with('-'))?.to_owned();
        let value = words.next().map(str::to_owned);
        // Otherwise it is a sentence about the option.
        let is_value = |word: &String| word.starts_with(|first: char| first.is_ascii_uppercase());
        value.as_ref().is_none_or(is_value).then(|| CommandOption { name, value, text: text.to_owned() })
    };
    names.split(", ").filter_map(option).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_help() {
        let option = |name: &str, value: Option<&str>, text: &str| CommandOption {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            text: text.to_owned(),
        };
        let help = "Usage: x [-a]\n  -f excludes -a\n\n-a          with proof (default)\n  -f FILE     a file;\n              more - of it\n-v, -q  more; less\n--help, --version\n-display DISPLAY and others\n";
        assert_eq!(
            options(help),
            [
                option("-a", None, "with proof (default)"),
                option("-f", Some("FILE"), "a file"),
                option("-v", None, "more; less"),
                option("-q", None, "more; less"),
                option("--help", None, ""),
                option("--version", None, ""),
                option("-display", Some("DISPLAY"), ""),
            ]
        );
    }
}
