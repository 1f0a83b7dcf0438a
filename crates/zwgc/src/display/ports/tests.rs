use super::*;
use std::{fs, os::unix::fs::PermissionsExt as _};
use zephyr_windowgram::terminal::Codes;

const CHARSETS: Charsets<'_> = Charsets { notice: b"UNKNOWN", terminal: b"UTF-8" };

fn ports() -> Ports {
    let ports = [
        (&b"loopback"[..], Port::both(Source::Store, Sink::Store(None))),
        (b"filter", Port::both(Source::Store, Sink::Store(Some(Style::Plain)))),
        (b"out", Port::output(Sink::Writer(Box::new(io::sink())))),
        (b"in", Port::input(Source::Lines(Box::new(&b"one\ntwo"[..])))),
    ];
    let ports = ports.map(|(name, port)| (name.to_vec(), port)).into();
    Ports::new(ports, Terminal::new(Codes::plain()), Variables::from_files(&[b"exposure = none\n"]))
}

fn put(ports: &mut Ports, port: &str, text: &str) -> Result<(), String> {
    ports.put(port.as_bytes(), text.as_bytes(), CHARSETS)
}

fn get(ports: &mut Ports, port: &str) -> Result<String, String> {
    ports.get(port.as_bytes()).map(|text| String::from_utf8(text).unwrap())
}

#[test]
fn stored_texts_come_back_the_last_one_first() {
    let mut ports = ports();
    for port in ["loopback", "filter"] {
        put(&mut ports, port, "@b(a)\n").unwrap();
        put(&mut ports, port, "b").unwrap();
    }
    let mut taken = |port| [(); 3].map(|()| get(&mut ports, port).unwrap_or_else(|error| error));
    assert_eq!(taken("loopback"), ["b", "@b(a)\n", "Attempt to read from port when no data available"]);
    assert_eq!(taken("filter"), ["b", "a\r\n", "Attempt to read from port when no data available"]);
    let big = "x".repeat(3 << 20);
    put(&mut ports, "loopback", &big).unwrap();
    assert_eq!(put(&mut ports, "loopback", &big), Err("Too much text on the port".to_owned()));
    get(&mut ports, "loopback").unwrap();
    put(&mut ports, "loopback", &big).unwrap();
}

#[test]
fn errors_have_the_texts_that_descriptions_know() {
    let mut ports = ports();
    assert_eq!(put(&mut ports, "none", ""), Err("No such port".to_owned()));
    assert_eq!(get(&mut ports, "none"), Err("No such port".to_owned()));
    assert_eq!(get(&mut ports, "out"), Err("Attempt to read from a port which does not support reading".to_owned()));
    assert_eq!(put(&mut ports, "in", ""), Err("Attempt to write to a port which does not support writing".to_owned()));
    assert_eq!(
        [(); 3].map(|()| get(&mut ports, "in")),
        [Ok("one\n".to_owned()), Ok("two".to_owned()), Err("Attempt to read past end of file".to_owned())]
    );
    ports.close(b"loopback", Directions::Input);
    assert_eq!(get(&mut ports, "loopback"), Err("Attempt to read from a port whose input has been closed".to_owned()));
    ports.close(b"out", Directions::Output);
    assert_eq!(put(&mut ports, "out", ""), Err("Attempt to write to a port whose output has been closed".to_owned()));
    ports.close(b"out", Directions::Input);
    ports.close(b"filter", Directions::Both);
    ports.close(b"none", Directions::Both);
    for port in ["out", "filter"] {
        assert_eq!(put(&mut ports, port, ""), Err("No such port".to_owned()));
    }
}

#[test]
fn files_are_the_users_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_encoded_bytes();
    let mut ports = ports();
    for (mode, expected) in [(FileMode::Append, "1"), (FileMode::Append, "11"), (FileMode::Output, "1")] {
        ports.open(b"f", &path("file"), mode).unwrap();
        put(&mut ports, "f", "1").unwrap();
        let file = folder.path().join("file");
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let refused = ports.open(b"f", &path("missing/file"), FileMode::Output);
    assert_eq!(refused, Err("No such file or directory".to_owned()));
    put(&mut ports, "f", "2").unwrap();
    ports.open(b"f", &path("file"), FileMode::Input).unwrap();
    assert_eq!(get(&mut ports, "f").unwrap(), "12");
    let many: Vec<_> = (0..MAX_PORTS)
        .map(|number| ports.open(&[b'p', (number % 251) as u8, (number / 251) as u8], &path("file"), FileMode::Input))
        .collect();
    assert_eq!(many.last(), Some(&Err("Too many ports".to_owned())));
}

fn words<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<Vec<u8>> {
    words.into_iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn a_program_reads_and_writes_a_port() {
    let mut ports = ports();
    ports.execute_port(b"sort", &words(["sort", "-r"])).unwrap();
    put(&mut ports, "sort", "a\nc\nb\n").unwrap();
    ports.close(b"sort", Directions::Output);
    let lines = [(); 4].map(|()| get(&mut ports, "sort").unwrap_or_default());
    assert_eq!(lines, ["c\n", "b\n", "a\n", ""]);
    // No shell reads what it is given.
    ports.execute_port(b"echo", &words(["echo", "$HOME `id` ; *"])).unwrap();
    assert_eq!(get(&mut ports, "echo").unwrap(), "$HOME `id` ; *\n");
    ports.execute_port(b"none", &words(["/no/such/program"])).unwrap();
    assert_eq!(get(&mut ports, "none"), Err("Attempt to read past end of file".to_owned()));
    assert_eq!(put(&mut ports, "none", "x"), Err("Broken pipe".to_owned()));
}

#[test]
fn variables_of_the_user() {
    let ports = ports();
    assert_eq!(ports.zephyr_variable(b"Exposure").as_deref(), Some(&b"none"[..]));
    assert_eq!((ports.zephyr_variable(b"none"), ports.zephyr_variable(b"\xff")), (None, None));
    assert!(ports.environment(b"PATH").is_some());
    assert_eq!((ports.environment(b""), ports.environment(b"a=b")), (None, None));
}
