//! zstat beside C's, asked of daemons of both makes.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;
use zephyr_e2e::{
    lab,
    person::{Make, TIMEOUT},
};
use zephyr_testkit::{
    process::{self, Daemon},
    reference::{self, Lab, LabOptions},
};

/// A machine with a server and a host manager of one make.
struct Machine {
    // Dropped first to last.
    zhm: Daemon,
    zephyrd: Daemon,
    lab: Lab,
}

impl Machine {
    fn open(make: Make) -> Result<Option<Self>> {
        let Some(lab) = reference::or_skip(LabOptions::default())? else { return Ok(None) };
        let zephyrd = lab::start_server(&lab, make)?;
        let zhm = lab::start_host_manager(&lab, make)?;
        // C's says that it has found its server to nobody: a program that starts waits for that.
        let mut zlocate = lab.as_user("alice", Make::Ours.program("zlocate")?)?;
        zlocate.args(["-d", "nobody"]);
        process::run(zlocate, TIMEOUT)?;
        Ok(Some(Self { zhm, zephyrd, lab }))
    }

    /// What a zstat says: standard output, the lines of standard error after `!`, and the status after `=`; with the numbers masked that
    /// change.
    fn zstat(&self, make: Make, arguments: &str) -> Result<String> {
        let program = make.program("zstat")?;
        let mut command = self.lab.command(&program);
        command.args(arguments.split_whitespace()).env_remove("ZEPHYR_HM");
        let output = process::run(command, TIMEOUT)?;
        let path = program.to_string_lossy().into_owned();
        let stdout: String = output.stdout.lines().map(|line| masked(line) + "\n").collect();
        let stderr: String =
            output.stderr.lines().map(|line| format!("! {}\n", line.replace(&path, "zstat"))).collect();
        Ok(format!("{stdout}{stderr}= {}\n", output.status.code().unwrap_or(-1)))
    }

    fn both(&self, arguments: &str) -> Result<[String; 2]> {
        Ok([self.zstat(Make::C, arguments)?, self.zstat(Make::Ours, arguments)?])
    }
}

/// A line without the numbers that change between two questions.
fn masked(line: &str) -> String {
    let changes = ["received: ", "handled: ", "running: ", "Uptime: "];
    match changes.iter().find_map(|label| line.split_once(label).map(|(before, rest)| (before, *label, rest))) {
        Some((before, label, rest)) => {
            let mask = |letter: char| if letter.is_ascii_digit() { 'N' } else { letter };
            let mut masked: Vec<char> = rest.chars().map(mask).collect();
            masked.dedup_by(|one, other| *one == 'N' && *other == 'N');
            format!("{before}{label}{}", masked.into_iter().collect::<String>())
        }
        None => line.to_owned(),
    }
}

fn both_say_the_same(make: Make) -> Result<()> {
    for (arguments, lines) in [
        ("", 21),
        ("zsrv", 21),
        ("zsrv.athena.test", 21),
        ("localhost", 21),
        ("-h", 12),
        ("-h 127.0.0.1 10.77.0.1 zsrv", 37),
        ("-s", 8),
        ("-s 10.77.0.1", 8),
        ("10.77.0.1 -s -s", 8),
        ("-s nowhere.example", 1),
        ("nowhere.example", 1),
        ("-s -h", 1),
        ("zsrv -hs", 1),
        ("-x", 2),
        ("-h -- -x", 1),
    ] {
        // One for each: our host manager answers another host five times in a second, and C's asks once.
        let Some(machine) = Machine::open(make)? else { return Ok(()) };
        let [c, ours] = machine.both(arguments)?;
        assert_eq!(c, ours, "{arguments}");
        assert!(c.lines().count() > lines, "{arguments}: {c}");
    }
    Ok(())
}

#[test]
fn both_say_the_same_of_our_daemons() -> Result<()> {
    both_say_the_same(Make::Ours)
}

#[test]
fn both_say_the_same_of_c_daemons() -> Result<()> {
    both_say_the_same(Make::C)
}

#[test]
fn an_object_for_each_answer() -> Result<()> {
    for make in [Make::C, Make::Ours] {
        let Some(machine) = Machine::open(make)? else { return Ok(()) };
        let said = machine.zstat(Make::Ours, "--json zsrv 127.0.0.1")?;
        let objects: Vec<Value> =
            said.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect::<Result<_, _>>()?;
        let programs: Vec<&str> = objects.iter().filter_map(|object| object["program"].as_str()).collect();
        assert_eq!(programs, ["host-manager", "server", "host-manager", "server"], "{said}");
        assert_eq!((&objects[0]["host"], &objects[2]["host"]), (&"zsrv.athena.test".into(), &"127.0.0.1".into()));
        for key in ["queue", "client_packets", "server_packets", "server_changes", "running_seconds", "size"] {
            assert!(objects[0][key].is_u64(), "{key}: {said}");
        }
        assert!(objects[1]["packets"].is_u64() && objects[1]["uptime_seconds"].is_u64(), "{said}");
        assert_eq!(objects[1]["states"], serde_json::json!(["10.77.0.1/SERV_UP"]), "{said}");
        assert!(said.ends_with("}\n= 0\n"), "{said}");
    }
    Ok(())
}

/// C's says so too and is content, or gives up the hosts after that one.
#[test]
fn who_does_not_answer_is_a_failure() -> Result<()> {
    let Some(mut machine) = Machine::open(Make::C)? else { return Ok(()) };
    let host_manager = "Hostmanager stats: zsrv.athena.test\n";
    let [c, ours] = machine.both("-h nowhere.example zsrv")?;
    assert_eq!(c, "! Unknown host: nowhere.example\n= 255\n");
    assert!(ours.starts_with(host_manager) && ours.ends_with("\n! Unknown host: nowhere.example\n= 255\n"), "{ours}");

    machine.zephyrd.signal(Signal::SIGSTOP)?;
    let [c, ours] = machine.both("-s zsrv")?;
    let silent = "Server stats: zsrv.athena.test\n! No response after 10 seconds.\n";
    assert_eq!(c, format!("{silent}= 0\n"));
    let who = "! zstat: zsrv.athena.test: no answer from 10.77.0.1:2103\n";
    assert_eq!(ours, format!("{silent}{who}= 255\n"));
    machine.zephyrd.signal(Signal::SIGKILL)?;
    machine.zephyrd.wait_for_end(TIMEOUT)?;
    let ours = machine.zstat(Make::Ours, "-s zsrv")?;
    let nobody = "Server stats: zsrv.athena.test\n! zstat: zsrv.athena.test: nobody listens at 10.77.0.1:2103\n";
    assert_eq!(ours, format!("{nobody}= 255\n"));
    // A host manager that answers, and a server that does not.
    let ours = machine.zstat(Make::Ours, "zsrv")?;
    assert!(ours.starts_with(host_manager) && ours.contains("\n\nServer stats: "), "{ours}");
    assert!(ours.ends_with(": nobody listens at 10.77.0.1:2103\n= 255\n"), "{ours}");

    machine.zhm.signal(Signal::SIGKILL)?;
    machine.zhm.wait_for_end(TIMEOUT)?;
    // C's asks this machine's host manager before any other.
    let [c, ours] = machine.both("-s zsrv")?;
    assert_eq!(c, "! zstat: Hostmanager not responding initializing\n= 255\n");
    assert_eq!(ours, format!("{nobody}= 255\n"));
    let ours = machine.zstat(Make::Ours, "-h zsrv")?;
    let failed = "! zstat: Hostmanager not responding getting hostmanager status\n";
    assert_eq!(
        ours,
        format!("{host_manager}{failed}! zstat: zsrv.athena.test: nobody listens at 10.77.0.1:2104\n= 255\n")
    );
    Ok(())
}
