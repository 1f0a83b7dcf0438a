//! The crate graph has no arrow upwards.

use crate::tree::{self, Node};
use std::collections::BTreeSet;

/// A crate of the workspace, and which others it may be built from.
struct Rule {
    name: &'static str,
    may_know: &'static [&'static str],
}

const fn rule(name: &'static str, may_know: &'static [&'static str]) -> Rule {
    Rule { name, may_know }
}

/// From the bottom to the top. The drawing is in `docs/development/architecture.md`.
const RULES: [Rule; 16] = [
    rule("zephyr-core", &[]),
    rule("zephyr-config", &[]),
    rule("zephyr-output", &[]),
    rule("zephyr-engine", &["zephyr-core"]),
    rule("zephyr-auth-krb", &["zephyr-core"]),
    rule("zephyr-auth-none", &["zephyr-core"]),
    rule("zephyr-domain", &["zephyr-core", "zephyr-config", "zephyr-auth-krb", "zephyr-auth-none"]),
    rule("zephyr-net", &["zephyr-core", "zephyr-engine"]),
    rule("zephyr-discovery", &["zephyr-core", "zephyr-config", "zephyr-engine", "zephyr-net"]),
    rule("zephyr-state", &["zephyr-core", "zephyr-config", "zephyr-engine"]),
    rule(
        "zephyr-client",
        &["zephyr-core", "zephyr-config", "zephyr-discovery", "zephyr-engine", "zephyr-domain", "zephyr-net"],
    ),
    rule(
        "zephyr-daemons",
        &[
            "zephyr-core",
            "zephyr-config",
            "zephyr-output",
            "zephyr-discovery",
            "zephyr-engine",
            "zephyr-domain",
            "zephyr-net",
            "zephyr-state",
        ],
    ),
    rule("zephyr-tools", &["zephyr-core", "zephyr-config", "zephyr-output", "zephyr-net", "zephyr-client"]),
    rule("zephyr-windowgram", &["zephyr-core"]),
    rule(
        "zephyr-zwgc",
        &["zephyr-core", "zephyr-config", "zephyr-output", "zephyr-net", "zephyr-client", "zephyr-windowgram"],
    ),
    rule("libzephyr", &["zephyr-core", "zephyr-engine", "zephyr-domain", "zephyr-net", "zephyr-client"]),
];

/// What only tests and those who work on the project need: it may know everything, and no program knows it.
const TESTING: [&str; 6] =
    ["zephyr-testkit", "zephyr-costs", "zephyr-e2e", "zephyr-vectors", "zephyr-zwgc-vectors", "xtask"];

/// Every arrow that must not be, and every crate without a rule.
fn violations(workspace: &[Node]) -> Vec<String> {
    let members: BTreeSet<&str> = roots(workspace);
    let mut violations = Vec::new();
    let mut root = "";
    for node in workspace {
        if node.depth == 0 {
            root = &node.name;
            if !TESTING.contains(&root) && RULES.iter().all(|rule| rule.name != root) {
                violations.push(format!("{root} has no place in the crate graph"));
            }
        } else if node.depth == 1 && members.contains(node.name.as_str()) && !TESTING.contains(&root) {
            let rule = RULES.iter().find(|rule| rule.name == root);
            if rule.is_some_and(|rule| !rule.may_know.contains(&node.name.as_str())) {
                violations.push(format!("{root} must not know {}", node.name));
            }
        }
    }
    violations
}

fn roots(workspace: &[Node]) -> BTreeSet<&str> {
    workspace.iter().filter(|node| node.depth == 0).map(|node| node.name.as_str()).collect()
}

#[test]
fn no_arrow_goes_upwards() {
    let workspace = tree::read(&["--workspace", "--depth", "1"]);
    let members = roots(&workspace);
    for name in ["zephyr-core", "zephyr-engine", "zephyr-net", "zephyr-daemons", "xtask"] {
        assert!(members.contains(name), "the workspace was read: {members:?}");
    }
    assert_eq!(violations(&workspace), Vec::<String>::new());
}

#[test]
fn an_arrow_upwards_is_noticed() {
    let workspace = tree::parse(
        "0 zephyr-core v0 (/x)\n1 bytes v1\n0 zephyr-engine v0 (/x)\n1 zephyr-core v0 (/x)\n1 zephyr-net v0 (/x)\n\
         0 zephyr-net v0 (/x)\n1 zephyr-engine v0 (/x)\n1 tokio v1\n0 zephyr-new v0 (/x)\n1 zephyr-core v0 (/x)\n\
         0 zephyr-testkit v0 (/x)\n1 zephyr-net v0 (/x)\n0 zephyr-zwgc v0 (/x)\n1 zephyr-testkit v0 (/x)\n",
    );
    assert_eq!(
        violations(&workspace),
        [
            "zephyr-engine must not know zephyr-net",
            "zephyr-new has no place in the crate graph",
            "zephyr-zwgc must not know zephyr-testkit"
        ]
    );
}

/// The rules themselves are without a circle: each crate knows only those that come before it.
#[test]
fn the_rules_go_downwards() {
    for (place, rule) in RULES.iter().enumerate() {
        for known in rule.may_know {
            assert!(RULES.iter().position(|other| other.name == *known).unwrap() < place, "{} {known}", rule.name);
        }
    }
}
