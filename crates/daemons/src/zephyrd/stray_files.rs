//! Files in the configuration folder whose names are nearly those of files that are read. Nobody reads them, and whoever
//! wrote one thinks that it holds: an `opstaf.acl` makes nobody an operator, an `xmt_secret.acl` closes no class.

use crate::problem::Problem;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zephyr_config::reader::{is_slip, nearest};
use zephyr_engine::server::acl::Act;

/// The folder of access control lists, in the configuration folder.
const ACL_FOLDER: &str = "acl";
/// What ends the name of a list.
const SUFFIX: &str = ".acl";
/// The files in the folder of access control lists, but for those of classes.
const ACL_FILES: [&str; 2] = ["class-registry.acl", "opstaff.acl"];
/// What is in the configuration folder.
const FILES: [&str; 7] =
    ["default.subscriptions", "krb5.keytab", "policy.toml", "realm.list", "server.list", "zephyr.toml", ACL_FOLDER];
/// What ends the names of copies that editors, packages and people keep on purpose.
const BACKUPS: [&str; 17] = [
    "augnew", "augsave", "bak", "backup", "disabled", "dist", "example", "new", "off", "old", "orig", "pacnew",
    "pacsave", "sample", "save", "swp", "tmp",
];
/// What begins the ends of such names: `.dpkg-old`, `.rpmnew`.
const BACKUPS_OF_PACKAGES: [&str; 3] = ["dpkg-", "rpm", "ucf-"];
/// What people give a file of settings for an ending, or an editor on its own.
const ENDINGS: [&str; 10] = ["cfg", "conf", "config", "ini", "json", "text", "toml", "txt", "yaml", "yml"];
/// Names looked at in a folder, at most.
const MAX_NAMES: usize = 50_000;

/// Warnings about the names in a configuration folder and its folder of access control lists. Backups of editors and
/// packages are no slips.
pub(super) fn warnings(config_dir: &Path) -> Vec<Problem> {
    let lists = config_dir.join(ACL_FOLDER);
    let here = names_in(config_dir).into_iter().filter_map(|name| about(config_dir, &name, suspect(&name)));
    let there = names_in(&lists).into_iter().filter_map(|name| about(&lists, &name, suspect_there(&name)));
    let mut warnings: Vec<Problem> = here.chain(there).collect();
    warnings.sort();
    warnings
}

fn about(folder: &Path, name: &str, suspicion: Option<String>) -> Option<Problem> {
    if is_backup(name) {
        return None;
    }
    let file: PathBuf = folder.join(name);
    suspicion.map(|suspicion| Problem::whole_file(&file, format!("not read; {suspicion}")))
}

/// Whether an editor, a package manager or somebody who keeps an old state leaves files of this name: `opstaff.acl~`,
/// `.opstaff.acl.swp`, `opstaff.acl.dpkg-old`, `policy.toml.2026-11-27`.
fn is_backup(name: &str) -> bool {
    let of_copy = |ending: &str| {
        BACKUPS.contains(&ending)
            || BACKUPS_OF_PACKAGES.iter().any(|package| ending.starts_with(package))
            || ending.chars().all(|character| character.is_ascii_digit() || character == '-')
    };
    name.starts_with(['.', '#'])
        || name.ends_with('~')
        || name.rsplit_once('.').is_some_and(|(_, ending)| of_copy(&ending.to_ascii_lowercase()))
}

/// What a name in the configuration folder may have been meant to be, if it is not read.
fn suspect(name: &str) -> Option<String> {
    if FILES.contains(&name) {
        return None;
    }
    if suspect_list(name).is_some() || is_list(name) {
        return Some(format!("did you mean it for the folder {ACL_FOLDER}?"));
    }
    let lower = name.to_ascii_lowercase();
    let near = FILES.into_iter().find(|known| *known == lower || is_slip(known, &lower));
    Some(format!("did you mean {}?", near.or_else(|| with_other_ending(&lower))?))
}

/// The file of the configuration folder that this name is but for its ending: `policy.toml.txt`, `policy.conf`, `policies`,
/// `acl.d`.
fn with_other_ending(lower: &str) -> Option<&'static str> {
    let (stem, ending) = lower.rsplit_once('.').unwrap_or((lower, ""));
    let of_settings = ending.is_empty() || ENDINGS.contains(&ending);
    match stem {
        "policy" | "policies" if of_settings => Some("policy.toml"),
        "zephyr" | "zephyrd" if of_settings && !ending.is_empty() => Some("zephyr.toml"),
        "acl" | "acls" if ["", "d"].contains(&ending) => Some(ACL_FOLDER),
        stem => FILES.into_iter().find(|known| *known == stem && *known != ACL_FOLDER),
    }
}

/// As [`suspect`], in the folder of access control lists.
fn suspect_there(name: &str) -> Option<String> {
    if FILES.contains(&name) {
        return Some("did you mean it for the folder above?".to_owned());
    }
    suspect_list(name)
}

/// What a name may have been meant to be that is no list's, if it looks like one.
fn suspect_list(name: &str) -> Option<String> {
    if is_list(name) {
        return None;
    }
    if let Some((stem, ending)) = name.rsplit_once('.') {
        if is_list(stem) {
            return Some(format!("did you mean {stem}?"));
        }
        // A class may well have a dot in its name, but none is called so.
        if ["text", "txt"].contains(&&*ending.to_ascii_lowercase()) {
            return suspect_list(stem);
        }
    }
    let lower = name.to_ascii_lowercase();
    let whole = if lower.ends_with(SUFFIX) { lower } else { lower + SUFFIX };
    if let Some(known) = ACL_FILES.into_iter().find(|known| *known == whole || is_slip(known, &whole)) {
        return Some(format!("did you mean {known}?"));
    }
    if is_list(&whole) {
        // The class is spelled as the registry has it.
        let stem = name.get(..whole.len() - SUFFIX.len()).unwrap_or(name);
        let (act, class) = stem.split_once('-').unwrap_or((stem, ""));
        return Some(format!("did you mean {}-{class}{SUFFIX}?", act.to_ascii_lowercase()));
    }
    if !name.ends_with(SUFFIX) {
        return None;
    }
    let of_class = "the list of a class is xmt-CLASS.acl, sub-CLASS.acl, iws-CLASS.acl or iui-CLASS.acl";
    Some(
        nearest(ACL_FILES, &whole)
            .map_or_else(|| of_class.to_owned(), |near| format!("did you mean {near}? And {of_class}")),
    )
}

/// Whether a file of this name in the folder of access control lists has a meaning.
fn is_list(name: &str) -> bool {
    let act_of =
        |stem: &str| Act::ALL.iter().any(|act| stem.strip_prefix(act.name()).is_some_and(|rest| rest.starts_with('-')));
    ACL_FILES.contains(&name) || name.strip_suffix(SUFFIX).is_some_and(act_of)
}

/// The names in a folder; of one that cannot be read, none: who reads its files says so.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(MAX_NAMES);
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_named_and_backups_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("acl")).unwrap();
        for fine in [
            "zephyr.toml",
            "policy.toml",
            "policy.toml~",
            "policy.toml.dpkg-old",
            "krb5.conf",
            "server.list",
            "realm.list",
            "README",
            "acl/README",
            "acl/opstaff.acl",
            "acl/.opstaff.acl.swp",
            "acl/opstaff.acl~",
            "acl/xmt-thing.acl~",
            "acl/xmt-thing.acl.dpkg-new",
            "acl/xmt-Some-thing.acl",
            "acl/sub-.acl",
            "policy.toml.bak",
            "policy.toml.2026-11-27",
            "zephyr.toml.rpmnew",
            "acl.old/opstaff.acl",
            "krb5.keytab.new",
            "acl/notes.txt",
            "acl/opstaff.acl.orig",
            "acl/xmt-thing.acl.save",
        ] {
            fs::create_dir_all(folder.path().join(fine).parent().unwrap()).unwrap();
            fs::write(folder.path().join(fine), "").unwrap();
        }
        assert_eq!(warnings(folder.path()), []);
        let of_class = "the list of a class is xmt-CLASS.acl, sub-CLASS.acl, iws-CLASS.acl or iui-CLASS.acl";
        for (name, hint) in [
            ("acl/opstaf.acl", "did you mean opstaff.acl?"),
            ("acl/opstaff", "did you mean opstaff.acl?"),
            ("acl/OPSTAFF.ACL", "did you mean opstaff.acl?"),
            ("acl/class-registy.acl", "did you mean class-registry.acl?"),
            ("acl/Class-Registry.acl", "did you mean class-registry.acl?"),
            ("acl/xmt-Secret", "did you mean xmt-Secret.acl?"),
            ("acl/XMT-Secret.acl", "did you mean xmt-Secret.acl?"),
            ("acl/xmt_secret.acl", of_class),
            ("acl/secret.acl", of_class),
            ("policy.tml", "did you mean policy.toml?"),
            ("Zephyr.toml", "did you mean zephyr.toml?"),
            ("default.subscription", "did you mean default.subscriptions?"),
            ("krb5.keytb", "did you mean krb5.keytab?"),
            ("opstaff.acl", "did you mean it for the folder acl?"),
            ("xmt-secret.acl", "did you mean it for the folder acl?"),
            ("xmt-secret.acl.txt", "did you mean it for the folder acl?"),
            ("acl/xmt-secret.acl.txt", "did you mean xmt-secret.acl?"),
            ("acl/xmt-secret.txt", "did you mean xmt-secret.acl?"),
            ("acl/class-registry.acl.txt", "did you mean class-registry.acl?"),
            ("acl/opstaff.acl.TXT", "did you mean opstaff.acl?"),
            ("acl/opstaff.txt", "did you mean opstaff.acl?"),
            ("acl/policy.toml", "did you mean it for the folder above?"),
            ("acl/default.subscriptions", "did you mean it for the folder above?"),
            ("policy.toml.txt", "did you mean policy.toml?"),
            ("zephyr.toml.txt", "did you mean zephyr.toml?"),
            ("default.subscriptions.txt", "did you mean default.subscriptions?"),
            ("policies.toml", "did you mean policy.toml?"),
            ("policy.conf", "did you mean policy.toml?"),
            ("policy", "did you mean policy.toml?"),
            ("zephyrd.conf", "did you mean zephyr.toml?"),
            ("acls", "did you mean acl?"),
            ("acl.d", "did you mean acl?"),
            ("realms.list", "did you mean realm.list?"),
            ("Realm.list", "did you mean realm.list?"),
            ("realm.lst", "did you mean realm.list?"),
            ("realm.list.txt", "did you mean realm.list?"),
            ("acl/realm.list", "did you mean it for the folder above?"),
            ("ACL", "did you mean acl?"),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, "").unwrap();
            assert_eq!(warnings(folder.path()), [Problem::whole_file(&file, format!("not read; {hint}"))], "{name}");
            fs::remove_file(file).unwrap();
        }
    }
}
