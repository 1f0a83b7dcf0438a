//! The file of state dumps: whether it can be written, and writing it.

use crate::{own_folder, private_file, problem::Problem, settings::Server};
use std::{io, path::Path};

/// Writes a dump. The folder is made when only that one is missing.
pub(super) fn write(path: &Path, dump: &str) -> io::Result<()> {
    private_file::make_folder(path)?;
    own_folder::check(path)?;
    private_file::write(path, dump.as_bytes())
}

/// Warns of a dump that could not be written. The usual folder may be missing: the unit makes it.
pub(super) fn examine(path: &Path) -> Option<Problem> {
    if !own_folder::folder_of(path).exists() && path == Server::default().dump_file {
        return None;
    }
    let error = own_folder::check_writable(path).err()?;
    Some(Problem::of_machine(format!("the state cannot be dumped to {}: {error}", path.display())))
}
