//! All of the project's own vectors pass; and a wrong one fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use serde_json::{Value, json};
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

/// A client takes a notice of another kind for another notice, even under the same uid.
#[test]
fn a_case_may_have_two_kinds_under_one_uid() {
    // Hexadecimal of the kind's field, behind that of the number of fields, in an ACKED and in an UNACKED packet.
    const KINDS: [&str; 2] = ["3133003078303030303030303200", "3133003078303030303030303100"];
    let file: Value = serde_json::from_str(&fs::read_to_string(own().join("reassembly.json")).unwrap()).unwrap();
    let cases = file["vectors"].as_array().unwrap();
    let mut case = cases.iter().find(|case| case["name"] == "single packet of kind 2").unwrap().clone();
    let acked = case["packets_hex"][0].as_str().unwrap().to_owned();
    let unacked = acked.replacen(KINDS[0], KINDS[1], 1);
    assert_ne!(acked, unacked);
    let steps = json!([{"pending": 1, "clientacks": 1}, {"pending": 2, "clientacks": 1}]);
    let mut other = case["reference"]["notices"][0].clone();
    other["kind"] = json!(1);
    case["packets_hex"] = json!([acked, unacked]);
    case["reference"]["steps"] = steps;
    case["reference"]["notices"].as_array_mut().unwrap().push(other);

    let passes = |case: &Value| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("two.json"), json!({ "vectors": [case] }).to_string()).unwrap();
        let report = zephyr_vectors::run(dir.path()).unwrap();
        assert_eq!(report.passed + report.failed.len(), 1);
        report.passed == 1
    };
    assert!(passes(&case));
    // And it is still held to each of the two.
    case["reference"]["notices"][1]["message_len"] = json!(35);
    assert!(!passes(&case));
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
