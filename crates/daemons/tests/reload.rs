//! Reloads, and the policy that is in force after them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use nix::{
    sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket},
    unistd::geteuid,
};
use running::{Daemon, any_port, server};
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{PermissionsExt, chown},
            net::UnixStream,
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    rc::Rc,
};
use zephyr_testkit::loopback::Network;

const NOBODY: u32 = 65_534;
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd");
const RELOADED: &str = "reloaded: 3 default subscriptions, 0 restricted classes";

struct Site {
    folder: tempfile::TempDir,
    server: Daemon,
}

impl Site {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("acl")).unwrap();
        fs::write(folder.path().join("acl/class-registry.acl"), "").unwrap();
        let (path, socket) = (folder.path().to_str().unwrap(), folder.path().join("sock"));
        let server = server(&["--config-dir", path, "--control-socket", socket.to_str().unwrap()]);
        Self { folder, server }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        zephyrctl(&self.folder.path().join("sock"), arguments)
    }

    fn ctl(&self, arguments: &[&str]) -> Said {
        said(&self.command(arguments).output().unwrap())
    }

    fn json(&self, verb: &str) -> Value {
        serde_json::from_str(&self.ctl(&["--json", verb]).out).unwrap()
    }
}

/// What a command said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn zephyrctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
    command.arg("--control-socket").arg(socket).args(arguments);
    command
}

fn said(output: &Output) -> Said {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    Said { status: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[test]
fn the_outcome_is_waited_for_and_the_log_has_it_too() {
    let site = Site::start();
    for round in 0..2 {
        site.write("default.subscriptions", "broken\n");
        let broken = site.ctl(&["reload"]);
        assert_eq!((broken.status, &*broken.err), (Some(1), ""));
        assert!(
            broken.out.contains("default.subscriptions:1:1: ") && broken.out.ends_with("nothing changed: 1 problem\n")
        );
        site.server.line_with("nothing changed: 1 problem");
        site.write("default.subscriptions", "message,personal,%me%\nmessage,urgent,%me%\nmessage,urgent,*\n");
        // A signal does the same and says the same.
        if round == 0 {
            assert_eq!(site.ctl(&["reload"]).out, format!("{RELOADED}\n"));
        } else {
            site.server.signal("HUP");
        }
        site.server.line_with(&format!("INFO {RELOADED}"));
    }
}

/// What closes something does not go away by a reload: neither by itself nor with its folder.
#[test]
fn what_goes_away_changes_nothing() {
    let site = Site::start();
    let path = |name: &str| site.folder.path().join(name);
    site.write("policy.toml", "[domain.OTHER]\nsend = \"closed\"\n");
    site.write("acl/class-registry.acl", "secret:\n");
    site.write("acl/xmt-secret.acl", "alice@R\n");
    let reloaded = site.ctl(&["reload"]);
    assert_eq!(reloaded.status, Some(0), "{reloaded:?}");
    let restricted = || site.ctl(&["acl", "check", "bob@R", "secret", "--act", "xmt"]).status;
    assert_eq!(restricted(), Some(1), "the control");
    let why = "it was there and is gone; restart zephyrd if that is meant";
    for (name, told) in [("policy.toml", "policy.toml"), ("acl", "acl/class-registry.acl")] {
        fs::rename(path(name), path("away")).unwrap();
        let refused = site.ctl(&["reload"]);
        let expected = format!("{}: {why}\n", path(told).display());
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(
            refused.out.contains(&expected) && refused.out.ends_with("nothing changed: 1 problem\n"),
            "{refused:?}"
        );
        assert_eq!(restricted(), Some(1));
        fs::rename(path("away"), path(name)).unwrap();
        assert_eq!(site.ctl(&["reload"]).status, Some(0));
    }
}

/// A disk that is not mounted any more. Who starts a server with a folder means one that is there, too.
#[test]
fn a_folder_that_is_missing_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let (folder, socket) = (place.path().join("etc"), place.path().join("sock"));
    fs::create_dir(&folder).unwrap();
    let options = ["--config-dir", folder.to_str().unwrap(), "--control-socket", socket.to_str().unwrap()];
    let server = server(&options);
    let missing = format!("{}: No such file or directory", folder.display());
    fs::rename(&folder, place.path().join("away")).unwrap();
    let refused = said(&zephyrctl(&socket, &["reload"]).output().unwrap());
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert!(refused.out.contains(&missing), "{refused:?}");
    let listen = any_port(&server.network).to_string();
    let another = ["--auth", "none", "-k", "R", "--hostname", "here", "--listen", &*listen];
    let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrd"));
    let begun = said(&command.args(another).args(&options[..2]).output().unwrap());
    assert_eq!((begun.status, begun.err), (Some(1), format!("zephyrd: {missing}\n")));
}

#[test]
fn several_at_once_are_all_answered() {
    let site = Site::start();
    let reloads: Vec<_> = (0..8)
        .map(|_| site.command(&["reload"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for reload in reloads {
        let expected = Said { status: Some(0), out: format!("{RELOADED}\n"), err: String::new() };
        assert_eq!(said(&reload.wait_with_output().unwrap()), expected);
    }
    assert_eq!(site.json("status")["status"]["counts"]["reloads"], 8);
}

#[test]
fn a_server_that_begins_is_not_there_or_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (path, socket) = (folder.path().to_str().unwrap(), folder.path().join("sock"));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reloading = std::thread::spawn({
        let socket = socket.clone();
        move || {
            let mut all = Vec::new();
            // For as long as the server begins, and once more.
            loop {
                let ended = stopped.try_recv().is_ok();
                all.push(said(&zephyrctl(&socket, &["reload"]).output().unwrap()));
                if ended {
                    return all;
                }
            }
        }
    });
    let _server = server(&["--config-dir", path, "--control-socket", socket.to_str().unwrap()]);
    stop.send(()).unwrap();
    let all = reloading.join().unwrap();
    assert_eq!(all.last().unwrap().status, Some(0), "{all:?}");
    for said in all {
        let is_fine = said.status == Some(0) && said.out.starts_with(RELOADED);
        assert!(
            is_fine || said.status == Some(3) && said.err.starts_with("zephyrctl: cannot reach the server at "),
            "{said:?}"
        );
    }
}

#[test]
fn a_server_that_is_not_there_or_hangs_is_not_waited_for_long() {
    let site = Site::start();
    let nowhere = said(&zephyrctl(&site.folder.path().join("other"), &["reload"]).output().unwrap());
    assert_eq!(nowhere.status, Some(3));
    assert!(nowhere.err.contains("other: No such file or directory"), "{nowhere:?}");
    site.server.signal("STOP");
    let hung = site.ctl(&["--timeout", "1", "reload"]);
    assert_eq!(hung.status, Some(3));
    assert!(hung.err.contains("sock: no answer within 1 s\nzephyrctl: It is busy, or hangs: "), "{hung:?}");
    assert!(hung.err.ends_with("zephyrctl: It may still reload: its log says when it has.\n"), "{hung:?}");
    assert!(!site.ctl(&["--timeout", "1", "status"]).err.contains("reload"));
    site.server.signal("CONT");
    assert_eq!(site.ctl(&["reload"]).status, Some(0));
    assert_eq!(site.ctl(&["--timeout", "0", "reload"]).status, Some(2));

    // One whose queue of connections is full.
    let path = site.folder.path().join("full");
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    let full = said(&zephyrctl(&path, &["--timeout", "1", "reload"]).output().unwrap());
    assert_eq!(full.status, Some(3));
    assert!(full.err.contains("full: no answer within 1 s\n"), "{full:?}");
}

#[test]
fn a_policy_that_is_not_in_force_is_named() {
    let site = Site::start();
    site.write("policy.toml", "[domain.\"OPNE.TEST\"]\nbackend = \"none\"\n");
    let reloaded = site.ctl(&["reload"]);
    assert_eq!(reloaded.status, Some(0));
    let warning = "policy.toml:1: domain \"OPNE.TEST\" fits no realm that this machine knows and is not in force; did you mean \
                   OPEN.TEST, the server's realm?";
    let path = site.folder.path().to_str().unwrap();
    assert!(reloaded.out.contains(&format!("warning: {path}/{warning}\n")), "{reloaded:?}");
    site.server.line_with(warning);
    let warnings = &site.json("reload")["reloaded"]["warnings"];
    assert!(
        warnings[0]["text"].as_str().unwrap().ends_with("did you mean OPEN.TEST, the server's realm?"),
        "{warnings}"
    );
}

#[test]
fn a_mistyped_realm_in_a_list_is_named() {
    let site = Site::start();
    site.write("acl/opstaff.acl", "*@OPNE.TEST\n");
    let reloaded = site.ctl(&["reload"]);
    assert_eq!(reloaded.status, Some(0));
    let warning = "acl/opstaff.acl:1: a principal of realm OPNE.TEST: it is no realm that this machine knows; did you mean \
                   OPEN.TEST?";
    let path = site.folder.path().to_str().unwrap();
    assert!(reloaded.out.contains(&format!("warning: {path}/{warning}\n")), "{reloaded:?}");
    site.server.line_with(warning);
}

#[test]
fn status_shows_the_policy_rule_by_rule() {
    let site = Site::start();
    let status = site.ctl(&["status"]).out;
    assert!(status.contains("\npolicy: the defaults, since no policy file describes this domain\n"), "{status}");
    let content =
        "[domain.\"*\"]\nbackend = \"none\"\nlocate = \"closed\"\n[domain.\"*\".class.\"news\"]\nsend = \"closed\"\n";
    site.write("policy.toml", content);
    assert_eq!(site.ctl(&["reload"]).status, Some(0));
    let file = site.folder.path().join("policy.toml").display().to_string();
    let status = site.ctl(&["status"]).out.replace(&file, "FILE");
    assert!(status.contains("\npolicy: domain \"*\" of FILE:1\n  send "), "{status}");
    for (rule, place, meaning) in [
        ("send ", "the default", "optional: anybody may send, with or without proof"),
        ("locate ", "FILE:3", "closed: nobody may ask where somebody is"),
        ("class \"news\": send ", "FILE:5", "closed: nobody may send"),
        ("bounds: notice-octets ", "", "400000: a notice may bring so many octets"),
    ] {
        let line =
            status.lines().find(|line| line.trim_start().starts_with(rule)).unwrap_or_else(|| panic!("{status}"));
        assert!(line.contains(place) && line.ends_with(meaning), "{line}");
    }
    let policy = &site.json("status")["status"]["policy"];
    let rules = policy["rules"].as_array().unwrap();
    let news = rules.iter().find(|rule| rule["section"] == "class \"news\"").unwrap();
    assert_eq!((&news["setting"], &news["value"]), (&"send".into(), &"closed".into()));
    assert!(news["place"].as_str().unwrap().ends_with("policy.toml:5"));
}

/// As the unit has it: server and zephyrctl are one user, who is not root.
#[test]
fn the_servers_own_user_reloads() {
    if !geteuid().is_root() {
        eprintln!("not root: other users cannot be tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = |program: &str| {
        let copy = folder.path().join(Path::new(program).file_name().unwrap());
        fs::copy(program, &copy).unwrap();
        copy
    };
    let (zephyrd, zephyrctl) = (copy(env!("CARGO_BIN_EXE_zephyrd")), copy(env!("CARGO_BIN_EXE_zephyrctl")));
    let run = folder.path().join("run");
    fs::create_dir(&run).unwrap();
    chown(&run, Some(NOBODY), Some(NOBODY)).unwrap();
    let network = Rc::new(Network::claim().unwrap());
    let file = |name: &str| folder.path().join(name);
    fs::write(
        file("zephyr.toml"),
        format!(
            "[zephyrd]\nlisten = \"{}\"\nhostname = \"here\"\nrealm = \"R\"\nauth = \"none\"\n[control]\nsocket = \"{}/sock\"\n",
            any_port(&network),
            run.display()
        ),
    )
    .unwrap();
    let nobody = |program: &PathBuf, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--"]).arg(program);
        command.arg("--config-dir").arg(folder.path()).args(arguments).current_dir("/").process_group(0);
        command
    };
    let command = nobody(&zephyrd, &[]);
    let arguments: Vec<&str> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
    let server = Daemon::start("setpriv", &arguments, &network);
    let reload = || said(&nobody(&zephyrctl, &["reload"]).output().unwrap());
    assert_eq!(reload().status, Some(0), "{:?}", reload());
    fs::write(file("default.subscriptions"), "broken\n").unwrap();
    let broken = reload();
    assert_eq!(broken.status, Some(1));
    assert!(broken.out.ends_with("nothing changed: 1 problem\n"), "{broken:?}");
    // What only root can read, the server cannot.
    fs::set_permissions(file("default.subscriptions"), Permissions::from_mode(0o600)).unwrap();
    assert!(reload().out.contains("default.subscriptions: Permission denied"), "{:?}", reload());
    drop(server);
}

/// The value of a setting in a unit.
fn setting<'u>(unit: &'u str, name: &str) -> Option<&'u str> {
    unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn the_unit_reloads_with_zephyrctl() {
    let unit = fs::read_to_string(format!("{UNITS}/zephyrd.service")).unwrap();
    // Not a signal, whose sender hears nothing.
    assert_eq!(setting(&unit, "ExecReload"), Some("/usr/sbin/zephyrctl reload"));
    assert_eq!(
        setting(&unit, "ExecStart"),
        Some("/usr/sbin/zephyrd"),
        "its options would be those of the reload as well"
    );
    // The user whom a check takes.
    assert_eq!(setting(&unit, "User"), Some("zephyr"));
    // What zephyrctl needs: the socket's folder, and sockets of its kind.
    assert_eq!(setting(&unit, "RuntimeDirectory"), Some("zephyr"));
    assert!(setting(&unit, "RestrictAddressFamilies").is_some_and(|families| families.contains("AF_UNIX")));
}

#[test]
fn systemd_understands_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_zephyrd")).parent().unwrap();
    let mut units = Vec::new();
    for entry in fs::read_dir(UNITS).unwrap() {
        let (unit, copy) = (entry.as_ref().unwrap().path(), folder.path().join(entry.unwrap().file_name()));
        // Those of users are in a folder of their own, for another manager.
        if unit.is_dir() {
            continue;
        }
        let content = fs::read_to_string(unit).unwrap();
        // The programs are where they were built.
        fs::write(&copy, content.replace("/usr/sbin", programs.to_str().unwrap())).unwrap();
        units.push(copy);
    }
    assert_eq!(units.len(), 3);
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    // What this machine lacks besides is none of ours.
    let ours: Vec<&str> = complaints.lines().filter(|line| line.contains(folder.path().to_str().unwrap())).collect();
    assert_eq!(ours, [""; 0], "{complaints}");
}
