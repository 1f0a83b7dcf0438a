use super::*;
use crate::{
    charsets::Charsets,
    language::{Directions, FileMode, parse},
};

/// Writes down what it is asked.
#[derive(Debug, Default)]
struct Recorder {
    asked: Vec<String>,
    lines: Vec<&'static str>,
}

fn shown(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

fn words(command: &[Vec<u8>]) -> String {
    command.iter().map(|word| shown(word)).collect::<Vec<_>>().join("|")
}

impl Host for Recorder {
    fn put(&mut self, port: &[u8], text: &[u8], charsets: Charsets<'_>) -> Result<(), String> {
        assert_eq!(charsets, Charsets { notice: b"N", terminal: b"T" });
        self.asked.push(format!("{}: {}", shown(port), shown(text)));
        if port == b"bad" { Err("No such port".to_owned()) } else { Ok(()) }
    }

    fn get(&mut self, _port: &[u8]) -> Result<Vec<u8>, String> {
        self.lines.pop().map(|line| line.as_bytes().to_vec()).ok_or_else(|| "at its end".to_owned())
    }

    fn open(&mut self, port: &[u8], file: &[u8], mode: FileMode) -> Result<(), String> {
        self.asked.push(format!("{mode:?} {} {}", shown(port), shown(file)));
        Err("not opened".to_owned())
    }

    fn execute_port(&mut self, port: &[u8], command: &[Vec<u8>]) -> Result<(), String> {
        self.asked.push(format!("execport {} {}", shown(port), words(command)));
        Ok(())
    }

    fn execute(&mut self, command: &[Vec<u8>]) {
        self.asked.push(format!("exec {}", words(command)));
    }

    fn close(&mut self, port: &[u8], directions: Directions) {
        self.asked.push(format!("close {directions:?} {}", shown(port)));
    }

    fn environment(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"HOME").then(|| b"/home".to_vec())
    }

    fn zephyr_variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"exposure").then(|| b"none".to_vec())
    }

    fn complain(&mut self, line: &[u8]) {
        self.asked.push(format!("complaint: {}", shown(line)));
    }
}

/// Runs a description for a notice with three fields.
fn run_with(interpreter: &mut Interpreter, description: &str, host: &mut Recorder) -> Result<(), Exhausted> {
    interpreter.set("output_driver", b"out".to_vec());
    interpreter.set("notice_charset", b"N".to_vec());
    interpreter.set("tty_charset", b"T".to_vec());
    let program = parse(description.as_bytes()).unwrap_or_else(|problems| panic!("{description}: {problems:?}"));
    interpreter.run(&program, &[b"one".to_vec(), b"two".to_vec(), b"three".to_vec()], host)
}

/// What a description asks its host.
fn asked(description: &str) -> Vec<String> {
    let mut host = Recorder { lines: vec!["second\\n", "first\\n"], ..Recorder::default() };
    run_with(&mut Interpreter::new(), description, &mut host).unwrap();
    host.asked
}

/// What is put by a description with this expression.
fn value(expression: &str) -> String {
    let asked = asked(&format!("set v = \"abcab\" set 5 = \"five\" put \"\" ({expression})"));
    asked.last().and_then(|line| line.strip_prefix(": ")).unwrap_or_else(|| panic!("{asked:?}")).to_owned()
}

#[test]
fn values_of_expressions() {
    for (expression, expected) in [
        ("\"a\" + \"b\" + $1", "abone"),
        ("!\"True\"", "FALSE"),
        ("!\"yes\"", "TRUE"),
        ("\"a\" == \"a\"", "TRUE"),
        ("\"a\" == \"A\"", "FALSE"),
        ("\"a\" != \"A\"", "TRUE"),
        ("\"a\" & \"TRUE\"", "FALSE"),
        ("\"true\" and \"tRuE\"", "TRUE"),
        ("\"a\" | \"TRUE\" | \"b\"", "TRUE"),
        ("$v =~ \"^a.*b$\"", "TRUE"),
        ("$v !~ \"^a.*b$\"", "FALSE"),
        ("$v =~ \"[\"", "FALSE"),
        ("$v !~ \"[\"", "TRUE"),
        ("upcase(\"aé\")", "A\\xc3\\xa9"),
        ("downcase(\"AB\")", "ab"),
        ("getenv(\"HOME\") + getenv(\"NO\")", "/home"),
        ("zvar(\"exposure\")", "none"),
        ("$002 + $0 + $4 + $05 + $none", "twofive"),
        ("substitute(\"$$v ${v}x $(v) $v_ $ $( ${v) $!\")", "$v abcabx abcab  $ $( ${v) $!"),
        ("lany($v, \"xx\")", "ab"),
        ("rany($v, \"xxx\")", "cab"),
        ("lany($v, \"0123456789\")", "abcab"),
        ("lbreak($v, \"cx\")", "ab"),
        ("rbreak($v, \"c\")", "ab"),
        ("lspan($v, \"ba\")", "ab"),
        ("rspan($v, \"b\")", "b"),
        ("lspan(\"\\377\\376a\", \"\\376\\377\")", "\\xff\\xfe"),
        ("get(\"p\") + get(\"p\") + get(\"p\") + $error", "first\\\\nsecond\\\\nat its end"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn a_part_is_taken_off_a_variable_only() {
    for (cut, left) in [
        ("lany($v, \"..\")", "cab"),
        ("rbreak(($v), \"c\")", "abc"),
        ("lany($v + \"\", \"..\")", "abcab"),
        ("lspan(downcase($v), \"a\")", "abcab"),
        ("lany($5, \"..\") == $5", "abcab"),
    ] {
        assert_eq!(asked(&format!("set v = \"abcab\" set x = {cut} put \"\" $v")), [format!(": {left}")], "{cut}");
    }
    assert_eq!(asked("set x = lany($1, \".\") put \"\" $1 fields a put \"\" $a"), [": ne", ": one"]);
}

#[test]
fn both_sides_are_evaluated() {
    assert_eq!(asked("if get(\"p\") == \"\" & get(\"p\") == \"\" then noop endif put \"\" get(\"p\")"), [": "]);
    assert_eq!(asked("if \"true\" | get(\"p\") == \"\" then noop endif put \"\" get(\"p\")"), [": second\\\\n"]);
}

#[test]
fn statements() {
    for (description, expected) in [
        ("print \"a\" \"b\" print \"c\" put put", &["out: a bc", "out: a bc"][..]),
        ("print \"a\" clearbuf put \"x\"", &["x: "]),
        ("put \"x\" buffer() \"b\"", &["x:  b"]),
        ("show\n  a $1\n  endshow put \"x\"", &["x: a one\\n"]),
        (
            "fields a b put \"x\" $number_of_fields $a fields c d put \"x\" $c $d $number_of_fields",
            &["x: 1 one", "x: three  0"],
        ),
        ("put \"bad\" \"t\" put \"x\" $error", &["bad: t", "x: No such port"]),
        ("appendport \"p\" \"f\" put \"x\" $error", &["Append p f", "x: not opened"]),
        ("inputport \"p\" \"f\" outputport \"p\" \"f\"", &["Input p f", "Output p f"]),
        ("execport \"p\" \"prog\" \"a b\" $1", &["execport p prog|a b|one"]),
        ("exec \"prog\" \"$1\"", &["exec prog|$1"]),
        ("closeport \"p\" closeinput \"q\" closeoutput \"r\"", &["close Both p", "close Input q", "close Output r"]),
        ("put \"x\" $v =~ \"\\\\(\"", &["complaint: Unmatched ( or \\\\( in regcomp \\\\(", "x: FALSE"]),
    ] {
        assert_eq!(asked(description), expected, "{description}");
    }
}

#[test]
fn where_a_description_goes_on() {
    for (description, expected) in [
        (
            "if \"\" then put \"1\" elseif \"true\" then put \"2\" elseif \"true\" then put \"3\" else put \"4\" endif",
            "2",
        ),
        ("if \"\" then put \"1\" else put \"4\" endif put \"5\"", "45"),
        ("case \"A\" match \"b\", \"a\" put \"1\" match \"a\" put \"2\" endcase put \"3\"", "13"),
        ("case \"A\" default put \"1\" match \"a\" put \"2\" endcase", "1"),
        ("case \"A\" match \"b\" put \"1\" endcase", ""),
        (
            "while \"true\" do put \"1\" if \"true\" then case \"\" default break endcase endif put \"2\" endwhile put \"3\"",
            "13",
        ),
        ("while \"true\" do while \"true\" do break endwhile put \"1\" exit endwhile put \"2\"", "1"),
        ("set n = \"xx\" while $n != \"\" do set c = lany($n, \".\") put \"1\" endwhile", "11"),
        ("put \"1\" if \"true\" then break endif put \"2\"", "1"),
        ("put \"1\" exit put \"2\"", "1"),
    ] {
        let puts: String = asked(description).iter().map(|line| line.strip_suffix(": ").unwrap()).collect();
        assert_eq!(puts, expected, "{description}");
    }
}

/// Each with what is opened or run, or the error: `$dir` is the user's, and the fields are `one`, `../x`, `-r`.
#[test]
fn a_notice_chooses_no_file_and_no_program() {
    const NO_FILE: &str = "A notice cannot choose a file";
    const NO_PROGRAM: &str = "A notice cannot choose a program";
    const NO_SHELL: &str = "A notice cannot be run by a shell";
    for (statement, expected) in [
        ("outputport \"p\" $dir + \"/log\"", "Output p /d/log"),
        ("outputport \"p\" $dir + \"/\" + $1", "Output p /d/one"),
        ("outputport \"p\" $dir + \"/\" + substitute(\"log.$1\")", "Output p /d/log.one"),
        ("set f = $dir + \"/log-\" + upcase(\"a\") + $1 + \".txt\" appendport \"p\" $f", "Append p /d/log-Aone.txt"),
        (
            "set f = \"/d/xy\" set g = lany($f, \"...\") set h = rany($f, \".\") inputport \"p\" $g + $f + $1",
            "Input p /d/xone",
        ),
        ("show\n/d/$1\nendshow outputport \"p\" rany(buffer(), \"...\")", NO_FILE),
        ("outputport \"p\" $1", NO_FILE),
        ("outputport \"p\" \"\" + $1", NO_FILE),
        ("outputport \"p\" $dir + \"/\" + $2", NO_FILE),
        ("outputport \"p\" $dir + \"/.\" + $2", NO_FILE),
        ("outputport \"p\" $dir + \"/\" + $1 + \"/\"", NO_FILE),
        ("fields a set b = lany($2, \"..\") outputport \"p\" \"/d/\" + $b", NO_FILE),
        ("outputport \"p\" verbatim(\"/d/\" + $1)", NO_FILE),
        ("outputport \"p\" get(\"q\")", NO_FILE),
        ("outputport \"p\" $class + \"x\"", NO_FILE),
        ("exec \"prog\" $1 $2 $3 \"-\" + $1", "exec prog|one|../x| -r|-one"),
        ("execport \"p\" \"prog\" $3", "execport p prog| -r"),
        ("exec $1", NO_PROGRAM),
        ("execport \"p\" \"/bin/\" + $1", NO_PROGRAM),
        ("exec \"sh\" \"-c\" \"echo \" + $1", NO_SHELL),
        ("exec \"/bin/bash\" \"-e\" \"-c\" $1", NO_SHELL),
        ("exec \"sh\" $3", NO_SHELL),
        ("exec \"sh\" \"-c\" \"echo $1\" \"sh\" $1", "exec sh|-c|echo $1|sh|one"),
        ("exec \"/usr/bin/env\" \"A=b\" $1", NO_PROGRAM),
        ("exec \"timeout\" \"-k\" \"5\" \"9\" $1", NO_PROGRAM),
        ("exec \"env\" \"sh\" \"-c\" $1", NO_SHELL),
        ("exec \"nice\" \"prog\" $1", "exec nice|prog|one"),
    ] {
        let program = parse(format!("{statement} put \"\" $error").as_bytes()).unwrap();
        let (mut interpreter, mut host) = (Interpreter::new(), Recorder { lines: vec!["/x"], ..Recorder::default() });
        interpreter.set("dir", b"/d".to_vec());
        interpreter.set_foreign("class", b"message".to_vec());
        interpreter.set("notice_charset", b"N".to_vec());
        interpreter.set("tty_charset", b"T".to_vec());
        interpreter.run(&program, &["one", "../x", "-r"].map(|field| field.as_bytes().to_vec()), &mut host).unwrap();
        let said = host.asked.iter().any(|asked| asked == expected || *asked == format!(": {expected}"));
        assert!(said, "{statement}: {:?}", host.asked);
        let is_refused = expected.starts_with("A notice");
        assert_eq!(host.asked.len(), 2, "{statement}: {:?}", host.asked);
        let complaint = format!("complaint: zwgc: the description was not obeyed: {expected}");
        assert_eq!(host.asked.contains(&complaint), is_refused, "{statement}: {:?}", host.asked);
    }
}

#[test]
fn what_stays_for_the_next_notice() {
    let (mut interpreter, mut host) = (Interpreter::new(), Recorder::default());
    run_with(&mut interpreter, "set v = \"kept\" set 1 = \"x\" set 7 = \"y\" print \"buffer\" fields a b", &mut host)
        .unwrap();
    run_with(&mut interpreter, "put \"x\" $v $1 $7 $number_of_fields buffer()", &mut host).unwrap();
    assert_eq!(host.asked, ["x: kept one  3 "]);
    assert_eq!(interpreter.get("v"), b"kept");
    interpreter.set("text", b"a\0b\0".to_vec());
    assert_eq!(interpreter.get("text"), b"a\nb\n");
}

#[test]
fn a_description_that_takes_too_much_is_stopped() {
    for (description, error) in [
        ("while \"true\" do noop endwhile", Exhausted::Steps),
        ("set v = \"x\" while \"true\" do set v = $v + $v endwhile", Exhausted::Value),
        (
            "while \"true\" do print \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\" endwhile",
            Exhausted::Value,
        ),
        ("set v = \"x\" set w = \"$v$v$v$v\" while \"true\" do set v = substitute($w) endwhile", Exhausted::Value),
        ("while \"true\" do show\n$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1\nendshow endwhile", Exhausted::Value),
        ("while \"true\" do exec \"prog\" endwhile", Exhausted::Steps),
        ("while \"true\" do set v = upcase(\"a\") =~ \"\\\\(a*\\\\)*b\" endwhile", Exhausted::Steps),
    ] {
        let mut host = Recorder::default();
        assert_eq!(run_with(&mut Interpreter::new(), description, &mut host), Err(error), "{description}");
        assert!(host.asked.len() <= 100, "{description}: {}", host.asked.len());
    }
}
