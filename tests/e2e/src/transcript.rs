//! What a command of C's and ours say and leave in the same situation, line by line.

use crate::{
    lab,
    person::{Make, Person, TIMEOUT},
};
use anyhow::Result;
use std::{collections::BTreeMap, fs};
use zephyr_testkit::{
    process::{self, Daemon},
    reference::{self, Lab, LabOptions},
};

/// Maximum size of a file in a home directory that is looked at.
const MAX_FILE: u64 = 1 << 20;

/// A machine with a KDC, our server and our host manager, on which both makes of commands run.
pub struct Bench {
    // Dropped first to last: who depends on others goes before them.
    _zhm: Daemon,
    _zephyrd: Daemon,
    lab: Lab,
}

/// A command that is run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run<'r> {
    /// Its name: `zctl`.
    pub program: &'r str,
    /// Its arguments.
    pub arguments: &'r [&'r str],
    /// What is on its standard input, which is no terminal.
    pub input: &'r str,
    /// Files in the home directory: name and contents. Others of these names, from an earlier run, are not there; see [`Bench::run`].
    pub files: &'r [(&'r str, &'r str)],
}

/// What it said and left, with what differs from run to run masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Standard output.
    pub stdout: Vec<String>,
    /// Standard error.
    pub stderr: Vec<String>,
    /// The exit status, if it ended by itself.
    pub status: Option<i32>,
    /// The files of the home directory.
    pub files: BTreeMap<String, String>,
}

impl Said {
    /// All of what was said, to be compared: standard output, then the lines of standard error after `!`, then the status after `=`.
    pub fn text(&self) -> String {
        let stdout = self.stdout.iter().map(|line| format!("{line}\n"));
        let stderr = self.stderr.iter().map(|line| format!("! {line}\n"));
        let status = self.status.map_or_else(|| "killed".to_owned(), |status| status.to_string());
        stdout.chain(stderr).collect::<String>() + &format!("= {status}\n")
    }
}

impl Bench {
    /// Starts all of it; `None` where the C programs cannot be run.
    ///
    /// # Errors
    /// When something does not start.
    pub fn open() -> Result<Option<Self>> {
        let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(None) };
        let zephyrd = lab::start_server(&lab, Make::Ours)?;
        let zhm = lab::start_host_manager(&lab, Make::Ours)?;
        Ok(Some(Self { _zhm: zhm, _zephyrd: zephyrd, lab }))
    }

    /// The machine.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Somebody with tickets, who runs commands of this make.
    ///
    /// # Errors
    /// When the KDC gives none.
    pub fn person(&self, name: &str, make: Make) -> Result<Person> {
        Ok(Person::of_realm(self.lab.user(name)?, Vec::new()).with(make))
    }

    /// Runs a command of a person to its end. Files that the person's home has and that `run` does not name stay as they are.
    ///
    /// # Errors
    /// When it cannot be run or takes too long.
    pub fn run(&self, person: &Person, make: Make, run: &Run<'_>) -> Result<Said> {
        for (name, contents) in run.files {
            fs::write(person.home().join(name), contents)?;
        }
        let program = make.program(run.program)?;
        let mut command = person.command(&program);
        command.args(run.arguments);
        let output = process::run_with_input(command, run.input.as_bytes(), TIMEOUT)?;
        let home = person.home().to_string_lossy().into_owned();
        let path = program.to_string_lossy().into_owned();
        let masked = |text: &str| -> Vec<String> {
            text.replace(&path, run.program).replace(&home, "$HOME").lines().map(mask).collect()
        };
        let (stdout, stderr) = (masked(&output.stdout), masked(&output.stderr));
        Ok(Said { stdout, stderr, status: output.status.code(), files: files_of(person)? })
    }

    /// What both makes say and leave, C's first, each begun with the same files in the home.
    ///
    /// # Errors
    /// As [`Bench::run`].
    pub fn both(&self, person: &Person, run: &Run<'_>) -> Result<[Said; 2]> {
        let c = self.run(person, Make::C, run)?;
        Ok([c, self.run(person, Make::Ours, run)?])
    }
}

/// The texts in a home directory, but not what Kerberos and the tests keep there.
fn files_of(person: &Person) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(person.home())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = entry.metadata()?;
        if about.is_file() && about.len() <= MAX_FILE && name.starts_with('.') {
            files.insert(name, String::from_utf8_lossy(&fs::read(entry.path())?).into_owned());
        }
    }
    Ok(files)
}

/// A line with times in place of any time: `11:01:03`, `Sun Nov 22 2026`, `Sun Nov 22 11:01:03 2026`.
pub fn mask(line: &str) -> String {
    line.split('\t').map(mask_part).collect::<Vec<_>>().join("\t")
}

/// The same of what stands between two tabs.
fn mask_part(part: &str) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let is_time = |word: &str| word.len() == 8 && word.bytes().filter(|&octet| octet == b':').count() == 2;
    let mut masked: Vec<&str> = Vec::new();
    let mut words = part.split(' ').peekable();
    while let Some(word) = words.next() {
        if is_time(word) {
            masked.push("TIME");
        } else if DAYS.contains(&word) {
            masked.push("DATE");
            // The month, the day, which may be padded, and perhaps the time and the year.
            while words.next_if(|next| next.is_empty() || is_time(next) || next.len() <= 4).is_some() {}
        } else {
            masked.push(word);
        }
    }
    masked.join(" ")
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn times_are_masked() {
        assert_eq!(mask("Alarm set for Sun Nov  2 11:01:03 2026"), "Alarm set for DATE");
        assert_eq!(mask("at 11:01:03 on Sun Nov 22 2026"), "at TIME on DATE");
        assert_eq!(mask("host                pts/1   Sun Nov 22 11:01:03 2026"), "host                pts/1   DATE");
        assert_eq!(mask("bob:\tpts/1\tSun Nov  2 11:01:03 2026\tx"), "bob:\tpts/1\tDATE\tx");
        assert_eq!(mask("class a instance b"), "class a instance b");
    }
}
