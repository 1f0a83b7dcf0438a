use super::*;
use std::collections::BTreeSet;

const EXAMPLE: &str = include_str!("../../../../packaging/etc-zephyr/zephyr.toml");

/// The example with its settings no longer commented out. Settings follow `#` at once, prose after a blank.
fn active_example() -> String {
    let active = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|first: char| first.is_ascii_lowercase()) => setting.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(active).collect::<Vec<_>>().join("\n")
}

fn problems(content: &str) -> Vec<String> {
    let found = Settings::read(Path::new("zephyr.toml"), content).expect_err("something is wrong");
    found.iter().map(Problem::to_string).collect()
}

#[test]
fn the_example_says_nothing_and_names_every_default() {
    let file = Path::new("zephyr.toml");
    assert_eq!(Settings::read(file, EXAMPLE), Ok(Settings::default()), "as shipped");
    let active = active_example();
    let (settings, problems, asked) = Settings::read_all(file, &active);
    assert_eq!((settings, problems), (Settings::default(), Vec::new()), "with every line made active");

    let table: toml::de::DeTable<'_> = toml::de::DeTable::parse(&active).unwrap().into_inner();
    let named: BTreeSet<String> = table
        .iter()
        .flat_map(|(section, entries)| {
            let keys = entries.get_ref().as_table().unwrap().keys();
            keys.map(move |key| format!("{}.{}", section.get_ref(), key.get_ref()))
        })
        .collect();
    assert_eq!(named, asked.into_iter().collect(), "the example's settings, and those that exist");
}

#[test]
fn settings_are_read() {
    let content = r#"
        zephyrd = { listen = "127.0.0.1:99", realm = "R", auth = "none", keytab = "/k", dump-file = "/d" }
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
    let settings = Settings::read(Path::new("f"), content).unwrap();
    assert_eq!(settings.zephyrd.listen, Some(([127, 0, 0, 1], 99).into()));
    assert_eq!((settings.zephyrd.auth, settings.zephyrd.realm.as_deref()), (Some(Backend::NONE), Some("R")));
    assert_eq!(settings.bounds, Bounds { clients: 7, ..Bounds::default() });
    assert_eq!(settings.metrics.listen, Some(StreamAddress::Tcp(([0, 0, 0, 0], 80).into())));
    assert_eq!((settings.log.target, settings.log.facility), (LogTarget::Syslog, Facility(3)));
    assert_eq!(settings.zhm.servers, ["one", "two:3"]);
    assert_eq!(settings.control.socket, Path::new("/c"));
}

#[test]
fn all_problems_are_found_at_once_and_have_places() {
    let content = "[zephyrd]\nlisten = \"here\"\nhostnam = \"h\"\n\n[bounds]\nclients = 0\n  hosts = \"many\"\n\
                   [logs]\n[metrics]\nlisten = \"10.0.0.1:80\"\n[control]\nsocket = \"relative\"\n";
    let found = problems(content);
    for (found, (start, word)) in found.iter().zip([
        ("zephyr.toml:2:10: listen: ", "here"),
        ("zephyr.toml:3:1: unknown setting hostnam in section zephyrd", "did you mean hostname?"),
        ("zephyr.toml:6:11: clients: ", "from 1"),
        ("zephyr.toml:7:11: hosts: ", "invalid type: string"),
        ("zephyr.toml:8:2: unknown section logs", "did you mean log?"),
        ("zephyr.toml:10:10: listen: ", "allow-remote"),
        ("zephyr.toml:12:10: socket: ", "relative"),
    ]) {
        assert!(found.starts_with(start) && found.contains(word), "{found:?} is not {start:?} with {word:?}");
    }
    assert_eq!(found.len(), 7, "{found:?}");
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
    assert_eq!(Settings::load(folder.path()).unwrap(), Settings::default());
    std::fs::write(folder.path().join(FILE_NAME), vec![b'#'; (zephyr_config::MAX_OCTETS + 1) as usize]).unwrap();
    assert!(Settings::load(folder.path()).unwrap_err().to_string().contains("longer than"));
}
