//! Completions in the shells' own languages.

use super::help::CommandOption;
use std::fmt::Write as _;

const MADE: &str = "Made by `cargo xtask completions` of what --help says.";

/// A file for bash-completion.
pub(super) fn bash(command: &str, options: &[CommandOption]) -> String {
    let names = |wanted: fn(&CommandOption) -> bool, separator: &str| {
        let names: Vec<_> = options.iter().filter(|option| wanted(option)).map(|option| option.name.as_str()).collect();
        names.join(separator)
    };
    let mut cases = String::new();
    for (pattern, completed) in [
        (names(CommandOption::takes_file, " | "), "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")"),
        (names(|option| option.value.is_some() && !option.takes_file(), " | "), "COMPREPLY=()"),
    ] {
        if !pattern.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(cases, "    {pattern})\n        {completed}\n        return\n        ;;");
        }
    }
    let cases = if cases.is_empty() { cases } else { format!("    case $previous in\n{cases}    esac\n") };
    let function = command.replace('-', "_");
    let all = names(|_| true, " ");
    format!(
        "# Completion of {command} for bash. {MADE}\n\n\
         _{function}() {{\n    \
             local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}\n\
             {cases}    \
             COMPREPLY=()\n    \
             [[ $current == -* ]] && mapfile -t COMPREPLY < <(compgen -W '{all}' -- \"$current\")\n    \
             return 0\n\
         }}\n\n\
         complete -o filenames -F _{function} {command}\n"
    )
}

/// A function for zsh's completion system.
pub(super) fn zsh(command: &str, options: &[CommandOption]) -> String {
    let mut arguments = String::new();
    for option in options {
        let text = option.text.replace('\'', "'\\''").replace('[', "\\[").replace(']', "\\]").replace(':', "\\:");
        let value = match &option.value {
            Some(value) if option.takes_file() => format!(":{value}:_files"),
            Some(value) => format!(":{value}: "),
            None => String::new(),
        };
        let _ = write!(arguments, " \\\n    '{}[{text}]{value}'", option.name);
    }
    format!(
        "#compdef {command}\n# Completion of {command} for zsh. {MADE}\n\n_arguments{arguments} \\\n    '*: :_users'\n"
    )
}

/// A file for fish.
pub(super) fn fish(command: &str, options: &[CommandOption]) -> String {
    let mut lines = format!(
        "# Completion of {command} for fish. {MADE}\n\ncomplete -c {command} -f -a '(__fish_complete_users)'\n"
    );
    for option in options {
        let name = option.name.trim_start_matches('-');
        let kind = match (option.name.starts_with("--"), name.len()) {
            (true, _) => 'l',
            (false, 1) => 's',
            (false, _) => 'o',
        };
        let value = match &option.value {
            Some(_) if option.takes_file() => " -r -F",
            Some(_) => " -x",
            None => "",
        };
        let text = option.text.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = writeln!(lines, "complete -c {command} -{kind} {name}{value} -d '{text}'");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn options() -> Vec<CommandOption> {
        let option = |name: &str, value: Option<&str>| CommandOption {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            text: "it's [so]".to_owned(),
        };
        vec![option("-a", None), option("-log", Some("DIR")), option("--json", None), option("--format", Some("WORD"))]
    }

    /// What bash completes after these words.
    fn completed(words: &[&str]) -> String {
        let script = bash("zcmd", &options());
        let words = words.join(" ");
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _zcmd; echo \"${{COMPREPLY[*]}}\""
        );
        let output = Command::new("bash").args(["-ec", &ask]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn bash_completes_options_and_files() {
        assert_eq!(completed(&["zcmd", "-"]), "-a -log --json --format");
        assert_eq!(completed(&["zcmd", "--j"]), "--json");
        assert_eq!(completed(&["zcmd", "-log", "Cargo.t"]), "Cargo.toml");
        assert_eq!(completed(&["zcmd", "--format", "-"]), "");
        assert_eq!(completed(&["zcmd", "x"]), "");
    }

    #[test]
    fn texts_are_quoted() {
        assert!(zsh("zcmd", &options()).contains(" \\\n    '-log[it'\\''s \\[so\\]]:DIR:_files'"));
        assert!(fish("zcmd", &options()).contains("complete -c zcmd -o log -r -F -d 'it\\'s [so]'\n"));
        assert!(fish("zcmd", &options()).contains("complete -c zcmd -l format -x -d"));
    }
}
