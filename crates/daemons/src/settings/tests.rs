use super::{file::check_content, *};
use crate::problem::{Findings, Problem};
use std::{collections::BTreeSet, path::Path};
use zephyr_domain::Backend;
use zephyr_engine::server::Bounds;

const EXAMPLE: &str = include_str!("../../../../packaging/etc-zephyr/zephyr.toml");
const MANUAL: &str = include_str!("../../../../docs/man/zephyr.toml.5");

/// The example with its sections and settings no longer commented out. They follow `#` at once, prose after a blank.
fn active_example() -> String {
    let active = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()) => {
            setting.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(active).collect::<Vec<_>>().join("\n")
}

fn texts(found: &[Problem]) -> Vec<String> {
    found.iter().map(Problem::to_string).collect()
}

/// What is wrong in a file, whichever program it concerns.
fn problems(content: &str) -> Vec<String> {
    texts(&check_content(Path::new("zephyr.toml"), content).problems)
}

/// What is wrong for the server, and for the host manager.
fn problems_of_each(content: &str) -> [Vec<String>; 2] {
    let file = Path::new("zephyr.toml");
    let [server, host_manager] =
        [ServerSettings::read(file, content).err(), HostManagerSettings::read(file, content).err()]
            .map(Option::unwrap_or_default);
    [texts(&server.problems), texts(&host_manager.problems)]
}

#[test]
fn the_example_says_nothing_and_names_every_default() {
    let path = Path::new("zephyr.toml");
    assert_eq!(ServerSettings::read(path, EXAMPLE), Ok(LoadedSettings::default()), "as shipped");
    assert_eq!(HostManagerSettings::read(path, EXAMPLE), Ok(LoadedSettings::default()), "as shipped");
    let active = active_example();
    let (server, of_server) = file::read_all(path, &active, ServerSettings::read_sections);
    let (host_manager, of_host_manager) = file::read_all(path, &active, HostManagerSettings::read_sections);
    // Without a facility zhm has another one.
    let of_zhm = HostManagerSettings { log: Log::default(), ..HostManagerSettings::default() };
    assert_eq!((server, host_manager), (ServerSettings::default(), of_zhm), "with every line made active");
    assert_eq!(check_content(path, &active), Findings::default());

    let table: toml::de::DeTable<'_> = toml::de::DeTable::parse(&active).unwrap().into_inner();
    let named: BTreeSet<String> = table
        .iter()
        .flat_map(|(section, entries)| {
            let keys = entries.get_ref().as_table().unwrap().keys();
            keys.map(move |key| format!("{}.{}", section.get_ref(), key.get_ref()))
        })
        .collect();
    let existing = of_server.settings.into_iter().chain(of_host_manager.settings).collect();
    assert_eq!(named, existing, "the example's settings, and those that exist");
    let explained: BTreeSet<&str> =
        MANUAL.lines().filter_map(|line| line.strip_prefix(".It Cm ")).flat_map(|names| names.split(" , ")).collect();
    let not_explained =
        existing.iter().filter(|name| name.split('.').nth(1).is_none_or(|name| !explained.contains(name)));
    assert_eq!(not_explained.collect::<Vec<_>>(), Vec::<&String>::new(), "settings that the manual page leaves out");
}

#[test]
fn every_section_can_be_added_to_the_example() {
    let path = Path::new("zephyr.toml");
    let active = active_example();
    let mut sections = 0;
    for section in active.split_inclusive('\n').collect::<String>().split("\n[").skip(1) {
        // Its first setting alone.
        let (name, settings) = section.split_once("]\n").unwrap();
        let setting = settings.lines().find(|line| line.contains(" = ")).unwrap();
        for added in [format!("[{name}]\n"), format!("[{name}]\n{setting}\n")] {
            let findings = check_content(path, &format!("{EXAMPLE}\n{added}"));
            assert_eq!(findings, Findings::default(), "{added}");
        }
        sections += 1;
    }
    assert_eq!(sections, 8);
}

#[test]
fn a_setting_without_its_section_is_explained() {
    let content = EXAMPLE.replacen("#verify-threads = 0", "verify-threads = 0", 1);
    let [problem] = problems(&content).try_into().unwrap();
    let sections = "there are bounds, control, log, metrics, peers, state, zephyrd, zhm";
    assert!(problem.ends_with(&format!(": setting verify-threads is below no section; {sections}")), "{problem}");
    let content = EXAMPLE.replacen("#listen = ", "listen = ", 1);
    let [problem] = problems(&content).try_into().unwrap();
    assert!(problem.ends_with(&format!(": setting listen is below no section; {sections}")), "{problem}");
}

#[test]
fn settings_are_read() {
    let content = r#"
        zephyrd = { listen = "127.0.0.1:99", realm = "R", auth = "none", keytab = "/k", verify-threads = 64 }
        control.socket = "/c"
        [bounds]
        clients = 7
        [metrics]
        listen = "0.0.0.0:80"
        allow-remote = true
        [log]
        target = "syslog"
        facility = "daemon"
        [zhm]
        servers = ["one", "two:3"]
    "#;
    let LoadedSettings { settings, warnings } = ServerSettings::read(Path::new("f"), content).unwrap();
    assert_eq!(settings.zephyrd.listen, Some(([127, 0, 0, 1], 99).into()));
    assert_eq!((settings.zephyrd.auth, settings.zephyrd.realm.as_deref()), (Some(Backend::NONE), Some("R")));
    assert_eq!(settings.zephyrd.verify_threads, 64);
    assert_eq!(settings.bounds, Bounds { clients: 7, ..Bounds::default() });
    assert_eq!(settings.metrics.listen, Some(StreamAddress::Tcp(([0, 0, 0, 0], 80).into())));
    assert_eq!((settings.log.target, settings.log.facility), (LogTarget::Syslog, Facility(3)));
    assert_eq!(settings.control.socket, Path::new("/c"));
    let host_manager = HostManagerSettings::read(Path::new("f"), content).unwrap();
    let servers = host_manager.settings.zhm.discovery.servers;
    assert_eq!(servers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["one", "two:3"]);
    assert_eq!((host_manager.settings.log, host_manager.warnings), (settings.log, warnings));
}

#[test]
fn all_problems_are_found_at_once_and_have_places() {
    let content = "[zephyrd]\nlisten = \"here\"\nhostnam = \"h\"\n\n[bounds]\nclients = 0\n  hosts = \"many\"\n\
                   [logs]\n[metrics]\nlisten = \"10.0.0.1:80\"\n[control]\nsocket = \"relative\"\n\
                   [log]\ndebug = 1\n[zhm]\nservers = 1\n";
    let found = problems(content);
    for (found, (start, word)) in found.iter().zip([
        ("zephyr.toml:2:10: listen: ", "here"),
        ("zephyr.toml:3:1: unknown setting hostnam in section zephyrd", "did you mean hostname?"),
        ("zephyr.toml:6:11: clients: ", "from 1"),
        ("zephyr.toml:7:11: hosts: ", "expected a whole number from 0, not \"many\""),
        ("zephyr.toml:8:2: unknown section logs", "did you mean log?"),
        ("zephyr.toml:10:10: listen: ", "allow-remote"),
        ("zephyr.toml:12:10: socket: ", "relative"),
        ("zephyr.toml:14:9: debug: ", "expected true or false, not 1"),
        ("zephyr.toml:16:11: servers: ", "expected a list in [ ], not 1"),
    ]) {
        assert!(found.starts_with(start) && found.contains(word), "{found:?} is not {start:?} with {word:?}");
    }
    assert_eq!(found.len(), 9, "{found:?}");
    let [server, host_manager] = problems_of_each(content);
    assert_eq!(server, found[..8], "all but that of zhm");
    assert_eq!(host_manager, [&found[4..5], &found[7..]].concat(), "the misspelt section, log and zhm");
}

#[test]
fn a_mistake_concerns_the_program_whose_section_it_is_in() {
    for (content, concerned) in [
        ("[zephyrd]\nlisten = 3\n", [true, false]),
        ("[bounds]\nclints = 3\n", [true, false]),
        ("[bounds]\nclients = 0\n", [true, false]),
        ("[control]\nsocket = \"here\"\n", [true, false]),
        ("[metrics]\nlisten = \"0.0.0.0:80\"\n", [true, false]),
        ("bounds = 3\n", [true, false]),
        ("[bounds.clients]\nx = 3\n", [true, false]),
        ("[zhm]\nserver = []\n", [false, true]),
        ("[zhm]\nlisten = \"[::1]:3\"\n", [false, true]),
        ("zhm = 3\n", [false, true]),
        ("[log]\ntarget = \"nowhere\"\n", [true, true]),
        ("[bound]\nclients = 3\n", [true, true]),
        ("clients = 3\n", [true, true]),
        ("[bounds]\nclients = \n", [true, true]),
        ("[zhm]\n[zhm]\n", [true, true]),
        ("[zhm]\nservers = [\"a\"]\n[bounds]\nclients = 3\n", [false, false]),
    ] {
        let found = problems_of_each(content);
        assert_eq!(found.each_ref().map(|problems| !problems.is_empty()), concerned, "{content:?}: {found:?}");
        let all: BTreeSet<String> = found.into_iter().flatten().collect();
        assert_eq!(problems(content), all.into_iter().collect::<Vec<_>>(), "a check finds all");
    }
}

#[test]
fn renamed_bounds_are_read_with_a_warning() {
    let content = "[bounds]\nunproven-answer-factor = 1\nproof-sources = 2\nreplays = 3\nrecent-packets = 4\n\
                   waiting-packets = 5\nhost-requests = 6\n";
    let LoadedSettings { settings, warnings } = ServerSettings::read(Path::new("f"), content).unwrap();
    let bounds = Bounds {
        amplification_limit: 1,
        rate_limit_sources: 2,
        replay_cache_entries: 3,
        response_cache_entries: 4,
        ingress_queue_packets: 5,
        host_flushes: 6,
        ..Bounds::default()
    };
    assert_eq!(settings.bounds, bounds);
    assert_eq!(
        texts(&warnings),
        [
            "f:2:1: setting unproven-answer-factor is now called amplification-limit",
            "f:3:1: setting proof-sources is now called rate-limit-sources",
            "f:4:1: setting replays is now called replay-cache-entries",
            "f:5:1: setting recent-packets is now called response-cache-entries",
            "f:6:1: setting waiting-packets is now called ingress-queue-packets",
            "f:7:1: setting host-requests is now called host-flushes",
        ]
    );
    let both = problems("[bounds]\nreplays = 3\nreplay-cache-entries = 3\n");
    assert_eq!(both, ["zephyr.toml:2:1: setting replays is now called replay-cache-entries, and both are given"]);
    assert_eq!(HostManagerSettings::read(Path::new("f"), content).unwrap().warnings, []);
}

#[test]
fn there_are_at_most_64_threads_that_verify() {
    for threads in ["65", "-1", "1.5", "\"all\""] {
        let found = problems(&format!("[zephyrd]\nverify-threads = {threads}\n"));
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("zephyr.toml:2:18: verify-threads: ")),
            "{found:?}"
        );
    }
}

#[test]
fn daemons_listen_on_ipv4_only() {
    for (section, address) in [("zephyrd", "[::]:2103"), ("zhm", "[::1]:2104")] {
        let found = problems(&format!("[{section}]\nlisten = \"{address}\"\n"));
        assert!(matches!(found.as_slice(), [one] if one.contains("expected an IPv4 address")), "{found:?}");
    }
}

#[test]
fn broken_syntax_is_said_with_its_place_and_the_rest_is_read() {
    let found = problems("[zephyrd]\nrealm = \nlisten = 5\nauth = \"maybe\"\n");
    assert!(found.iter().any(|problem| problem.starts_with("zephyr.toml:2:")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("zephyr.toml:3:10: listen: ")), "{found:?}");
    assert!(found.iter().any(|problem| problem.starts_with("zephyr.toml:4:8: auth: ")), "{found:?}");
    assert!(found.iter().all(|problem| !problem.contains('\n')));
}

#[test]
fn what_is_no_table_of_tables_harms_nobody() {
    for content in
        ["zephyrd = 3", "[[zephyrd]]\nlisten = \"\"", "x", "\u{0}", "[zephyrd", "a.b.c = {d = [", "[zhm]\nservers = 1"]
    {
        assert!(!problems(content).is_empty(), "{content:?}");
    }
    let deep = "zephyrd = ".to_owned() + &"[".repeat(100_000);
    assert!(!problems(&deep).is_empty());
}

#[test]
fn no_file_is_no_problem_and_one_that_is_too_long_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ServerSettings::load(folder.path()), Ok(LoadedSettings::default()));
    assert_eq!(HostManagerSettings::load(folder.path()), Ok(LoadedSettings::default()));
    std::fs::write(folder.path().join(FILE_NAME), vec![b'#'; (zephyr_config::file::MAX_OCTETS + 1) as usize]).unwrap();
    for findings in [
        ServerSettings::load(folder.path()).unwrap_err(),
        HostManagerSettings::load(folder.path()).unwrap_err(),
        check(folder.path()),
    ] {
        let [problem] = findings.problems.as_slice() else { panic!("{findings:?}") };
        assert!(problem.text.contains("longer than"));
    }
}
