//! The list of other realms: its errors keep a server from starting and from a reload, and its doubts do not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::{Daemon, server};
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const BROKEN: &str = "OTHER.TEST\n\nOTHER.TEST z1 z2\n";
const ERRORS: [&str; 2] = [
    "realm.list:1:1: expected REALM HOST, not one word",
    "realm.list:3:15: expected REALM HOST: a realm with several servers has a line for each",
];

struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    fn new(content: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        site.write(content);
        site
    }

    fn write(&self, content: &str) {
        fs::write(self.folder.path().join("realm.list"), content).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn server(&self) -> Daemon {
        let socket = self.path().join("sock");
        server(&["--config-dir", self.path().to_str().unwrap(), "--control-socket", socket.to_str().unwrap()])
    }

    fn ctl(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
        command.arg("--config-dir").arg(self.path()).arg("--control-socket").arg(self.path().join("sock"));
        said(&command.args(arguments).output().unwrap())
    }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text.into_owned())
}

#[test]
fn a_server_does_not_start_with_a_broken_list() {
    let site = Site::new(BROKEN);
    let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrd"));
    command.args(["--auth", "none", "-k", "HERE.TEST", "--config-dir"]).arg(site.path()).env_remove("RUST_LOG");
    let (status, start) = said(&command.output().unwrap());
    let (checked, check) = site.ctl(&["check", "--files"]);
    for error in ERRORS {
        assert!(start.contains(error) && check.contains(error), "{error}: {start} {check}");
    }
    assert_eq!((status, checked), (Some(1), Some(1)));
}

#[test]
fn a_reload_takes_a_list_as_a_whole_or_not_at_all() {
    let site = Site::new("# nobody yet\n");
    let server = site.server();
    site.write(BROKEN);
    let (status, told) = site.ctl(&["reload"]);
    assert_eq!(status, Some(1));
    assert!(
        ERRORS.iter().all(|error| told.contains(error)) && told.ends_with("nothing changed: 2 problems\n"),
        "{told}"
    );
    // Our own realm is a warning, and so is a host that is not found: the server works on.
    site.write("OPEN.TEST z.open.test\nOTHER.TEST no-such-host.invalid\nOTHER.TEST 192.0.2.1\n");
    let (status, told) = site.ctl(&["reload"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(
        told.contains("realm.list:1: OPEN.TEST is the server's own realm, so this line says nothing here"),
        "{told}"
    );
    let line = server.line_with("no address of no-such-host.invalid is known: ");
    assert!(line.contains("WARN") && line.contains("realm.list:2: "), "{line}");
    assert_eq!(site.ctl(&["reload"]).0, Some(0), "it works on");
    let options =
        ["--", "--listen", &server.address.to_string(), "--hostname", "here", "--auth", "none", "-k", "OPEN.TEST"];
    let (status, told) = site.ctl(&[&["check"], &options[..]].concat());
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("realm.list:2: no address of no-such-host.invalid is known: "), "{told}");
}

#[test]
fn a_check_looks_hosts_up_and_says_of_whom_nobody_is_believed() {
    let site = Site::new("OTHER.TEST no-such-host.invalid\nOTHER.TEST localhost\nTHIRD.TEST 192.0.2.1\n");
    fs::write(
        site.path().join("policy.toml"),
        "[domain.\"*\"]\nbackend = \"none\"\n[domain.\"*\".foreign.\"THIRD.TEST\"]\nspeaks-for = []\n",
    )
    .unwrap();
    let listen = ["check", "--", "--listen", "127.0.0.1:0", "-k", "HERE.TEST", "--hostname", "here"];
    let (status, told) = site.ctl(&listen);
    assert_eq!(status, Some(0), "{told}");
    for warning in [
        "realm.list:1: no address of no-such-host.invalid is known: ",
        "realm.list:3: the policy lets realm THIRD.TEST speak for nobody (",
        "realm.list: without Kerberos no other realm can prove anything",
    ] {
        assert!(told.contains(&format!("warning: {}/{warning}", site.path().display())), "{warning}: {told}");
    }
    assert!(!told.contains("localhost"), "{told}");
}
