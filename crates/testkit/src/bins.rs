//! Paths of the project's own programs in the target directory of the running test.

use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
};

/// The path of our program `name`, from the same target directory and profile as the running executable.
///
/// # Errors
///
/// When it has not been built; the message says how.
pub fn path(name: &str) -> Result<PathBuf> {
    let me = env::current_exe().context("cannot tell where this executable is")?;
    beside(&me, name)
}

/// The path of the example `name` of one of our libraries, from the same target directory and profile.
///
/// # Errors
///
/// When it has not been built; the message says how.
pub fn example(name: &str) -> Result<PathBuf> {
    let me = env::current_exe().context("cannot tell where this executable is")?;
    let program = folder(&me)?.join("examples").join(name);
    if !program.is_file() {
        bail!("{} is not there: run `cargo build --workspace --examples` first", program.display());
    }
    Ok(program)
}

fn beside(executable: &Path, name: &str) -> Result<PathBuf> {
    let program = folder(executable)?.join(name);
    if !program.is_file() {
        bail!("{} is not there: run `cargo build --workspace --bins` first", program.display());
    }
    Ok(program)
}

/// The directory of the programs of the executable's profile.
fn folder(executable: &Path) -> Result<&Path> {
    let folder = executable.parent().context("this executable is in no directory")?;
    // Tests and examples are built one directory below the programs.
    if folder.ends_with("deps") || folder.ends_with("examples") {
        return folder.parent().context("no directory above that of the tests");
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn programs_are_found_beside_a_program_and_above_a_test() {
        let target = tempfile::tempdir().unwrap();
        let deps = target.path().join("deps");
        fs::create_dir(&deps).unwrap();
        fs::write(target.path().join("zhm"), "").unwrap();
        for executable in [target.path().join("xtask"), deps.join("e2e-0123")] {
            assert_eq!(beside(&executable, "zhm").unwrap(), target.path().join("zhm"));
            let missing = beside(&executable, "zephyrd").unwrap_err().to_string();
            assert!(missing.contains("cargo build --workspace --bins"), "{missing}");
        }
    }
}
