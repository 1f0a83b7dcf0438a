//! The list of the realm's servers, as the configuration has it: in the settings, in the file `server.list`, or in Hesiod.

use crate::{
    problem::{Findings, Problem},
    settings::{self, Peers, ServerName},
};
use std::{
    fmt,
    path::{Path, PathBuf},
};
use zephyr_config::file;
use zephyr_core::text_file;
use zephyr_discovery::{hesiod::Hesiod, server_list};
use zephyr_engine::server::PeerKind;

/// The file's name in the configuration folder.
pub(super) const FILE_NAME: &str = "server.list";
/// Servers of one realm at most.
pub(super) const MAX_SERVERS: usize = 64;

/// The list of the realm's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerList {
    /// Where it is from.
    pub(super) source: Source,
    /// The servers in their order, this one perhaps among them.
    pub(super) servers: Vec<Listed>,
    /// Which are C programs, in so far as the list does not say so already.
    pub(super) peers: Peers,
}

/// Where a list is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The settings.
    Settings,
    /// The file.
    File(PathBuf),
    /// Hesiod, which has to be asked.
    Hesiod(Hesiod),
    /// Nobody names any server.
    Nobody,
}

/// A server of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: ServerName,
    pub(super) kind: PeerKind,
}

/// As the list is called in messages.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => f.write_str("section peers of zephyr.toml"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Hesiod(hesiod) => write!(f, "Hesiod ({})", hesiod.servers_name()),
            Self::Nobody => f.write_str("no list"),
        }
    }
}

impl ServerList {
    /// The list that a configuration folder and its settings name, and the warnings about it. Hesiod is not asked yet.
    ///
    /// # Errors
    ///
    /// All that is wrong in the file, and C programs that are no servers.
    pub(super) fn load(folder: &Path, peers: &Peers) -> Result<(Self, Vec<Problem>), Findings> {
        Self::load_with(folder, peers, Hesiod::of_system())
    }

    fn load_with(folder: &Path, peers: &Peers, hesiod: Option<Hesiod>) -> Result<(Self, Vec<Problem>), Findings> {
        let mut findings = Findings::default();
        let file = folder.join(FILE_NAME);
        let (source, names) = if peers.servers.is_empty() {
            match read(&file, &mut findings) {
                names if !names.is_empty() => (Source::File(file), names),
                _ => (hesiod.map_or(Source::Nobody, Source::Hesiod), Vec::new()),
            }
        } else {
            (Source::Settings, peers.servers.clone())
        };
        let settings = folder.join(settings::FILE_NAME);
        if !matches!(source, Source::Hesiod(_)) && findings.problems.is_empty() {
            for missing in peers.not_listed(&names) {
                let text = format!("c: {missing} is not among the servers of {source}");
                let text =
                    if source == Source::Nobody { format!("c: {missing} is in no list of servers") } else { text };
                findings.problems.push(Problem::whole_file(&settings, text));
            }
        }
        let mut list = Self { source, servers: Vec::new(), peers: peers.clone() };
        for twice in list.take(names) {
            let text = format!("peers: server {twice} is named twice in {}", list.source);
            findings.warnings.push(Problem::whole_file(&settings, text));
        }
        if list.servers.len() > MAX_SERVERS {
            let text = format!("{} names more than {MAX_SERVERS} servers", list.source);
            findings.problems.push(Problem::whole_file(&settings, text));
        }
        if findings.problems.is_empty() { Ok((list, findings.warnings)) } else { Err(findings) }
    }

    /// Takes these names for the list; gives those that are named more than once.
    pub(super) fn take(&mut self, names: Vec<ServerName>) -> Vec<ServerName> {
        self.servers.clear();
        let mut twice = Vec::new();
        for name in names {
            if self.servers.iter().any(|listed| listed.name.is(&name)) {
                twice.push(name);
                continue;
            }
            let is_c = self.peers.c.iter().any(|c| c.is(&name));
            self.servers.push(Listed { name, kind: if is_c { PeerKind::C } else { PeerKind::Ours } });
        }
        twice
    }
}

/// The names in a file; none when there is no such file.
fn read(file: &Path, findings: &mut Findings) -> Vec<ServerName> {
    let content = match file::octets(file) {
        Ok(content) => content.unwrap_or_default(),
        Err(error) => {
            findings.problems.push(Problem::whole_file(file, error));
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for line in text_file::lines(&content) {
        match server_list::name(&line) {
            Ok(name) => names.extend(name),
            Err((at, text)) => {
                let before = line.text.get(..at).unwrap_or(line.text);
                let column = line.column + String::from_utf8_lossy(before).chars().count();
                findings.problems.push(Problem { line: line.number, column, ..Problem::whole_file(file, text) });
            }
        }
        if names.len() > MAX_SERVERS {
            // What else there is in it makes it no better.
            break;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load(content: &str, peers: &Peers) -> Result<(Vec<String>, Vec<String>), Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), content).unwrap();
        let place = format!("{}/", folder.path().display());
        let said = |found: Vec<Problem>| found.iter().map(|one| one.to_string().replace(&place, "")).collect();
        match ServerList::load_with(folder.path(), peers, None) {
            Ok((list, warnings)) => {
                let servers = list.servers.iter().map(|one| format!("{} {:?}", one.name, one.kind)).collect();
                Ok((servers, said(warnings)))
            }
            Err(findings) => Err(said(findings.problems)),
        }
    }

    fn names(names: &[&str]) -> Vec<ServerName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_list_may_be_written_as_people_write_lists() {
        let content = "\u{feff}# our servers\n\n  one.test \t\r\ntwo.test:2203 # in the basement\n\n10.0.0.1";
        let expected = ["one.test Ours", "two.test:2203 Ours", "10.0.0.1 Ours"].map(str::to_owned);
        assert_eq!(load(content, &Peers::default()), Ok((expected.into(), vec![])));
    }

    /// The C server's buffer has room for 15 names.
    #[test]
    fn a_list_may_be_long_but_not_endless() {
        let lines = |count| (0..count).map(|number| format!("host{number}\n")).collect::<String>();
        assert_eq!(load(&lines(MAX_SERVERS), &Peers::default()).unwrap().0.len(), MAX_SERVERS);
        let problems = load(&lines(100_000), &Peers::default()).unwrap_err();
        assert_eq!(problems, ["zephyr.toml: server.list names more than 64 servers"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let problems = load("one two\nok\n\0\n bad\u{200b}name\n", &Peers::default()).unwrap_err();
        let expected = [
            "server.list:1:1: expected HOST or HOST:PORT, not \"one two\"",
            "server.list:3:1: a NUL octet",
            "server.list:4:5: a character that cannot be seen: \\u{200b}",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn settings_go_before_the_file_and_say_which_are_c_programs() {
        let peers = Peers { servers: names(&["a", "b", "A"]), c: names(&["B"]), ..Peers::default() };
        let (servers, warnings) = load("c\n", &peers).unwrap();
        assert_eq!(servers, ["a Ours", "b C"]);
        assert_eq!(warnings, ["zephyr.toml: peers: server A is named twice in section peers of zephyr.toml"]);
        let of_file = Peers { servers: Vec::new(), ..peers.clone() };
        assert_eq!(load("a\nb\n", &of_file).unwrap().0, ["a Ours", "b C"]);
        let problems = load("a\n", &of_file).unwrap_err();
        assert!(problems[0].starts_with("zephyr.toml: c: B is not among the servers of "), "{problems:?}");
        assert_eq!(load("# nobody\n", &of_file).unwrap_err(), ["zephyr.toml: c: B is in no list of servers"]);
        assert_eq!(load("", &Peers::default()), Ok((vec![], vec![])), "alone");
    }
}
