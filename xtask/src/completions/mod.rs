//! Completions of the commands for bash, zsh and fish, made of what their `--help` says; and whether their manual pages say the same.

mod help;
mod manual;
mod shells;

use crate::{
    cargo::{cargo, step, top},
    setup,
};
use anyhow::{Context, Result, bail, ensure};
use help::CommandOption;
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};
use zephyr_testkit::{bins, packages};

/// The commands, and their manual pages.
const COMMANDS: [(&str, &str); 8] = [
    ("zwrite", "zwrite.1"),
    ("zwgc", "zwgc.1"),
    ("zlocate", "zlocate.1"),
    ("znol", "znol.1"),
    ("zstat", "zstat.8"),
    ("zaway", "zaway.1"),
    ("zleave", "zleave.1"),
    ("zshutdown_notify", "zshutdown_notify.8"),
];

/// Writes the completions anew.
pub(crate) fn write() -> Result<()> {
    for (path, text) in completions()? {
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text)?;
        println!("{}", path.strip_prefix(top()).unwrap_or(&path).display());
    }
    Ok(())
}

/// Compares the completions and the manual pages with the commands' options; an error when they are not the same.
pub(crate) fn check() -> Result<()> {
    for (path, text) in completions()? {
        let name = path.strip_prefix(top()).unwrap_or(&path).display();
        let present = fs::read_to_string(&path).unwrap_or_default();
        ensure!(present == text, "{name} is not what --help says: run cargo xtask completions");
    }
    for (command, page) in COMMANDS {
        let text = fs::read_to_string(top().join("docs/man").join(page))?;
        let described: BTreeSet<String> = manual::options(&text);
        let offered: BTreeSet<String> = options(command)?.into_iter().map(|option| option.name).collect();
        let missing: Vec<_> = offered.symmetric_difference(&described).collect();
        ensure!(missing.is_empty(), "{page} and {command} --help do not have the same options: {missing:?}");
    }
    Ok(())
}

/// All completions, each with its place.
fn completions() -> Result<Vec<(PathBuf, String)>> {
    setup::ensure(&[packages::BUILD])?;
    step("building the commands", cargo(["build", "--quiet", "--workspace", "--bins", "--locked"]))?;
    let folder = top().join("packaging/completions");
    let mut completions = Vec::new();
    for (command, _) in COMMANDS {
        let options = options(command)?;
        completions.push((folder.join("bash").join(command), shells::bash(command, &options)));
        completions.push((folder.join("zsh").join(format!("_{command}")), shells::zsh(command, &options)));
        completions.push((folder.join("fish").join(format!("{command}.fish")), shells::fish(command, &options)));
    }
    Ok(completions)
}

/// The options that a command's help names.
fn options(command: &str) -> Result<Vec<CommandOption>> {
    let output = Command::new(bins::path(command)?).arg("--help").output()?;
    let options = help::options(&String::from_utf8(output.stdout)?);
    if options.is_empty() {
        bail!("{command} --help names no options");
    }
    Ok(options)
}
