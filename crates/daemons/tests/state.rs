//! Servers whose state is kept: killed, stopped and started again, and with disks that do not do what they should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::*;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    notice::{Notice, Packet},
};
use zephyr_testkit::loopback::Network;

/// A server's files, which outlast it.
struct Site {
    folder: tempfile::TempDir,
    network: Rc<Network>,
    /// Where it listens, once that is known.
    address: Option<SocketAddr>,
}

impl Site {
    fn new() -> Self {
        let site =
            Self { folder: tempfile::tempdir().unwrap(), network: Rc::new(Network::claim().unwrap()), address: None };
        let settings = format!("[state]\nfile = {:?}\n[control]\nsocket = {:?}\n", site.file(), site.socket());
        fs::write(site.folder.path().join("zephyr.toml"), settings).unwrap();
        site
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    /// Starts the server, at the same address as before.
    fn start(&mut self) -> Daemon {
        self.start_by(&[])
    }

    /// The same through another program.
    fn start_by(&mut self, through: &[&str]) -> Daemon {
        let listen = self.address.unwrap_or_else(|| any_port(&self.network)).to_string();
        let folder = self.folder.path().to_str().unwrap().to_owned();
        let line = [
            through,
            &[env!("CARGO_BIN_EXE_zephyrd"), "--listen", &listen, "--auth", "none", "-k", "OPEN.TEST"],
            &["--config-dir", &folder, "--hostname", "here"],
        ]
        .concat();
        let daemon = Daemon::start(line[0], &line[1..], &self.network);
        self.address = Some(daemon.address);
        daemon
    }

    fn zephyrctl(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_zephyrctl"))
            .args(["--config-dir", self.folder.path().to_str().unwrap()])
            .args(arguments)
            .output()
            .unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// How many clients and subscriptions the server holds.
    fn held(&self) -> [u64; 2] {
        let (_, said, _) = self.zephyrctl(&["--json", "status"]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        ["clients", "subscriptions"].map(|name| said["status"]["holds"][name].as_u64().unwrap())
    }

    /// What `zephyrctl status` says of the state.
    fn status(&self) -> String {
        let (_, said, _) = self.zephyrctl(&["status"]);
        let line = said.lines().find(|line| line.trim_start().starts_with("state "));
        line.unwrap_or_default().trim_start().trim_start_matches("state").trim().to_owned()
    }
}

fn kill(mut server: Daemon) {
    server.signal("KILL");
    server.wait();
}

fn stop(mut server: Daemon) {
    server.signal("TERM");
    server.line_with("goodbye");
    assert_eq!(server.wait(), Some(0));
}

fn subscribe(reader: &mut Program, to: &'static [u8]) {
    let uid = reader.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", to));
    assert_eq!(reader.receive(), (Kind::ServAck, uid, b"SENT\0".to_vec()));
    reader.confirm();
}

/// A notice of the class, and what its sender is told.
fn say(speaker: &mut Program, class: &'static [u8], text: &'static [u8]) -> String {
    let uid = speaker.send(acked(class, b"x", b"", text));
    let (kind, of, body) = speaker.receive();
    assert_eq!((kind, of), (Kind::ServAck, uid));
    String::from_utf8(body).unwrap().trim_end_matches('\0').to_owned()
}

#[test]
fn what_was_answered_outlasts_a_killed_server() {
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    let place = reader.send(acked(b"LOGIN", b"alice@OPEN.TEST", b"NET-VISIBLE", b"machine\0now\0tty\0"));
    assert_eq!(reader.receive().1, place);
    kill(server);

    let server = site.start();
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    assert_eq!(say(&mut speaker, b"foo", b"hello\0"), "SENT");
    let (kind, _, body) = reader.receive();
    assert_eq!((kind, body), (Kind::Acked, b"hello\0".to_vec()), "the reader did nothing");
    let asked = speaker.send(acked(b"USER_LOCATE", b"alice@OPEN.TEST", b"LOCATE", b""));
    assert_eq!(speaker.receive(), (Kind::ServAck, asked, b"SENT\0".to_vec()));
    assert_eq!(speaker.receive().2, b"machine\0now\0tty\0".to_vec());
    // And what ended has ended.
    let ended = reader.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"UNSUBSCRIBE", b"foo\0*\0\0"));
    assert_eq!(reader.receive(), (Kind::ServAck, ended, b"SENT\0".to_vec()));
    kill(server);
    let server = site.start();
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    assert_eq!(say(&mut speaker, b"foo", b"hello\0"), "LOST");
}

#[test]
fn a_kill_in_the_middle_loses_nothing_that_was_answered() {
    const ROUNDS: usize = 5;
    const AT_ONCE: usize = 40;
    let mut site = Site::new();
    let mut readers: Vec<Program> = Vec::new();
    for round in 0..ROUNDS {
        let server = site.start();
        let mut new: Vec<Program> = (0..AT_ONCE).map(|_| Program::new(server.address, "alice@OPEN.TEST")).collect();
        for reader in &mut new {
            reader.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"foo\0*\0\0"));
        }
        // As many as have an answer by now.
        let answered = new.split_off(AT_ONCE / 2);
        for reader in &answered {
            assert_eq!(reader.receive().0, Kind::ServAck);
        }
        kill(server);
        readers.extend(answered);

        let server = site.start();
        let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
        speaker.ask(acked(b"foo", b"x", b"", b"hello\0"));
        for reader in &readers {
            let body = reader.receive().2;
            assert_eq!(body, b"hello\0", "round {round}");
        }
        stop(server);
    }
}

#[test]
fn a_stop_in_order_takes_along_what_nobody_has_acknowledged() {
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    assert_eq!(say(&mut speaker, b"foo", b"hello\0"), "SENT");
    // The reader stands still: it takes the packet off its socket, and does nothing with it.
    let mut buffer = [0; 1024];
    let (len, _) = reader.socket.recv_from(&mut buffer).unwrap();
    let lost = Packet::parse(&buffer[..len]).unwrap().notice.uid;
    server.signal("TERM");
    server.line_with("all is kept, and 1 packet that nobody has acknowledged");
    drop(server);

    let server = site.start();
    let again = loop {
        let (_, uid, body) = reader.receive();
        if uid == lost {
            break body;
        }
    };
    assert_eq!(again, b"hello\0");
    stop(server);
    let _server = site.start();
    assert_eq!(site.held(), [1, 1]);
    reader.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(reader.socket.recv_from(&mut buffer).is_err(), "what was acknowledged does not come again");
}

#[test]
fn what_cannot_be_used_is_said_and_the_server_goes_on() {
    let mut site = Site::new();
    fs::create_dir(site.file()).unwrap();
    let server = site.start();
    assert!(site.status().contains("it is a directory, not a file"), "{}", site.status());
    let (status, said, _) = site.zephyrctl(&["reload"]);
    let still = format!("the state is in memory only, and {} is tried again now: it is a dir", site.file().display());
    assert!(status == Some(0) && said.contains(&still), "{said}");
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    stop(server);

    // A file of another program is left alone.
    fs::remove_dir(site.file()).unwrap();
    fs::write(site.file(), "").unwrap();
    let database = |text: &str| {
        let done = Command::new("sqlite3").arg(site.file()).arg(text).status();
        done.is_ok_and(|status| status.success())
    };
    if !database("CREATE TABLE theirs (x)") {
        return eprintln!("passed over: there is no sqlite3");
    }
    let before = fs::read(site.file()).unwrap();
    let server = site.start();
    assert!(site.status().contains("it is no state of a Zephyr server, and is left alone"), "{}", site.status());
    stop(server);
    assert_eq!(fs::read(site.file()).unwrap(), before);
}

#[test]
fn a_broken_file_is_moved_aside() {
    let mut site = Site::new();
    fs::write(site.file(), "no database at all. ".repeat(500)).unwrap();
    let server = site.start();
    assert_eq!(site.status(), format!("kept in {}", site.file().display()));
    assert!(site.folder.path().join("state.db.broken-1").exists());
    stop(server);
}

#[test]
fn a_file_that_is_broken_inside_is_moved_aside_at_once() {
    const PAGE: usize = 4096;
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    stop(server);
    let mut octets = fs::read(site.file()).unwrap();
    // That of the clients, which nobody reads before all is read.
    octets[3 * PAGE..4 * PAGE].fill(0xff);
    fs::write(site.file(), octets).unwrap();
    let server = site.start();
    assert_eq!(site.status(), format!("kept in {}", site.file().display()));
    assert!(site.folder.path().join("state.db.broken-1").exists());
    subscribe(&mut reader, b"foo\0*\0\0");
    kill(server);
    let server = site.start();
    assert_eq!(site.held(), [1, 1]);
    stop(server);
}

#[test]
fn a_file_that_is_removed_is_made_anew() {
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    fs::remove_file(site.file()).unwrap();
    server.line_with("removed or replaced");
    server.line_with("everything is kept again");
    stop(server);
    let server = site.start();
    assert_eq!(site.held(), [1, 1]);
    stop(server);
}

#[test]
fn two_servers_do_not_share_a_file() {
    let mut site = Site::new();
    let first = site.start();
    let mut other = Site { folder: tempfile::tempdir().unwrap(), network: site.network.clone(), address: None };
    let settings = format!("[state]\nfile = {:?}\n[control]\nsocket = {:?}\n", site.file(), other.socket());
    fs::write(other.folder.path().join("zephyr.toml"), settings).unwrap();
    let second = other.start();
    assert!(other.status().contains("another zephyrd uses it"), "{}", other.status());
    stop(second);
    stop(first);
}

/// Whether file systems can be mounted here.
fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status();
    let can = tried.is_ok_and(|status| status.success());
    if !can {
        eprintln!("passed over: nothing can be mounted here");
    }
    can
}

#[test]
fn a_full_disk_is_said_and_everything_is_kept_when_there_is_room_again() {
    if !can_mount() {
        return;
    }
    let mut site = Site::new();
    let disk = site.folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let settings = format!("[state]\nfile = {:?}\n[control]\nsocket = {:?}\n", disk.join("state.db"), site.socket());
    fs::write(site.folder.path().join("zephyr.toml"), settings).unwrap();
    let mount = format!("mount -t tmpfs -o size=400k,mode=0700 tmpfs {} && exec \"$@\"", disk.display());
    let server = site.start_by(&["unshare", "-m", "sh", "-c", &mount, "sh"]);
    let mut readers: Vec<Program> = Vec::new();
    let mut full = false;
    while !full && readers.len() < 400 {
        let mut reader = Program::new(server.address, "alice@OPEN.TEST");
        subscribe(&mut reader, LONG);
        readers.push(reader);
        full = site.status().contains("no space is left for it");
    }
    assert!(full, "{}", site.status());
    let mut last = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut last, b"foo\0*\0\0");
    let more = format!("mount -o remount,size=50m {}", disk.display());
    let pid = server.child.id().to_string();
    let done = Command::new("nsenter").args(["-t", &pid, "-m", "sh", "-c", &more]).status().unwrap();
    assert!(done.success());
    server.signal("HUP");
    server.line_with("everything is kept again");
    let copy =
        format!("cat {0}/state.db > {0}/../state.db; cat {0}/state.db-wal > {0}/../state.db-wal", disk.display());
    assert!(Command::new("nsenter").args(["-t", &pid, "-m", "sh", "-c", &copy]).status().unwrap().success());
    kill(server);
    let settings = format!("[state]\nfile = {:?}\n[control]\nsocket = {:?}\n", site.file(), site.socket());
    fs::write(site.folder.path().join("zephyr.toml"), settings).unwrap();
    let server = site.start();
    assert_eq!(site.held()[0], readers.len() as u64 + 1);
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    assert_eq!(say(&mut speaker, b"foo", b"hello\0"), "SENT");
    assert_eq!(last.receive().2, b"hello\0");
}

/// Some subscriptions that fill a disk.
const LONG: &[u8] = b"a long class, which takes some room on a disk that has little of it\0*\0\0\
                      another class, which takes some room on a disk that has little of it\0*\0\0\
                      a third class, which takes some room on a disk that has little of it, too\0*\0\0";

#[test]
fn only_the_server_reads_its_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for beside in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{beside}", site.file().display()));
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    stop(server);
}

#[test]
fn a_notice_under_way_to_many_is_taken_along() {
    let mut site = Site::new();
    let server = site.start();
    let mut readers: Vec<Program> = (0..30).map(|_| Program::new(server.address, "alice@OPEN.TEST")).collect();
    readers.iter_mut().for_each(|reader| subscribe(reader, b"foo\0*\0\0"));
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    let uid = speaker.send(Notice { kind: Kind::Acked, ..acked(b"foo", b"x", b"", b"hello\0") });
    assert_eq!(speaker.receive().1, uid);
    stop(server);
    let _server = site.start();
    for reader in &readers {
        assert_eq!(reader.receive().2, b"hello\0");
    }
}

#[test]
fn operators_look_at_a_file_and_move_what_is_in_it() {
    let mut site = Site::new();
    let server = site.start();
    let mut reader = Program::new(server.address, "alice@OPEN.TEST");
    subscribe(&mut reader, b"foo\0*\0\0");
    let (status, said, _) = site.zephyrctl(&["state", "check"]);
    assert!(status == Some(0) && said.contains("no damage; version 3, realm OPEN.TEST, a server uses it"), "{said}");
    assert!(said.lines().any(|line| line.split_whitespace().eq(["subscriptions", "1"])), "{said}");
    let lines = site.folder.path().join("lines");
    let lines = lines.to_str().unwrap();
    assert_eq!(site.zephyrctl(&["state", "export", lines]).0, Some(0));
    let (status, _, refused) = site.zephyrctl(&["state", "import", lines]);
    assert_eq!((status, refused.contains("another zephyrd uses it")), (Some(1), true), "{refused}");
    stop(server);
    let (status, _, refused) = site.zephyrctl(&["state", "import", lines]);
    assert_eq!((status, refused.contains("it holds a state already")), (Some(1), true), "{refused}");

    for beside in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{beside}", site.file().display()));
    }
    let (status, _, _) = site.zephyrctl(&["state", "check"]);
    assert_eq!(status, Some(1), "there is none");
    assert_eq!(site.zephyrctl(&["state", "import", lines]).0, Some(0));
    let server = site.start();
    let mut speaker = Program::new(server.address, "bob@OPEN.TEST");
    assert_eq!(say(&mut speaker, b"foo", b"hello\0"), "SENT");
    assert_eq!(reader.receive().2, b"hello\0");
}

#[test]
fn a_folder_in_which_others_have_a_hand_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut site = Site::new();
    let folder = site.folder.path().join("open to all");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let file = folder.join("state.db");
    let settings = format!("[state]\nfile = {file:?}\n[control]\nsocket = {:?}\n", site.socket());
    fs::write(site.folder.path().join("zephyr.toml"), settings).unwrap();
    let server = site.start();
    assert!(site.status().contains("others can exchange what is in the folder"), "{}", site.status());
    server.signal("HUP");
    server.line_with("reloaded");
    assert!(site.status().contains("others can exchange what is in the folder"), "{}", site.status());
    assert!(!file.exists());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    server.signal("HUP");
    server.line_with("everything is kept again");
    assert!(file.exists());
    stop(server);
}

/// Root's backup is root's alone, and the folder is the server's.
#[test]
fn root_restores_for_the_server() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    const OWNER: u32 = 54_321;
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("passed over: only root can try it");
    }
    let site = Site::new();
    fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (folder, lines) = (site.folder.path().join("state"), site.folder.path().join("lines"));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&folder, Some(OWNER), Some(OWNER)).unwrap();
    fs::write(&lines, HEAD).unwrap();
    fs::set_permissions(&lines, fs::Permissions::from_mode(0o600)).unwrap();
    let file = folder.join("state.db");
    let line = ["state", "import", "--file", file.to_str().unwrap(), lines.to_str().unwrap()];
    let (status, said, why) = site.zephyrctl(&line);
    assert_eq!((status, why.as_str()), (Some(0), ""));
    assert_eq!(said, format!("0 elements imported into {}\n", file.display()));
    let about = fs::metadata(&file).unwrap();
    assert_eq!((about.uid(), about.gid(), about.mode() & 0o777), (OWNER, OWNER, 0o600));
}

/// The first line of an export.
const HEAD: &str = "{\"zephyr-state\":1,\"realm\":\"OPEN.TEST\",\"clean\":true}\n";

#[test]
fn what_cannot_be_imported_is_named_and_leaves_nothing() {
    let site = Site::new();
    let lines = site.folder.path().join("lines");
    let name = lines.to_str().unwrap();
    for (content, why) in [
        ("", "line 1: there is nothing"),
        ("hello world\n", "line 1, column 1: expected JSON, found \"hello world\""),
        ("{} and\n", "line 1, column 4: expected nothing more, found \"and\""),
        ("{\"zephyr-state\n", "line 1: it ends in the middle"),
        ("{}\n", "line 1: this is no exported state of a version that is known"),
        (&format!("{HEAD}{{}}\n"), "line 2: expected an element, found {}"),
        (&format!("{HEAD}{{\"element\":\"things\"}}\n"), "line 2: there are no elements \"things\""),
        (&format!("{HEAD}{{\"element\":\"hosts\",\"host\":5}}\n"), "line 2: host: expected an address, found 5"),
        (&format!("{HEAD}{{\"element\":\"hosts\"}}\n"), "line 2: host is missing"),
        (&format!("{HEAD}\u{fffd}\n"), "line 2, column 1: expected JSON, found"),
    ] {
        fs::write(&lines, content).unwrap();
        let (status, said, refused) = site.zephyrctl(&["state", "import", name]);
        assert_eq!((status, said.as_str()), (Some(1), ""));
        assert!(refused.starts_with(&format!("zephyrctl: {name}: {why}")), "{content:?}: {refused}");
        for beside in ["", "-wal", "-shm"] {
            assert!(!Path::new(&format!("{}{beside}", site.file().display())).exists(), "{content:?}");
        }
    }
    let file = site.file().display().to_string();
    let refused = |arguments: &[&str]| site.zephyrctl(&[&["state"], arguments].concat()).2;
    assert_eq!(refused(&["check"]), format!("zephyrctl: {file}: No such file or directory\n"));
    assert_eq!(refused(&["import", "/nodir/x"]), "zephyrctl: /nodir/x: cannot be read: No such file or directory\n");
    let (_, said, _) = site.zephyrctl(&["--json", "state", "check"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["refused"], format!("{file}: No such file or directory"));
    fs::write(&lines, HEAD).unwrap();
    assert_eq!(site.zephyrctl(&["state", "import", name]).0, Some(0));
    assert_eq!(refused(&["export", "/nodir/x"]), "zephyrctl: /nodir/x: cannot be written: No such file or directory\n");
    assert_eq!(refused(&["export"]), "zephyrctl: 0 elements exported\n");
    fs::write(&lines, HEAD.replace("OPEN", "OTHER")).unwrap();
    assert_eq!(
        refused(&["import", name]),
        format!("zephyrctl: {name}: it is of a server of realm OTHER.TEST, and {file} is of one of realm OPEN.TEST\n")
    );
}
