//! Case files: how the program is started, what is sent to it, and what it then writes.

use crate::{
    observation::{Event, Observation, Step},
    octets::Octets,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

/// What stands for the home directory in a case file.
const HOME: &str = "$HOME";
/// The name in the home directory under which a program finds the case's description.
const DESCRIPTION: &str = "case.desc";

/// A case as it is in its folder.
#[derive(Debug)]
pub struct CaseFile {
    /// The file's name without its ending.
    pub stem: String,
    value: Value,
    description: Option<Vec<u8>>,
}

/// A case for one home directory.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its name, which is unique in its folder.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub title: String,
    /// The command line without the program's name.
    pub args: Vec<String>,
    /// The whole environment, but for Kerberos.
    pub env: BTreeMap<String, String>,
    /// The principal with whose tickets the program runs.
    pub user: String,
    #[serde(default)]
    files: BTreeMap<String, Octets>,
    /// The file that is standard input.
    pub stdin_file: Option<String>,
    #[serde(default)]
    zephyr_vars: Option<BTreeMap<String, String>>,
    /// What is sent, in this order.
    #[serde(default)]
    pub notices: Vec<Sent>,
    /// The files that are read when the program has ended.
    #[serde(default)]
    pub collect: Vec<String>,
    /// How the program ends.
    pub end: End,
    expect: Expected,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum End {
    /// It is sent SIGTERM.
    #[serde(rename = "TERM")]
    Term,
    /// By itself.
    #[serde(rename = "self")]
    Itself,
}

/// Something that is sent: a packet straight to the client, or a notice by way of a server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// How it is sent, if not as a packet.
    pub via: Option<Via>,
    /// The command of another user that sends it.
    #[serde(default)]
    pub argv: Vec<String>,
    /// That user.
    pub sender_user: Option<String>,
    /// Files that are written anew before it is sent.
    #[serde(default)]
    pub write_file: BTreeMap<String, Octets>,
    /// Seconds to wait when it has been handled.
    #[serde(default)]
    pub wait: f64,
    /// Words for people.
    #[serde(default, rename = "note")]
    _note: Option<String>,
    #[serde(default)]
    pub(crate) class: String,
    #[serde(default)]
    pub(crate) instance: String,
    #[serde(default)]
    pub(crate) opcode: String,
    #[serde(default)]
    pub(crate) sender: String,
    #[serde(default)]
    pub(crate) recipient: String,
    #[serde(default)]
    pub(crate) default_format: String,
    pub(crate) kind: Option<NameOrNumber>,
    #[serde(default)]
    pub(crate) auth_flag: u32,
    pub(crate) checksum: Option<String>,
    pub(crate) charset: Option<NameOrNumber>,
    #[serde(default)]
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) time: u32,
    pub(crate) sender_addr: Option<std::net::IpAddr>,
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    #[serde(default)]
    pub(crate) trailing_nul: bool,
    pub(crate) message_base64: Option<String>,
}

/// A way to send that is not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Via {
    /// The command in `argv`, through a server.
    #[serde(rename = "zwrite")]
    Zwrite,
}

/// A number of the protocol, or its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum NameOrNumber {
    Name(String),
    Number(u32),
}

#[derive(Debug, Deserialize)]
struct Expected {
    steps: Vec<ExpectedStep>,
    exit_status: Option<i32>,
    #[serde(default)]
    files: BTreeMap<String, Option<Octets>>,
    #[serde(default)]
    modes: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Deserialize)]
struct ExpectedStep {
    event: EventName,
    notice: Option<usize>,
    stdout: Octets,
    stderr: Octets,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EventName {
    Startup,
    Notice,
    Exit,
}

/// The cases of a folder, by the names of their files: every `.json` file, with the description beside it.
///
/// # Errors
///
/// When the folder or a file cannot be read, or one is no JSON or no case, or there is none.
pub fn read_folder(folder: &Path) -> Result<Vec<CaseFile>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    if paths.is_empty() {
        bail!("no case in {}", folder.display());
    }
    paths.iter().map(|path| CaseFile::read(path)).collect()
}

impl CaseFile {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let description = path.with_extension("desc");
        let description = description.exists().then(|| fs::read(&description)).transpose()?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = Self { stem, value, description };
        file.case(Path::new(HOME)).map(|_| file)
    }

    /// The case with this home directory.
    ///
    /// # Errors
    ///
    /// When a member is missing or is not what it should be.
    pub fn case(&self, home: &Path) -> Result<Case> {
        let mut value = self.value.clone();
        replace(&mut value, &home.to_string_lossy());
        Case::deserialize(value).with_context(|| format!("{} is no case", self.stem))
    }

    /// Puts the case's files into the home directory.
    ///
    /// # Errors
    ///
    /// When the system refuses, or a file's name leads elsewhere.
    pub fn furnish(&self, case: &Case, home: &Path) -> Result<()> {
        fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
        if let Some(description) = &self.description {
            write(home, DESCRIPTION, description)?;
        }
        write_all(home, &case.files)?;
        if let Some(variables) = &case.zephyr_vars {
            let lines: String = variables.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
            write(home, ".zephyr.vars", lines.as_bytes())?;
        }
        Ok(())
    }
}

impl Case {
    /// Whether it needs a server to pass on notices, which reach every client of its user's.
    pub fn is_passed_by_server(&self) -> bool {
        self.notices.iter().any(|sent| sent.via == Some(Via::Zwrite))
    }

    /// What the program should do.
    ///
    /// # Errors
    ///
    /// When a step is that of a notice, and does not say of which.
    pub fn expectation(&self) -> Result<Observation> {
        let step = |step: &ExpectedStep| {
            let event = match step.event {
                EventName::Startup => Event::Startup,
                EventName::Notice => Event::Notice(step.notice.context("a step of no notice")?),
                EventName::Exit => Event::Exit,
            };
            Ok(Step { event, stdout: step.stdout.0.clone(), stderr: step.stderr.0.clone() })
        };
        Ok(Observation {
            steps: self.expect.steps.iter().map(step).collect::<Result<_>>()?,
            exit_status: self.expect.exit_status,
            files: self.expect.files.clone(),
            modes: self.expect.modes.clone(),
        })
    }
}

/// Writes these files into a folder.
///
/// # Errors
///
/// When the system refuses, or a file's name leads elsewhere.
pub fn write_all(folder: &Path, files: &BTreeMap<String, Octets>) -> Result<()> {
    files.iter().try_for_each(|(name, octets)| write(folder, name, &octets.0))
}

fn write(folder: &Path, name: &str, octets: &[u8]) -> Result<()> {
    let path = path_in(folder, name)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, octets).with_context(|| format!("cannot write {}", path.display()))
}

/// The path of a file in a folder.
///
/// # Errors
///
/// When the name leads out of the folder.
pub fn path_in(folder: &Path, name: &str) -> Result<PathBuf> {
    let is_inside = |name: &Path| name.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !is_inside(Path::new(name)) {
        bail!("{name:?} is no name of a file in the home directory");
    }
    Ok(folder.join(name))
}

/// Puts the home directory into all texts.
fn replace(value: &mut Value, home: &str) {
    match value {
        Value::String(text) if text.contains(HOME) => *text = text.replace(HOME, home),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, home)),
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, home)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = r#"{
        "id": 1, "name": "one", "args": ["-f", "$HOME/x"], "env": {"HOME": "$HOME"}, "user": "alice@R", "realm": "R",
        "files": {"in.txt": "at $HOME", ".dir/b": {"base64": "/w=="}}, "zephyr_vars": {"exposure": "none"},
        "notices": [
            {"class": "C", "kind": 2, "fields": ["a"], "trailing_nul": true, "write_file": {"case.desc": "new"}},
            {"via": "zwrite", "argv": ["zwrite", "alice"], "sender_user": "bob", "wait": 0.5}
        ],
        "end": "TERM",
        "expect": {
            "steps": [
                {"event": "startup", "stdout": {"text": "$HOME/x"}, "stderr": {"base64": "/w=="}},
                {"event": "notice", "notice": 1, "stdout": {"text": ""}, "stderr": {"text": ""}},
                {"event": "exit", "stdout": {"text": ""}, "stderr": {"text": ""}, "status": 0}
            ],
            "exit_status": 0, "files": {"log": {"text": "x"}, "gone": null}, "modes": {"log": "600"}
        }
    }"#;

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("001-one.json"), text).unwrap();
        fs::write(folder.path().join("001-one.desc"), b"put \"\xff\"").unwrap();
        fs::write(folder.path().join("README.md"), "words").unwrap();
        folder
    }

    #[test]
    fn a_case_is_read_for_a_home_and_its_files_are_put_there() {
        let source = folder(CASE);
        let files = read_folder(source.path()).unwrap();
        assert_eq!((files.len(), files[0].stem.as_str()), (1, "001-one"));
        let home = source.path().join("home");
        let place = home.display().to_string();
        let case = files[0].case(&home).unwrap();
        assert_eq!((case.args[1].as_str(), &case.env["HOME"]), (format!("{place}/x").as_str(), &place));
        assert!(case.is_passed_by_server() && case.end == End::Term);
        let expected = case.expectation().unwrap();
        let events: Vec<Event> = expected.steps.iter().map(|step| step.event).collect();
        assert_eq!(events, [Event::Startup, Event::Notice(1), Event::Exit]);
        assert_eq!(expected.steps[0].stdout, format!("{place}/x").into_bytes());
        assert_eq!(expected.steps[0].stderr, b"\xff");
        assert_eq!((expected.exit_status, expected.files["gone"].is_none()), (Some(0), true));

        files[0].furnish(&case, &home).unwrap();
        for (name, octets) in [
            ("case.desc", &b"put \"\xff\""[..]),
            ("in.txt", format!("at {place}").as_bytes()),
            (".dir/b", b"\xff"),
            (".zephyr.vars", b"exposure = none\n"),
        ] {
            assert_eq!(fs::read(home.join(name)).unwrap(), octets, "{name}");
        }
        write_all(&home, &case.notices[0].write_file).unwrap();
        assert_eq!(fs::read(home.join("case.desc")).unwrap(), b"new");
    }

    #[test]
    fn what_is_no_case_is_an_error() {
        for (from, to) in [
            ("\"end\": \"TERM\"", "\"end\": \"KILL\""),
            ("\"trailing_nul\"", "\"trailing_null\""),
            ("\"steps\"", "\"stages\""),
            ("{\n", "[\n"),
        ] {
            assert!(CASE.contains(from));
            assert!(read_folder(folder(&CASE.replacen(from, to, 1)).path()).is_err(), "{to}");
        }
        assert!(read_folder(tempfile::tempdir().unwrap().path()).is_err());
    }

    #[test]
    fn no_file_is_written_elsewhere() {
        let home = Path::new("/home/alice");
        assert_eq!(path_in(home, "a/b").unwrap(), home.join("a/b"));
        for name in ["", "../x", "/etc/passwd", "a/../../b"] {
            assert!(path_in(home, name).is_err(), "{name}");
        }
    }
}
