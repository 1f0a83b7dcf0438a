//! The guide says what is so: its messages are in the sources, its links lead somewhere, and it names the Rust that is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the system says, not we.
const OF_THE_SYSTEM: [&str; 2] = ["Address already in use", "Cannot assign requested address"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files in a folder whose names end so.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// The words in backquotes of the first column of a page's tables.
fn messages(page: &str) -> Vec<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|--"));
    rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn what_is_explained_is_really_said() {
    let page = read(&root().join("docs/guide/troubleshooting.md"));
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let sources: String = folders.flat_map(|folder| files(&folder, ".rs")).map(|file| read(&file)).collect();
    let messages = messages(&page);
    assert!(messages.len() > 25, "{messages:?}");
    let unknown: Vec<_> =
        messages.iter().filter(|message| !sources.contains(**message) && !OF_THE_SYSTEM.contains(message)).collect();
    assert!(unknown.is_empty(), "no program says {unknown:#?}");
}

#[test]
fn links_of_the_pages_lead_somewhere() {
    let mut pages = files(&root().join("docs"), ".md");
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    let mut broken = Vec::new();
    for page in &pages {
        let text = read(page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            if file.contains("://") {
                continue;
            }
            let linked = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let is_good = linked.exists() && (place.is_empty() || anchors(&read(&linked)).contains(&place.to_owned()));
            if !is_good {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(pages.len() > 10 && broken.is_empty(), "{broken:#?}");
}

/// The places in a page that can be linked to.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |heading: &str| -> String {
        let lower = heading.to_lowercase();
        lower.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char)).collect()
    };
    headings.map(|heading| kept(heading).replace(' ', "-")).collect()
}

#[test]
fn the_rust_that_is_needed_is_named() {
    let manifest = read(&root().join("Cargo.toml"));
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    let page = read(&root().join("docs/guide/getting-started.md"));
    assert!(page.contains(&format!("Rust {version} or later")), "{version}");
}

#[test]
fn places_in_a_page_are_named_by_their_headings() {
    let page = "# When something fails\n\n## Beside Debian's packages\n### How is the server?\n";
    assert_eq!(anchors(page), ["when-something-fails", "beside-debians-packages", "how-is-the-server"]);
    assert_eq!(messages("| a `b` c `d` | `e` |\n|---|---|\nno `f`\n"), ["b", "d"]);
}
