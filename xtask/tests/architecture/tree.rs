//! The dependency tree, as cargo prints it.

use std::process::Command;

/// A crate in a dependency tree, and how far from the root it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) depth: usize,
    pub(crate) name: String,
    /// It runs while the program is built, and is no part of it.
    pub(crate) is_macro: bool,
}

/// The trees of what programs are built from, of these packages. Asks the network for nothing that a build has not
/// asked for.
pub(crate) fn read(packages: &[&str]) -> Vec<Node> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--all-features", "--no-dedupe", "--edges", "normal,build"])
        .args(["--prefix", "depth", "--format", " {p}"])
        .args(packages)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8(output.stdout).expect("text"))
}

/// Reads lines like `2 libc v0.2.0`.
pub(crate) fn parse(text: &str) -> Vec<Node> {
    let node = |line: &str| {
        let mut fields = line.split(' ');
        let depth = fields.next().and_then(|depth| depth.parse().ok()).unwrap_or_else(|| panic!("no depth: {line}"));
        let name = fields.next().unwrap_or_else(|| panic!("no name: {line}")).to_owned();
        Node { depth, name, is_macro: fields.any(|word| word == "(proc-macro)") }
    };
    text.lines().filter(|line| !line.is_empty()).map(node).collect()
}
