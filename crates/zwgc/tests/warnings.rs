//! zwgc warns about options that have no effect.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::process::Command;

#[test]
fn an_option_without_effect_is_named() {
    let mut zwgc = Command::new(env!("CARGO_BIN_EXE_zwgc"));
    // A policy file that does not exist ends it at once.
    let output = zwgc
        .args(["-f", "descriptions"])
        .env_remove("RUST_LOG")
        .env("ZEPHYR_POLICY", "/no/such/policy")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    let policy = "zwgc: initializing Zephyr failed: /no/such/policy: No such file or directory";
    assert_eq!(lines[..2], ["zwgc: option -f is accepted and has no effect yet", policy]);
    assert!(!output.status.success());
}
