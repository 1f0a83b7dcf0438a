//! `zwgc-vectors [DIR] [--zwgc PROGRAM] [--only NAME…]`: runs the cases of a folder, the project's own by default, with our
//! windowgram client or another.

use anyhow::{Context, Result};
use clap::Parser;
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};
use zephyr_testkit::{bins, reference};
use zephyr_zwgc_vectors::{
    case::read_folder,
    difference::Differences,
    lab::{Machine, Places},
    report::{Report, only},
    trial::World,
};

/// Run cases that say what a windowgram client writes when it receives notices.
#[derive(Debug, Parser)]
#[command(name = "zwgc-vectors")]
struct Options {
    /// A folder with cases: NNN-name.json and NNN-name.desc.
    dir: Option<PathBuf>,
    /// The windowgram client, if it is not ours.
    #[arg(long, value_name = "PROGRAM")]
    zwgc: Option<PathBuf>,
    /// Only cases with these names or numbers.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// We are on the machine for the cases, and this is its folder for their home directories.
    #[arg(long, hide = true, requires = "users")]
    homes: Option<PathBuf>,
    /// The folder with the home directories of that machine's users.
    #[arg(long, hide = true)]
    users: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    match (&options.homes, &options.users) {
        (Some(homes), Some(users)) => on_machine(&options, homes, users),
        _ => with_machine(&options),
    }
}

/// Makes a machine, and runs ourselves there.
fn with_machine(options: &Options) -> Result<ExitCode> {
    only(read_folder(&options.folder())?, &options.only)?;
    Differences::own()?;
    reference::available()?;
    let machine = Machine::start()?;
    if options.zwgc.is_none() {
        machine.remove_packaged_description()?;
    }
    let Places { homes, users } = machine.places();
    let mut arguments = vec![OsString::from("--homes"), homes.into(), "--users".into(), users.into()];
    // The machine's working directory is another one.
    if let Some(program) = &options.zwgc {
        arguments.extend(["--zwgc".into(), std::path::absolute(program)?.into()]);
    }
    arguments.push(std::path::absolute(options.folder())?.into());
    for name in &options.only {
        arguments.extend(["--only".into(), name.into()]);
    }
    let status = machine.run(&env::current_exe()?, &arguments)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the cases.
fn on_machine(options: &Options, homes: &Path, users: &Path) -> Result<ExitCode> {
    let (program, differences) = match &options.zwgc {
        Some(program) => (program.clone(), Differences::default()),
        None => (bins::path("zwgc")?, Differences::own()?),
    };
    let krb5_config = env::var_os("KRB5_CONFIG").context("KRB5_CONFIG is not set")?;
    let world = World::new(program, homes.to_owned(), users.to_owned(), krb5_config)?;
    let files = only(read_folder(&options.folder())?, &options.only)?;
    let report = Report::make(&files, &world, &differences);
    println!("{report}");
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")))
    }
}
