//! Files of access control rules: discovery, errors, and reloads of a running server, which never uses half of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::{Daemon, Program, acked, any_port, server};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use zephyr_core::kind::Kind;
use zephyr_daemons::{
    problem::Problem,
    zephyrd::rule_files::{Loaded, load},
};
use zephyr_engine::server::acl::{AclDecision, Act, ListDecision, Who};
use zephyr_testkit::loopback::Network;

/// A configuration folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(folder.path(), name, content);
    }
    folder
}

fn write(folder: &Path, name: &str, content: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// What is wrong, without the folder's name.
fn problems(folder: &Path) -> Vec<String> {
    texts(&load(folder).expect_err("something is wrong").problems, folder)
}

fn texts(found: &[Problem], folder: &Path) -> Vec<String> {
    found.iter().map(|problem| problem.to_string().replace(&format!("{}/", folder.display()), "")).collect()
}

fn person(principal: &str) -> Who<'_> {
    Who { principal: Some(principal.as_bytes()), address: None }
}

const NOBODY: Who<'static> = Who { principal: None, address: None };

#[test]
fn the_shipped_files_mean_what_debians_mean() {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging/etc-zephyr");
    let Loaded { rules, warnings, .. } = load(&shipped).unwrap();
    assert_eq!(warnings, []);
    assert_eq!((rules.registered(), rules.defaults.len()), (9, 3));
    assert!(!rules.is_operator(b"root@ATHENA.TEST"));
    use Act::{AnyInstance, OtherInstance, Send, Subscribe};
    let open: [(&str, &[Act]); 9] = [
        ("wg_ctl", &[]),
        ("hm_ctl", &[]),
        ("hm_stat", &[]),
        ("zephyr_admin", &[]),
        ("zephyr_ctl", &[Send]),
        ("login", &[Send, Subscribe]),
        ("operations", &[Subscribe, AnyInstance, OtherInstance]),
        ("locate", &Act::ALL),
        ("zmatch_all", &Act::ALL),
    ];
    for (class, acts) in open {
        for act in Act::ALL {
            let free = matches!(class, "locate" | "zmatch_all");
            let ruling = rules.decide(class.as_bytes(), act, person("alice@ATHENA.TEST"));
            assert_eq!(ruling.admits(), acts.contains(&act), "{class} {act:?}");
            assert_eq!(ruling == AclDecision::NoList, free, "{class} {act:?}");
            assert_eq!(rules.decide(class.as_bytes(), act, NOBODY).admits(), free, "{class} {act:?} without proof");
        }
    }
    assert_eq!(rules.decide(b"user_locate", Send, NOBODY), AclDecision::Free);
}

#[test]
fn an_empty_folder_restricts_nothing() {
    for files in [&[][..], &[("acl/xmt-foo.acl", "")]] {
        let folder = folder(files);
        let loaded = load(folder.path()).unwrap();
        assert_eq!((loaded.rules.registered(), loaded.rules.defaults.len()), (0, 3), "the usual default subscriptions");
        assert_eq!(
            texts(&loaded.warnings, folder.path()),
            ["acl/class-registry.acl: no registry available, all classes are free"]
        );
    }
    let folder = folder(&[("default.subscriptions", "")]);
    assert!(load(folder.path()).unwrap().rules.defaults.is_empty(), "an empty file means none");
}

#[test]
fn file_names_follow_the_registrys_spelling() {
    let mut files = vec![("acl/class-registry.acl", "Foo:\n"), ("acl/xmt-Foo.acl", "bob@R\n")];
    let good = folder(&files);
    let rules = load(good.path()).unwrap().rules;
    let decide = |principal| rules.decide(b"foo", Act::Send, person(principal));
    assert_eq!(decide("bob@R"), AclDecision::List(ListDecision::Admitted(1)));
    assert_eq!(decide("eve@R"), AclDecision::List(ListDecision::Refused(None)));
    assert_eq!(rules.decide(b"foo", Act::Subscribe, NOBODY), AclDecision::NoList);

    files.push(("acl/sub-foo.acl", ""));
    assert_eq!(
        problems(folder(&files).path()),
        ["acl/sub-foo.acl: the registry spells this class so that sub-Foo.acl is read"],
        "the class would be open although somebody closed it"
    );
    files.push(("acl/sub-Foo.acl", ""));
    files.push(("acl/iui-bar.acl", ""));
    files.push(("acl/README", "no list"));
    files.push(("acl/opstaff.acl", "root"));
    let good = folder(&files);
    assert_eq!(
        texts(&load(good.path()).unwrap().warnings, good.path()),
        [
            "acl/iui-bar.acl: not read, because class-registry.acl lacks its class",
            "acl/opstaff.acl:1: a principal without realm: it names nobody where principals have realms",
            "acl/sub-foo.acl: the registry spells this class so that sub-Foo.acl is read",
        ]
    );
}

#[test]
fn a_registered_class_that_nothing_restricts_is_named() {
    let files = ["acl/xmt-closed.acl", "acl/sub-half.acl"].map(|name| (name, "*@R\n"));
    let registry = ("acl/class-registry.acl", "closed:\nlocate:\nsecret:\nhalf:\n");
    let folder = folder(&[&files[..], &[registry]].concat());
    let warnings = load(folder.path()).unwrap().warnings;
    assert_eq!(
        texts(&warnings, folder.path()),
        ["acl/class-registry.acl:3: class secret has no list, so everybody may do everything with it"]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = folder(&[
        ("default.subscriptions", "a,b,*\nmessage,urgent\n\nmessage,,*\n"),
        ("acl/class-registry.acl", "first:\nFirst:\n:\nsecond:\n"),
        ("acl/opstaff.acl", "ops@R\nälice bob@R\nbob@\n"),
        ("acl/xmt-second.acl", "!\n*@R\n@10.0.0\n"),
        ("acl/xmt-third.acl", "*@R\n"),
    ]);
    assert_eq!(
        problems(folder.path()),
        [
            "acl/class-registry.acl:2:1: the same class as in line 1, spelled first: its lists' file names would be ambiguous",
            "acl/class-registry.acl:3:1: a class is expected before :",
            "acl/opstaff.acl:2:7: white space inside a name: one principal or address on each line",
            "acl/opstaff.acl:3:4: a realm is expected after @; * is any",
            "acl/xmt-second.acl:1:1: a principal or @ADDRESS is expected after !",
            "acl/xmt-second.acl:3:2: an address is expected after @, like 10.1.2.3 or 2001:db8::1 (everybody of a realm is *@REALM)",
            "default.subscriptions:2:1: expected class,instance,recipient, not 2 fields",
            "default.subscriptions:4:9: an empty class or instance",
        ]
    );
    let findings = load(folder.path()).expect_err("something is wrong");
    assert_eq!(findings.warnings, [], "a registry with an invalid line frees no class");
    write(folder.path(), "acl/class-registry.acl", "first:\n");
    write(folder.path(), "acl/xmt-second.acl", "");
    fs::remove_file(folder.path().join("acl/xmt-third.acl")).unwrap();
    let findings = load(folder.path()).expect_err("something is wrong");
    assert_eq!(findings.problems.len(), 4);
    assert_eq!(
        texts(&findings.warnings, folder.path()),
        [
            "acl/class-registry.acl:1: class first has no list, so everybody may do everything with it",
            "acl/xmt-second.acl: not read, because class-registry.acl lacks its class",
        ]
    );
}

#[test]
fn what_is_there_and_cannot_be_read_is_no_missing_file() {
    let folder = folder(&[("acl/class-registry.acl", "foo:\n")]);
    let list = folder.path().join("acl/xmt-foo.acl");
    symlink("nowhere", &list).unwrap();
    assert_eq!(
        problems(folder.path()),
        [format!("acl/xmt-foo.acl: {} is a symbolic link that leads nowhere", list.display())
            .replace(&format!("{}/", folder.path().display()), "")]
    );
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
    assert_eq!(problems(folder.path()), ["acl/xmt-foo.acl: this is a directory, not a file"]);
    fs::remove_dir(&list).unwrap();
    assert!(Command::new("mkfifo").arg(&list).status().unwrap().success());
    assert_eq!(problems(folder.path()), ["acl/xmt-foo.acl: this is a pipe, not a file"], "and nobody waits for it");
    fs::remove_file(&list).unwrap();
    fs::write(&list, vec![b'\n'; (4 << 20) + 1]).unwrap();
    assert_eq!(problems(folder.path()), ["acl/xmt-foo.acl: longer than 4194304 octets"]);
    fs::remove_file(&list).unwrap();
    assert!(load(folder.path()).is_ok());
}

/// What a notice of this class is answered by a running server.
fn answer(server: &Daemon, class: &'static str) -> (Kind, Vec<u8>) {
    let mut alice = Program::new(server.address, "alice@OPEN.TEST");
    let uid = alice.send(acked(class.as_bytes(), b"i", b"", b"hello\0"));
    let (kind, answered, body) = alice.receive();
    assert_eq!(answered, uid);
    // What follows the word says why.
    (kind, body.split(|&octet| octet == 0).next().unwrap().to_vec())
}

#[test]
fn a_running_server_keeps_its_rules_until_better_ones_are_whole() {
    let folder = folder(&[
        ("acl/class-registry.acl", "closed:\nlab:\n"),
        ("acl/xmt-closed.acl", ""),
        ("acl/xmt-lab.acl", "@127.0.0.0/8\n"),
    ]);
    let server = server(&["--config-dir", folder.path().to_str().unwrap()]);
    let admitted = (Kind::ServAck, b"LOST".to_vec());
    let refused = (Kind::ServNak, b"LOST".to_vec());
    assert!(server.address.ip().is_loopback());
    let look = || ["closed", "lab", "free"].map(|class| answer(&server, class));
    assert_eq!(look(), [refused.clone(), admitted.clone(), admitted.clone()]);

    // One file would open a class and another is broken: nothing is opened.
    write(folder.path(), "acl/xmt-closed.acl", &format!("@{}\n", server.address.ip()));
    write(folder.path(), "acl/xmt-lab.acl", "!@127.0.0.0/8\n@127.0.0.1/99\n");
    server.signal("HUP");
    let line = server.line_with("acl/xmt-lab.acl:2:");
    assert!(line.contains("acl/xmt-lab.acl:2:12: a number from 0 to 32 is expected after /"), "{line}");
    assert_eq!(look(), [refused.clone(), admitted.clone(), admitted.clone()]);

    write(folder.path(), "acl/xmt-lab.acl", "!@127.0.0.0/8\n");
    write(folder.path(), "acl/class-registry.acl", "closed:\nlab:\nfree:\n");
    write(folder.path(), "acl/xmt-free.acl", "");
    server.signal("HUP");
    server.line_with("reloaded: ");
    assert_eq!(look(), [admitted.clone(), refused.clone(), refused.clone()]);

    write(folder.path(), "acl/class-registry.acl", "closed:\nlab:\n");
    fs::remove_file(folder.path().join("acl/xmt-lab.acl")).unwrap();
    server.signal("HUP");
    server.line_with("reloaded: ");
    assert_eq!(look(), [admitted.clone(), admitted.clone(), admitted], "gone is gone");
}

#[test]
fn a_server_does_not_start_with_broken_rules() {
    let folder = folder(&[("acl/class-registry.acl", "foo:\n"), ("acl/sub-foo.acl", "@nowhere\n")]);
    let path = folder.path().to_str().unwrap();
    let network = Network::claim().unwrap();
    let listen = any_port(&network).to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_zephyrd"))
        .args(["--listen", &listen, "--auth", "none", "-k", "R", "--config-dir", path, "--hostname", "here"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("{path}/acl/sub-foo.acl:1:2: an address is expected after @")), "{said}");
}
