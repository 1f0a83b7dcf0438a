//! `zephyrctl state`: looking at the file that a server keeps its state in, and moving what is in it.

use super::{
    Outcome,
    options::{Options, StateVerb},
    print, print_json,
};
use crate::{admin_protocol::Answer, own_folder, plural, settings::ServerSettings, users};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, IsTerminal as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::UNIX_EPOCH,
};
use zephyr_config::system_text;
use zephyr_core::sanitize;
use zephyr_engine::server::ServerId;
use zephyr_output::{Output, complain};
use zephyr_state::{
    StateError, examine,
    export::{self, SealedKeys},
};

/// The name of standard input and output.
const STANDARD: &str = "-";
/// Elements, and steps of a check, between two lines about how far it is.
const PER_LINE: u64 = 100_000;
/// Steps of a check, of a million instructions of SQLite's each, between two lines.
const STEPS_PER_LINE: u64 = 500;

/// What a check has found.
#[derive(Serialize)]
struct Found {
    file: String,
    version: i64,
    realm: String,
    id: String,
    in_use: bool,
    complete: bool,
    /// Seconds since 1970.
    heartbeat: Option<u64>,
    holds: BTreeMap<&'static str, u64>,
}

pub(super) fn run(options: &Options, verb: &StateVerb) -> Outcome {
    let (StateVerb::Check { file } | StateVerb::Export { file, .. } | StateVerb::Import { file, .. }) = verb;
    let Some(path) = file.clone().or_else(|| of_settings(options)) else {
        return refuse(options, "the settings keep no state: name a file with --file".to_owned());
    };
    let done = match verb {
        StateVerb::Check { .. } => check(options, &path),
        StateVerb::Export { keys, to, .. } => export(options, &path, *keys, to.as_deref()),
        StateVerb::Import { from, .. } => import(options, &path, from),
    };
    done.unwrap_or_else(|why| refuse(options, why))
}

fn refuse(options: &Options, why: String) -> Outcome {
    if options.json {
        return print_json(&Answer::Refused(why), Outcome::Problem);
    }
    complain!("zephyrctl: {}", sanitize::name(why.as_bytes()));
    Outcome::Problem
}

/// An error, and which file it is of: the state's, or that of the lines.
fn of(path: &Path, lines: &Path, error: &StateError) -> String {
    let file = if error.is_of_lines() { lines } else { path };
    if file == Path::new(STANDARD) {
        return format!("standard {}: {error}", if matches!(error, StateError::Out(_)) { "output" } else { "input" });
    }
    format!("{}: {error}", file.display())
}

/// Says that it is done.
fn done(options: &Options, what: &str, count: u64, text: &str) -> Outcome {
    if options.json {
        return print_json(&BTreeMap::from([(what, count)]), Outcome::Done);
    }
    print(&format!("{} {what} {text}\n", elements(count)), Outcome::Done)
}

fn elements(count: u64) -> String {
    plural::count(usize::try_from(count).unwrap_or(usize::MAX), "element")
}

fn of_settings(options: &Options) -> Option<PathBuf> {
    // A broken file is for `check` to complain about.
    ServerSettings::load_in_part(&options.config_dir).0.state.file
}

fn check(options: &Options, path: &Path) -> Result<Outcome, String> {
    let steps = AtomicU64::new(0);
    let progress = move || {
        let steps = steps.fetch_add(1, Ordering::Relaxed) + 1;
        if steps.is_multiple_of(STEPS_PER_LINE) {
            say("still looking at every page");
        }
        true
    };
    let found = examine::check(path, progress).map_err(|error| of(path, path, &error))?;
    let found = Found {
        file: path.display().to_string(),
        version: found.version,
        realm: found.realm,
        id: found.id.to_string(),
        in_use: examine::is_in_use(path),
        complete: found.is_complete,
        heartbeat: found.heartbeat.map(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()),
        holds: found.counts.into_iter().collect(),
    };
    if options.json {
        return Ok(print_json(&found, Outcome::Done));
    }
    let how = match (found.in_use, found.complete) {
        (true, _) => "a server uses it",
        (false, true) => "its server has ended in order",
        (false, false) => "its server has not ended in order",
    };
    let mut text = format!(
        "{}: no damage; version {}, realm {}, {how}\n",
        found.file,
        found.version,
        sanitize::name(found.realm.as_bytes())
    );
    let width = found.holds.keys().map(|name| name.len()).max().unwrap_or_default();
    for (name, count) in &found.holds {
        text += &format!("  {name:<width$}  {count}\n");
    }
    Ok(print(&text, Outcome::Done))
}

fn export(options: &Options, path: &Path, with_keys: bool, to: Option<&Path>) -> Result<Outcome, String> {
    let keys = if with_keys { SealedKeys::With } else { SealedKeys::Without };
    let Some(to) = to else {
        let mut out = BufWriter::new(Output::stdout());
        let count = export::export(path, keys, &mut out, tell_of);
        let count = count.map_err(|error| of(path, Path::new(STANDARD), &error))?;
        let out = out.into_inner().map_err(|error| system_text(error.error()))?;
        // Who has closed the pipe has seen enough.
        if let Err(error) = out.finish() {
            return Err(error.to_string());
        }
        complain!("zephyrctl: {} exported", elements(count));
        return Ok(Outcome::Done);
    };
    let why = |error: io::Error| of(path, to, &StateError::Out(error));
    let new = crate::private_file::create_new(to).map_err(why)?;
    let written = export::export(path, keys, &mut BufWriter::new(&new), tell_of).map_err(|error| of(path, to, &error));
    let written = written.and_then(|count| new.sync_all().map(|()| count).map_err(why));
    if written.is_err() {
        // Half of it is of no use.
        let _ = fs::remove_file(to);
    }
    Ok(done(options, "exported", written?, &format!("to {}", to.display())))
}

fn import(options: &Options, path: &Path, from: &Path) -> Result<Outcome, String> {
    // While root is still root: its backups are its own.
    let why = |error: io::Error| of(path, from, &StateError::Lines(error));
    let lines: Box<dyn BufRead> = if from == Path::new(STANDARD) {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(from).map_err(why)?))
    };
    let mut id = [0; 8];
    SystemRandom::new().fill(&mut id).map_err(|_| "the system has no random octets".to_owned())?;
    let id = ServerId(u64::from_be_bytes(id));
    // Root makes it for the server, whose folder it is in.
    let folder = own_folder::folder_of(path);
    let why = |error: io::Error| format!("the folder {}: {}", folder.display(), system_text(&error));
    fs::metadata(&folder).and_then(|about| users::become_owner(&about)).map_err(why)?;
    own_folder::check(path).map_err(|error| format!("{}: {}", path.display(), system_text(&error)))?;
    let count = export::import(path, id, lines, tell_of).map_err(|error| of(path, from, &error))?;
    Ok(done(options, "imported", count, &format!("into {}", path.display())))
}

fn tell_of(count: u64) {
    if count.is_multiple_of(PER_LINE) {
        say(&format!("{count} elements so far"));
    }
}

/// Says how far it is to whoever looks at a terminal.
fn say(text: &str) {
    if io::stderr().is_terminal() {
        complain!("zephyrctl: {text}");
    }
}
