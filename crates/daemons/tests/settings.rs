//! The settings file of two programs: a mistake stops only the program that it concerns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::*;
use std::{fs, path::Path, process::Command};

const ZEPHYRD: &str = env!("CARGO_BIN_EXE_zephyrd");
const ZHM: &str = env!("CARGO_BIN_EXE_zhm");

/// A configuration folder with this file of settings.
fn folder(content: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zephyr.toml"), content).unwrap();
    folder
}

/// The status and the error output of a program that does not begin.
fn refused(program: &str, folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(program).arg("--config-dir").arg(folder).env_remove("RUST_LOG").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The status of `zephyrctl check`, and what it prints.
fn checked(folder: &Path, options: &[&str]) -> (Option<i32>, String) {
    let zephyrctl = env!("CARGO_BIN_EXE_zephyrctl");
    let output = Command::new(zephyrctl)
        .arg("--config-dir")
        .arg(folder)
        .args(["check", "--files"])
        .args(options)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_mistake_of_the_host_manager_does_not_stop_a_server() {
    let folder = folder("[zhm]\nserver = []\nlisten = 7\n");
    let path = folder.path().to_str().unwrap();
    let server = server(&["--config-dir", path]);
    server.signal("HUP");
    server.line_with("reloaded: ");

    let (status, stderr) = refused(ZHM, folder.path());
    assert_eq!(status, Some(1));
    for line in
        ["zephyr.toml:2:1: unknown setting server in section zhm, did you mean servers?", "zephyr.toml:3:10: listen: "]
    {
        assert!(stderr.contains(line), "{line} is not in {stderr}");
    }
    assert_eq!(checked(folder.path(), &[]).0, Some(1));
}

#[test]
fn a_mistake_of_the_server_does_not_stop_a_host_manager() {
    let server = server(&[]);
    for (content, line) in [
        ("[bounds]\nclients = 0\n", "zephyr.toml:2:11: clients: expected a number from 1"),
        (
            "[zephyrd]\nverify-threads = 65\n",
            "zephyr.toml:2:18: verify-threads: expected a number from 0 to 64, not 65",
        ),
        ("[control]\nsocket = \"here\"\n", "zephyr.toml:2:10: socket: "),
        ("[metrics]\nlisten = \"0.0.0.0:80\"\n", "zephyr.toml:2:10: listen: "),
    ] {
        let folder = folder(content);
        let manager = host_manager(&server, &["--config-dir", folder.path().to_str().unwrap()]);
        manager.line_with("answers");

        let (status, stderr) = refused(ZEPHYRD, folder.path());
        assert_eq!(status, Some(1), "{content}");
        assert!(stderr.contains(line), "{line} is not in {stderr}");
        let (status, said) = checked(folder.path(), &[]);
        assert!(status == Some(1) && said.contains(line), "{line} is not in {said}");
    }
}

#[test]
fn what_concerns_both_stops_both() {
    for (content, line) in [
        ("[log]\ntarget = \"nowhere\"\n", "zephyr.toml:2:10: target: "),
        ("[bound]\nclients = 7\n", "zephyr.toml:1:2: unknown section bound, did you mean bounds?"),
        ("[zhmm]\nservers = []\n", "zephyr.toml:1:2: unknown section zhmm, did you mean zhm?"),
        ("[bounds\n", "zephyr.toml:1:8: "),
    ] {
        let folder = folder(content);
        for program in [ZEPHYRD, ZHM] {
            let (status, stderr) = refused(program, folder.path());
            assert!(status == Some(1) && stderr.contains(line), "{program}: {line} is not in {stderr}");
        }
        let (status, said) = checked(folder.path(), &[]);
        assert_eq!(status, Some(1));
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
}

#[test]
fn a_setting_is_known_by_its_old_name() {
    let renamed = "zephyr.toml:2:1: setting recent-packets is now called response-cache-entries";
    let folder = folder("[bounds]\nrecent-packets = 100\n");
    let server = server(&["--config-dir", folder.path().to_str().unwrap()]);
    server.signal("HUP");
    let line = server.line_with(renamed);
    assert!(line.contains("WARN"), "{line}");
    server.line_with("reloaded: ");

    // It is said at the start too; this one ends there, since the address is no machine's.
    let start = Command::new(ZEPHYRD)
        .args(["--listen", "192.0.2.1:0", "--config-dir", folder.path().to_str().unwrap()])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let stderr = String::from_utf8(start.stderr).unwrap();
    assert!(stderr.contains(renamed) && stderr.contains("cannot listen on 192.0.2.1:0"), "{stderr}");

    let (status, said) = checked(folder.path(), &[]);
    assert_eq!(status, Some(0), "{said}");
    let warning = format!("warning: {}/{renamed}\n", folder.path().display());
    assert!(said.contains(&warning), "{warning} is not in {said}");
    let (_, json) = checked(folder.path(), &["--json"]);
    assert!(json.starts_with("{\"problems\":[],\"warnings\":[{"), "{json}");
}
