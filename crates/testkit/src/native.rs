//! A KDC that runs as a program of this machine.

use crate::{packages, place::Place, recipe::Recipe};
use anyhow::{Result, bail};
use std::process::Command;

/// The command that creates the realm and runs its KDC at `place`.
pub(crate) fn launch(recipe: &Recipe, place: Place) -> Result<Command> {
    let missing = packages::missing(packages::KDC);
    if let Some(line) = packages::install_line(&missing) {
        bail!("a native KDC needs packages that are missing: {line}");
    }
    let mut command = place.command("sh");
    command.arg(Recipe::folder().join("entrypoint.sh")).envs(recipe.environment());
    Ok(command)
}
