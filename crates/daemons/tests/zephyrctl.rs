//! Administration of a running server: zephyrctl, signals, metrics, the log, the service manager.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use running::{Daemon, Program, TIMEOUT, acked, any_port, host_manager, server};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixDatagram, UnixStream},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use zephyr_testkit::loopback::Network;

/// A server with a configuration folder of its own, and its socket.
struct Operated {
    folder: tempfile::TempDir,
    server: Daemon,
}

/// What a command said.
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Operated {
    /// `files` are names below the configuration folder, and contents. `$` in a content is the folder.
    fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            write(folder.path(), name, content);
        }
        let (path, socket) = (folder.path().to_str().unwrap(), folder.path().join("sock"));
        let server = server(&["--config-dir", path, "--control-socket", socket.to_str().unwrap()]);
        Self { folder, server }
    }

    fn write(&self, name: &str, content: &str) {
        write(self.folder.path(), name, content);
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("sock")
    }

    fn ctl(&self, arguments: &[&str]) -> Said {
        zephyrctl(&self.socket(), arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.ctl(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", said.out, said.err))
    }

    /// Writes these octets to the control socket and reads what comes.
    fn raw(&self, octets: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        // The server may refuse to read it all.
        let _ = stream.write_all(octets);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }
}

fn write(folder: &Path, name: &str, content: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content.replace('$', folder.to_str().unwrap())).unwrap();
}

fn zephyrctl(socket: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
    said(command.arg("--control-socket").arg(socket).args(arguments))
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits until something is so.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn subscribed(server: &Daemon, person: &'static str, body: &[u8]) -> Program {
    let mut program = Program::new(server.address, person);
    program.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", body));
    assert_eq!(program.receive().2, b"SENT\0");
    program.confirm();
    program
}

#[test]
fn what_no_list_decides_is_asked_as_well() {
    let operated = Operated::start(&[
        ("acl/class-registry.acl", "login:\n"),
        ("acl/xmt-login.acl", "*@OPEN.TEST\n"),
        ("policy.toml", "[domain.\"*\"]\nbackend = \"none\"\n[domain.\"*\".class.\"closed\"]\nsend = \"closed\"\n"),
    ]);
    let said = |principal, class| {
        let said = operated.ctl(&["acl", "check", principal, class]);
        assert_eq!(said.status, Some(1), "{}", said.out);
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let location = "the server takes nothing in class login but what users tell of their own locations";
    assert_eq!(
        said("alice@OPEN.TEST", "Login"),
        [
            format!("send no {location}"),
            "subscribe yes the class has no sub list".to_owned(),
            "subscribe to all instances yes the class has no iws list".to_owned(),
            format!("send to any instance no {location}"),
        ]
    );
    assert_eq!(
        said("alice@OPEN.TEST", "zephyr_ctl")[0],
        "send no the class is the server's own: what is sent to it reaches nobody else"
    );
    let closed = said("alice@OPEN.TEST", "closed");
    assert_eq!(closed[0], "send no the policy refuses: nobody may send here");
    assert_eq!(closed[1], "subscribe yes the class is not in the registry");
}

#[test]
fn every_verb_answers_people_and_programs() {
    let operated = Operated::start(&[
        ("acl/class-registry.acl", "secret:\n"),
        ("acl/xmt-secret.acl", "alice@OPEN.TEST\n"),
        ("zephyr.toml", "[zephyrd]\ndump-file = \"$/state/zephyr.db\"\n"),
    ]);
    let alice = subscribed(&operated.server, "alice@OPEN.TEST", b"Talk\0*\0\0");

    let status = operated.ctl(&["status"]);
    assert_eq!(status.status, Some(0), "{}", status.err);
    for line in ["  realm           OPEN.TEST", "  authentication  none", "  clients "] {
        assert!(status.out.contains(line), "{}", status.out);
    }
    let status = &operated.json(&["status"])["status"];
    assert_eq!((&status["holds"]["clients"], &status["realm"]), (&1.into(), &"OPEN.TEST".into()));
    assert!(status["counts"]["received"].as_u64() >= Some(1));

    let clients = operated.ctl(&["clients"]);
    let row: Vec<&str> = clients.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["alice@OPEN.TEST", &alice.socket.local_addr().unwrap().to_string(), "1"]);
    assert_eq!(operated.json(&["clients"])["clients"]["total"], 1);

    let found = operated.ctl(&["subscriptions", "TALK"]);
    assert!(found.status == Some(0) && found.out.contains("alice@OPEN.TEST"), "{}", found.out);
    assert_eq!(operated.ctl(&["subscriptions", "silence"]).out, "none\n");
    assert_eq!(operated.json(&["subscriptions", "talk"])["subscriptions"]["entries"][0]["instance"], "*");

    let refused = operated.ctl(&["acl", "check", "bob@OPEN.TEST", "secret"]);
    assert_eq!(refused.status, Some(1), "something is refused");
    assert!(refused.out.starts_with("send "), "{}", refused.out);
    let allowed = operated.ctl(&["acl", "check", "bob@OPEN.TEST", "secret", "--act", "sub"]);
    assert_eq!(allowed.status, Some(0), "{}", allowed.out);
    for alice in ["alice@OPEN.TEST", "alice"] {
        let allowed = operated.ctl(&["acl", "check", alice, "secret", "--address", "10.0.0.1"]);
        assert_eq!(allowed.status, Some(0), "{}", allowed.out);
    }

    let reloaded = operated.ctl(&["reload"]);
    assert_eq!((reloaded.status, &*reloaded.out), (Some(0), "reloaded: 3 default subscriptions, 1 restricted class\n"));

    let dumped = operated.ctl(&["dump"]);
    assert_eq!(dumped.status, Some(0), "{}", dumped.err);
    let file = operated.folder.path().join("state/zephyr.db");
    let dump = fs::read_to_string(&file).unwrap();
    assert!(dump.contains("\t'talk' '*' ''\n"), "{dump}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(operated.ctl(&["dump", "-"]).out, dump);
    assert_eq!(operated.ctl(&["dump", "/dev/stdout"]).out, dump);
    let other = operated.folder.path().join("other");
    assert_eq!(operated.ctl(&["dump", other.to_str().unwrap()]).status, Some(0));
    assert_eq!(fs::read_to_string(other).unwrap(), dump);
    assert_eq!(operated.ctl(&["dump", "/no/such/folder/file"]).status, Some(1));
}

#[test]
fn exit_statuses_tell_what_went_wrong() {
    let nowhere = Path::new("/no/such/socket");
    let unreachable = zephyrctl(nowhere, &["status"]);
    assert_eq!(unreachable.status, Some(3));
    assert!(unreachable.err.contains("/no/such/socket"), "{}", unreachable.err);
    assert_eq!(zephyrctl(nowhere, &["levitate"]).status, Some(2));
    assert_eq!(zephyrctl(nowhere, &[]).status, Some(2));
}

#[test]
fn check_names_every_problem_and_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let listen = any_port(&Network::claim().unwrap()).to_string();
    let server = ["--", "--listen", &listen, "--auth", "none", "-k", "R", "--hostname", "here"];
    let check =
        |more: &[&str]| zephyrctl(Path::new("/nowhere"), &[&["check", "--config-dir", path], more, &server].concat());
    let good = check(&[]);
    assert_eq!(good.status, Some(0), "{}", good.out);
    assert!(good.out.ends_with(&format!("no problems in {path}\n")), "{}", good.out);

    let (registry, file) = ("class-registry.acl: no registry available", folder.path().join("file"));
    assert!(good.out.contains(registry), "{}", good.out);
    fs::write(&file, "").unwrap();
    for nowhere in ["/no/such/folder", file.to_str().unwrap()] {
        let bad = zephyrctl(Path::new("/nowhere"), &["check", "--config-dir", nowhere, "--files"]);
        assert_eq!(bad.status, Some(1), "{}", bad.out);
        assert!(bad.out.ends_with(&format!("1 problem in {nowhere}\n")), "{}", bad.out);
    }

    write(folder.path(), "zephyr.toml", "[zephyrd]\nhostnme = \"x\"\n");
    let bad = check(&[]);
    assert!(bad.out.contains(registry), "warnings are not lost among problems: {}", bad.out);
    write(folder.path(), "default.subscriptions", "# good\nbad\n");
    write(folder.path(), "acl/class-registry.acl", "secret:\n");
    write(folder.path(), "acl/xmt-secret.acl", "alice@R\n@10.0.0.999\n");
    let bad = check(&[]);
    assert_eq!(bad.status, Some(1));
    for start in ["zephyr.toml:2:1: unknown setting hostnme", "default.subscriptions:2:1: ", "acl/xmt-secret.acl:2:"] {
        assert!(bad.out.contains(&format!("{path}/{start}")), "{start}: {}", bad.out);
    }
    assert!(bad.out.ends_with(&format!("3 problems in {path}\n")), "{}", bad.out);
    let json: Value = serde_json::from_str(&check(&["--json"]).out).unwrap();
    assert_eq!(json["problems"].as_array().unwrap().len(), 3);
    assert_eq!(json["problems"][0]["line"], 2);
}

/// Kerberos escapes what is in a name and looks like more than a name: another realm can name its people as it likes.
#[test]
fn names_of_another_realm_fit_no_entry_of_ours() {
    let entries = "*@OPEN.TEST\n*/admin@OPEN.TEST\n*.*@OPEN.TEST\n";
    let operated = Operated::start(&[("acl/class-registry.acl", "secret:\n"), ("acl/sub-secret.acl", entries)]);
    let is_admitted = |name: &str| operated.ctl(&["acl", "check", name, "secret", "--act", "sub"]).status == Some(0);
    for name in ["alice@OPEN.TEST", "alice/admin@OPEN.TEST", r"al\@ice@OPEN.TEST", r"\n@OPEN.TEST"] {
        assert!(is_admitted(name), "the control: {name}");
    }
    for name in [
        "alice@EVIL.TEST",
        "alice/admin@EVIL.TEST",
        r"alice\@OPEN.TEST@EVIL.TEST",
        r"alice\@OPEN.TEST\0@EVIL.TEST",
        r"alice\@OPEN.TEST\n@EVIL.TEST",
        r"alice/admin\@OPEN.TEST@EVIL.TEST",
        r"alice\\\@OPEN.TEST@EVIL.TEST",
        "alice@EVIL.TEST@OPEN.TEST",
        r"alice@EVIL.TEST\@OPEN.TEST",
        "@EVIL.TEST",
        "alice@",
        "alice@open.test",
    ] {
        assert!(!is_admitted(name), "{name}");
    }
}

#[test]
fn a_broken_file_changes_nothing_and_is_reported() {
    let operated =
        Operated::start(&[("acl/class-registry.acl", "secret:\n"), ("acl/sub-secret.acl", "alice@OPEN.TEST\n")]);
    let allowed = || operated.ctl(&["acl", "check", "bob@OPEN.TEST", "secret", "--act", "sub"]).status == Some(0);
    assert!(!allowed());
    operated.write("acl/sub-secret.acl", "*@*\n!@not-an-address\n");
    let broken = operated.ctl(&["reload"]);
    assert_eq!(broken.status, Some(1));
    assert!(broken.out.contains("acl/sub-secret.acl:2:"), "{}", broken.out);
    assert!(broken.out.ends_with("nothing changed: 1 problem\n"), "{}", broken.out);
    assert!(!allowed(), "the old rules hold");

    operated.server.signal("HUP");
    operated.server.line_with("acl/sub-secret.acl:2:");
    operated.server.line_with("nothing changed");
    assert!(!allowed());
    assert_eq!(operated.json(&["status"])["status"]["counts"]["failed_reloads"], 2);

    operated.write("acl/sub-secret.acl", "*@*\n");
    operated.server.signal("HUP");
    operated.server.line_with("reloaded: ");
    assert!(allowed());
}

#[test]
fn bounds_are_read_again_and_the_rest_is_said_to_need_a_restart() {
    let operated = Operated::start(&[("zephyr.toml", "[bounds]\nclients = 1\n")]);
    let _one = subscribed(&operated.server, "alice@OPEN.TEST", b"c\0*\0\0");
    let mut two = Program::new(operated.server.address, "bob@OPEN.TEST");
    two.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"c\0*\0\0"));
    assert_eq!(two.receive().2, b"LOST\0the server takes no more clients of you or your host\0");
    let metrics = any_port(&operated.server.network);
    operated.write("zephyr.toml", &format!("[bounds]\nclients = 2\n[metrics]\nlisten = \"{metrics}\"\n"));
    assert!(
        operated.ctl(&["reload"]).out.contains("section metrics of zephyr.toml has changed, which takes a restart")
    );
    two.send(acked(b"ZEPHYR_CTL", b"CLIENT", b"SUBSCRIBE_NODEFS", b"c\0*\0\0"));
    assert_eq!(two.receive().2, b"SENT\0");
}

#[test]
fn malformed_requests_do_no_harm() {
    let operated = Operated::start(&[]);
    for (request, word) in [
        (&b"\n"[..], "not a question"),
        (b"{}\n", "not a question"),
        (b"{\"verb\":\"destroy\"}\n", "not a question"),
        (b"{\"verb\":\"clients\",\"limit\":-1}\n", "not a question"),
        (b"{\"verb\":\"reload\",\"really\":1}\n", "not a question"),
        (b"\xff\xfe\0\n", "not a question"),
        (b"{\"verb\":\"status\"}", "no end"),
        (b"", "no end"),
        (&[b'['; 100_000], "too long"),
    ] {
        let answer = operated.raw(request);
        assert!(answer.starts_with("{\"refused\":\"") && answer.contains(word), "{request:?}: {answer:?}");
    }
    // Connections without a request, more of them than are accepted at a time, do not keep notices from being delivered.
    let connections: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(operated.socket()).unwrap()).collect();
    let mut alice = subscribed(&operated.server, "alice@OPEN.TEST", b"c\0*\0\0");
    alice.send(acked(b"c", b"i", b"", b"still here\0"));
    let received = [alice.receive().2, alice.receive().2];
    assert!(received.contains(&b"still here\0".to_vec()), "{received:?}");
    drop(connections);
    assert_eq!(operated.ctl(&["status"]).status, Some(0));
}

#[test]
fn other_users_are_refused() {
    let operated = Operated::start(&[]);
    let socket = operated.socket();
    let metadata = fs::metadata(&socket).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    if !Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n") {
        eprintln!("not root: the rest cannot be tried");
        return;
    }
    // Even when the file system lets everybody in, the server does not.
    fs::set_permissions(operated.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let copy = operated.folder.path().join("zephyrctl");
    fs::copy(env!("CARGO_BIN_EXE_zephyrctl"), &copy).unwrap();
    let stranger = said(
        Command::new(&copy).uid(65534).gid(65534).current_dir("/").arg("--control-socket").arg(&socket).arg("status"),
    );
    assert_eq!(stranger.status, Some(1), "{} {}", stranger.out, stranger.err);
    assert!(stranger.err.contains("only root and the server's own user may ask"), "{}", stranger.err);
    assert_eq!(operated.ctl(&["status"]).status, Some(0));
}

#[test]
fn the_control_socket_is_taken_over_from_the_dead_and_not_from_the_living() {
    let mut first = Operated::start(&[]);
    let socket = first.socket();
    let path = socket.to_str().unwrap();
    let second = server(&["--control-socket", path]);
    assert_eq!(first.ctl(&["status"]).status, Some(0), "the first server still answers");
    drop(second);
    assert!(socket.exists(), "and the second does not remove what is not its own");
    first.server.child.kill().unwrap();
    first.server.wait();
    assert!(socket.exists(), "a killed server leaves its socket behind");
    let mut third = server(&["--control-socket", path]);
    assert_eq!(zephyrctl(&socket, &["status"]).status, Some(0));
    third.signal("TERM");
    assert_eq!(third.wait(), Some(0));
    assert!(!socket.exists());

    fs::write(&socket, "precious").unwrap();
    drop(server(&["--control-socket", path]));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn the_dump_signal_writes_the_dump_and_follows_no_link() {
    let operated =
        Operated::start(&[("zephyr.toml", "[zephyrd]\ndump-file = \"$/state/db\"\n"), ("state/victim", "precious")]);
    let (file, victim) = (operated.folder.path().join("state/db"), operated.folder.path().join("state/victim"));
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    operated.server.signal("FPE");
    operated.server.line_with("dumping to disk");
    operated.server.line_with("dump done");
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
    let expected = format!("0:0.0.0.0/SERV_DEAD\n1:{}/SERV_UP\n", operated.server.address.ip());
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    operated.server.signal("FPE");
    operated.server.line_with("dump done");
}

/// The numbers by name and labels, as a collector reads them.
fn parsed(text: &str) -> BTreeMap<String, u64> {
    let (mut numbers, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let fields: Vec<&str> = comment.splitn(3, ' ').collect();
            match fields[0] {
                "HELP" => assert!(!fields[2].is_empty(), "{line}"),
                "TYPE" => assert_eq!(kinds.insert(fields[1], fields[2]), None, "each name once: {line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        assert!(bare.starts_with("zephyrd_") && kinds.contains_key(bare), "{line}");
        assert_eq!(kinds[bare] == "counter", bare.ends_with("_total"), "{line}");
        assert_eq!(numbers.insert(name.to_owned(), value.parse().unwrap()), None, "{line}");
    }
    numbers
}

fn http(mut stream: impl Read + Write, request: &str) -> (String, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn metrics_show_every_counter() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "zephyr.toml", "[metrics]\nlisten = \"unix:$/metrics\"\n");
    let server = server(&["--config-dir", folder.path().to_str().unwrap()]);
    let read = || http(UnixStream::connect(folder.path().join("metrics")).unwrap(), "GET /metrics HTTP/1.1\r\n\r\n");
    let (head, body) = read();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    let before = parsed(&body);
    let counters = zephyr_engine::server::Counters::default().metrics();
    let gauges = zephyr_engine::server::Gauges::default().metrics();
    let io = zephyr_daemons::zephyrd::io_counters::IoCounters::default().metrics();
    let published = zephyr_daemons::zephyrd::published_counters::PublishedCounters::default().metrics();
    for metric in [counters, gauges, io, published].concat() {
        let name = match metric.label {
            ("", _) => metric.name.to_owned(),
            (label, value) => format!("{}{{{label}=\"{value}\"}}", metric.name),
        };
        assert!(before.contains_key(&name), "{name} is missing in {body}");
    }

    let mut alice = subscribed(&server, "alice@OPEN.TEST", b"c\0*\0\0");
    alice.socket.send_to(b"no notice", server.address).unwrap();
    alice.send(acked(b"nobody", b"listens", b"", b""));
    assert_eq!(alice.receive().2, b"LOST\0");
    let after = parsed(&read().1);
    for (name, value) in [
        ("zephyrd_received_total", 3),
        ("zephyrd_clients", 1),
        ("zephyrd_subscriptions", 1),
        ("zephyrd_dropped_total{reason=\"malformed\"}", 1),
        ("zephyrd_answered_total{answer=\"sent\"}", 1),
        ("zephyrd_answered_total{answer=\"lost\"}", 1),
        ("zephyrd_published_total{verdict=\"unauthenticated\"}", 1),
        ("zephyrd_published_to_nobody_total", 1),
    ] {
        assert_eq!(after[name] - before[name], value, "{name}");
    }
}

#[test]
fn metrics_are_offered_on_loopback_alone_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    write(folder.path(), "zephyr.toml", "[metrics]\nlisten = \"0.0.0.0:0\"\n");
    let refused = said(Command::new(env!("CARGO_BIN_EXE_zephyrd")).args(["--config-dir", path, "--auth", "none"]));
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.err.contains("zephyr.toml:2:10: listen: ") && refused.err.contains("allow-remote"),
        "{}",
        refused.err
    );

    let network = Network::claim().unwrap();
    let any = any_port(&network).to_string();
    write(folder.path(), "zephyr.toml", &format!("[metrics]\nlisten = \"{any}\"\n[log]\ntarget = \"stderr\"\n"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_zephyrd"))
        .args(["--config-dir", path, "--auth", "none", "-k", "R", "--hostname", "here", "--listen", &any])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())).map_while(Result::ok);
    let line = lines.find(|line| line.contains("metrics are offered on")).unwrap();
    let address = line.rsplit(' ').next().unwrap().to_owned();
    let get = |request: &str| http(TcpStream::connect(&address).unwrap(), request).0;
    assert!(get("GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert!(get("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(get("PUT /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(get("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn lines_of_the_log_cannot_be_forged_and_are_not_endless() {
    let server = server(&[]);
    let mut eve = Program::new(server.address, "eve\n2026-11-24T00:00:00Z  INFO forged\u{1b}[2J@OPEN.TEST");
    let bad = acked(b"ZEPHYR_CTL", b"CLIENT", b"OPCODE\r\n\x1b]0;title\x07", b"");
    // All at once, as lines are counted for some seconds.
    for _ in 0..30 {
        eve.send(bad);
    }
    for _ in 0..30 {
        eve.receive();
    }
    let line = server.line_with("unknown ctl opcode");
    assert!(line.contains(r"OPCODE\u{d}\u{a}\u{1b}]0;title\u{7}"), "{line}");
    let (source, uid) = (format!("source={}:", eve.address()), format!("uid={}/", eve.address()));
    for field in [r#"class="ZEPHYR_CTL""#, r"sender=", &source, &uid, r#"realm="OPEN.TEST""#] {
        assert!(line.contains(field), "{field} is not in {line}");
    }
    let mut lines = 1;
    let summary = loop {
        let line = server.lines.recv_timeout(TIMEOUT).expect("a summary comes");
        assert!(!line.chars().any(char::is_control) && !line.starts_with("2026-11-24T00"), "{line:?}");
        if line.contains("more like this") {
            break line;
        }
        lines += usize::from(line.contains("unknown ctl opcode"));
    };
    assert_eq!(lines, 20);
    assert!(summary.contains("10 more like this: unknown ctl opcode"), "{summary}");
}

#[test]
fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(TIMEOUT)).unwrap();
    let receive = || {
        let mut buffer = [0; 4096];
        let len = manager.recv(&mut buffer).expect("something comes");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    };
    let receive_but_watchdog = || {
        loop {
            let message = receive();
            if message != "WATCHDOG=1\n" {
                return message;
            }
        }
    };
    let config = folder.path().to_str().unwrap();
    let network = Network::claim().unwrap();
    let any = any_port(&network).to_string();
    let begin = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_zephyrd"))
        .args(["--config-dir", config, "--auth", "none", "-k", "R", "--hostname", "here", "--listen", &any])
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = receive();
    assert!(ready.starts_with(&format!("READY=1\nSTATUS=Serving realm R on {}:", network.here())), "{ready}");
    assert_eq!(receive(), "WATCHDOG=1\n");
    for _ in 0..10 {
        assert_eq!(receive(), "WATCHDOG=1\n");
    }
    // Every 100 ms, as half the limit. However late the server sends or this test receives, the tenth after the first
    // is not sent earlier than a second after the start.
    assert!(begin.elapsed() >= Duration::from_millis(950), "{:?}", begin.elapsed());
    let kill = |signal: &str| {
        assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success())
    };
    kill("-HUP");
    let reloading = receive_but_watchdog();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert!(receive_but_watchdog().starts_with("READY=1\n"));

    // A loop that hangs is noticed: a stopped process gives no sign of life.
    kill("-STOP");
    manager.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
    eventually("silence", || manager.recv(&mut [0; 64]).is_err().then_some(()));
    manager.set_read_timeout(Some(TIMEOUT)).unwrap();
    kill("-CONT");
    kill("-TERM");
    assert_eq!(receive_but_watchdog(), "STOPPING=1\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_system_log_gets_fields_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = UnixDatagram::bind(folder.path().join("log")).unwrap();
    log.set_read_timeout(Some(TIMEOUT)).unwrap();
    write(folder.path(), "zephyr.toml", "[log]\ntarget = \"syslog\"\nsyslog-socket = \"$/log\"\n");
    let config = folder.path().to_str().unwrap();
    let network = Network::claim().unwrap();
    let any = any_port(&network).to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_zephyrd"))
        .args(["--config-dir", config, "--auth", "none", "-k", "R", "--hostname", "here", "--listen", &any])
        .env_remove("RUST_LOG")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line_with = |text: &str| {
        loop {
            let mut buffer = [0; 8192];
            let len = log.recv(&mut buffer).expect("a line comes");
            let line = String::from_utf8(buffer[..len].to_vec()).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    };
    let ready = line_with("Ready for action on ");
    assert!(ready.starts_with("<182>") && ready.contains(&format!(" zephyrd[{}]: Ready", child.id())), "{ready}");
    let address = ready.rsplit(' ').next().unwrap().parse().unwrap();
    let mut eve = Program::new(address, "eve\n@R");
    eve.send(acked(b"LOGIN", b"alice@R", b"NONE\n", b""));
    let line = line_with("unauth location");
    let fields = format!(" class=LOGIN realm=R sender=eve\\u{{a}}@R source={}:", network.here());
    assert!(line.starts_with("<180>") && line.contains(&fields), "{line}");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_host_manager_takes_its_servers_from_the_same_file() {
    let server = server(&[]);
    let folder = tempfile::tempdir().unwrap();
    let listen = any_port(&server.network);
    let content = format!("[zhm]\nservers = [\"{}\"]\nlisten = \"{listen}\"\n", server.address);
    write(folder.path(), "zephyr.toml", &content);
    let manager = Daemon::start(
        env!("CARGO_BIN_EXE_zhm"),
        &["-n", "--config-dir", folder.path().to_str().unwrap(), "--pid-file", "/dev/null/none"],
        &server.network,
    );
    manager.line_with("answers");
    write(folder.path(), "zephyr.toml", "[zhm]\nserver = 1\n");
    let refused = said(Command::new(env!("CARGO_BIN_EXE_zhm")).arg("--config-dir").arg(folder.path()));
    assert_eq!(refused.status, Some(1));
    assert!(
        refused.err.contains("zephyr.toml:2:1: unknown setting server in section zhm, did you mean servers?"),
        "{}",
        refused.err
    );
}

#[test]
fn a_server_that_is_alone_keeps_its_hosts() {
    let operated = Operated::start(&[]);
    let said = operated.ctl(&["drain"]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), "no host uses this server any longer\n"), "{}", said.err);
    let said = operated.ctl(&["drain", "--undo"]);
    assert_eq!((said.status, said.out.as_str()), (Some(0), "host managers may come again\n"), "{}", said.err);
    let manager = host_manager(&operated.server, &[]);
    let hosts = || operated.json(&["status"])["status"]["holds"]["hosts"].as_u64().filter(|&hosts| hosts == 1);
    eventually("the host is known", hosts);
    for wait in ["0", "5"] {
        let said = operated.ctl(&["drain", "--wait", wait]);
        let why = "zephyrctl: refused: no other server of the realm is up, to which 1 host manager could go; \
                   zephyrctl peers says how they are\n";
        assert_eq!((said.status, said.err.as_str()), (Some(1), why));
    }
    drop(manager);
}

/// What `check --servers` says with this settings file and, beside it, this list.
fn servers_of(settings: &str, list: &str) -> (Said, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "zephyr.toml", settings);
    write(folder.path(), "server.list", list);
    let path = folder.path().to_str().unwrap();
    (zephyrctl(Path::new("/nowhere"), &["--config-dir", path, "check", "--servers"]), folder)
}

#[test]
fn servers_are_not_looked_for_by_settings_that_are_broken() {
    let (said, folder) = servers_of("[zhm]\nsources = [\"hesiod\", \"setings\"]\n", "127.0.0.1\n");
    let path = folder.path().display();
    assert_eq!(said.status, Some(1), "{}", said.out);
    assert!(said.out.starts_with(&format!("{path}/zephyr.toml:2:22: sources: expected one of ")), "{}", said.out);
    assert!(said.out.ends_with(&format!("1 problem in {path}\n")), "{}", said.out);
}

#[test]
fn servers_that_are_found_are_looked_up() {
    let settings = "[zhm]\nsources = [\"server.list\"]\n";
    let (said, folder) = servers_of(settings, "no-such-host.invalid\n127.0.0.1\n");
    assert_eq!(said.status, Some(0), "{}", said.out);
    let list = folder.path().join("server.list").display().to_string();
    let lines: Vec<&str> = said.out.lines().collect();
    let warning = "warning: the address of no-such-host.invalid is not known: ";
    assert_eq!(lines[0], format!("{list}: no-such-host.invalid:2103, 127.0.0.1:2103"));
    assert!(lines[1].starts_with(warning) && lines[1].len() > warning.len(), "{}", said.out);
    assert_eq!(lines[2..], [format!("servers are found by {list}")]);
    // None that is known is none that can be used.
    let (said, _) = servers_of(settings, "no-such-host.invalid\n");
    assert_eq!(said.status, Some(1), "{}", said.out);
}

#[test]
fn the_advice_about_servers_fits_the_sources() {
    let (said, folder) = servers_of("[zhm]\nsources = []\nservers = [\"127.0.0.1\"]\n", "127.0.0.1\n");
    let file = folder.path().join("zephyr.toml").display().to_string();
    let expected = format!(
        "warning: {file}:3:11: servers: not used, as sources does not list \"settings\"\n\
         no source names a server\n\
         Take sources = [] out of {file}, section zhm, or name the servers on the command line.\n"
    );
    assert_eq!((said.status, said.out), (Some(1), expected));
}
