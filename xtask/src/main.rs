//! The commands of the project: `cargo xtask demo | test | vectors`.

fn main() {}
