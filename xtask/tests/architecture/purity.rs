//! The machines and the protocol crate depend on nothing that does I/O, reads a clock, logs or makes threads.

use crate::tree::{self, Node};

/// What they may be built from: data, text, errors and cryptography. Whoever adds a crate here has read what it does.
const PURE: [&str; 12] = [
    "bytes",
    "caseless",
    "icu_properties",
    "ring",
    "thiserror",
    "tinyvec",
    "unicode-normalization",
    "unicode-segmentation",
    "unicode-width",
    "untrusted",
    "zephyr-core",
    "zeroize",
];
/// What is compiled into [`PURE`] and does nothing by itself.
const SHARDS: [&str; 17] = [
    "cfg-if",
    "icu_collections",
    "icu_locale_core",
    "icu_properties_data",
    "icu_provider",
    "litemap",
    "potential_utf",
    "stable_deref_trait",
    "tinystr",
    "tinyvec_macros",
    "utf8_iter",
    "utf_types",
    "writeable",
    "yoke",
    "zerofrom",
    "zerotrie",
    "zerovec",
];
/// A crate that brings what it needs of the system for its random numbers; that is its own affair.
const CRYPTOGRAPHY: &str = "ring";

/// What is in the tree of the first node and must not be: it, and through whom.
fn impurities(tree: &[Node]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut path: Vec<&Node> = Vec::new();
    for node in tree {
        path.truncate(node.depth);
        let within_other = path.iter().any(|above| above.name == CRYPTOGRAPHY || above.is_macro);
        let names = [&PURE[..], &SHARDS].concat();
        if node.depth > 0 && !within_other && !node.is_macro && !names.contains(&node.name.as_str()) {
            let through: Vec<&str> = path.iter().map(|above| above.name.as_str()).collect();
            violations.push(format!("{} through {}", node.name, through.join(", ")));
        }
        path.push(node);
    }
    violations
}

#[test]
fn machines_are_built_from_nothing_that_does_io() {
    for package in ["zephyr-core", "zephyr-engine"] {
        let tree = tree::read(&["--package", package]);
        assert!(tree.iter().any(|node| node.name == "bytes"), "{package}'s tree was read: {tree:?}");
        let violations = impurities(&tree);
        assert!(violations.is_empty(), "{package} must not be built from {violations:#?}");
    }
}

#[test]
fn what_does_io_is_noticed() {
    let impure = |text: &str| impurities(&tree::parse(text));
    let ring = "0 zephyr-engine v0 (/x)\n1 ring v0\n2 getrandom v0\n3 libc v0\n2 cc v1\n";
    assert!(impure(ring).is_empty(), "what ring brings");
    for name in ["tokio", "clap", "tracing", "serde", "libc", "nix", "socket2", "mio", "rand", "getrandom", "jiff"] {
        let direct = format!("{ring}1 {name} v1\n2 bytes v1\n");
        assert_eq!(impure(&direct), [format!("{name} through zephyr-engine")]);
        let indirect = format!("0 zephyr-engine v0 (/x)\n1 zephyr-core v0 (/x)\n2 bytes v1\n3 {name} v1\n1 ring v0\n");
        assert_eq!(impure(&indirect), [format!("{name} through zephyr-engine, zephyr-core, bytes")]);
    }
    let of_macro = "0 zephyr-engine v0 (/x)\n1 thiserror v2\n2 thiserror-impl v2 (proc-macro)\n3 syn v2\n1 serde v1\n";
    assert_eq!(impure(of_macro), ["serde through zephyr-engine"], "and nothing of what runs in the compiler");
}
