//! What zwgc says and does before it needs Zephyr.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Output, Stdio},
};

const USAGE: &str = "zwgc: usage: zwgc [-f <filename>] [-subfile <filename>]
                  [-ttymode] [-nofork] [-reenter] [-loc text]
                  [-default <driver>] {-disable <driver>}*
                  [output driver options]
";
const NO_X: &str = "zwgc: Unable to open X display -- disabling X driver.\n";
const ADVICE: &str = "zwgc: To receive Zephyrgrams, (type `zwgc -ttymode').\n";
const NO_POLICY: &str = "\
zwgc: initializing Zephyr failed: /no/such/policy: No such file or directory
zwgc: The variable ZEPHYR_POLICY names that file: mend the file (zephyrctl policy check FILE), or unset the variable.
";

/// Runs zwgc in an otherwise empty home; it ends at the latest when it reads the policy.
fn run(arguments: &[&str], variables: &str, environment: &[(&str, &str)], input: Option<&str>) -> Output {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".zephyr.vars"), variables).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zwgc"));
    command.arg0("zwgc").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["RUST_LOG", "ZWGC_FORMAT", "ZEPHYR_VARS"] {
        command.env_remove(variable);
    }
    command.env("HOME", home.path()).env("ZEPHYR_CONFIG_DIR", home.path()).env("ZEPHYR_POLICY", "/no/such/policy");
    let mut child = command.envs(environment.iter().copied()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        stdin.write_all(input.as_bytes()).unwrap();
    }
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(octets: &[u8]) -> &str {
    str::from_utf8(octets).unwrap()
}

/// The exit status, and what was said on standard error; nothing is on standard output.
fn said(arguments: &[&str], variables: &str, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = run(arguments, variables, environment, None);
    assert_eq!(text(&stdout), "");
    (status.code(), text(&stderr).to_owned())
}

#[test]
fn the_usage_is_that_of_c_and_says_on_a_terminal_what_is_wrong() {
    for (arguments, wrong) in [
        (&["-nofork", "-ttymode", "-bogus"][..], "there is no option -bogus"),
        (&["-nofork", "-ttymode", "-f"], "option -f needs a value after it"),
        (&["-ttymode", "-display", ":0"], "option -display is for X, which is not used with -ttymode"),
    ] {
        assert_eq!(said(arguments, "", &[]), (Some(1), USAGE.to_owned()), "{arguments:?}");
        let typed = format!("'{}' {}", env!("CARGO_BIN_EXE_zwgc"), arguments.join(" "));
        let output = Command::new("script").args(["-qec", &typed, "/dev/null"]).output().unwrap();
        let expected = format!("{USAGE}zwgc: {wrong} (zwgc --help tells more)\n");
        assert_eq!(
            (output.status.code(), text(&output.stdout).replace('\r', "")),
            (Some(1), expected),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_port_is_needed_where_a_description_decides() {
    let both = format!("{NO_X}{ADVICE}");
    let goes_on = format!("{NO_X}{NO_POLICY}");
    for (arguments, variables, status, expected) in [
        (&[][..], "", 1, both.as_str()),
        (&["-display", ":0"], "", 1, &both),
        (&[], "fallback = maybe\n", 1, &both),
        (&[], "fallback = False\n", 1, NO_X),
        (&["-disable", "X"], "", 1, ADVICE),
        (&[], "fallback = yes\n", 3, &goes_on),
        (&["-default", "plain"], "", 3, &goes_on),
        (&["-ttymode"], "", 3, NO_POLICY),
        (&["--json"], "", 3, NO_POLICY),
        (&["--format", "line"], "fallback = no\n", 3, NO_POLICY),
    ] {
        for foreground in [&["-nofork"][..], &[]] {
            let arguments = [arguments, foreground].concat();
            assert_eq!(
                said(&arguments, variables, &[]),
                (Some(status), expected.to_owned()),
                "{arguments:?} {variables}"
            );
        }
    }
}

#[test]
fn the_environment_names_a_format_unless_an_option_does() {
    let with = |format, arguments: &[&str]| said(arguments, "", &[("ZWGC_FORMAT", format)]);
    for (format, arguments) in [("json", &[][..]), ("html", &["--json"]), ("labelled", &[])] {
        assert_eq!(with(format, arguments), (Some(3), NO_POLICY.to_owned()), "{format}");
    }
    assert_eq!(with("", &["-ttymode"]), (Some(3), NO_POLICY.to_owned()));
    let unknown = "zwgc: ZWGC_FORMAT: expected description, labelled, line or json, not \"html\"\n";
    assert_eq!(with("html", &[]), (Some(1), unknown.to_owned()));
}

#[test]
fn a_description_is_looked_at_without_starting_anything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zwgc.desc");
    let name = file.to_str().unwrap();
    let check = |content: &str| {
        fs::write(&file, content).unwrap();
        run(&["--check", name], "", &[], None)
    };
    let right = check("print \"hello\"\nput\n");
    assert_eq!(
        (right.status.code(), text(&right.stdout), text(&right.stderr)),
        (Some(0), &*format!("{name} is right.\n"), "")
    );
    let wrong = check("print \"hello\"\nif then\nput )\n");
    let expected = format!("{name}:2:4: ");
    assert!(text(&wrong.stderr).starts_with(&expected), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("\n  | if then\n  |    ^\n"), "{}", text(&wrong.stderr));
    assert_eq!((wrong.status.code(), text(&wrong.stdout)), (Some(1), ""));
    let missing = "zwgc: error while opening /no/such.desc for reading: No such file or directory\n";
    assert_eq!(said(&["--check", "/no/such.desc"], "", &[]), (Some(1), missing.to_owned()));

    let output = run(&["--check", "-"], "", &[], Some("noop"));
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "- is right.\n"));
}

#[test]
fn the_second_process_takes_no_descriptor_for_its_own_that_was_not_given() {
    for number in ["0", "2", "77", "-1"] {
        let (status, stderr) = said(&["--json", "--in-background", number], "", &[]);
        assert_eq!(status, Some(1), "{stderr}");
        assert!(stderr.starts_with("zwgc: ") && !stderr.contains("os error"), "{stderr}");
    }
}
