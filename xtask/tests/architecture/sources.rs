//! The sources of the machines and of the protocol crate name nothing of the system.
//!
//! Tests in the sources may: they are cut off, by the rule that they come last in a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Modules of the standard library that reach out of the program.
const MODULES: [&str; 6] = ["env", "fs", "io", "os", "process", "thread"];
/// Names, wherever they come from.
const NAMES: [&str; 10] = [
    "Instant",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixDatagram",
    "UnixListener",
    "ToSocketAddrs",
    "println!",
    "eprintln!",
];
/// The call of a type that is otherwise only a number: of it there is an argument.
const CALL: &str = "SystemTime::now";

/// What of the system this source names.
fn named(source: &str) -> Vec<String> {
    let code = without_tests(source);
    let mut found: Vec<String> = code.contains(CALL).then(|| CALL.to_owned()).into_iter().collect();
    found.extend(identifiers(&code).filter(|identifier| NAMES.contains(identifier)).map(str::to_owned));
    for path in MODULES {
        if code.contains(&format!("std::{path}")) {
            found.push(format!("std::{path}"));
        }
    }
    for import in code.split(';').filter_map(|statement| statement.split("use std::{").nth(1)) {
        found.extend(identifiers(import).filter(|name| MODULES.contains(name)).map(|name| format!("std::{name}")));
    }
    found.sort();
    found.dedup();
    found
}

/// Names, with the mark of a macro.
fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!')).filter(|identifier| !identifier.is_empty())
}

/// The lines before the tests, without comments.
fn without_tests(source: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let is_tests =
        |pair: &[&str]| matches!(pair, [test, module] if *test == "#[cfg(test)]" && module.starts_with("mod "));
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    let code = lines.iter().take(end).map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// All Rust files in a folder but those that are nothing but tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" {
            found.extend(files(&path));
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}

#[test]
fn machines_name_nothing_of_the_system() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut violations = Vec::new();
    for name in ["core", "engine"] {
        let files = files(&crates.join(name).join("src"));
        assert!(files.len() > 10, "the sources of {name} were found: {files:?}");
        for file in files {
            let named = named(&fs::read_to_string(&file).unwrap());
            violations.extend(named.into_iter().map(|what| format!("{} names {what}", file.display())));
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn what_is_of_the_system_is_noticed() {
    for (source, expected) in [
        ("use std::fs;", "std::fs"),
        ("use std::{\n    fmt,\n    io::{self, Read},\n};", "std::io"),
        ("use std::{collections::HashMap, thread};", "std::thread"),
        ("let arch = std::env::consts::ARCH;", "std::env"),
        ("std::process::exit(1)", "std::process"),
        ("use std::time::{Duration, Instant};", "Instant"),
        ("let now = SystemTime::now();", "SystemTime::now"),
        ("use std::net::{SocketAddr, UdpSocket};", "UdpSocket"),
        ("println!(\"hello\")", "println!"),
    ] {
        assert!(named(source).contains(&expected.to_owned()), "{source}: {:?}", named(source));
    }
}

#[test]
fn what_only_looks_like_it_is_not() {
    for source in [
        "use std::{collections::BTreeMap, net::SocketAddr, time::{Duration, SystemTime}};\nlet io = env!(\"X\");",
        "/// Not an [`Instant`]. `use std::fs;`\nfn processed() {} // std::io",
        "struct Instantly; mod environment; fn thread_of() {}",
        "fn pure() {}\n\n#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}",
    ] {
        assert_eq!(named(source), Vec::<String>::new(), "{source}");
    }
    assert_eq!(named("#[cfg(test)]\nuse x;\nuse std::fs;"), ["std::fs"], "only tests are cut off");
}

/// The folders of what users run, and of the libraries in it.
const PROGRAMS: [&str; 11] = [
    "crates/auth-krb/src",
    "crates/auth-none/src",
    "crates/client/examples",
    "crates/client/src",
    "crates/config/src",
    "crates/daemons/src",
    "crates/domain/src",
    "crates/net/src",
    "crates/output/src",
    "crates/tools/src",
    "crates/zwgc/src",
];
/// Macros that panic when the output cannot be written.
const PANICKING: [&str; 5] = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];
/// The same in other words: the log, which complains by such a macro about what it cannot write, and the parser of command lines,
/// which makes a success of it.
const CARELESS: [&str; 4] =
    ["with_writer(stderr", "with_writer(io::stderr", "Options::parse(", "log_internal_errors(true"];

/// What of this source writes otherwise than by `zephyr_output`.
fn careless(source: &str) -> Vec<&'static str> {
    let code = without_tests(source);
    let macros = PANICKING.into_iter().filter(|name| identifiers(&code).any(|found| found == *name));
    macros.chain(CARELESS.into_iter().filter(|text| code.contains(text))).collect()
}

#[test]
fn programs_write_by_what_does_not_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let sources: Vec<_> = PROGRAMS.iter().flat_map(|folder| files(&root.join(folder))).collect();
    assert!(sources.len() > 50, "they were read: {}", sources.len());
    for path in sources {
        let careless = careless(&fs::read_to_string(&path).unwrap());
        if !careless.is_empty() {
            found.push(format!("{}: {}", path.display(), careless.join(", ")));
        }
    }
    assert!(found.is_empty(), "use zephyr_output::print, Output, complain! and log: {found:#?}");
}

#[test]
fn what_panics_is_noticed() {
    for (source, names) in [
        ("fn f() { println!(\"x\"); }", &["println!"][..]),
        ("fn f() { eprint!(\"x\") }", &["eprint!"]),
        ("log.with_writer(stderr).init();", &["with_writer(stderr"]),
        ("// println!\nfn f() { complain!(\"println\"); write!(out, \"\"); }", &[]),
        ("fn f() {}\n#[cfg(test)]\nmod tests { println!() }", &[]),
    ] {
        assert_eq!(careless(source), names, "{source}");
    }
}
