//! Control notices to zwgc, from its user, from others, and from C's zctl; and zwgc in the background.

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::process::CommandExt as _,
    path::Path,
};
use zephyr_client::account::Account;
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
};
use zephyr_e2e::{
    person::{Make, Person, TIMEOUT},
    stack::Stack,
    stranger::Stranger,
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    loopback::Network,
    ownership::{MALLORY, owned_by},
    process::Daemon,
    reference::{self, HOST_MANAGER_PORT, LabOptions},
};

/// Where somebody's zwgc is, as other programs find it.
fn port_of(person: &Person) -> Result<u16> {
    Ok(u16::from_be(fs::read_to_string(person.wgfile())?.trim().parse()?))
}

/// A notice that orders a windowgram client around.
const fn order<'a>(opcode: &'a [u8], body: &'a [u8]) -> Notice<'a> {
    Notice { kind: Kind::Unsafe, class: names::WG_CTL, instance: names::USER, opcode, body, ..Notice::EMPTY }
}

/// Whom messages reach where everybody is who runs the test.
fn login() -> Result<String> {
    Ok(Account::own().context("who runs the test has an account")?.login)
}

/// A domain with a reader of news.
struct Newsroom {
    zwgc: Daemon,
    alice: Person,
    bob: Person,
    /// Where the reader's zwgc is.
    zwgc_is_at: SocketAddr,
    _stack: Stack,
}

impl Newsroom {
    fn open() -> Result<Self> {
        let stack = Stack::without_kerberos()?;
        let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
        let bob = bob.with_variable("RUST_LOG", "info");
        let zwgc = bob.zwgc_as(&login()?, &[("news", "*", "*")])?;
        let zwgc_is_at = (stack.network().here(), port_of(&bob)?).into();
        Ok(Self { zwgc, alice, bob, zwgc_is_at, _stack: stack })
    }

    fn order(&self, sender: &mut Stranger, opcode: &str, body: &[u8]) -> Result<()> {
        sender.send_notice(self.zwgc_is_at, order(opcode.as_bytes(), body), &Claim::NONE).map(drop)
    }

    fn tell(&self, instance: &str, text: &str) -> Result<()> {
        self.alice.send(&["-c", "news", "-i", instance, "-m", text]).map(drop)
    }

    /// Waits until the news is shown.
    fn shows(&self, text: &str) -> Result<()> {
        self.zwgc.wait_for(TIMEOUT, |line| line.trim() == text).map(drop)
    }

    /// Whether anybody takes news.
    fn has_reader(&self) -> Result<bool> {
        Ok(self.alice.zwrite(&["-c", "news", "-m", "is anybody there?"])?.status.success())
    }
}

/// Whoever runs the test is whom zwgc belongs to. His socket has its port to itself, so that nobody else's is meant.
fn own_sender() -> Result<Stranger> {
    Stranger::at(Ipv4Addr::UNSPECIFIED)
}

/// Whether a packet is an answer and no acknowledgement, which says what was asked.
fn is_answer(packet: &Packet<'_>) -> bool {
    packet.notice.instance == names::WG_REPLY
}

#[test]
fn the_user_hides_and_shows_stops_and_starts_and_ends_it() -> Result<()> {
    let mut room = Newsroom::open()?;
    let mut bob = own_sender()?;
    room.tell("sport", "first")?;
    room.shows("first")?;

    room.order(&mut bob, "SUPPRESS", b"News\0SPORT\0\0")?;
    room.order(&mut bob, "LIST-SUPPRESSED", b"")?;
    let answer = bob.receive(is_answer)?;
    let answer = Packet::parse(&answer)?.notice;
    assert_eq!(
        (answer.kind, answer.opcode, answer.recipient),
        (Kind::ClientAck, &b"LIST-SUPPRESSED"[..], &b"zctl?"[..])
    );
    assert_eq!(answer.body, b"news,sport,*\n");
    room.tell("sport", "second")?;
    room.tell("weather", "rain")?;
    room.shows("rain")?;
    room.order(&mut bob, "UNSUPPRESS", b"news\0sport\0\0")?;
    // It answers once that has been done.
    room.order(&mut bob, "LIST-SUPPRESSED", b"")?;
    bob.receive(|packet| is_answer(packet) && packet.notice.body.is_empty())?;
    room.tell("sport", "third")?;
    room.shows("third")?;
    assert!(!room.zwgc.transcript().text().contains("second"), "{}", room.zwgc.transcript().text());

    room.order(&mut bob, "SHUTDOWN", b"")?;
    wait_until("nothing is subscribed to", TIMEOUT, || Ok((!room.has_reader()?).then_some(())))?;
    assert!(!room.zwgc.transcript().text().contains("is anybody there?"), "it shows nothing from then on");
    room.order(&mut bob, "STARTUP", b"")?;
    wait_until("it has subscribed again", TIMEOUT, || Ok(room.has_reader()?.then_some(())))?;
    room.tell("sport", "fourth")?;
    room.shows("fourth")?;

    room.order(&mut bob, "DANCE", b"")?;
    room.zwgc.wait_for(TIMEOUT, |line| line == "zwgc: unknown control opcode DANCE.")?;
    room.order(&mut bob, "EXIT", b"")?;
    assert!(room.zwgc.wait_for_end(TIMEOUT)?.success());
    assert!(!room.bob.wgfile().exists());
    Ok(())
}

#[test]
fn nobody_else_is_obeyed() -> Result<()> {
    let room = Newsroom::open()?;
    let Some(mallory) = owned_by(MALLORY, own_sender)? else { return Ok(()) };
    let mut mallory = mallory?;
    for opcode in ["EXIT", "SHUTDOWN", "REREAD", "DANCE"] {
        room.order(&mut mallory, opcode, b"")?;
    }
    room.order(&mut mallory, "SUPPRESS", b"news\0*\0\0")?;
    room.tell("sport", "still here")?;
    room.shows("still here")?;
    let said = room.zwgc.transcript().text();
    assert_eq!(said.matches("was not obeyed: it comes from somebody else").count(), 1, "{said}");
    assert!(!said.contains("unknown control opcode"), "{said}");
    Ok(())
}

/// C's zctl closes its socket right after it has sent, so now and then nobody can say any more whose it was.
#[test]
fn zctl_of_c_is_obeyed() -> Result<()> {
    let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(()) };
    let _zephyrd = lab.start_c_zephyrd()?;
    let mut command = lab.command(bins::path("zhm")?);
    command.args(["-n", lab.host_name()]);
    let zhm = lab.spawn_at_port("zhm", command, HOST_MANAGER_PORT)?;
    zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
    let person = |name: &str, make| -> Result<Person> { Ok(Person::of_realm(lab.user(name)?, Vec::new()).with(make)) };
    let (alice, bob) = (person("alice", Make::C)?, person("bob", Make::Ours)?);
    let zctl = |word: &str| bob.with(Make::C).run("zctl", &[word])?.success().map(drop);
    let is_reached = || -> Result<bool> { Ok(alice.zwrite(&["-q", "bob", "-m", "hello"])?.status.success()) };
    let mut zwgc = bob.zwgc(&[])?;
    wait_until("it is shut down", TIMEOUT, || {
        zctl("wg_shutdown")?;
        Ok((!is_reached()?).then_some(()))
    })?;
    wait_until("it is started up", TIMEOUT, || {
        zctl("wg_startup")?;
        Ok(is_reached()?.then_some(()))
    })?;
    wait_until("it ends", TIMEOUT, || {
        zctl("wg_exit")?;
        zwgc.ended()
    })?;
    assert!(zwgc.wait_for_end(TIMEOUT)?.success());
    Ok(())
}

/// The numbers of the processes with this file as `WGFILE`.
fn processes_with(wgfile: &Path) -> Result<Vec<i32>> {
    let wanted = format!("WGFILE={}\0", wgfile.display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let is_zwgc = fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "zwgc");
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        if is_zwgc && environment.windows(wanted.len()).any(|part| part == wanted.as_bytes()) {
            found.extend(path.file_name().and_then(|name| name.to_str()?.parse::<i32>().ok()));
        }
    }
    Ok(found)
}

/// The process group and the session of a process.
fn group_and_session(pid: i32) -> Result<(i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a process")?;
    // After the state and the parent.
    let mut numbers = fields.split(' ').skip(2).map(str::parse);
    let (group, session) = (numbers.next().context("a group")??, numbers.next().context("a session")??);
    Ok((group, session))
}

#[test]
fn it_goes_into_the_background_once_the_user_is_subscribed() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    fs::write(bob.home().join(".zephyr.vars"), "initprogs = echo started >\"$HOME/init\"; exit 7\n")?;
    let out = bob.home().join("out");
    // A shell with a session of its own, which gives each command a group; it goes when its input ends.
    let mut shell = bob.command("setsid");
    let (zwgc, log) = (bins::path("zwgc")?, bob.home().join("shown"));
    let script = format!(
        "set -m; '{}' -ttymode --log '{}' >'{}' 2>&1; echo $?; cat",
        zwgc.display(),
        log.display(),
        out.display()
    );
    shell.args(["-w", "bash", "-c", &script]);
    let mut shell = Daemon::spawn_with_lifeline(shell, bob.home().join("shell.log"))?;
    shell.wait_for(TIMEOUT, |line| line == "0")?;
    let me = login()?;
    alice.send(&[&me, "-m", "hello"]).context("subscribed before the prompt returns")?;
    let shown = |text: &str| wait_until(text, TIMEOUT, || Ok(fs::read_to_string(&out)?.contains(text).then_some(())));
    shown("  hello")?;
    shown("failed with status [7].")?;
    assert_eq!(fs::read_to_string(bob.home().join("init"))?, "started\n");
    let logged = fs::read_dir(&log)?.next().context("a file of this day")??;
    assert!(fs::read_to_string(logged.path())?.contains("  hello\n"));
    assert!(logged.file_name().to_string_lossy().ends_with(".log"));
    let pids = processes_with(&bob.wgfile())?;
    ensure!(pids.len() == 1, "{pids:?}");
    let pid = pids[0];
    let (group, session) = group_and_session(pid)?;
    assert_eq!(group, session, "it is with the shell");
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline"))?.contains("--in-background"));

    let signal = |signal| kill(Pid::from_raw(pid), signal);
    for ignored in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTOU] {
        signal(ignored)?;
    }
    fs::remove_file(bob.wgfile())?;
    signal(Signal::SIGUSR1)?;
    wait_until("the port file is there again", TIMEOUT, || Ok(bob.wgfile().exists().then_some(())))?;
    alice.send(&[&me, "-m", "again"])?;
    shown("  again")?;
    signal(Signal::SIGTERM)?;
    wait_until("it has ended", TIMEOUT, || {
        Ok((!bob.wgfile().exists() && processes_with(&bob.wgfile())?.is_empty()).then_some(()))
    })?;
    shell.stop(TIMEOUT)?;
    Ok(())
}

/// As long as it is not there, it is in the foreground: what is typed reaches both processes.
#[test]
fn before_it_is_in_the_background_it_can_be_interrupted() -> Result<()> {
    let (network, home) = (Network::claim()?, tempfile::tempdir()?);
    let silent = UdpSocket::bind((network.here(), 0))?;
    let environment = [
        ("ZEPHYR_HM", silent.local_addr()?.to_string()),
        ("ZEPHYR_ADDRESS", network.here().to_string()),
        ("ZEPHYR_AUTH", "none".to_owned()),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
    let bob = Person::bare("bob", home.path().to_owned(), environment);
    let mut command = bob.command(bins::path("zwgc")?);
    command.arg("-ttymode").process_group(0);
    let mut first = Daemon::spawn(command, bob.home().join("zwgc.log"))?;
    // It has begun to ask the host manager, so it minds signals.
    silent.set_read_timeout(Some(TIMEOUT))?;
    silent.recv(&mut [0; 2048])?;
    assert_eq!(processes_with(&bob.wgfile())?.len(), 2);
    killpg(Pid::from_raw(i32::try_from(first.pid())?), Signal::SIGINT)?;
    first.wait_for_end(TIMEOUT)?;
    wait_until("both have ended", TIMEOUT, || Ok(processes_with(&bob.wgfile())?.is_empty().then_some(())))?;
    Ok(())
}

#[test]
fn other_formats_for_other_readers() -> Result<()> {
    let stack = Stack::without_kerberos()?;
    let (alice, bob) = (stack.bare_person("alice")?, stack.bare_person("bob")?);
    let me = login()?;
    let start = |format| bob.clone().with_variable("ZWGC_FORMAT", format).zwgc_as(&me, &[("news", "*", "*")]);
    let news = |text| alice.send(&["-c", "news", "-i", "sport", "-s", "Alice", "-m", text]);

    let mut zwgc = start("json")?;
    news("one\ntwo")?;
    let line = zwgc.wait_for(TIMEOUT, |line| line.contains("two"))?;
    let shown: serde_json::Value = serde_json::from_str(&line)?;
    assert_eq!((&shown["class"], &shown["verdict"]), (&"news".into(), &"unauthenticated".into()), "{line}");
    assert_eq!(shown["body"], serde_json::json!(["Alice", "one\ntwo\n"]), "{line}");
    assert!(!zwgc.transcript().text().contains("PING"), "a ping is for nobody");
    assert!(zwgc.stop(TIMEOUT)?.success());

    let zwgc = start("line")?;
    news("one\ntwo")?;
    let line = zwgc.wait_for(TIMEOUT, |line| line.contains("one"))?;
    assert!(line.starts_with("UNAUTHENTICATED ") && line.ends_with(" news/sport: one"), "{line}");
    Ok(())
}
