//! zleave beside the C program: what both say, that each ends the other, and the reminders.

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, chown, getsid},
};
use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::Stdio,
    time::{SystemTime, UNIX_EPOCH},
};
use zephyr_e2e::{
    listener::Origin,
    person::{Make, Person, TIMEOUT},
    stack::Stack,
    transcript::{Bench, mask},
};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{self, Daemon},
    realm::{Engine, RealmOptions},
};

/// Somebody with a zwgc, and a user ID of which nobody else on this machine has a zleave: the pid file has it in its name.
struct Stage {
    alice: Person,
    user: u32,
    // Dropped first to last.
    _zwgc: Daemon,
    _bench: Bench,
}

/// What a run said, and its exit status.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: Vec<String>,
    stderr: Vec<String>,
    status: Option<i32>,
}

impl Stage {
    fn open() -> Result<Option<Self>> {
        let Some(bench) = Bench::open()? else { return Ok(None) };
        let alice = bench.person("alice", Make::Ours)?;
        let zwgc = alice.zwgc(&[])?;
        Ok(Some(Self { alice, user: 1_000_000_000 + std::process::id(), _zwgc: zwgc, _bench: bench }))
    }

    fn pid_file(&self) -> PathBuf {
        format!("/tmp/zleave.{}", self.user).into()
    }

    /// The process ID of the zleave that runs, as the file has it.
    fn pid(&self) -> Result<u32> {
        let read = || Ok(fs::read_to_string(self.pid_file()).ok().and_then(|text| text.trim().parse().ok()));
        wait_until("a pid file", TIMEOUT, read)
    }

    fn run(&self, make: Make, arguments: &[&str], input: &str) -> Result<Said> {
        self.run_as(&self.alice, make, arguments, input)
    }

    /// Runs zleave without a terminal. The process in the background may keep its outputs, so they are files.
    fn run_as(&self, person: &Person, make: Make, arguments: &[&str], input: &str) -> Result<Said> {
        let program = make.program("zleave")?;
        let outputs = ["out", "err"].map(|name| person.home().join(name));
        let mut command = person.command(PathBuf::from("/usr/bin/setsid"));
        command.args(["-w", "unshare", "--user", &format!("--map-user={}", self.user), "sh", "-c"]);
        command.arg(format!("\"$@\" > '{}' 2> '{}'", outputs[0].display(), outputs[1].display()));
        command.arg("sh").arg(&program).args(arguments);
        let output = process::run_with_input(command, input.as_bytes(), TIMEOUT)?;
        let path = program.to_string_lossy().into_owned();
        let read = |file: &PathBuf| -> Result<Vec<String>> {
            Ok(fs::read_to_string(file)?.replace(&path, "zleave").lines().map(mask).collect())
        };
        Ok(Said { stdout: read(&outputs[0])?, stderr: read(&outputs[1])?, status: output.status.code() })
    }

    /// Both makes, C's first, each after `cancel`.
    fn both(&self, arguments: &[&str], input: &str) -> Result<[Said; 2]> {
        let run = |make| -> Result<Said> {
            let said = self.run(make, arguments, input)?;
            // C's writes its process ID after the one that was started has ended.
            if said.stdout.iter().any(|line| line.starts_with("Alarm set for ")) {
                let is_written =
                    || Ok(fs::read_to_string(self.pid_file()).is_ok_and(|pid| !pid.is_empty()).then_some(()));
                wait_until("its process ID", TIMEOUT, is_written)?;
            }
            self.run(Make::Ours, &["cancel"], "")?;
            Ok(said)
        };
        Ok([run(Make::C)?, run(Make::Ours)?])
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Whatever has failed, nobody reminds any more.
        let _ = self.run(Make::Ours, &["cancel"], "");
    }
}

/// The time of day in UTC so many minutes from now, as it is typed.
fn time_of_day(minutes: i64) -> Result<String> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())? / 60 + minutes;
    Ok(format!("{:02}{:02}", now / 60 % 24, now % 60))
}

#[test]
fn what_both_say() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    for arguments in [
        &["cancel"][..],
        &["can"],
        &["+5"],
        &["+0105", "-m", "take the bins"],
        &["+00105"],
        &["+12345"],
        &[&time_of_day(90)?],
        &[&time_of_day(-10)?],
    ] {
        let [c, ours] = stage.both(arguments, "")?;
        ensure!(c == ours, "{arguments:?}: {c:?} {ours:?}");
    }
    // Ours says after that what is wrong.
    for arguments in [&["+0060"][..], &["2500"], &["junk"], &["5x"], &["+5", "-m"], &["-m", "x"], &["canc"]] {
        let [c, mut ours] = stage.both(arguments, "")?;
        ensure!(ours.stderr.pop().is_some_and(|why| why.starts_with("zleave: ")), "{arguments:?}: {ours:?}");
        ensure!(c == ours && c.status == Some(1), "{arguments:?}: {c:?} {ours:?}");
    }
    // Those who are nowhere are told so: there is no zwgc, and no terminal.
    let nowhere = stage.alice.clone().with_variable("WGFILE", "/nonexistent");
    let c = stage.run_as(&nowhere, Make::C, &["+5"], "")?;
    let mut ours = stage.run_as(&nowhere, Make::Ours, &["+5"], "")?;
    ours.stderr.retain(|line| !line.starts_with("zleave: "));
    ensure!(c == ours && c.status == Some(1), "{c:?} {ours:?}");
    Ok(())
}

/// Each of them is a row of the differences.
#[test]
fn what_ours_does_otherwise() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    let alarm = vec!["Alarm set for DATE".to_owned()];
    let set = Said { stdout: alarm.clone(), stderr: Vec::new(), status: Some(0) };
    for arguments in [&["+0"][..], &["+"], &["+5", "further", "words"]] {
        let [c, ours] = stage.both(arguments, "")?;
        ensure!(c == set && ours.status == Some(1) && ours.stdout.is_empty(), "{arguments:?}: {c:?} {ours:?}");
    }
    // A time that is typed.
    let [c, ours] = stage.both(&[], "+5\n")?;
    ensure!(c.status == Some(1) && c.stdout == ["When do you have to leave? "], "{c:?}");
    ensure!(ours.status == Some(0) && ours.stdout == ["When do you have to leave? Alarm set for DATE"], "{ours:?}");
    for nothing in ["", "\n"] {
        let ours = stage.run(Make::Ours, &[], nothing)?;
        ensure!(ours.status == Some(0) && ours.stdout == ["When do you have to leave? "], "{ours:?}");
    }
    let junk = stage.run(Make::Ours, &[], "junk\n")?;
    ensure!(junk.status == Some(1) && junk.stderr.len() == 3, "{junk:?}");
    ensure!(!stage.pid_file().exists());
    Ok(())
}

#[test]
fn each_ends_the_other_and_nothing_else() -> Result<()> {
    let Some(stage) = Stage::open()? else { return Ok(()) };
    for (first, second) in [(Make::C, Make::Ours), (Make::Ours, Make::C), (Make::Ours, Make::Ours)] {
        stage.run(first, &["+5"], "")?;
        let old = stage.pid()?;
        let said = stage.run(second, &["+6"], "")?;
        ensure!(said.stdout == ["Old zleave process killed.", "Alarm set for DATE"], "{said:?}");
        wait_until("the old one's end", TIMEOUT, || Ok((!process::exists(old)).then_some(())))?;
        let new = wait_until("the new one's", TIMEOUT, || Ok(stage.pid().ok().filter(|&pid| pid != old)))?;
        let said = stage.run(first, &["cancel"], "")?;
        ensure!(said.status == Some(0) && said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");
        wait_until("the new one's end", TIMEOUT, || Ok((!process::exists(new)).then_some(())))?;
        ensure!(!stage.pid_file().exists());
    }
    // This test's own process, which is called zleave-HASH and has the ID that a zleave had.
    fs::write(stage.pid_file(), std::process::id().to_string())?;
    let said = stage.run(Make::Ours, &["cancel"], "")?;
    ensure!(said.status == Some(0) && said.stdout == ["No zleave is currently running."], "{said:?}");
    fs::write(stage.pid_file(), "none")?;
    let said = stage.run(Make::Ours, &["cancel"], "")?;
    ensure!(
        said.status == Some(1) && said.stderr.first().is_some_and(|line| line == "The zleave pid file is corrupted.")
    );
    // Somebody else's: it is neither read nor changed, and without a place for ours there is no alarm.
    chown(&stage.pid_file(), Some(4321.into()), None)?;
    let said = stage.run(Make::Ours, &["+5"], "")?;
    let why = format!("zleave: {}: it is somebody else's", stage.pid_file().display());
    ensure!(said.status == Some(1) && said.stderr == ["Cannot open pid file.".to_owned(), why], "{said:?}");
    ensure!(fs::read_to_string(stage.pid_file())? == "none");
    let private = stage.alice.home().join("run");
    fs::create_dir(&private)?;
    let alice = stage.alice.clone().with_variable("XDG_RUNTIME_DIR", &private.to_string_lossy());
    ensure!(stage.run_as(&alice, Make::Ours, &["+5"], "")?.status == Some(0));
    let pid = fs::read_to_string(private.join(format!("zleave.{}", stage.user)))?.trim().parse()?;
    ensure!(process::exists(pid));
    ensure!(stage.run_as(&alice, Make::Ours, &["cancel"], "")?.status == Some(0));
    wait_until("its end", TIMEOUT, || Ok((!process::exists(pid)).then_some(())))?;
    fs::remove_file(stage.pid_file())?;
    Ok(())
}

#[test]
fn it_outlives_its_terminal() -> Result<()> {
    let stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let alice = stack.login("alice")?;
    let _zwgc = alice.zwgc(&[])?;
    // For its pid file, a folder of its own.
    let folder = alice.home().join("run");
    fs::create_dir(&folder)?;
    let alice = alice.with_variable("XDG_RUNTIME_DIR", &folder.to_string_lossy());
    let user = 1_000_000_000 + std::process::id();
    let file = folder.join(format!("zleave.{user}"));
    let zleave = bins::path("zleave")?;
    let run = |alice: &Person, arguments: &str| {
        let mut command = alice.command(PathBuf::from("script"));
        let run = format!("unshare --user --map-user={user} '{}' {arguments}", zleave.display());
        command.args(["-qec", &run, "/dev/null"]);
        process::run(command, TIMEOUT)?.success()
    };
    for (alice, said) in [
        (alice.clone(), "Alarm set for "),
        (alice.clone().with_variable("WGFILE", "/nonexistent"), "Will write directly to terminal."),
    ] {
        let output = run(&alice, "+5")?;
        ensure!(output.stdout.contains(said) && output.stdout.contains("Alarm set for "), "{output}");
        let pid: u32 = fs::read_to_string(&file)?.trim().parse()?;
        let process = Pid::from_raw(i32::try_from(pid)?);
        ensure!(getsid(Some(process))? == process, "it leads a session of its own");
        ensure!(process::exists(pid), "{output}");
        run(&alice, "cancel")?;
        wait_until("its end", TIMEOUT, || Ok((!process::exists(pid)).then_some(())))?;
    }
    Ok(())
}

/// The process in the background. Ends when dropped.
struct Reminding {
    child: std::process::Child,
    errors: PathBuf,
}

impl Reminding {
    /// Told to remind at this moment in this way.
    fn start(person: &Person, way: &str, text: &str) -> Result<Self> {
        let errors = person.home().join("errors");
        let mut command = person.command(bins::path("zleave")?);
        command.arg("--remind").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(fs::File::create(&errors)?);
        let mut reminding = Self { child: command.spawn()?, errors };
        let begin = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let state = format!("{begin}\0{}\0{way}\0{}\0{text}\0", begin + 1, person.recipient());
        reminding.child.stdin.take().context("no input")?.write_all(state.as_bytes())?;
        Ok(reminding)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    /// The exit status, once it has ended.
    fn end(&mut self) -> Result<Option<i32>> {
        Ok(wait_until("an end", TIMEOUT, || Ok(self.child.try_wait()?))?.code())
    }

    fn said(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.errors)?)
    }
}

impl Drop for Reminding {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn reminders_are_notices_of_the_user_or_go_to_the_terminal() -> Result<()> {
    let Some(bench) = Bench::open()? else { return Ok(()) };
    let alice = bench.person("alice", Make::Ours)?;
    // What C sends, octet for octet.
    let reminders = alice.listen(&[("message", "leave", &alice.recipient())])?;
    let mut reminding = Reminding::start(&alice, "notices", "take the bins")?;
    let reminder = reminders.expect("Time to leave!\ntake the bins\0", Origin::Authentic)?;
    ensure!(
        (reminder.class.as_str(), reminder.instance.as_str(), reminder.opcode.as_str()) == ("MESSAGE", "LEAVE", "")
    );
    ensure!(reminder.body == b"\0Time to leave!\ntake the bins\0", "{reminder:?}");
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM] {
        reminding.signal(signal)?;
    }
    ensure!(reminding.end()? == Some(0), "only TERM ends it");
    // Whose zwgc has ended is reminded no more.
    let mut reminding = Reminding::start(&bench.person("bob", Make::Ours)?, "notices", "nobody")?;
    ensure!(reminding.end()? == Some(0) && reminding.said()?.is_empty());
    // Without tickets, where the domain does not ask for proof.
    let ticketless = alice.clone().with_variable("KRB5CCNAME", "FILE:/nonexistent");
    let reminding = Reminding::start(&ticketless, "notices", "unproven")?;
    reminders.expect("Time to leave!\nunproven\0", Origin::Unauthenticated)?;
    ensure!(reminding.said()?.is_empty());
    let reminding = Reminding::start(&alice, "terminal", "the \x1b[2J bins")?;
    let said = wait_until("a reminder", TIMEOUT, || Ok(Some(reminding.said()?).filter(|said| !said.is_empty())))?;
    ensure!(said == "\x07\x07\x07Time to leave!\nthe \\u{1b}[2J bins\n", "{said:?}");
    Ok(())
}
