//! The Debian packages that building and testing need, and which of them are missing.
//!
//! A package is looked for by a file that it brings, so that the same programs from another source
//! count as well.

use std::{
    env,
    path::{Path, PathBuf},
};

/// One Debian package and how to see that what we want of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Name for `apt-get install`.
    pub name: &'static str,
    /// What shows that it is installed.
    pub probe: Probe,
}

/// Something a package brings.
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

/// To build the workspace.
pub const BUILD: &[Package] = &[
    program("gcc", "cc"),
    program("pkg-config", "pkg-config"),
    file("libkrb5-dev", "/usr/include/krb5/krb5.h"),
    file("libclang1-14", "/usr/lib/*/libclang-14.so.1"),
    file("libclang-common-14-dev", "/usr/lib/llvm-14/lib/clang/*/include/stddef.h"),
];

/// To get tickets from a test realm, wherever its KDC runs.
pub const KERBEROS_CLIENT: &[Package] = &[program("krb5-user", "kinit")];

/// To run the KDC of a test realm without a container.
pub const KDC: &[Package] = &[program("krb5-kdc", "krb5kdc"), program("krb5-admin-server", "kadmin.local")];

/// To run the KDC in a container whose base image has to be made on the spot.
pub const CONTAINER: &[Package] = &[program("docker.io", "docker"), program("debootstrap", "debootstrap")];

/// To run the C programs in a private network, for the interoperation tests.
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

/// What Heimdal's programs need to run; see [`crate::heimdal`].
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

/// What sites run Zephyr's programs with: tickets that are kept fresh; and clocks that are wrong.
pub const SITES: &[Package] =
    &[program("kstart", "k5start"), file("libfaketime", "/usr/lib/*/faketime/libfaketime.so.1")];

/// Those of `wanted` that are not installed.
pub fn missing(wanted: &[Package]) -> Vec<Package> {
    wanted.iter().copied().filter(|package| !package.probe.is_there()).collect()
}

/// The command that installs `packages`, or nothing when there are none.
pub fn install_line(packages: &[Package]) -> Option<String> {
    if packages.is_empty() {
        return None;
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name).collect();
    Some(format!("apt-get install -y --no-install-recommends {}", names.join(" ")))
}

/// Where the file of one of these packages is that is looked for by `name`.
pub fn find_file(name: &str) -> Option<PathBuf> {
    let all = [BUILD, KDC, REFERENCE, HEIMDAL, SITES].concat();
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

/// Where a program is, looking also where only root's PATH leads.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

impl Probe {
    fn is_there(self) -> bool {
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
    fn names_exactly_what_is_missing() {
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
