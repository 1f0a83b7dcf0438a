//! What zwgc does not do although it was asked to, it says.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

#[test]
fn an_option_without_effect_is_named() {
    let mut zwgc = Command::new(env!("CARGO_BIN_EXE_zwgc"));
    // A policy that is not there ends it at once.
    let output = zwgc
        .args(["-f", "descriptions"])
        .env_remove("RUST_LOG")
        .env("ZEPHYR_POLICY", "/no/such/policy")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("-f has no effect yet"), "{said}");
    assert!(!output.status.success());
}
