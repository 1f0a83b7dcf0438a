//! All of the project's own vectors pass; and a wrong one fails.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

fn own() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data"))
}

#[test]
fn all_pass_but_what_may_be_skipped() {
    let report = zephyr_vectors::run(own()).unwrap();
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert!(report.passed > 350, "only {} ran", report.passed);
    for skipped in &report.skipped {
        assert!(skipped.text.contains("DES") || skipped.text.contains("refuses"), "{skipped:?}");
    }
}

#[test]
fn wrong_vectors_fail() {
    for (file, from, to) in [
        ("codec.json", r#""out_hex": "30783641""#, r#""out_hex": "30783642""#),
        ("packets.json", r#""class": "ZEPHYR_CTL""#, r#""class": "ZEPHYR_CTM""#),
        ("reassembly.json", r#""message_len": 36"#, r#""message_len": 37"#),
        ("auth.json", r#""expect": "valid""#, r#""expect": "invalid""#),
    ] {
        let text = fs::read_to_string(own().join(file)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert!(text.contains(from), "{file}");
        fs::write(dir.path().join(file), text.replace(from, to)).unwrap();
        assert!(!zephyr_vectors::run(dir.path()).unwrap().failed.is_empty(), "{file}");
    }
}

#[test]
fn a_folder_without_vectors_is_an_error() {
    assert!(zephyr_vectors::run(tempfile::tempdir().unwrap().path()).is_err());
}

#[test]
fn a_broken_file_is_an_error_and_a_foreign_one_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [("list.json", "[1, 2]"), ("object.json", r#"{"vectors": 7}"#), ("notes.txt", "{")] {
        fs::write(dir.path().join(name), content).unwrap();
    }
    fs::copy(own().join("codec.json"), dir.path().join("codec.json")).unwrap();
    let report = zephyr_vectors::run(dir.path()).unwrap();
    assert!(report.failed.is_empty() && report.passed > 0, "{report:?}");
    let text = fs::read_to_string(own().join("codec.json")).unwrap();
    fs::write(dir.path().join("codec.json"), text.trim_end().trim_end_matches('}')).unwrap();
    let error = zephyr_vectors::run(dir.path()).unwrap_err();
    assert!(format!("{error:#}").contains("codec.json is no JSON: "), "{error:#}");
}
