//! Finds MIT Kerberos: the protocol library, and the one with the checksums.

fn main() -> Result<(), pkg_config::Error> {
    println!("cargo::rerun-if-changed=build.rs");
    pkg_config::Config::new().atleast_version("1.17").probe("mit-krb5").map(drop)
}
