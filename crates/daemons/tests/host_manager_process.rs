//! The host manager as a process: in the background and in the foreground, on sockets that were handed over, and idle.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(clippy::zombie_processes, reason = "whoever is killed is looked at by its number; the test ends soon after")]

mod running;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use running::{Program, TIMEOUT, acked, any_port, host_manager, server};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};
use zephyr_core::{kind::Kind, notice::Notice};
use zephyr_testkit::{deadline::wait_until, loopback::Network};

const ZHM: &str = env!("CARGO_BIN_EXE_zhm");

/// A folder with a system's log, settings, and room for the process id.
struct Site {
    folder: tempfile::TempDir,
    syslog: UnixDatagram,
    network: Rc<Network>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("log");
        let syslog = UnixDatagram::bind(&socket).unwrap();
        syslog.set_read_timeout(Some(TIMEOUT)).unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let site = Self { folder, syslog, network: Rc::new(Network::claim().unwrap()) };
        site.settings("");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self, more: &str) {
        let content = format!("[log]\nsyslog-socket = \"{}\"\n{more}", self.path("log").display());
        fs::write(self.path("etc/zephyr.toml"), content).unwrap();
    }

    /// Runs a host manager as a user types it in the folder, to the end of what was typed.
    fn typed(&self, arguments: &[&str]) -> Output {
        self.typed_to(Command::new(ZHM), arguments)
    }

    /// As [`Site::typed`], with a command that ends in the program's name.
    fn typed_to(&self, mut command: Command, arguments: &[&str]) -> Output {
        let listen = any_port(&self.network).to_string();
        let usual = ["--config-dir", "etc", "--pid-file", "zhm.pid", "--listen", &listen];
        command.args([&usual, arguments].concat()).current_dir(self.folder.path());
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The line of the system's log with this text.
    fn logged(&self, text: &str) -> String {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(len) = self.syslog.recv(&mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..len]).into_owned();
            if line.contains(text) {
                return line;
            }
            seen.push(line);
        }
        panic!("no line with {text:?} in {seen:?}");
    }

    /// The process that was left in the background, as its file says.
    fn background(&self) -> Background {
        let content = fs::read_to_string(self.path("zhm.pid")).expect("it is there as soon as the other one has ended");
        Background(content.trim_end().parse().unwrap())
    }
}

/// A process in the background. It is ended with the test, whatever becomes of that.
struct Background(i32);

impl Background {
    fn link(&self, name: &str) -> PathBuf {
        fs::read_link(Path::new("/proc").join(self.0.to_string()).join(name)).unwrap()
    }

    /// Whether it runs: an ended one whom nobody waits for does not.
    fn runs(&self) -> bool {
        let state = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        state.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
    }

    fn ends(&self) {
        wait_until("its end", TIMEOUT, || Ok((!self.runs()).then_some(()))).unwrap();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn it_goes_into_the_background_and_serves_there() {
    let site = Site::new();
    let typed = site.typed(&["no-such-host.invalid"]);
    assert_eq!(texts(&typed), (Some(0), String::new(), String::new()));
    let background = site.background();

    let line = site.logged("Ready for action on ");
    // Facility daemon, 3, and what is informational, 6, as C's.
    assert!(line.starts_with("<30>") && line.contains(&format!(" hm[{}]: ", background.0)), "{line}");
    assert_eq!(background.link("cwd"), Path::new("/"));
    for stream in 0..=2 {
        assert_eq!(background.link(&format!("fd/{stream}")), Path::new("/dev/null"), "{stream}");
    }
    let name = fs::read_to_string(format!("/proc/{}/comm", background.0)).unwrap();
    assert_eq!(name, "zhm\n", "what scripts look for");
    let session = nix::unistd::getsid(Some(Pid::from_raw(background.0))).unwrap();
    assert_eq!(session.as_raw(), background.0, "no terminal ends it");

    let address: SocketAddr = line.rsplit(' ').next().unwrap().parse().unwrap();
    let mut alice = Program::new(address, "alice@OPEN.TEST");
    let request = alice.send(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
    assert_eq!(alice.receive().1, request);

    kill(Pid::from_raw(background.0), Signal::SIGTERM).unwrap();
    site.logged("Terminate signal caught...");
    background.ends();
    assert!(!site.path("zhm.pid").exists());
}

/// Whoever starts it may hold locks and ends of pipes, which others wait for.
#[test]
fn what_it_inherits_is_not_held_in_the_background() {
    let site = Site::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3>lock 9>>lock; exec \"$@\"", "sh", ZHM]);
    let typed = site.typed_to(shell, &["127.0.0.1:9"]);
    assert_eq!(texts(&typed), (Some(0), String::new(), String::new()));
    let background = site.background();
    let open = fs::read_dir(format!("/proc/{}/fd", background.0)).unwrap();
    let open: Vec<_> = open.map(|entry| fs::read_link(entry.unwrap().path()).unwrap_or_default()).collect();
    assert!(open.contains(&PathBuf::from("/dev/null")), "{open:?}");
    let lock = fs::canonicalize(site.path("lock")).unwrap();
    assert!(!open.contains(&lock), "{open:?}");
    // And it serves: its own are not among what was closed.
    let address: SocketAddr = site.logged("Ready for action on ").rsplit(' ').next().unwrap().parse().unwrap();
    let mut alice = Program::new(address, "alice@OPEN.TEST");
    let request = alice.send(Notice { kind: Kind::Stat, ..acked(b"HM_STAT", b"HMST_CLIENT", b"GIMMESTATS", b"") });
    assert_eq!(alice.receive().1, request);
}

#[test]
fn what_is_wrong_is_said_where_it_was_typed() {
    let site = Site::new();
    site.settings("[zhm]\nsources = [\"settings\"]\n");
    let (status, stdout, stderr) = texts(&site.typed(&[]));
    assert_eq!((status, &*stdout), (Some(16), ""));
    assert!(stderr.starts_with("No valid primary server found, exiting.\nzhm: "), "{stderr}");

    let held = UdpSocket::bind(any_port(&site.network)).unwrap();
    let address = held.local_addr().unwrap().to_string();
    let (status, _, stderr) = texts(&site.typed(&["--listen", &address, "127.0.0.1"]));
    assert_eq!(status, Some(1));
    assert!(stderr.starts_with(&format!("zhm: cannot listen on {address}: Address already in use")), "{stderr}");

    site.settings("[zhm]\nserver = 7\n");
    let (status, _, stderr) = texts(&site.typed(&["127.0.0.1"]));
    assert_eq!(status, Some(1));
    assert!(stderr.contains("unknown setting server in section zhm"), "{stderr}");
    assert!(!site.path("zhm.pid").exists(), "none of them is left behind");

    site.settings("");
    let (status, _, stderr) = texts(&site.typed(&["--in-background", "127.0.0.1"]));
    assert_eq!(status, Some(1));
    assert!(stderr.contains("standard input: this is no UDP socket"), "nobody needs that option: {stderr}");
}

/// The system's log may be away. That is said once, and keeps nobody from sending.
#[test]
fn a_log_that_is_away_is_said() {
    let site = Site::new();
    fs::remove_file(site.path("log")).unwrap();
    let (status, _, stderr) = texts(&site.typed(&["127.0.0.1"]));
    let _background = site.background();
    assert_eq!(status, Some(0));
    assert!(stderr.starts_with("zhm: cannot reach the system's log at "), "{stderr}");
}

/// `sd_listen_fds(3)`: the third descriptor is the socket, as any service manager hands it over.
#[test]
fn a_socket_of_a_service_manager_is_taken_in_the_foreground() {
    let server = server(&["-d"]);
    let held = UdpSocket::bind(any_port(&server.network)).unwrap();
    let address = held.local_addr().unwrap();
    let start = |sockets: &str, server: &str| {
        let script = format!("exec 3<&0 4<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS={sockets} exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", ZHM, "--pid-file", "/dev/null/none", server]).env_remove("RUST_LOG");
        command.stdin(Stdio::from(OwnedFd::from(held.try_clone().unwrap())));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let refused = texts(&start("2", "127.0.0.1").output().unwrap());
    assert_eq!((refused.0, &*refused.2), (Some(1), "zhm: LISTEN_FDS: expected one socket, not 2\n"));

    let manager = start("1", &server.address.to_string()).spawn().unwrap();
    let manager = Background(i32::try_from(manager.id()).unwrap());
    let mut program = Program::new(address, "alice@OPEN.TEST");
    let sent = program.send(acked(b"MESSAGE", b"PERSONAL", b"", b"hello"));
    assert_eq!(program.receive().1, sent);
    server.line_with(" flushed, ");
    // In contrast to inetd's, nobody starts it again with the next packet, so it goes on.
    kill(Pid::from_raw(manager.0), Signal::SIGHUP).unwrap();
    let sent = program.send(acked(b"MESSAGE", b"PERSONAL", b"", b"hello again"));
    server.line_with(" flushed, ");
    wait_until("the answer", TIMEOUT, || Ok((program.receive().1 == sent).then_some(()))).unwrap();
    assert!(manager.runs());
}

/// systemd starts it without `-n`, waits for this very process, and for its signs of life.
#[test]
fn a_service_manager_is_told_that_it_works_and_lives() {
    let site = Site::new();
    let path = site.path("notify");
    let service_manager = UnixDatagram::bind(&path).unwrap();
    service_manager.set_read_timeout(Some(TIMEOUT)).unwrap();
    let message = || {
        let mut buffer = [0; 4096];
        let len = service_manager.recv(&mut buffer).expect("something comes");
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    let manager = Command::new(ZHM)
        .args(["--listen", &any_port(&site.network).to_string(), "--config-dir"])
        .arg(site.path("etc"))
        .arg("127.0.0.1:9")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .env_remove("RUST_LOG")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let manager = Background(i32::try_from(manager.id()).unwrap());
    assert!(message().starts_with("READY=1\nSTATUS=Listening on "), "it works before a server answers");
    let mut alive = 0;
    while alive < 3 {
        alive += u32::from(message() == "WATCHDOG=1\n");
    }
    assert!(manager.runs(), "the one that was started, not one in the background");
    kill(Pid::from_raw(manager.0), Signal::SIGTERM).unwrap();
    while message() != "STOPPING=1\n" {}
    manager.ends();
}

/// Who waits for it learns that nobody was told.
#[test]
fn a_boot_that_no_server_can_be_told_is_a_failure() {
    let site = Site::new();
    let (status, _, stderr) = texts(&site.typed(&["-r", "-n", "no-such-host.invalid", "nor-this-one.invalid"]));
    assert_eq!(status, Some(1));
    let line = stderr.lines().last().unwrap();
    let names = ["ERROR Unknown server name: no-such-host.invalid (", "), nor-this-one.invalid ("];
    assert!(names.iter().all(|text| line.contains(text)), "{stderr}");
    assert!(line.ends_with("; no server was told that this host has started"), "{stderr}");
}

/// How often the threads of a process went to sleep of their own will.
fn sleeps(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let count = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    threads.map(|thread| count(&fs::read_to_string(thread.unwrap().path().join("status")).unwrap_or_default())).sum()
}

/// The memory that a process holds, in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn an_idle_one_sleeps_and_is_small() {
    /// Of the program as it is tested, which is not optimised; what is installed takes less.
    const MAX_RESIDENT: u64 = 16 << 10;
    let server = server(&[]);
    let manager = host_manager(&server, &[]);
    manager.line_with("answers");
    let process = manager.child.id();
    let (before, began) = (sleeps(process), Instant::now());
    // What is measured: nothing happens meanwhile, so there is nothing to wait for.
    std::thread::sleep(Duration::from_secs(8));
    let (slept, seconds) = (sleeps(process) - before, began.elapsed().as_secs());
    assert!(slept < seconds, "it woke {slept} times in {seconds} s");
    let resident = resident(process);
    assert!(resident < MAX_RESIDENT, "{resident} KiB");
    eprintln!("it woke {slept} times in {seconds} s, and holds {resident} KiB");
}
