//! What every program says when something is wrong: it begins with the program's name, and tells people nothing of Rust and no
//! numbers of errors.

use anyhow::{Result, ensure};
use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use zephyr_testkit::{
    bins,
    loopback::Network,
    process::{self, Daemon, Output},
};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What scripts know from the C programs, as it begins.
const OF_C: [&str; 16] = [
    "Usage: ",
    "No recipients specified.",
    "No valid primary server found, exiting.",
    "Unknown server name: ",
    "-q and -l cannot both be used",
    "-u and -f cannot both be used",
    "No file name specified",
    "No username specified",
    "Can't open ",
    "Unknown host: ",
    "Only one of -s and -h may be specified",
    "No response after 10 seconds.",
    "usage: zleave ",
    "File ",
    "No Zephyr! Will write directly to terminal.",
    "That time has already passed!",
];
/// What is of use to nobody who does not read our sources.
const OF_RUST: [&str; 10] = [
    "os error",
    "::",
    "Some(",
    "Err(",
    "Ok(",
    "panicked",
    "unwrap",
    "invalid type",
    "invalid value: ",
    "invalid digit",
];
const TYPES: [&str; 10] = ["usize", "isize", "u8", "u16", "u32", "u64", "i32", "i64", "f64", "bool"];

/// What of a line is for those who read our sources, and for nobody else.
fn is_of_rust(line: &str) -> bool {
    let mut words = line.split(|char: char| !char.is_alphanumeric() && char != '_');
    words.any(|word| TYPES.contains(&word)) || OF_RUST.iter().any(|rust| line.contains(rust))
}

/// What is wrong with what a program has said on standard error.
fn faults(program: &str, said: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: &str, line: &str| faults.push(format!("{what}: {line}"));
    if said.trim().is_empty() {
        fault("nothing is said", "");
    }
    let own = format!("{program}: ");
    for (number, line) in said.lines().enumerate() {
        if is_of_rust(line) {
            fault("of Rust", line);
        }
        if line.contains("error: ") {
            fault("an error is an error", line);
        }
        if [" WARN ", " ERROR ", " INFO "].iter().any(|level| line.contains(level)) {
            fault("a line of a log", line);
        }
        if number == 0 && !line.starts_with(&own) && !OF_C.iter().any(|known| line.starts_with(known)) {
            fault("the program's name is not first", line);
        }
        // "REASON while DOING" reads well only where the reason is a phrase.
        let sentence = line.strip_prefix(&own).unwrap_or(line);
        if let Some((reason, _)) = sentence.split_once(" while ")
            && reason.contains(": ")
        {
            fault("what failed comes after a whole sentence", line);
        }
    }
    faults
}

/// A folder for a test, and the network on which nobody answers.
struct Place {
    folder: tempfile::TempDir,
    network: Network,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, network: Network::claim()? })
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
        fs::write(&file, content)?;
        Ok(file)
    }

    /// A program in this place: `FOLDER` in an argument or a value is the folder, `HERE` the network's address.
    fn command(&self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command> {
        let here = self.network.here().to_string();
        let filled = |text: &str| text.replace("FOLDER", &self.folder.path().to_string_lossy()).replace("HERE", &here);
        let mut command = Command::new(bins::path(program)?);
        command.args(arguments.iter().map(|argument| filled(argument)));
        command.env_remove("RUST_LOG").env("HOME", self.folder.path()).env("KRB5_CONFIG", "/dev/null");
        command.env("ZEPHYR_AUTH", "none").env("ZEPHYR_POLICY", "/dev/null").env("ZEPHYR_ADDRESS", &here);
        command.envs(environment.iter().map(|(name, value)| (*name, filled(value))));
        Ok(command)
    }

    fn said(&self, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
        let mut command = self.command(program, arguments, environment)?;
        // Messages begin with the program's name as typed.
        std::os::unix::process::CommandExt::arg0(&mut command, program);
        process::run(command, TIMEOUT)
    }
}

/// A run that fails: what is typed, and what must be said.
struct Run {
    program: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    status: i32,
    /// Lines of standard error, with `FOLDER` and `HERE` as in the arguments.
    lines: &'static [&'static str],
}

const fn run(
    program: &'static str,
    arguments: &'static [&'static str],
    status: i32,
    lines: &'static [&'static str],
) -> Run {
    Run { program, arguments, environment: &[], status, lines }
}

const fn with(name_and_value: &'static [(&'static str, &'static str)], run: Run) -> Run {
    Run { environment: name_and_value, ..run }
}

const RUNS: &[Run] = &[
    run("zwrite", &[], 1, &["zwrite: nothing says to whom to send"]),
    run("zwrite", &["-z", "bob"], 1, &["zwrite: there is no option -z"]),
    run("zwrite", &["bob", "-c"], 1, &["zwrite: option -c needs a value after it"]),
    with(
        &[("ZEPHYR_HM", "here:there")],
        run(
            "zwrite",
            &["bob", "-m", "hi"],
            1,
            &["zwrite: initializing failed: ZEPHYR_HM=here:there: expected ADDRESS:PORT"],
        ),
    ),
    with(
        &[("ZEPHYR_CHECK", "often")],
        run(
            "zwrite",
            &["bob", "-m", "hi"],
            1,
            &["zwrite: initializing failed: ZEPHYR_CHECK=often: expected a number of seconds"],
        ),
    ),
    with(
        &[("ZEPHYR_AUTH", "magic")],
        run(
            "zwrite",
            &["bob", "-m", "hi"],
            1,
            &[
                "zwrite: initializing failed: ZEPHYR_AUTH=magic: unknown authentication backend \"magic\": it must be kerberos or none",
            ],
        ),
    ),
    with(
        &[("ZEPHYR_POLICY", "FOLDER/none.toml")],
        run(
            "zwrite",
            &["bob", "-m", "hi"],
            1,
            &[
                "zwrite: initializing failed: FOLDER/none.toml: No such file or directory",
                "zwrite: The variable ZEPHYR_POLICY names that file: mend the file (zephyrctl policy check FILE), or unset the variable.",
            ],
        ),
    ),
    with(
        &[("ZEPHYR_ADDRESS", "192.0.2.1")],
        run(
            "zwrite",
            &["bob", "-m", "hi"],
            1,
            &["zwrite: initializing failed: cannot receive at 192.0.2.1: Cannot assign requested address"],
        ),
    ),
    // As C says it; on a terminal there is a line more.
    run("zwgc", &["-bogus"], 1, &["zwgc: usage: zwgc [-f <filename>] [-subfile <filename>]"]),
    run("zwgc", &["-loc"], 1, &["zwgc: usage: zwgc [-f <filename>] [-subfile <filename>]"]),
    run(
        "zwgc",
        &["--check", "FOLDER/none"],
        1,
        &["zwgc: error while opening FOLDER/none for reading: No such file or directory"],
    ),
    run(
        "zwgc",
        &[],
        1,
        &[
            "zwgc: Unable to open X display -- disabling X driver.",
            "zwgc: To receive Zephyrgrams, (type `zwgc -ttymode').",
        ],
    ),
    with(
        &[("ZWGC_FORMAT", "html")],
        run("zwgc", &[], 1, &["zwgc: ZWGC_FORMAT: expected description, labelled, line or json, not \"html\""]),
    ),
    run("zaway", &["-z"], 1, &["zaway: invalid option -- 'z'", "Unrecognized option '-z'."]),
    run("zaway", &["FOLDER/none"], 1, &["File FOLDER/none not found!"]),
    run("zaway", &["FOLDER"], 1, &["zaway: FOLDER: this is a directory, not a file"]),
    run("zaway", &["one", "two"], 1, &["zaway: one file is expected, not also two"]),
    with(
        &[("ZEPHYR_DIRECT", "0"), ("ZEPHYR_HM", "HERE:9")],
        run("zaway", &["-m", "gone"], 1, &["zaway: Hostmanager not responding while initializing"]),
    ),
    run(
        "zleave",
        &["junk"],
        1,
        &["zleave: \"junk\" is no time: expected hhmm, or +hhmm for hours and minutes from now"],
    ),
    run("zleave", &["+0"], 1, &["zleave: +0 is now: expected at least a minute"]),
    run("zleave", &["+5", "extra"], 1, &["zleave: nothing is expected after that: extra"]),
    run("zleave", &["--remind"], 1, &["zleave: reminding in the background failed: invalid data"]),
    run(
        "zshutdown_notify",
        &["now"],
        1,
        &["zshutdown_notify: no argument is expected, not now: the text is read from standard input"],
    ),
    with(
        &[("ZEPHYR_DIRECT", "0"), ("ZEPHYR_HM", "HERE:9")],
        run("zshutdown_notify", &[], 1, &["zshutdown_notify: Hostmanager not responding while initializing"]),
    ),
    with(
        &[("ZEPHYR_POLICY", "FOLDER/none.toml")],
        run("zwgc", &["--json"], 3, &["zwgc: initializing Zephyr failed: FOLDER/none.toml: No such file or directory"]),
    ),
    run("zlocate", &[], 1, &["zlocate: nothing says who is to be located"]),
    run("zlocate", &["-z", "bob"], 1, &["zlocate: there is no option -z"]),
    run("zlocate", &["-a", "-d", "bob"], 1, &["zlocate: only one of -a and -d can be given, and once"]),
    with(
        &[("ZEPHYR_HM", "here:there")],
        run("zlocate", &["bob"], 1, &["zlocate: initializing failed: ZEPHYR_HM=here:there: expected ADDRESS:PORT"]),
    ),
    run("znol", &["bob"], 1, &["znol: there is no option bob"]),
    run("znol", &["off", "-l"], 1, &["znol: off and -l cannot both be used"]),
    run("znol", &["-q", "-l"], 1, &["-q and -l cannot both be used"]),
    run(
        "znol",
        &["-l"],
        1,
        &["Can't open FOLDER/.anyone for input", "znol: FOLDER/.anyone: No such file or directory"],
    ),
    run(
        "znol",
        &["-f", "FOLDER"],
        1,
        &["Can't open FOLDER for input", "znol: FOLDER: this is a directory, not a file"],
    ),
    with(
        &[("WGFILE", "FOLDER/none")],
        run(
            "znol",
            &["-u", "bob"],
            1,
            &[
                "znol: No such file or directory while getting WindowGram port",
                "znol: It is zwgc that tells who logs in and out: start it. To see who is there now, znol -l needs none.",
            ],
        ),
    ),
    run("zstat", &["-x"], 1, &["zstat: invalid option -- 'x'"]),
    run("zstat", &["--jso"], 1, &["zstat: unrecognized option '--jso'"]),
    run("zstat", &["-s", "nowhere.invalid"], 255, &["Unknown host: nowhere.invalid"]),
    with(
        &[("ZEPHYR_HM", "here:there")],
        run("zstat", &[], 255, &["zstat: ZEPHYR_HM=here:there: expected ADDRESS:PORT"]),
    ),
    with(
        &[("ZEPHYR_HM", "HERE:9")],
        run("zstat", &["-h"], 255, &["zstat: Hostmanager not responding getting hostmanager status"]),
    ),
    run("zephyrctl", &["destroy"], 2, &["zephyrctl: unrecognized subcommand 'destroy'"]),
    run("zephyrctl", &["clients", "--limit", "-1"], 2, &["zephyrctl: unexpected argument '-1' found"]),
    run(
        "zephyrctl",
        &["clients", "--limit", "many"],
        2,
        &["zephyrctl: invalid value 'many' for '--limit <NUMBER>': expected a whole number from 0, not \"many\""],
    ),
    run(
        "zephyrctl",
        &["drain", "--wait", "soon"],
        2,
        &[
            "zephyrctl: invalid value 'soon' for '--wait <SECONDS>': expected a number of seconds from 0 to 4294967295, not \"soon\"",
        ],
    ),
    run(
        "zephyrctl",
        &["--control-socket", "FOLDER/none", "drain"],
        3,
        &["zephyrctl: cannot reach the server at FOLDER/none: No such file or directory"],
    ),
    run(
        "zephyrctl",
        &["--control-socket", "FOLDER/none", "status"],
        3,
        &["zephyrctl: cannot reach the server at FOLDER/none: No such file or directory"],
    ),
    run(
        "zephyrctl",
        &["--control-socket", "FOLDER/etc/zephyr.toml", "status"],
        3,
        &["zephyrctl: cannot reach the server at FOLDER/etc/zephyr.toml: Connection refused"],
    ),
    run("zephyrd", &["--realms"], 2, &["zephyrd: unexpected argument '--realms' found"]),
    run(
        "zephyrd",
        &["--config-dir", "FOLDER/etc"],
        1,
        &[
            "zephyrd: FOLDER/etc/zephyr.toml:2:11: clients: expected a whole number from 0, not true",
            "zephyrd: FOLDER/etc/zephyr.toml:4:10: target: expected one of auto, stderr, journald, syslog, not nowhere",
        ],
    ),
    run(
        "zephyrd",
        &["--config-dir", "FOLDER", "-k", "R", "--auth", "kerberos", "--listen", "HERE:0", "--keytab", "FOLDER/keys"],
        1,
        &[
            "zephyrd: cannot read keytab FOLDER/keys: No such file or directory. The keytab must exist and be readable by the server's user.",
        ],
    ),
    run(
        "zephyrd",
        &["--config-dir", "FOLDER", "-k", "R", "--auth", "none", "--listen", "192.0.2.1:2103"],
        1,
        &[
            "zephyrd: cannot listen on 192.0.2.1:2103: Cannot assign requested address: no interface of this machine has it",
        ],
    ),
    run(
        "zhm",
        &["--listen", "here"],
        2,
        &["zhm: invalid value 'here' for '--listen <ADDR:PORT>': expected ADDRESS:PORT, not \"here\""],
    ),
    run(
        "zhm",
        &["--config-dir", "FOLDER/alone"],
        16,
        &[
            "No valid primary server found, exiting.",
            "zhm: zephyr.toml: it names no server in section zhm",
            "zhm: Name the servers in FOLDER/alone/zephyr.toml, section zhm, or on the command line.",
        ],
    ),
    run(
        "zhm",
        &["--config-dir", "FOLDER/etc", "HERE"],
        1,
        &["zhm: FOLDER/etc/zephyr.toml:4:10: target: expected one of auto, stderr, journald, syslog, not nowhere"],
    ),
    run(
        "zhm",
        &["--config-dir", "FOLDER", "--listen", "192.0.2.1:2104", "HERE"],
        1,
        &["zhm: cannot listen on 192.0.2.1:2104: Cannot assign requested address: no interface of this machine has it"],
    ),
];

#[test]
fn every_program_says_what_is_wrong_to_people() -> Result<()> {
    let place = Place::new()?;
    place.write("etc/zephyr.toml", "[bounds]\nclients = true\n[log]\ntarget = \"nowhere\"\n")?;
    place.write("alone/zephyr.toml", "[zhm]\nsources = [\"settings\"]\n")?;
    // Nothing that a daemon would write into its log.
    place.write("acl/class-registry.acl", "")?;
    for Run { program, arguments, environment, status, lines } in RUNS {
        let output = place.said(program, arguments, environment)?;
        ensure!(output.status.code() == Some(*status), "{output}");
        let faults = faults(program, &output.stderr);
        ensure!(faults.is_empty(), "{faults:#?}\n{output}");
        for line in *lines {
            let line = line.replace("FOLDER", &place.folder.path().to_string_lossy());
            ensure!(output.stderr.lines().any(|said| said == line), "no line {line:?}\n{output}");
        }
    }
    Ok(())
}

/// Values of every wrong kind, in every section.
#[test]
fn a_check_speaks_of_values_as_their_authors_do() -> Result<()> {
    const VALUES: [&str; 8] = ["true", "-1", "1.5", "99999999999999999999", "\"\"", "\"x\"", "[]", "{ a = 1 }"];
    const SETTINGS: [(&str, &str); 12] = [
        ("zephyr.toml", "[zephyrd]\nlisten"),
        ("zephyr.toml", "[zephyrd]\nverify-threads"),
        ("zephyr.toml", "[bounds]\nclients"),
        ("zephyr.toml", "[metrics]\nallow-remote"),
        ("zephyr.toml", "[log]\ntarget"),
        ("zephyr.toml", "[log]\nfacility"),
        ("zephyr.toml", "[zhm]\nservers"),
        ("zephyr.toml", "zhm"),
        ("policy.toml", "[domain.A]\nsend"),
        ("policy.toml", "[domain.A]\nenctypes"),
        ("policy.toml", "[domain.A.bounds]\nnotice-octets"),
        ("policy.toml", "domain"),
    ];
    let place = Place::new()?;
    let mut complaints = 0;
    for (file, setting) in SETTINGS {
        for value in VALUES {
            place.write(file, &format!("{setting} = {value}\n"))?;
            let output = place.said("zephyrctl", &["--config-dir", "FOLDER", "check"], &[("ZEPHYR_POLICY", "")])?;
            let said = output.stdout.lines().filter(|line| line.contains(file));
            complaints += said.inspect(|line| assert!(!is_of_rust(line), "{setting} = {value}: {line}")).count();
            place.write(file, "")?;
        }
    }
    ensure!(complaints > SETTINGS.len() * VALUES.len() / 2, "{complaints} complaints");
    Ok(())
}

/// Who has a port is said by every program that wants it, of every kind of port.
#[test]
fn a_port_that_is_taken_is_told_with_who_has_it() -> Result<()> {
    let place = Place::new()?;
    let held = UdpSocket::bind((place.network.here(), 0))?;
    let udp = held.local_addr()?.to_string();
    let listener = std::net::TcpListener::bind((place.network.here(), 0))?;
    let tcp = listener.local_addr()?.to_string();
    place.write("zephyr.toml", &format!("[metrics]\nlisten = \"{tcp}\"\n"))?;
    let server = ["--config-dir", "FOLDER", "-k", "R", "--auth", "none", "--hostname", "here", "--listen"];
    for (program, arguments, what) in [
        ("zhm", [&["--listen", &udp, "HERE"][..], &[]].concat(), format!("cannot listen on {udp}")),
        ("zephyrd", [&server[..], &[&udp]].concat(), format!("cannot listen on {udp}")),
        ("zephyrd", [&server[..], &["HERE:0"]].concat(), format!("cannot offer metrics on {tcp}")),
    ] {
        let output = place.said(program, &arguments, &[])?;
        let wanted = format!("{program}: {what}: Address already in use: ");
        let line = output.stderr.lines().find(|line| line.starts_with(&wanted)).unwrap_or_default();
        let faults = faults(program, line);
        ensure!(output.status.code() == Some(1) && faults.is_empty(), "{faults:#?}\n{output}");
        ensure!(line.contains(&format!("(process {}) of ", std::process::id())), "{output}");
    }
    Ok(())
}

/// A refusal is a sentence of its own, and what to do about it another.
#[test]
fn what_the_policy_refuses_is_told_in_sentences() -> Result<()> {
    let place = Place::new()?;
    let policy = place.write(
        "policy.toml",
        "[domain.\"*\"]\nbackend = \"none\"\nsend = \"closed\"\nbelieve-unproven-senders = true\n\
         [domain.\"*\".class.open]\nsend = \"optional\"\n[domain.\"*\".bounds]\nnotice-octets = 10\n",
    )?;
    let policy = policy.to_string_lossy();
    let server = ["--config-dir", "FOLDER", "-k", "R", "--hostname", "here.example.org", "--listen", "HERE:0"];
    let ready = |daemon: &Daemon| -> Result<String> {
        let line = daemon.wait_for(TIMEOUT, |line| line.contains("Ready for action on "))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
    };
    let zephyrd = Daemon::spawn(
        place.command("zephyrd", &server, &[("ZEPHYR_POLICY", &policy)])?,
        place.folder.path().join("zephyrd.log"),
    )?;
    let address = ready(&zephyrd)?;
    let zhm = Daemon::spawn(
        place.command("zhm", &["-n", "--config-dir", "FOLDER", "--listen", "HERE:0", &address], &[])?,
        place.folder.path().join("zhm.log"),
    )?;
    let host_manager = ready(&zhm)?;
    let environment = [("ZEPHYR_HM", &*host_manager), ("ZEPHYR_POLICY", &*policy)];
    for (arguments, lines) in [
        (&["bob", "-m", "hi"][..], "zwrite: sending notice to bob failed: nobody may send here\n"),
        (
            &["-c", "open", "-m", "more than ten octets"],
            "zwrite: sending notice to class \"open\" failed: this is too long to send here: at most 10 octets are taken\n",
        ),
    ] {
        let output = place.said("zwrite", arguments, &environment)?;
        ensure!(output.status.code() == Some(1) && output.stderr == lines, "{output}");
        ensure!(faults("zwrite", &output.stderr).is_empty(), "{output}");
    }
    Ok(())
}

#[test]
fn the_faults_of_messages_are_found() {
    for (said, number) in [
        ("", 1),
        ("zhm: cannot listen on 0.0.0.0:2104: Address already in use (os error 98)\n", 1),
        ("2026-11-24T22:35:52.104633Z  WARN zephyr_zwgc::run: something is odd\n", 3),
        ("zhm: clients: invalid type: boolean, expected usize\n", 1),
        ("zhm: not sent: you must prove who you are: run kinit while sending notice to bob\n", 1),
        ("error: error: unknown\n", 2),
        ("zhm: Connection timed out while sending notice to bob\n", 0),
        ("Usage: zhm\n", 0),
    ] {
        let found = faults("zhm", said);
        assert_eq!(found.len(), number, "{said:?}: {found:?}");
    }
}
