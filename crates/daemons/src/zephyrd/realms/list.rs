//! `realm.list`: the other realms that a server talks with, and where their servers are.
//!
//! One `REALM HOST` on each line, as for C servers; a realm with several servers has several lines. A host behind a `/` is only
//! received from. Unlike in C servers blank lines and comments are skipped, a host may have a port, and what is no such line is an
//! error with its place instead of the end of the server.

use crate::{
    problem::{Findings, Problem},
    settings::ServerName,
};
use std::path::{Path, PathBuf};
use zephyr_config::file;
use zephyr_core::{
    sanitize,
    text_file::{Line, lines, oddity},
};
use zephyr_domain::scope::NamedRealm;

/// The file's name, in the configuration folder.
pub const FILE_NAME: &str = "realm.list";

/// Maximum number of realms.
pub const MAX_REALMS: usize = 256;
/// Maximum number of servers of one realm.
pub const MAX_SERVERS: usize = 32;
/// Maximum octets of a realm's name.
const MAX_REALM_LEN: usize = 255;
/// Maximum octets of a line.
const MAX_LINE_LEN: usize = 1024;
/// Maximum number of errors that are reported of one file.
const MAX_ERRORS: usize = 100;
/// The mark of a host that is only received from.
const ONLY_FROM: char = '/';

/// The other realms of a file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmList {
    /// The file.
    file: PathBuf,
    /// The realms.
    pub realms: Vec<ListedRealm>,
}

/// A realm of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRealm {
    /// Its name.
    pub name: String,
    /// Its servers, in the order of the file.
    pub servers: Vec<ListedServer>,
}

/// A server of a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedServer {
    /// Its name or address, perhaps with a port.
    pub host: ServerName,
    /// Whether it is only received from.
    pub only_from: bool,
    /// Its line, counted from one.
    pub line: usize,
}

/// What a file says, and the warnings about it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The realms.
    pub list: RealmList,
    /// The warnings: what is valid, but probably a mistake.
    pub warnings: Vec<Problem>,
}

/// Reads the file of a configuration folder. Without one there are no other realms.
///
/// # Errors
///
/// All errors: that it cannot be read, or has invalid lines. The warnings are those about the other lines.
pub fn load(config_dir: &Path) -> Result<Loaded, Findings> {
    let file = config_dir.join(FILE_NAME);
    match file::octets(&file) {
        Ok(None) => Ok(Loaded { list: RealmList { file, realms: Vec::new() }, warnings: Vec::new() }),
        Ok(Some(content)) => read(&file, &content),
        Err(error) => Err(Findings { problems: vec![Problem::whole_file(&file, error)], ..Findings::default() }),
    }
}

impl RealmList {
    /// The realms other than `own`, the server's: what a file that is the same at all realms says about one's own is left out.
    pub fn others(&self, own: &str) -> impl Iterator<Item = &ListedRealm> {
        self.realms.iter().filter(move |realm| !realm.name.eq_ignore_ascii_case(own))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The realms and the lines that name them.
    pub fn named(&self) -> Vec<NamedRealm> {
        let named = |realm: &ListedRealm| NamedRealm {
            file: self.file.clone(),
            lines: realm.servers.iter().map(|server| server.line).collect(),
            realm: realm.name.clone(),
        };
        self.realms.iter().map(named).collect()
    }
}

fn read(file: &Path, content: &[u8]) -> Result<Loaded, Findings> {
    let mut reader = Reader { file, realms: Vec::new(), findings: Findings::default() };
    for line in lines(content) {
        if reader.findings.problems.len() >= MAX_ERRORS {
            let text = format!("more than {MAX_ERRORS} errors, of which the first are listed");
            reader.findings.problems.push(Problem::whole_file(file, text));
            break;
        }
        if let Err((offset, text)) = reader.line(&line) {
            // What stands before the text is white space, an octet each.
            let column = line.column + characters(line.text.get(..offset).unwrap_or(line.text));
            reader.findings.problems.push(Problem { file: file.to_owned(), line: line.number, column, text });
        }
    }
    let Reader { realms, mut findings, .. } = reader;
    if findings.problems.is_empty() {
        Ok(Loaded { list: RealmList { file: file.to_owned(), realms }, warnings: findings.warnings })
    } else {
        findings.put_in_order();
        Err(findings)
    }
}

fn characters(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().count()
}

struct Reader<'a> {
    file: &'a Path,
    realms: Vec<ListedRealm>,
    findings: Findings,
}

impl Reader<'_> {
    /// Reads a line. An error comes with its offset.
    fn line(&mut self, line: &Line<'_>) -> Result<(), (usize, String)> {
        if let Some((offset, odd)) = line.oddity() {
            return Err((offset, odd.to_string()));
        }
        if line.text.len() > MAX_LINE_LEN {
            return Err((0, format!("a line of more than {MAX_LINE_LEN} octets")));
        }
        let text = without_comment(line.text);
        let (realm, host) = match *words(text).as_slice() {
            [] => return Ok(()),
            [realm, host] => (realm, host),
            [_] => return Err((0, "expected REALM HOST, not one word".to_owned())),
            [_, _, (third, _), ..] => {
                let text = "expected REALM HOST: a realm with several servers has a line for each";
                return Err((third, text.to_owned()));
            }
        };
        let name = name_of_realm(realm.1).map_err(|(offset, text)| (realm.0 + offset, text))?;
        let server = server(host.1, line.number).map_err(|(offset, text)| (host.0 + offset, text))?;
        self.add(name, server)
    }

    fn add(&mut self, name: String, server: ListedServer) -> Result<(), (usize, String)> {
        let line = server.line;
        let near = |realm: &&ListedRealm| realm.name != name && realm.name.eq_ignore_ascii_case(&name);
        if let Some(near) = self.realms.iter().find(near) {
            let text = format!("realms that differ in case are different: {} above is another", near.name);
            self.findings.warnings.push(Problem { line, ..Problem::whole_file(self.file, text) });
        }
        let full = self.realms.len() >= MAX_REALMS;
        match self.realms.iter_mut().find(|realm| realm.name == name) {
            None if full => Err((0, format!("more than {MAX_REALMS} realms"))),
            None => {
                self.realms.push(ListedRealm { name, servers: vec![server] });
                Ok(())
            }
            Some(realm) if realm.servers.len() >= MAX_SERVERS => {
                Err((0, format!("more than {MAX_SERVERS} servers of one realm")))
            }
            Some(realm) => {
                let same = |known: &&ListedServer| known.host == server.host;
                match realm.servers.iter().find(same) {
                    Some(known) => {
                        let text = format!("{} of {name} stands in line {} already", server.host, known.line);
                        self.findings.warnings.push(Problem { line, ..Problem::whole_file(self.file, text) });
                    }
                    None => realm.servers.push(server),
                }
                Ok(())
            }
        }
    }
}

/// What stands before a `#` at the beginning of a line or after white space.
fn without_comment(line: &[u8]) -> &[u8] {
    let begins =
        |at: &usize| line.get(*at) == Some(&b'#') && at.checked_sub(1).is_none_or(|before| is_blank(line, before));
    let end = (0..line.len()).find(begins).unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

fn is_blank(line: &[u8], at: usize) -> bool {
    line.get(at).is_some_and(u8::is_ascii_whitespace)
}

/// The words of a line, with their offsets; three are enough to know that there are too many.
fn words(line: &[u8]) -> Vec<(usize, &[u8])> {
    let mut at = 0;
    let mut words = Vec::new();
    for word in line.split(u8::is_ascii_whitespace) {
        if !word.is_empty() && words.len() < 3 {
            words.push((at, word));
        }
        at += word.len() + 1;
    }
    words
}

/// The name of a realm; an error comes with its offset.
fn name_of_realm(word: &[u8]) -> Result<String, (usize, String)> {
    if let Some((offset, odd)) = oddity(word) {
        return Err((offset, odd.to_string()));
    }
    if word.len() > MAX_REALM_LEN {
        return Err((0, format!("a realm of more than {MAX_REALM_LEN} octets")));
    }
    // Kerberos writes a principal as NAME/INSTANCE@REALM, and `\` before what is not meant so.
    let is_separator = |octet: &u8| matches!(octet, b'@' | b'/' | b'\\' | b':' | b',');
    if let Some(at) = word.iter().position(is_separator) {
        let text = sanitize::name(word);
        return Err((at, format!("expected REALM HOST, and no realm is called {text}")));
    }
    Ok(String::from_utf8_lossy(word).into_owned())
}

/// A server; an error comes with its offset.
fn server(word: &[u8], line: usize) -> Result<ListedServer, (usize, String)> {
    if let Some((offset, odd)) = oddity(word) {
        return Err((offset, odd.to_string()));
    }
    let text = String::from_utf8_lossy(word);
    let (text, only_from) = text.strip_prefix(ONLY_FROM).map_or((&*text, false), |host| (host, true));
    let host = text.parse().map_err(|error| (usize::from(only_from), error))?;
    Ok(ListedServer { host, only_from, line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(content: &str) -> Result<Loaded, Vec<String>> {
        let texts = |found: Vec<Problem>| found.iter().map(Problem::to_string).collect::<Vec<_>>();
        read(Path::new("r"), content.as_bytes()).map_err(|findings| texts(findings.problems))
    }

    fn realms(list: &RealmList) -> Vec<String> {
        let text = |server: &ListedServer| {
            format!("{}{}:{}", if server.only_from { "/" } else { "" }, server.host, server.line)
        };
        let line = |realm: &ListedRealm| {
            format!("{} {}", realm.name, realm.servers.iter().map(text).collect::<Vec<_>>().join(" "))
        };
        list.realms.iter().map(line).collect()
    }

    #[test]
    fn realms_have_servers_and_comments_say_nothing() {
        let content = "# other campuses\r\n\n  CS.EXAMPLE.ORG\tz1.cs.example.org  # the first\n\
                       FAR.NET 10.0.0.7:2203\n\tCS.EXAMPLE.ORG /z2.cs.example.org\n#FAR.NET z\n   \n";
        let Loaded { list, warnings } = loaded(content).unwrap();
        assert_eq!(
            realms(&list),
            ["CS.EXAMPLE.ORG z1.cs.example.org:3 /z2.cs.example.org:5", "FAR.NET 10.0.0.7:2203:4"]
        );
        assert_eq!(warnings, []);
        assert_eq!(list.named()[0].lines, [3, 5]);
        assert_eq!(list.others("far.net").map(|realm| &*realm.name).collect::<Vec<_>>(), ["CS.EXAMPLE.ORG"]);
        assert_eq!(loaded("").unwrap().list.realms, []);
    }

    #[test]
    fn every_error_has_its_place_and_all_are_told_at_once() {
        for (line, place, text) in [
            ("A.TEST", "1:1", "expected REALM HOST, not one word"),
            ("  A.TEST # z", "1:3", "expected REALM HOST, not one word"),
            ("A.TEST z1 z2", "1:11", "expected REALM HOST: a realm with several servers has a line for each"),
            ("a@A.TEST z1", "1:2", "expected REALM HOST, and no realm is called a@A.TEST"),
            ("/z1 A.TEST", "1:1", "expected REALM HOST, and no realm is called /z1"),
            ("A.TEST\u{200b} z1", "1:7", "a character that cannot be seen: \\u{200b}"),
            ("é\u{a0} z1", "1:2", "a blank that would be part of the name: \\u{a0}"),
            ("A.TEST z\u{301}", "1:8", "expected HOST or HOST:PORT, not \"z\\u{301}\""),
            ("A.TEST //z1", "1:9", "expected HOST or HOST:PORT, not \"/z1\""),
            ("A.TEST z1:0", "1:8", "expected HOST or HOST:PORT, not \"z1:0\""),
            ("A.TEST z1\rB", "1:10", "a carriage return inside of a line: lines end with a newline"),
        ] {
            assert_eq!(loaded(line).unwrap_err(), [format!("r:{place}: {text}")], "{line:?}");
        }
        let two = loaded("A\nB z\n\nC\n").unwrap_err();
        assert_eq!(two, ["r:1:1: expected REALM HOST, not one word", "r:4:1: expected REALM HOST, not one word"]);
        let many = loaded(&"A\n".repeat(5000)).unwrap_err();
        assert_eq!(many.len(), MAX_ERRORS + 1);
        assert_eq!(many[0], "r: more than 100 errors, of which the first are listed");
    }

    #[test]
    fn a_file_makes_no_more_of_anything_than_there_may_be() {
        let realms = |count: usize| (0..count).map(|number| format!("R{number} z\n")).collect::<String>();
        assert_eq!(loaded(&realms(MAX_REALMS)).unwrap().list.realms.len(), MAX_REALMS);
        assert_eq!(loaded(&realms(MAX_REALMS + 1)).unwrap_err(), ["r:257:1: more than 256 realms"]);
        let servers = |count: usize| (0..count).map(|number| format!("R z{number}\n")).collect::<String>();
        assert_eq!(loaded(&servers(MAX_SERVERS)).unwrap().list.realms[0].servers.len(), MAX_SERVERS);
        assert_eq!(loaded(&servers(MAX_SERVERS + 1)).unwrap_err(), ["r:33:1: more than 32 servers of one realm"]);
        let long = format!("{} z", "R".repeat(MAX_REALM_LEN + 1));
        assert_eq!(loaded(&long).unwrap_err(), ["r:1:1: a realm of more than 255 octets"]);
    }

    #[test]
    fn what_is_there_twice_or_nearly_so_is_a_warning() {
        let Loaded { list, warnings } = loaded("A.TEST z1\nA.TEST /z1\na.test z2\n").unwrap();
        assert_eq!(realms(&list), ["A.TEST z1:1", "a.test z2:3"]);
        assert_eq!(
            warnings.iter().map(Problem::to_string).collect::<Vec<_>>(),
            [
                "r:2: z1 of A.TEST stands in line 1 already",
                "r:3: realms that differ in case are different: A.TEST above is another"
            ]
        );
    }
}
