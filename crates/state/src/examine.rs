//! Looking at a state file, whether or not a server uses it.

use crate::{
    StateError, file,
    octets::number,
    schema::{self, ELEMENTS},
    store,
};
use rusqlite::{Connection, OpenFlags};
use std::{path::Path, time::SystemTime};
use zephyr_engine::server::ServerId;

/// What is found in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its version.
    pub version: i64,
    /// The realm of the server whose state it is.
    pub realm: String,
    /// The identity of the state.
    pub id: ServerId,
    /// Whether the server ended in order.
    pub is_complete: bool,
    /// When the server lived last.
    pub heartbeat: Option<SystemTime>,
    /// How much there is of everything, by its name.
    pub counts: Vec<(&'static str, u64)>,
}

/// Opens a file to read it. Nothing of it is changed.
///
/// # Errors
///
/// When it is not there, another program's, or of another version.
pub(crate) fn open(path: &Path) -> Result<Connection, StateError> {
    if !file::look(path)? {
        return Err(std::io::Error::from(nix::Error::ENOENT).into());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path.canonicalize()?, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    match schema::version(&connection)? {
        None => Err(StateError::Foreign),
        Some(_) => Ok(connection),
    }
}

/// Reads what a file says of itself, and counts what is in it.
///
/// # Errors
///
/// When it cannot be read, or is none.
pub fn look(path: &Path) -> Result<Examined, StateError> {
    of(&open(path)?)
}

/// As [`look`], after every page was looked at: `progress` is called now and then, and ends it with false.
///
/// # Errors
///
/// As [`look`], and when a page is damaged.
pub fn check(path: &Path, progress: impl Fn() -> bool + Send + 'static) -> Result<Examined, StateError> {
    let mut connection = open(path)?;
    // Each call is after so many steps of SQLite's.
    connection.progress_handler(1_000_000, Some(move || !progress()))?;
    let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    if found != ["ok"] {
        return Err(StateError::Broken(found.join("; ")));
    }
    of(&connection)
}

fn of(connection: &Connection) -> Result<Examined, StateError> {
    let count = |&(table, name): &(&str, &'static str)| {
        let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok((name, number(count)))
    };
    Ok(Examined {
        version: schema::version(connection)?.unwrap_or_default(),
        realm: store::get(connection, "realm")?.unwrap_or_default(),
        id: ServerId(number(store::get(connection, "server")?.unwrap_or_default())),
        is_complete: store::get(connection, "clean")?.unwrap_or(false),
        heartbeat: store::heartbeat(connection)?,
        counts: ELEMENTS.iter().map(count).collect::<Result<_, StateError>>()?,
    })
}

/// Whether a server uses a file.
pub fn is_in_use(path: &Path) -> bool {
    file::is_in_use(path)
}
