//! What other users of the machine can prepare for the daemons: ports, sockets, links, folders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use nix::unistd::geteuid;
use running::{Daemon, Program, TIMEOUT, acked, any_port, server};
use std::{
    env,
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read},
    net::UdpSocket,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
            net::{UnixDatagram, UnixListener},
            process::CommandExt,
        },
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    rc::Rc,
};
use zephyr_testkit::loopback::Network;

const NOBODY: u32 = 65_534;
const PLACE: &str = "ZEPHYR_TEST_PLACE";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn zephyrctl(socket: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zephyrctl")).arg("--control-socket").arg(socket).arg("status").output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A server with its control socket there, and whether that is offered.
fn offers_control(socket: &Path) -> (Daemon, Result<(), String>) {
    let server = server(&["--control-socket", socket.to_str().unwrap()]);
    let offered = zephyrctl(socket);
    let outcome = if offered.status.success() { Ok(()) } else { Err(text(&offered.stderr)) };
    (server, outcome)
}

#[test]
fn no_control_socket_where_others_can_exchange_it() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, offered) in [(0o700, true), (0o1777, true), (0o777, false), (0o755, true)] {
        set_mode(folder.path(), mode);
        let socket = folder.path().join(format!("sock-{mode:o}"));
        let (_server, outcome) = offers_control(&socket);
        assert_eq!(outcome.is_ok(), offered, "{mode:o}: {outcome:?}");
        assert_eq!(socket.exists(), offered, "{mode:o}");
    }
    if geteuid().is_root() {
        set_mode(folder.path(), 0o755);
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), None).unwrap();
        assert!(offers_control(&folder.path().join("in another's folder")).1.is_err());
    }
}

#[test]
fn what_others_left_at_the_control_sockets_path_stays() {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o1777);
    let path = |name: &str| folder.path().join(name);
    // A link is not followed: what it leads to keeps its mode.
    fs::write(path("precious"), "precious").unwrap();
    set_mode(&path("precious"), 0o640);
    symlink(path("precious"), path("link")).unwrap();
    assert!(offers_control(&path("link")).1.is_err());
    assert_eq!(fs::metadata(path("precious")).unwrap().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());

    // One who never accepts does not keep the server from starting.
    let full = UnixListener::bind(path("full")).unwrap();
    nix::sys::socket::listen(&full, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
    let waiting: Vec<_> = (0..200).map_while(|_| connect_at_once(&path("full"))).collect();
    assert!(waiting.len() < 200, "its queue is full");
    assert!(server(&["--control-socket", path("full").to_str().unwrap()]).address.port() != 0);
    assert!(fs::symlink_metadata(path("full")).unwrap().file_type().is_socket());
    drop((full, waiting));

    // What a server that was killed left behind is its own, and makes room.
    assert!(offers_control(&path("full")).1.is_ok(), "the control");
    if geteuid().is_root() {
        drop(UnixListener::bind(path("another's")).unwrap());
        std::os::unix::fs::chown(path("another's"), Some(NOBODY), None).unwrap();
        let known = fs::symlink_metadata(path("another's")).unwrap().ino();
        let server = server(&["--control-socket", path("another's").to_str().unwrap()]);
        assert_eq!(fs::symlink_metadata(path("another's")).unwrap().ino(), known);
        drop(server);
    }
}

fn connect_at_once(path: &Path) -> Option<OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    use std::os::fd::AsRawFd;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None).unwrap();
    connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).ok().map(|()| socket)
}

/// Runs one of the tests here again as another user, who then plays the attacker until the lines that he says are read.
fn as_nobody(test: &str, place: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(PLACE, place).current_dir("/");
    let mut child = command.uid(NOBODY).gid(NOBODY).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.find(|line| line.contains("ready ")).expect("the attacker is ready");
    (child, lines)
}

/// A program that is stopped when the test ends, however that is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In the attacker's process: waits for the end of the test.
fn wait_for_end() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn zephyrctl_believes_no_server_of_another_user() {
    if let Some(place) = env::var_os(PLACE) {
        let listener = UnixListener::bind(Path::new(&place).join("sock")).unwrap();
        println!("ready ");
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = std::io::Write::write_all(&mut stream, b"{\"refused\":\"I am the server\"}\n");
            }
        });
        return wait_for_end();
    }
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can be several users");
    }
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o1777);
    let (mut attacker, _lines) = as_nobody("zephyrctl_believes_no_server_of_another_user", folder.path());
    let socket = folder.path().join("sock");
    let said = zephyrctl(&socket);
    assert_eq!(said.status.code(), Some(3), "{}", text(&said.stderr));
    assert!(text(&said.stderr).contains("(uid 65534) listens there"), "{}", text(&said.stderr));
    // A server with a user of its own is believed where only that user can have put the socket.
    set_mode(folder.path(), 0o755);
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), None).unwrap();
    let said = zephyrctl(&socket);
    assert!(text(&said.stderr).contains("I am the server"), "the control: {}", text(&said.stderr));
    drop(attacker.stdin.take());
    attacker.wait().unwrap();
}

#[test]
fn the_dump_and_the_process_id_are_written_through_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let (victim, link) = (folder.path().join("victim"), folder.path().join("zhm.pid"));
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, &link).unwrap();
    let server = server(&[]);
    let manager = running::host_manager(&server, &["--pid-file", link.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read_to_string(&link).unwrap(), format!("{}\n", manager.child.id()));
    assert!(fs::symlink_metadata(&link).unwrap().is_file());
}

/// A file for the process id that cannot be had is said, and nothing else takes its place.
#[test]
fn a_pipe_does_not_become_the_file_of_the_process_id() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("zhm.pid");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let server = server(&[]);
    let listen = any_port(&server.network).to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zhm"));
    command.args(["-n", "--listen", &*listen, "--pid-file"]).arg(&pipe).arg(server.address.to_string());
    let mut manager = command.env_remove("RUST_LOG").stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(manager.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take_while(|line| !line.contains("Ready for action on ")).collect();
    manager.kill().unwrap();
    manager.wait().unwrap();
    let warning = format!(
        "WARN cannot write the process id to {}: it is a pipe, and only an ordinary file is replaced",
        pipe.display()
    );
    assert!(said.iter().any(|line| line.ends_with(&warning)), "{said:?}");
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
}

/// Whoever has the port is the host manager for every program here. Who it is, is said.
#[test]
fn who_has_the_port_is_named() {
    let network = Network::claim().unwrap();
    let held = UdpSocket::bind(any_port(&network)).unwrap();
    let address = held.local_addr().unwrap().to_string();
    for arguments in [
        &[env!("CARGO_BIN_EXE_zhm"), "--listen", &address, &address][..],
        &[env!("CARGO_BIN_EXE_zephyrd"), "--listen", &address, "--auth", "none", "-k", "R", "--hostname", "here"],
    ] {
        let refused = Command::new(arguments[0]).args(&arguments[1..]).output().unwrap();
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let held = format!("cannot listen on {address}: Address already in use: ");
        assert!(said.contains(&held) && !said.contains("os error"), "{said}");
        let own = format!("(process {}) of ", std::process::id());
        assert!(said.contains(&own) && said.contains(&geteuid().to_string()), "{said}");
    }
}

/// A port that the service manager holds is never free: not before the host manager starts, not when it has crashed. What
/// comes meanwhile waits.
#[test]
fn a_port_that_is_handed_over_is_nobody_elses_in_between() {
    let server = server(&[]);
    let network = Rc::clone(&server.network);
    let held = UdpSocket::bind(any_port(&network)).unwrap();
    let address = held.local_addr().unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zhm"));
        command.args(["-i", "--pid-file", "/dev/null/none", &server.address.to_string()]).env_remove("RUST_LOG");
        command.stdin(Stdio::from(OwnedFd::from(held.try_clone().unwrap()))).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready = lines.find(|line| line.contains("Ready for action on ")).unwrap();
        assert!(ready.ends_with(&address.to_string()), "{ready}");
        std::thread::spawn(move || lines.for_each(drop));
        child
    };
    let is_taken = || UdpSocket::bind(address).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);

    assert!(is_taken(), "before it starts");
    let mut program = Program::new(address, "alice@OPEN.TEST");
    let early = program.send(acked(b"MESSAGE", b"PERSONAL", b"", b"early"));
    let mut manager = start();
    let (_, uid, _) = program.receive();
    assert_eq!(uid, early, "what came before is acknowledged");
    manager.kill().unwrap();
    manager.wait().unwrap();
    assert!(is_taken(), "after it has crashed");
    let mut another = Program::new(address, "alice@OPEN.TEST");
    let meanwhile = another.send(acked(b"MESSAGE", b"PERSONAL", b"", b"meanwhile"));
    let mut manager = start();
    assert_eq!(another.receive().1, meanwhile);
    manager.kill().unwrap();
    manager.wait().unwrap();
    drop(held);
    assert!(!is_taken(), "the control: a port that nobody holds is anybody's");
}

#[test]
fn what_is_no_such_socket_is_not_taken_for_one() {
    let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let unbound = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    for stdin in [Stdio::null(), Stdio::from(OwnedFd::from(stream)), Stdio::from(unbound)] {
        let refused =
            Command::new(env!("CARGO_BIN_EXE_zhm")).args(["-i", "127.0.0.1:9"]).stdin(stdin).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("standard input: "), "{}", text(&refused.stderr));
    }
}

/// The fields of one message in systemd's native format.
fn journal_fields(mut octets: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while let Some(end) = octets.iter().position(|&octet| octet == b'\n') {
        let line = text(&octets[..end]);
        octets = &octets[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let len = usize::try_from(u64::from_le_bytes(octets[..8].try_into().unwrap())).unwrap();
        fields.push((line, text(&octets[8..8 + len])));
        assert_eq!(octets[8 + len], b'\n');
        octets = &octets[9 + len..];
    }
    assert!(octets.is_empty());
    fields
}

/// Names and opcodes with everything that ends a line, a field or a terminal's patience.
#[test]
fn fields_of_the_journal_cannot_be_forged() {
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can have a journal of its own");
    }
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("systemd/journal")).unwrap();
    let journal = UnixDatagram::bind(run.join("systemd/journal/socket")).unwrap();
    journal.set_read_timeout(Some(TIMEOUT)).unwrap();
    fs::write(folder.path().join("zephyr.toml"), "[log]\ntarget = \"journald\"\n").unwrap();
    let network = Network::claim().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--", "sh", "-c"]);
    command
        .args([r#"mount --bind "$1" /run && shift && exec "$@""#, "zephyrd"])
        .arg(&run)
        .arg(env!("CARGO_BIN_EXE_zephyrd"));
    command.arg("--config-dir").arg(folder.path()).args(["--listen", &any_port(&network).to_string()]);
    command.args(["--auth", "none", "-k", "R", "--hostname", "here"]).env_remove("RUST_LOG").stderr(Stdio::null());
    let _child = Running(command.spawn().unwrap());
    let fields_with = |what: &str| loop {
        let mut buffer = [0; 65_536];
        let len = journal.recv(&mut buffer).expect("a line comes");
        let fields = journal_fields(&buffer[..len]);
        if fields.iter().any(|(name, value)| name == "MESSAGE" && value.contains(what)) {
            return fields;
        }
    };
    let ready = fields_with("Ready for action on ");
    let ready = &ready.iter().find(|(name, _)| name == "MESSAGE").unwrap().1;
    let address = ready.rsplit(' ').next().unwrap().parse().unwrap();
    let mut eve = Program::new(address, "eve\nMESSAGE=forged\nPRIORITY=0\n\u{1b}[2J\u{202e}@R\nUNIT=x");
    eve.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"OP\nMESSAGE=forged\n_UID=0\n\x1b]0;t\x07\xe2\x80\xae", b""));
    let fields = fields_with("unknown ctl opcode");
    let count = |wanted: &str| fields.iter().filter(|(name, _)| name == wanted).count();
    for name in ["MESSAGE", "PRIORITY", "SENDER", "CLASS", "REALM", "SOURCE", "UID"] {
        assert_eq!(count(name), 1, "{name} in {fields:?}");
    }
    for name in ["UNIT", "_UID"] {
        assert_eq!(count(name), 0, "{name} in {fields:?}");
    }
    for (name, value) in &fields {
        assert!(value.chars().all(|char| !char.is_control() && char != '\u{202e}'), "{name}={value:?}");
    }
    let sender = &fields.iter().find(|(name, _)| name == "SENDER").unwrap().1;
    assert!(sender.starts_with(r"eve\u{a}MESSAGE=forged\u{a}"), "{sender}");
}
