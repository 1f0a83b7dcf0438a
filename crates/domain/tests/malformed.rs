//! Invalid policy files: each is refused with a precise message, and the policy in force stays.
//!
//! `corpus/EXPECTED` says of each file what is said of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, fs, path::Path};
use zephyr_domain::policy_file::PolicyFile;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

/// What is expected of each file: `LINE:COLUMN` and the beginning of the text.
fn expected() -> BTreeMap<String, Vec<(String, String)>> {
    let list = fs::read_to_string(Path::new(FOLDER).join("EXPECTED")).unwrap();
    let mut expected: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, ' ');
        let [name, place, text] = [(); 3].map(|()| fields.next().unwrap().to_owned());
        expected.entry(name).or_default().push((place, text));
    }
    expected
}

#[test]
fn each_is_refused_with_its_place_and_reason() {
    let expected = expected();
    let mut files = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        files += 1;
        let name = path.file_stem().unwrap().to_str().unwrap();
        let expected = &expected[name];
        let content = fs::read_to_string(&path).unwrap();
        let problems = PolicyFile::read(&path, &content).expect_err(name);
        let as_expected = problems.len() == expected.len()
            && problems.iter().zip(expected).all(|(problem, (place, text))| {
                format!("{}:{}", problem.line, problem.column) == *place && problem.text.starts_with(text.as_str())
            });
        if !as_expected {
            wrong.extend(problems.iter().map(ToString::to_string));
        }
        assert!(problems.iter().all(|problem| !problem.text.contains('\n') && !problem.text.is_empty()), "{name}");
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    assert_eq!(files, expected.len());
    assert!(files >= 40);
}
