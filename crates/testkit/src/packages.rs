//! The Debian packages that building and testing need, and which of them are missing.
//!
//! A package is detected by a file that it installs, so that the same programs from another source count as well.

use std::{
    env,
    path::{Path, PathBuf},
};

/// A Debian package, and how to detect that it is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Name for `apt-get install`.
    pub name: &'static str,
    /// The file that shows that it is installed.
    pub probe: Probe,
}

/// A file that a package installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A program found in PATH or in a system directory.
    Program(&'static str),
    /// A file; one `*` in it stands for any one directory.
    File(&'static str),
}

const fn program(name: &'static str, program: &'static str) -> Package {
    Package { name, probe: Probe::Program(program) }
}

const fn file(name: &'static str, path: &'static str) -> Package {
    Package { name, probe: Probe::File(path) }
}

/// The packages that building the workspace needs.
pub const BUILD: &[Package] = &[
    program("gcc", "cc"),
    program("pkg-config", "pkg-config"),
    file("libkrb5-dev", "/usr/include/krb5/krb5.h"),
    file("libclang1-14", "/usr/lib/*/libclang-14.so.1"),
    file("libclang-common-14-dev", "/usr/lib/llvm-14/lib/clang/*/include/stddef.h"),
];

/// The packages that getting tickets from a test realm needs, wherever its KDC runs.
pub const KERBEROS_CLIENT: &[Package] = &[program("krb5-user", "kinit")];

/// The packages that a KDC of a test realm without a container needs.
pub const KDC: &[Package] = &[program("krb5-kdc", "krb5kdc"), program("krb5-admin-server", "kadmin.local")];

/// The packages that a KDC in a container needs when its base image has to be built here.
pub const CONTAINER: &[Package] = &[program("docker.io", "docker"), program("debootstrap", "debootstrap")];

/// The packages that the C programs in a private network need, for the interoperation tests.
///
/// These two are asked of the package database: our own programs have the same names.
pub const REFERENCE: &[Package] = &[
    file("zephyr-server-krb5", "/var/lib/dpkg/info/zephyr-server-krb5.list"),
    file("zephyr-clients", "/var/lib/dpkg/info/zephyr-clients.list"),
    program("iproute2", "ip"),
    program("util-linux", "nsenter"),
    program("mount", "mount"),
    file("netbase", "/etc/services"),
];

/// The packages that Heimdal's programs need; see [`crate::heimdal`].
pub const HEIMDAL: &[Package] = &[
    file("libgssapi3-heimdal", "/usr/lib/*/libgssapi.so.3"),
    file("libhdb9-heimdal", "/usr/lib/*/libhdb.so.9"),
    file("libkadm5clnt7-heimdal", "/usr/lib/*/libkadm5clnt.so.7"),
    file("libkadm5srv8-heimdal", "/usr/lib/*/libkadm5srv.so.8"),
    file("libkafs0-heimdal", "/usr/lib/*/libkafs.so.0"),
    file("libkdc2-heimdal", "/usr/lib/*/libkdc.so.2"),
    file("libotp0-heimdal", "/usr/lib/*/libotp.so.0"),
    file("libsl0-heimdal", "/usr/lib/*/libsl.so.0"),
];

/// The packages that tests of site setups need: to keep tickets fresh, to set clocks wrong, and to have a terminal.
pub const SITES: &[Package] = &[
    program("kstart", "k5start"),
    file("libfaketime", "/usr/lib/*/faketime/libfaketime.so.1"),
    program("tmux", "tmux"),
];

/// The packages that a real name server needs; see [`crate::name_server`].
pub const NAME_SERVER: &[Package] = &[program("bind9", "named")];

/// The packages that counting instructions needs: `cargo xtask costs`.
pub const COSTS: &[Package] = &[program("valgrind", "valgrind")];

/// The packages of `wanted` that are not installed.
pub fn missing(wanted: &[Package]) -> Vec<Package> {
    wanted.iter().copied().filter(|package| !package.probe.is_installed()).collect()
}

/// The command that installs `packages`, or nothing when there are none.
pub fn install_line(packages: &[Package]) -> Option<String> {
    if packages.is_empty() {
        return None;
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    Some(format!("apt-get install -y --no-install-recommends {}", names.join(" ")))
}

/// The path of the file that shows that the package `name` is installed.
pub fn find_file(name: &str) -> Option<PathBuf> {
    let all = [BUILD, KDC, REFERENCE, HEIMDAL, SITES, NAME_SERVER, COSTS].concat();
    let package = all.into_iter().find(|package| package.name == name)?;
    match package.probe {
        Probe::Program(program) => find_program(program),
        Probe::File(path) => find_path(path),
    }
}

fn find_path(path: &str) -> Option<PathBuf> {
    match path.split_once("/*/") {
        None => Some(PathBuf::from(path)).filter(|path| path.exists()),
        Some((before, after)) => {
            let folders = Path::new(before).read_dir().ok()?.flatten();
            folders.map(|folder| folder.path().join(after)).find(|path| path.exists())
        }
    }
}

/// The path of a program, searched in PATH and in the system directories of root's PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

impl Probe {
    fn is_installed(self) -> bool {
        match self {
            Self::Program(name) => find_program(name).is_some(),
            Self::File(path) => find_path(path).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_missing_packages_are_named() {
        let wanted = [
            program("dash", "sh"),
            program("no-such", "zephyr-no-such-program"),
            file("base-files", "/etc/*/nothing/at/all"),
            file("dpkg", "/var/*/dpkg"),
        ];
        let names: Vec<&str> = missing(&wanted).iter().map(|package| package.name).collect();
        assert_eq!(names, ["no-such", "base-files"]);
        assert_eq!(
            install_line(&missing(&wanted)).as_deref(),
            Some("apt-get install -y --no-install-recommends no-such base-files")
        );
        assert_eq!(install_line(&[]), None);
    }
}
