//! Finds MIT Kerberos: the protocol library, and the one with the checksums.

use pkg_config::{Config, Error};

/// The first version with everything that is called.
const VERSION: &str = "1.17";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // An error told to cargo fails the build by itself, and cargo shows no more than that line.
    match Config::new().atleast_version(VERSION).probe("mit-krb5") {
        Ok(_) => {}
        Err(Error::Command { .. }) => println!(
            "cargo::error=pkg-config is missing, which finds MIT Kerberos: install it \
             (Debian: apt-get install pkgconf libkrb5-dev; Fedora: dnf install pkgconf krb5-devel)"
        ),
        Err(Error::Failure { .. } | Error::ProbeFailure { .. }) => println!(
            "cargo::error=pkg-config finds no MIT Kerberos {VERSION} or newer with its headers: install them \
             (Debian: apt-get install libkrb5-dev; Fedora: dnf install krb5-devel)"
        ),
        // Such as a cross compilation that pkg-config was not set up for; what it says is for one line, too.
        Err(other) => {
            let text = other.to_string();
            println!(
                "cargo::error=pkg-config cannot be asked for MIT Kerberos: {}",
                text.lines().collect::<Vec<_>>().join(" ")
            );
        }
    }
}
