//! `zephyrctl check` says what a start says: whatever it finds wrong, zephyrd does not begin with and says in the same words;
//! and where it is content, zephyrd begins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod running;

use nix::unistd::{User, geteuid};
use running::{any_port, server};
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    net::{TcpListener, UdpSocket},
    os::unix::{
        fs::{PermissionsExt, chown},
        net::UnixDatagram,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use zephyr_testkit::{
    loopback::Network,
    ownership::{ALICE, owned_by},
    reference::Namespace,
};

const REALM: &str = "CHECK.TEST";
const NOBODY: u32 = 65_534;

/// A configuration folder, and how a server would be started with it.
struct Site {
    folder: tempfile::TempDir,
    network: Network,
    options: Vec<String>,
    /// A machine of its own, if it has one.
    machine: Option<Namespace>,
}

/// What was found, line by line.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    status: Option<i32>,
    problems: Vec<String>,
    warnings: Vec<String>,
    end: String,
}

/// Who runs the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Me,
    Nobody,
}

impl Site {
    /// A site with Kerberos where nothing is wrong.
    fn new() -> Self {
        let (folder, network) = (tempfile::tempdir().unwrap(), Network::claim().unwrap());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let listen = any_port(&network).to_string();
        let options = ["--listen", &listen, "--hostname", "here"].map(str::to_owned).to_vec();
        let site = Self { folder, network, options, machine: None };
        site.write("krb5.conf", &format!("[libdefaults]\ndefault_realm = {REALM}\n[realms]\n{REALM} = {{\n}}\n"));
        site.write("acl/class-registry.acl", "secret:\n");
        site.write("acl/xmt-secret.acl", &format!("alice@{REALM}\n"));
        site.keytab("zephyr/zephyr");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content.replace('$', self.folder.path().to_str().unwrap())).unwrap();
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Writes a keytab with the key of this service.
    fn keytab(&self, service: &str) {
        let file = self.path("krb5.keytab");
        fs::write(&file, keytab_of(service, AES)).unwrap();
        self.set_mode("krb5.keytab", 0o600);
    }

    /// Whose the keytab is: root's, or the server's user's. Nobody else's counts.
    fn keytab_belongs_to(&self, user: u32) {
        chown(self.path("krb5.keytab"), Some(user), None).unwrap();
    }

    /// The same site whose server has these options besides.
    fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// The same site on a machine of its own, whose server has no options. Files of `/etc` are those of the site's folder
    /// `etc`, where it has them, and the host is called `zsrv`.
    fn on_its_own_machine(mut self) -> Self {
        let machine = Namespace::new(self.folder.path()).unwrap();
        let etc = self.path("etc");
        let script = "set -e; ip link set lo up; hostname zsrv; \
            for file in \"$1\"/*; do mount --bind \"$file\" /etc/\"${file##*/}\"; done";
        let done = machine.command("sh").args(["-c", script, "sh"]).arg(&etc).status().unwrap();
        assert!(done.success());
        self.machine = Some(machine);
        self.options.clear();
        self
    }

    fn command(&self, program: &str) -> Command {
        self.machine.as_ref().map_or_else(|| Command::new(program), |machine| machine.command(program))
    }

    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let command = command.env("KRB5_CONFIG", self.path("krb5.conf")).env_remove("RUST_LOG");
        command.env_remove("ZEPHYR_POLICY").env_remove("ZEPHYR_CONTROL_SOCKET").current_dir("/")
    }

    fn check(&self, by: By) -> Found {
        let mut command = self.command(env!("CARGO_BIN_EXE_zephyrctl"));
        self.environment(&mut command).arg("--config-dir").arg(self.folder.path()).arg("check");
        let user = match by {
            By::Me => User::from_uid(geteuid()).unwrap().map(|me| me.name),
            By::Nobody => Some("nobody".to_owned()),
        };
        // Who has no name is nobody else, either.
        command.args(user.iter().flat_map(|name| ["--user", name]));
        Found::of(command.arg("--").args(&self.options))
    }

    fn zephyrd(&self, by: By) -> Command {
        let mut command = match by {
            By::Me => self.command(env!("CARGO_BIN_EXE_zephyrd")),
            By::Nobody => {
                let copy = self.path("zephyrd");
                if !copy.exists() {
                    fs::copy(env!("CARGO_BIN_EXE_zephyrd"), &copy).unwrap();
                }
                let mut command = Command::new(copy);
                command.uid(NOBODY).gid(NOBODY);
                command
            }
        };
        self.environment(&mut command).arg("--config-dir").arg(self.folder.path()).args(&self.options);
        command
    }

    /// `check` finds these problems, and a start says the same and ends.
    fn refuses(&self, by: By, problems: &[&str]) -> Found {
        let found = self.check(by);
        assert_eq!(found.status, Some(1), "{found:?}");
        assert_eq!(found.problems.len(), problems.len(), "{found:?}");
        for problem in problems {
            let problem = problem.replace('$', self.folder.path().to_str().unwrap());
            assert!(found.problems.iter().any(|line| line.contains(&problem)), "{problem}: {found:?}");
        }
        let output = self.zephyrd(by).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for line in &found.problems {
            assert!(said.contains(&format!("zephyrd: {line}\n")), "a start does not say {line:?}, but {said}");
        }
        for line in &found.warnings {
            assert!(said.contains(&format!("zephyrd: warning: {line}\n")), "a start does not say {line:?}, but {said}");
        }
        found
    }

    /// `check` is content but for these warnings, and a server begins and warns of the same.
    fn begins(&self, by: By, warnings: &[&str]) -> Found {
        let found = self.check(by);
        assert_eq!((found.status, &*found.problems), (Some(0), &[][..]), "{found:?}");
        assert_eq!(found.warnings.len(), warnings.len(), "{found:?}");
        for warning in warnings {
            let warning = warning.replace('$', self.folder.path().to_str().unwrap());
            assert!(found.warnings.iter().any(|line| line.contains(&warning)), "{warning}: {found:?}");
        }
        let mut child = self.zephyrd(by).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
            said += &line;
            said.push('\n');
            if line.contains("Ready for action on ") {
                break;
            }
        }
        let _ = child.kill();
        child.wait().unwrap();
        assert!(said.contains("Ready for action on "), "{said}");
        for line in &found.warnings {
            assert!(said.contains(&format!("WARN {line}\n")), "a start does not say {line:?}, but {said}");
        }
        found
    }
}

impl Found {
    fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let end = lines.pop().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let (warnings, problems): (Vec<String>, Vec<String>) =
            lines.into_iter().partition(|line| line.starts_with("warning: "));
        // This machine may have a server of its own, whose folders are no matter of the site.
        let is_of_site = |line: &&String| USUAL_FOLDERS.iter().all(|folder| !line.contains(folder));
        let warnings = warnings.iter().filter(is_of_site).map(|line| line.replacen("warning: ", "", 1)).collect();
        Self { status: output.status.code(), problems, warnings, end }
    }
}

/// The folders of a server that is not told of others.
const USUAL_FOLDERS: [&str; 2] = ["/var/lib/zephyr/", "/run/zephyr/"];

/// The types of keys: of AES, and of RC4, which nobody takes who is not told to.
const AES: u8 = 18;
const RC4: u8 = 23;

/// A keytab in the format of MIT Kerberos with one key: that of this service.
fn keytab_of(service: &str, enctype: u8) -> Vec<u8> {
    let counted = |text: &str| [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let components: Vec<&str> = service.split('/').collect();
    let mut entry = u16::try_from(components.len()).unwrap().to_be_bytes().to_vec();
    entry.extend(counted(REALM));
    entry.extend(components.into_iter().flat_map(counted));
    let octets = vec![7; if enctype == AES { 32 } else { 16 }];
    // The kind of name, the time, the version, the type of key, its length and octets.
    entry.extend([0, 0, 0, 1, 0, 0, 0, 1, 1, 0, enctype, 0, u8::try_from(octets.len()).unwrap()]);
    entry.extend(octets);
    [&[5, 2], &u32::try_from(entry.len()).unwrap().to_be_bytes()[..], &entry].concat()
}

/// Whether the tests run as root, who can try other users.
fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("not root: other users cannot be tried");
    }
    root
}

#[test]
fn a_good_site_is_fine() {
    let site = Site::new();
    let found = site.begins(By::Me, &[]);
    assert_eq!(found.end, format!("no problems in {}", site.folder.path().display()));
    if is_root() {
        site.keytab_belongs_to(NOBODY);
        let found = site.begins(By::Nobody, &[]);
        assert_eq!(found.end, format!("no problems in {}, as user nobody", site.folder.path().display()));
    }
}

#[test]
fn keytabs_that_cannot_serve() {
    let site = Site::new();
    let keytab = site.path("krb5.keytab");
    let must = "The keytab must exist and be readable by the server's user.";
    fs::remove_file(&keytab).unwrap();
    site.refuses(By::Me, &[&format!("cannot read keytab $/krb5.keytab: No such file or directory. {must}")]);
    fs::create_dir(&keytab).unwrap();
    site.refuses(By::Me, &["$/krb5.keytab is no keytab: it is a folder. On the KDC: "]);
    fs::remove_dir(&keytab).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&keytab).status().unwrap().success());
    site.refuses(By::Me, &["$/krb5.keytab is no keytab: it is no file. On the KDC: "]);
    fs::remove_file(&keytab).unwrap();
    site.keytab("host/here.example.org");
    site.refuses(
        By::Me,
        &["keytab $/krb5.keytab holds no key for zephyr/zephyr@CHECK.TEST, but of host/here.example.org@CHECK.TEST. On the KDC: "],
    );
    site.keytab("zephyr/zephyr");
    for (garbage, why) in [(&b""[..], "it is empty. "), (b"no keytab at all\n", ""), (&[0xff; 64], "")] {
        fs::write(&keytab, garbage).unwrap();
        site.refuses(By::Me, &[&format!("$/krb5.keytab is no keytab: {why}")]);
    }
    if is_root() {
        site.keytab("zephyr/zephyr");
        let nobody = User::from_uid(NOBODY.into()).unwrap().unwrap().name;
        site.keytab_belongs_to(NOBODY);
        site.refuses(
            By::Me,
            &[&format!(
                "$/krb5.keytab belongs to {nobody} (uid {NOBODY}), and only what belongs to root counts; do not run zephyrd as root but \
                 as {nobody}: sudo -u {nobody} zephyrd, or by its unit. "
            )],
        );
        site.keytab_belongs_to(0);
    }
    site.keytab("zephyr/zephyr");
    site.set_mode("krb5.keytab", 0o666);
    site.refuses(By::Me, &["the keytab is not used: $/krb5.keytab can be written to by others than "]);
    // Some sites have it so: the server begins, and says what that means.
    site.set_mode("krb5.keytab", 0o644);
    site.begins(
        By::Me,
        &["every user of this machine can read the keytab $/krb5.keytab, and so be anybody: chmod o= "],
    );
    site.set_mode("krb5.keytab", 0o600);
    site.begins(By::Me, &[]);
    fs::write(&keytab, keytab_of("zephyr/zephyr", RC4)).unwrap();
    site.begins(
        By::Me,
        &["no key of zephyr/zephyr@CHECK.TEST in the keytab $/krb5.keytab is of a type that is permitted here, so nobody can \
           prove who he is: there is arcfour-hmac"],
    );
    site.write("policy.toml", "[domain.\"CHECK.TEST\"]\nenctypes = [\"rc4-hmac\"]\n");
    site.begins(By::Me, &[]);
}

#[test]
fn what_the_servers_user_cannot_read() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    site.begins(By::Me, &[]);
    let found = site.refuses(By::Nobody, &["cannot read keytab $/krb5.keytab: Permission denied"]);
    assert_eq!(found.end, format!("1 problem in {}, as user nobody", site.folder.path().display()));
    site.keytab_belongs_to(NOBODY);

    let files = ["zephyr.toml", "policy.toml", "default.subscriptions", "acl/opstaff.acl"];
    for file in files {
        site.write(file, "");
        site.set_mode(file, 0o600);
        site.refuses(By::Nobody, &[&format!("$/{file}: Permission denied")]);
        site.set_mode(file, 0o644);
    }
    for file in files.into_iter().chain(["acl/class-registry.acl"]) {
        site.set_mode(file, 0o600);
    }
    // All of them at once. What the settings and the policy would say is not known then.
    let problems = files.map(|file| format!("$/{file}: Permission denied"));
    let problems: Vec<&str> = problems.iter().map(String::as_str).chain(["$/acl/class-registry.acl: "]).collect();
    site.refuses(By::Nobody, &problems);
    for file in files.into_iter().chain(["acl/class-registry.acl"]) {
        site.set_mode(file, 0o644);
    }
    site.begins(By::Nobody, &[]);
}

#[test]
fn without_a_realm_nothing_is_served() {
    let site = Site::new();
    site.write("krb5.conf", "[libdefaults]\ndns_lookup_realm = false\n");
    site.refuses(By::Me, &["no realm to serve: "]);
    let found = site.refuses(By::Me, &["; set realm in section zephyrd of zephyr.toml, or default_realm in krb5.conf"]);
    assert_eq!(found.problems.len(), 1);
    let site = site.with(&["-k", REALM]);
    site.begins(By::Me, &[]);
    let unusable = "the Kerberos configuration (krb5.conf) cannot be used: ";
    if is_root() {
        site.keytab_belongs_to(NOBODY);
        site.set_mode("krb5.conf", 0o600);
        site.refuses(By::Nobody, &[&format!("{unusable}Permission denied")]);
        site.keytab_belongs_to(0);
    }
    site.write("krb5.conf", "garbage = {{{\n[[[\n");
    site.refuses(By::Me, &[&format!("{unusable}Improper format of Kerberos configuration file")]);
}

#[test]
fn a_port_that_somebody_has() {
    let Some(taken) = owned_by(ALICE, || {
        let network = Network::claim().unwrap();
        (UdpSocket::bind((network.here(), 0)).unwrap(), network)
    })
    .unwrap() else {
        return;
    };
    let address = taken.0.local_addr().unwrap().to_string();
    let site = Site::new().with(&["--listen", &address]);
    site.refuses(By::Me, &[&format!("cannot listen on {address}: Address already in use: ")]);
    let problems = site.check(By::Me).problems;
    assert!(problems[0].contains(&format!(" of uid {ALICE} is there; ")), "{problems:?}");
    drop(taken);
    // An address that is not this machine's.
    let site = Site::new().with(&["--listen", "192.0.2.1:2103"]);
    site.refuses(By::Me, &["cannot listen on 192.0.2.1:2103: "]);
}

/// What the running server has is its own.
#[test]
fn a_running_server_is_not_in_its_own_way() {
    let site = Site::new();
    let metrics = TcpListener::bind((site.network.here(), 0)).unwrap().local_addr().unwrap();
    site.write(
        "zephyr.toml",
        &format!(
            "[metrics]\nlisten = \"{metrics}\"\n[control]\nsocket = \"$/run/sock\"\n[state]\nfile = \"$/state.db\"\n"
        ),
    );
    let folder = site.folder.path().to_str().unwrap().to_owned();
    let running = server(&["--config-dir", &folder]);
    let listen = running.address.to_string();
    let site = site.with(&["--auth", "none", "-k", "OPEN.TEST", "--listen", &listen]);
    assert_eq!((site.check(By::Me).status, site.check(By::Me).warnings), (Some(0), Vec::new()));
    // What is broken in one section does not make somebody else of it.
    let settings = fs::read_to_string(site.path("zephyr.toml")).unwrap();
    fs::write(site.path("zephyr.toml"), format!("{settings}[peers]\nservrs = []\n")).unwrap();
    let found = site.check(By::Me);
    assert_eq!((found.problems.len(), &*found.warnings), (1, &[][..]), "{found:?}");
    assert!(found.problems[0].contains("unknown setting servrs"), "{found:?}");
    fs::write(site.path("zephyr.toml"), settings).unwrap();
    // Another one at the same socket has another port.
    let other = UdpSocket::bind((site.network.here(), 0)).unwrap();
    let site = site.with(&["--listen", &other.local_addr().unwrap().to_string()]);
    assert_eq!(site.check(By::Me).problems.len(), 1, "{:?}", site.check(By::Me));
    drop(running);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let site = Site::new();
    let (udp, tcp) =
        (UdpSocket::bind((site.network.here(), 0)).unwrap(), TcpListener::bind((site.network.here(), 0)).unwrap());
    let (udp_address, tcp_address) = (udp.local_addr().unwrap().to_string(), tcp.local_addr().unwrap().to_string());
    site.write("zephyr.toml", &format!("[metrics]\nlisten = \"{tcp_address}\"\n"));
    site.write("default.subscriptions", "message,personal\n");
    site.write("acl/xmt-secret.acl", "@10.0.0.999\n");
    site.write("acl/opstaf.acl", &format!("root@{REALM}\n"));
    fs::remove_file(site.path("krb5.keytab")).unwrap();
    let site = site.with(&["--listen", &udp_address]);
    let found = site.refuses(
        By::Me,
        &[
            "$/default.subscriptions:1:1: ",
            "$/acl/xmt-secret.acl:1:",
            "cannot read keytab $/krb5.keytab: ",
            &format!("cannot offer metrics on {tcp_address}: Address already in use"),
            &format!("cannot listen on {udp_address}: Address already in use"),
        ],
    );
    assert_eq!(
        found.warnings,
        [format!("{}: not read; did you mean opstaff.acl?", site.path("acl/opstaf.acl").display())]
    );
    assert_eq!(found.end, format!("5 problems in {}", site.folder.path().display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
    let command = site.environment(&mut command).arg("--config-dir").arg(site.folder.path());
    let output = command.args(["--json", "check", "--"]).args(&site.options).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let texts: Vec<&str> =
        json["problems"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert!(texts.iter().any(|text| text.starts_with("cannot listen on ")) && texts.len() == 5, "{json}");
}

/// What is wrong in one file or section hides nothing of the others.
#[test]
fn what_is_broken_hides_nothing_else() {
    let taken = Network::claim().unwrap();
    let taken = UdpSocket::bind((taken.here(), 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::new().with(&["--listen", &address]);
    site.keytab("host/here.example.org");
    let usual =
        ["keytab $/krb5.keytab holds no key for zephyr/zephyr@CHECK.TEST", &format!("cannot listen on {address}: ")];
    let also = |problem: &'static str| [&usual[..], &[problem]].concat();
    site.write("policy.toml", "[domain.\"CHECK.TEST\"]\nsend = \"never\"\n");
    assert_eq!(site.refuses(By::Me, &also("$/policy.toml:2:8: send: ")).problems.len(), 3);
    fs::remove_file(site.path("policy.toml")).unwrap();
    site.write("zephyr.toml", "[bounds]\nclients = -1\n");
    assert_eq!(site.refuses(By::Me, &also("$/zephyr.toml:2:11: clients: ")).problems.len(), 3);
    // What the section would say of the keytab is not known; the command line's port is.
    site.write("zephyr.toml", "[zephyrd]\nkeytb = \"/x\"\n");
    assert_eq!(site.refuses(By::Me, &["unknown setting keytb", usual[1]]).problems.len(), 2);
    // A policy that cannot be read may be of a domain without Kerberos.
    fs::remove_file(site.path("zephyr.toml")).unwrap();
    fs::remove_file(site.path("krb5.keytab")).unwrap();
    site.write("policy.toml", "[domain.\"CHECK.TEST\"]\nsend = \"never\"\n");
    assert_eq!(site.refuses(By::Me, &["$/policy.toml:2:8: ", usual[1]]).problems.len(), 2);
    let site = site.with(&["--auth", "kerberos"]);
    assert_eq!(
        site.refuses(By::Me, &["$/policy.toml:2:8: ", "cannot read keytab $/krb5.keytab: ", usual[1]]).problems.len(),
        3
    );
}

#[test]
fn a_log_that_cannot_be_had() {
    let site = Site::new();
    site.write("zephyr.toml", "[log]\ntarget = \"syslog\"\nsyslog-socket = \"$/nowhere\"\n");
    let found = site.check(By::Me);
    let lost = format!(
        "cannot reach the system's log at {} (No such file or directory), so lines are lost until it is there",
        site.path("nowhere").display()
    );
    assert_eq!((found.status, &*found.warnings), (Some(0), &[lost.clone()][..]));
    let mut child = site.zephyrd(By::Me).stderr(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(first, format!("zephyrd: {lost}"), "a start says the same");
    let _log = UnixDatagram::bind(site.path("nowhere")).unwrap();
    assert_eq!(site.check(By::Me).warnings, [""; 0]);
}

#[test]
fn strays_are_named() {
    let site = Site::new();
    site.write("acl/opstaf.acl", &format!("root@{REALM}\n"));
    site.write("acl/xmt_secret.acl", "");
    site.write("polcy.toml", "");
    site.write("acl/README", "");
    site.begins(
        By::Me,
        &[
            "$/acl/opstaf.acl: not read; did you mean opstaff.acl?",
            "$/acl/xmt_secret.acl: not read; the list of a class is xmt-CLASS.acl, ",
            "$/polcy.toml: not read; did you mean policy.toml?",
        ],
    );
}

#[test]
fn folders_that_cannot_be_written() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    site.keytab_belongs_to(NOBODY);
    fs::create_dir(site.path("closed")).unwrap();
    site.write("zephyr.toml", "[control]\nsocket = \"$/closed/sock\"\n[zephyrd]\ndump-file = \"$/closed/new/db\"\n");
    site.begins(
        By::Nobody,
        &[
            "zephyrctl gets no answers, as there is no socket at $/closed/sock: the folder $/closed: Permission denied",
            "the state cannot be dumped to $/closed/new/db: the folder $/closed: Permission denied",
        ],
    );
    site.keytab_belongs_to(0);
    site.begins(By::Me, &[]);
    site.keytab_belongs_to(NOBODY);
    site.write("zephyr.toml", "[metrics]\nlisten = \"unix:$/closed/metrics\"\n");
    site.refuses(
        By::Nobody,
        &["cannot offer metrics on unix:$/closed/metrics: the folder $/closed: Permission denied"],
    );
    chown(site.path("closed"), Some(NOBODY), None).unwrap();
    site.begins(By::Nobody, &[]);
    // A folder in which somebody else can put another socket in the place of the server's.
    site.set_mode("closed", 0o777);
    site.write("zephyr.toml", "[control]\nsocket = \"$/closed/sock\"\n");
    site.begins(By::Nobody, &["zephyrctl gets no answers, as there is no socket at $/closed/sock: others can exchange what is in the folder"]);
}

#[test]
fn a_policy_of_no_realm_here_is_named_by_all() {
    let site = Site::new();
    site.write("policy.toml", "[domain.\"CHEKC.TEST\"]\nsend = \"required\"\n");
    let mistyped = [
        "$/policy.toml:1: domain \"CHEKC.TEST\" fits no realm that this machine knows and is not in force; did you mean \
         CHECK.TEST, the server's realm?",
        "$/policy.toml: no domain here fits CHECK.TEST, the server's realm, so the defaults are in force",
    ];
    site.begins(By::Me, &mistyped);
    site.write("policy.toml", "[domain.\"check.test\"]\nsend = \"required\"\n[domain.\"OTHER.TEST\"]\n");
    site.begins(By::Me, &["$/policy.toml:3: domain \"OTHER.TEST\" fits no realm that this machine knows"]);
    // One that krb5.conf describes, or maps hosts to.
    for known in ["[realms]\nOTHER.TEST = {\n}\n", "[domain_realm]\n.other.test = OTHER.TEST\n"] {
        site.write("krb5.conf", &format!("[libdefaults]\ndefault_realm = {REALM}\n{known}"));
        site.begins(By::Me, &[]);
    }
    site.write("krb5.conf", "[libdefaults]\ndefault_realm = Check.Test\n");
    site.write("policy.toml", "");
    site.with(&["-k", REALM])
        .begins(By::Me, &["the server's realm CHECK.TEST is Check.Test in this machine's configuration"]);
}

#[test]
fn the_host_managers_servers_have_addresses() {
    let site = Site::new();
    site.write("zephyr.toml", "[zhm]\nservers = [\"no-such-host.invalid:2103\", \"127.0.0.1\"]\n");
    let found = site.check(By::Me);
    assert_eq!((found.status, found.warnings.len()), (Some(0), 1), "{found:?}");
    assert!(
        found.warnings[0]
            .contains("zephyr.toml: server no-such-host.invalid:2103 of section zhm has no IPv4 address: ")
    );
}

#[test]
fn a_host_manager_on_this_machine_alone_reaches_no_server_of_another_host() {
    let site = Site::new();
    site.write("zephyr.toml", "[zhm]\nservers = [\"192.0.2.7\", \"127.0.0.1\"]\nlisten = \"127.0.0.1:2104\"\n");
    let found = site.check(By::Me);
    assert_eq!((found.status, found.warnings.len()), (Some(0), 1), "{found:?}");
    let text = "zhm reaches no server of another host, such as 192.0.2.7 of section zhm, as it listens at 127.0.0.1:2104: \
                listen at 0.0.0.0:2104";
    assert!(found.warnings[0].ends_with(text), "{found:?}");
}

#[test]
fn users_and_options_that_are_none() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_zephyrctl")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = run(&["check", "--user", "no-such-user"]);
    assert_eq!((status, &*said), (Some(2), "zephyrctl: there is no user no-such-user\n"));
    assert_eq!(run(&["check", "--user", "54321"]).1, "zephyrctl: there is no user 54321\n");
    for wrong in [
        &["check", "--", "--lisen", "1"][..],
        &["check", "--", "--auth", "maybe"],
        &["check", "--files", "--user", "x"],
    ] {
        assert_eq!(run(wrong).0, Some(2), "{wrong:?}");
    }
    if is_root() {
        let site = Site::new();
        let number = NOBODY.to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
        let command = site.environment(&mut command).arg("--config-dir").arg(site.folder.path());
        let found = Found::of(command.args(["check", "--user", &number, "--"]).args(&site.options));
        assert!(found.end.ends_with(", as user nobody"), "{found:?}");
        let copy = site.path("zephyrctl");
        fs::copy(env!("CARGO_BIN_EXE_zephyrctl"), &copy).unwrap();
        let mut command = Command::new(&copy);
        let output = command.uid(NOBODY).gid(NOBODY).args(["check", "--user", "root"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "zephyrctl: only root can check as user root\n");
    }
}

#[test]
fn names_that_are_doubtful() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    site.write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 zsrv.example.org zsrv\n");
    site.write("etc/resolv.conf", "");
    site.write("zephyr.toml", "[control]\nsocket = \"$/run/sock\"\n[zephyrd]\ndump-file = \"$/run/db\"\n");
    site.write(
        "krb5.conf",
        &format!("[libdefaults]\ndefault_realm = {REALM}\n[domain_realm]\n.example.org = {REALM}\n"),
    );
    let site = site.on_its_own_machine();
    // As Debian has it.
    site.begins(
        By::Me,
        &["this host's name zsrv.example.org is the loopback address 127.0.1.1 here, which other hosts cannot reach: give \
           zsrv.example.org the host's own address in DNS or /etc/hosts, or set hostname "],
    );
    site.write("etc/hosts", "127.0.0.1 localhost\n10.0.0.7 zsrv.example.org zsrv\n");
    site.begins(By::Me, &[]);
    site.write("krb5.conf", &format!("[libdefaults]\ndefault_realm = {REALM}\n"));
    site.begins(
        By::Me,
        &["the server serves realm CHECK.TEST, and clients with this machine's configuration take zsrv.example.org for a \
           server of EXAMPLE.ORG: map it in [domain_realm] of krb5.conf, "],
    );
    site.write("policy.toml", "[domain.\"CHECK.TEST\"]\nservers = [\"zsrv.example.org\"]\n");
    site.begins(By::Me, &[]);
    site.write("etc/hosts", "127.0.0.1 localhost\n");
    site.begins(By::Me, &["this host's name zsrv has no IPv4 address ("]);
}

/// Where root does not say otherwise, the server is run by the user of the unit, with his groups.
#[test]
fn the_units_user_is_the_usual_one() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    site.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nzephyr:x:61050:61050::/nonexistent:/bin/false\n");
    site.write("etc/group", "root:x:0:\nzephyr:x:61050:\nkeys:x:61051:zephyr\n");
    site.write("etc/hosts", "10.0.0.7 zsrv.check.test zsrv\n");
    let site = site.on_its_own_machine();
    let check = || {
        let mut command = site.command(env!("CARGO_BIN_EXE_zephyrctl"));
        Found::of(site.environment(&mut command).arg("--config-dir").arg(site.folder.path()).arg("check"))
    };
    let found = check();
    assert_eq!(found.end, format!("1 problem in {}, as user zephyr", site.folder.path().display()));
    assert!(found.problems[0].contains("krb5.keytab: Permission denied"), "{found:?}");
    chown(site.path("krb5.keytab"), None, Some(61_051)).unwrap();
    site.set_mode("krb5.keytab", 0o640);
    let found = check();
    assert_eq!((found.status, &*found.warnings), (Some(0), &[][..]), "{found:?}");
    assert_eq!(found.end, format!("no problems in {}, as user zephyr", site.folder.path().display()));
    // Without such a user the check is root's, and says so.
    site.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    let found = check();
    assert!(found.warnings[0].starts_with("there is no user zephyr, as whom the unit runs the server; "), "{found:?}");
    assert_eq!(found.end, format!("no problems in {}", site.folder.path().display()));
}

/// For reading a folder on a machine where the server will not run.
#[test]
fn files_alone_need_neither_keytab_nor_port() {
    let site = Site::new();
    fs::remove_file(site.path("krb5.keytab")).unwrap();
    let files = |site: &Site| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zephyrctl"));
        Found::of(site.environment(&mut command).arg("--config-dir").arg(site.folder.path()).args(["check", "--files"]))
    };
    let found = files(&site);
    assert_eq!((found.status, found.problems, found.warnings), (Some(0), Vec::new(), Vec::new()));
    site.write("acl/xmt-secret.acl", "@10.0.0.999\n");
    assert_eq!(files(&site).problems.len(), 1);
}

#[test]
fn a_check_leaves_nothing_behind() {
    let site = Site::new();
    site.write("zephyr.toml", "[control]\nsocket = \"$/run/sock\"\n[metrics]\nlisten = \"unix:$/run/metrics\"\n");
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let before = names(site.folder.path());
    assert_eq!(site.check(By::Me).status, Some(0));
    assert_eq!(names(site.folder.path()), before, "no folder, no socket");
}

#[test]
fn a_mistyped_realm_class_or_sign_is_told() {
    let site = Site::new();
    site.write("acl/xmt-secret.acl", "*@CHECK.TEST\n!bob@CHEKC.TEST\n!bob@check.test\n-bob@CHECK.TEST\nb,c@FAR.NET\n");
    let policy = "[domain.\"CHECK.TEST\".class.\"secert\"]\nsend = \"closed\"\n\
                  [domain.\"CHECK.TEST\".foreign.\"CS.CHEKC.TEST\"]\nspeaks-for = []\n";
    site.write("policy.toml", policy);
    site.begins(
        By::Me,
        &[
            "$/acl/xmt-secret.acl:2: a principal of realm CHEKC.TEST: it is no realm that this machine knows; did you mean \
             CHECK.TEST?",
            "$/acl/xmt-secret.acl:3: a principal of realm check.test: realms that differ in case are different; did you mean \
             CHECK.TEST?",
            "$/acl/xmt-secret.acl:4: a principal that begins with '-': who is refused has ! before his name",
            "$/acl/xmt-secret.acl:5: a principal with ',' in it: one principal on each line, without quotes or other signs",
            "$/policy.toml:2: class \"secert\" is not in the registry, where \"secret\" is: did you mean that?",
            "$/policy.toml:4: foreign \"CS.CHEKC.TEST\" is no realm that this machine knows; did you mean CS.CHECK.TEST?",
        ],
    );
}
