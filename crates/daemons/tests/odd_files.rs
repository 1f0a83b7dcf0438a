//! Every file of a configuration folder, in every odd form that files come in: what it means stays the same, or it is an error
//! with its place. Nothing becomes open.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use nix::{
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};
use std::{
    fs::{self, File},
    os::unix::{fs::PermissionsExt as _, net::UnixListener, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};
use zephyr_core::policy::{Action, Demand};
use zephyr_daemons::{
    problem::{Problem, Problems},
    settings::HostManagerSettings,
    zephyrd::configuration::{self, Configuration},
};
use zephyr_engine::server::acl::{Act, Who};

/// Long enough for any machine, and only waited for by a test that fails.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Somebody who may not read what root has made.
const NOBODY: u32 = 65534;

/// A whole folder, in which every file closes something.
const FILES: [(&str, &str); 9] = [
    ("zephyr.toml", "# settings\n[bounds]\nclients = 7\n[zhm]\nservers = [\"z.example.org\"]\n"),
    ("policy.toml", "# policy\n[domain.\"R\"]\nsend = \"closed\"\nlocate = \"required\"\n"),
    ("default.subscriptions", "# defaults\nmessage,personal,%me%\nnews,all,*\n"),
    ("acl/class-registry.acl", "# registry\nsecret:\nother\n"),
    ("acl/opstaff.acl", "# operators\n*@R\n!bob@R\n"),
    ("acl/xmt-secret.acl", "# senders\n*@R\n!bob@R\n"),
    ("acl/sub-secret.acl", "# readers\n*@R\n!bob@R\n"),
    ("acl/iws-secret.acl", "# all instances\n*@R\n!bob@R\n"),
    ("acl/iui-other.acl", "# other names\n*@R\n!bob@R\n"),
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.path().join("acl")).unwrap();
    for (name, content) in FILES {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

/// Everything that the folder's files decide.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    clients: usize,
    servers: Vec<String>,
    demands: [Demand; 2],
    defaults: zephyr_engine::server::acl::Defaults,
    /// For each class, act and person.
    admitted: Vec<bool>,
    operators: [bool; 2],
}

/// What a start of the programs makes of the folder; it must not take longer than [`TIMEOUT`].
fn load(folder: &Path) -> Result<Meaning, Vec<Problem>> {
    let folder = folder.to_owned();
    limited(move || {
        let configuration = Configuration::load(&folder).map_err(|Problems(problems)| problems)?;
        let host_manager = HostManagerSettings::load(&folder).map_err(|findings| findings.problems)?;
        let (rules, policy) = (&configuration.rules, &configuration.policies.domain("R").policy);
        let people = [&b"alice@R"[..], b"bob@R"];
        let admitted = ["secret", "other", "free"].iter().flat_map(|class| {
            Act::ALL.into_iter().flat_map(move |act| {
                people.map(|person| {
                    rules.decide(class.as_bytes(), act, Who { principal: Some(person), address: None }).admits()
                })
            })
        });
        Ok(Meaning {
            clients: configuration.settings.bounds.clients,
            servers: host_manager.settings.zhm.discovery.servers.iter().map(ToString::to_string).collect(),
            demands: [Action::Send, Action::Locate].map(|action| policy.demand(action)),
            defaults: rules.defaults.clone(),
            admitted: admitted.collect(),
            operators: people.map(|person| rules.is_operator(person)),
        })
    })
}

/// What `zephyrctl check` finds there.
fn check(folder: &Path) -> Vec<Problem> {
    let folder = folder.to_owned();
    limited(move || configuration::check(&folder).problems)
}

fn limited<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(TIMEOUT).expect("reading the files comes to an end")
}

/// An oddity of a text: its name, what it makes of a text, and the line of the problem, if it is one.
type Oddity = (&'static str, fn(&str) -> Vec<u8>, Option<Line>);

/// Where a problem must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Anywhere in the file.
    Any,
    Number(usize),
    /// The last line of the text.
    Last,
}

fn in_last_line(text: &str, odd: &[u8]) -> Vec<u8> {
    [text.trim_end().as_bytes(), odd, b"\n"].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const ODD_TEXTS: [Oddity; 19] = [
    ("a byte order mark", |text| [b"\xef\xbb\xbf", text.as_bytes()].concat(), None),
    ("a byte order mark before the first name", |text| [b"\xef\xbb\xbf", without_first(text)].concat(), None),
    ("CR LF", |text| text.replace('\n', "\r\n").into(), None),
    ("no last newline", |text| text.trim_end().into(), None),
    ("no last newline after CR LF", |text| text.replace('\n', "\r\n").trim_end().into(), None),
    ("trailing blanks", |text| text.replace('\n', "  \n").into(), None),
    ("trailing tabs", |text| text.replace('\n', "\t\n").into(), None),
    ("leading tabs", |text| format!("\t{}", text.trim_end().replace('\n', "\n\t")).into(), None),
    ("blank lines", |text| format!("\n \n{}\n\t\n", text.replace('\n', "\n\n")).into(), None),
    ("blank lines of CR LF", |text| text.replace('\n', "\r\n\r\n").into(), None),
    ("a byte order mark in the middle", |text| text.replacen('\n', "\n\u{feff}", 1).into(), Some(Line::Number(2))),
    ("CR as in old Macintosh files", |text| text.replace('\n', "\r").into(), Some(Line::Number(1))),
    ("NUL at the end", |text| in_last_line(text, b"\0"), Some(Line::Last)),
    ("NUL in a comment", |text| [b"# a\0b\n", text.as_bytes()].concat(), Some(Line::Number(1))),
    ("Latin-1", |text| in_last_line(text, b"\xe9"), Some(Line::Last)),
    ("a blank that is none", |text| in_last_line(text, "\u{a0}".as_bytes()), Some(Line::Last)),
    ("a vertical tab", |text| in_last_line(text, b"\x0b"), Some(Line::Last)),
    ("UTF-16", |text| [b"\xff\xfe".to_vec(), utf16(text)].concat(), Some(Line::Any)),
    ("UTF-16 without a mark", utf16, Some(Line::Any)),
];

fn without_first(text: &str) -> &[u8] {
    text.split_once('\n').unwrap().1.as_bytes()
}

/// Checks that each problem is about this file, and that one of them is in the line.
fn assert_place(problems: &[Problem], file: &Path, line: Line, lines: usize, what: &str) {
    let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
    assert!(!problems.is_empty(), "{what}: nobody says anything");
    assert!(problems.iter().any(|problem| problem.file == file), "{what}: {told:?}");
    let is_there = |problem: &Problem| match line {
        Line::Any => true,
        Line::Number(line) => problem.line == line,
        Line::Last => problem.line == lines,
    };
    assert!(problems.iter().any(is_there), "{what}: {told:?}");
}

#[test]
fn odd_texts_mean_the_same_or_are_an_error_with_its_line() {
    let folder = folder();
    let expected = load(folder.path()).unwrap();
    assert_eq!((expected.clients, expected.operators), (7, [true, false]));
    let mut failures = Vec::new();
    for (name, content) in FILES {
        let file = folder.path().join(name);
        for (oddity, change, line) in ODD_TEXTS {
            let what = format!("{name} with {oddity}");
            fs::write(&file, change(content)).unwrap();
            let result = std::panic::catch_unwind(|| match (load(folder.path()), line) {
                (Ok(meaning), None) => {
                    assert_eq!(meaning, expected, "{what}");
                    assert_eq!(check(folder.path()), [], "{what}");
                }
                (Ok(_), Some(_)) => panic!("{what} is taken"),
                (Err(problems), None) => panic!("{what}: {problems:?}"),
                (Err(problems), Some(line)) => {
                    assert_place(&problems, &file, line, content.lines().count(), &what);
                    assert_place(&check(folder.path()), &file, line, content.lines().count(), &what);
                }
            });
            if result.is_err() {
                failures.push(what);
            }
        }
        fs::write(&file, content).unwrap();
    }
    assert_eq!(failures, Vec::<String>::new());
}

/// What may stand where a file is expected: its name, and what makes it.
type OddKind = (&'static str, fn(&Path));

const ODD_KINDS: [OddKind; 8] = [
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a pipe", |path| mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap()),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    ("an endless file", |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
    ("a terminal", |path| std::os::unix::fs::symlink("/dev/tty", path).unwrap()),
    ("a link that leads nowhere", |path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
    ("a link to itself", |path| std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap()),
    ("a huge file", |path| File::create(path).unwrap().set_len(1 << 40).unwrap()),
];

fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir(path).unwrap(),
        _ => fs::remove_file(path).unwrap(),
    }
}

#[test]
fn what_is_no_file_is_an_error_and_not_waited_for() {
    let folder = folder();
    let mut failures = Vec::new();
    for (name, content) in FILES {
        let file = folder.path().join(name);
        for (kind, make) in ODD_KINDS {
            let what = format!("{kind} as {name}");
            remove(&file);
            make(&file);
            let result = std::panic::catch_unwind(|| {
                let problems = load(folder.path()).expect_err(&what);
                assert_place(&problems, &file, Line::Number(0), 0, &what);
                assert_place(&check(folder.path()), &file, Line::Number(0), 0, &what);
            });
            if result.is_err() {
                failures.push(what);
            }
        }
        remove(&file);
        fs::write(&file, content).unwrap();
    }
    assert_eq!(failures, Vec::<String>::new());
}

#[test]
fn a_folder_of_lists_that_is_not_there_as_meant_is_an_error() {
    let folder = folder();
    let lists = folder.path().join("acl");
    fs::remove_dir_all(&lists).unwrap();
    load(folder.path()).expect("a server without lists");
    for (kind, make) in ODD_KINDS {
        if kind == "a folder" {
            continue;
        }
        make(&lists);
        let problems = load(folder.path()).expect_err(kind);
        assert!(problems.iter().any(|problem| problem.file.starts_with(&lists)), "{kind}: {problems:?}");
        assert!(!check(folder.path()).is_empty(), "{kind}");
        remove(&lists);
    }
    // The same for the whole folder.
    let link = folder.path().join("etc");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    load(&link).expect_err("a link that leads nowhere");
}

#[test]
fn devices_that_hold_nothing_are_empty_files() {
    let folder = folder();
    for (name, content) in FILES {
        let file = folder.path().join(name);
        fs::write(&file, "").unwrap();
        let empty = load(folder.path()).unwrap();
        remove(&file);
        std::os::unix::fs::symlink("/dev/null", &file).unwrap();
        assert_eq!(load(folder.path()).unwrap(), empty, "{name}");
        remove(&file);
        fs::write(&file, content).unwrap();
    }
}

#[test]
fn the_check_of_somebody_who_may_not_read_a_file_says_so() {
    if !Uid::effective().is_root() {
        eprintln!("passed over: only root can become somebody else");
        return;
    }
    // Somebody else can run what is in a folder of his.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program: PathBuf = place.path().join("zephyrctl");
    fs::copy(env!("CARGO_BIN_EXE_zephyrctl"), &program).unwrap();
    let folder = folder();
    let check = || {
        let mut command = Command::new(&program);
        command.args(["check", "--files", "--config-dir"]).arg(folder.path()).uid(NOBODY).gid(NOBODY);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(check().0, Some(0), "{}", check().1);
    for (name, _) in FILES {
        let file = folder.path().join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let (status, said) = check();
        assert_eq!(status, Some(1), "{name}: {said}");
        assert!(said.contains(&format!("{}: Permission denied", file.display())), "{name}: {said}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }
}
