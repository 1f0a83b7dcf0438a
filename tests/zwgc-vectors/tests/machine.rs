//! Made-up cases with the released program on a real machine: those that pass, those that fail, and clients that are hard to follow.
#![allow(clippy::unwrap_used, reason = "a test")]

use anyhow::Result;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command, time::Duration};
use zephyr_testkit::{
    process::{self, Output},
    reference,
};

const TIMEOUT: Duration = Duration::from_secs(180);
const DESCRIPTION: &str = "put \"stdout\" $opcode + \"\\n\"";

/// A case that starts the program so, sends two notices, and expects these opcodes, the first at the start.
fn case(args: &[&str], port_file: &str, opcodes: [&str; 3], end: &str) -> Value {
    let output = |text: &str| json!({ "text": if text.is_empty() { String::new() } else { format!("{text}\n") } });
    let step = |event: &str, number: usize, text: &str| json!({"event": event, "notice": number, "stdout": output(text), "stderr": output("")});
    let notice = |opcode: &str| {
        json!({"class": "C", "opcode": opcode, "sender": "bob@ZLAB.EXAMPLE", "kind": "acked", "time": 700_000_000,
               "sender_addr": "10.77.0.2", "fields": [""]})
    };
    json!({
        "name": "made-up", "args": args, "user": "alice@ZLAB.EXAMPLE", "end": end,
        "env": {"PATH": "/usr/bin:/bin", "HOME": "$HOME", "TERM": "dumb", "WGFILE": port_file},
        "notices": [notice("one"), notice("two")],
        "expect": {
            "steps": [
                step("startup", 0, opcodes[0]), step("notice", 0, opcodes[1]), step("notice", 1, opcodes[2]),
                step("exit", 0, "")
            ],
            "exit_status": 0
        }
    })
}

const NO_FORK: [&str; 6] = ["-nofork", "-ttymode", "-f", "case.desc", "-subfile", "/dev/null"];
const OPCODES: [&str; 3] = ["WG_STARTUP", "one", "two"];

fn write(folder: &Path, name: &str, description: &str, case: &Value) {
    fs::write(folder.join(name).with_extension("json"), case.to_string()).unwrap();
    fs::write(folder.join(name).with_extension("desc"), description).unwrap();
}

fn run(folder: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zwgc-vectors"));
    command.arg(folder).args(["--zwgc", "/usr/bin/zwgc"]).args(more);
    process::run(command, TIMEOUT)
}

#[test]
fn a_case_passes_or_what_differs_is_shown() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let of = |args: &[&str], opcodes| case(args, "$HOME/wg", opcodes, "TERM");
    write(folder.path(), "001-plain", DESCRIPTION, &of(&NO_FORK, OPCODES));
    // It goes on in the background.
    write(folder.path(), "002-forked", DESCRIPTION, &of(&NO_FORK[1..], OPCODES));
    // A child that takes its time is waited for, and only what it does in its sleep is not.
    let child = "put \"stdout\" $opcode + \"\\n\" exec \"sh\" \"-c\" \"i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo done\"";
    write(folder.path(), "003-child", child, &of(&NO_FORK, ["WG_STARTUP\ndone", "one\ndone", "two\ndone"]));
    write(folder.path(), "004-other", DESCRIPTION, &of(&NO_FORK, ["WG_STARTUP", "another", "two"]));
    write(folder.path(), "005-endless", DESCRIPTION, &case(&NO_FORK, "$HOME/wg", OPCODES, "self"));
    let output = run(folder.path(), &[])?;
    assert_eq!(output.status.code(), Some(1), "{output}");
    let wrong = "FAILED: 004-other: \n  notice 0, stdout, from line 1 on (- expected, + came):\n    - \"another\\n\"\n    + \"one\\n\"\n";
    assert!(output.stdout.starts_with(wrong), "{output}");
    let endless = "FAILED: 005-endless: \n  exit status: expected 0, came -9\n3 passed, 2 failed\n";
    assert!(output.stdout.ends_with(endless), "{output}");

    let output = run(folder.path(), &["--only", "forked", "001"])?;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(0), "2 passed, 0 failed\n"), "{output}");
    let output = run(folder.path(), &["--only", "nothing"])?;
    assert!(output.status.code() == Some(1) && output.stderr.contains("no case \"nothing\""), "{output}");
    Ok(())
}

/// Its port is in the table of sockets alone.
#[test]
fn a_client_that_leaves_no_port_file_is_found() -> Result<()> {
    if reference::is_skipped()? {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut case = case(&NO_FORK, "/dev/null/wg", OPCODES, "TERM");
    let error = |what| json!(format!("zwgc: error while {what}: Not a directory\n"));
    case["expect"]["steps"][0]["stderr"] = error("opening /dev/null/wg for writing");
    case["expect"]["steps"][3]["stderr"] = error("trying to delete /dev/null/wg");
    write(folder.path(), "001-hidden", DESCRIPTION, &case);
    let output = run(folder.path(), &[])?;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(0), "1 passed, 0 failed\n"), "{output}");
    Ok(())
}
