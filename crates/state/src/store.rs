//! A state file that is open: what a server knows is written to it, and read from it at its start.

use crate::{
    StateError, file,
    load::{self, Kept},
    octets::{of_number, of_time, time},
    schema,
    sealing::{self, SALT_LEN, Sealing},
    write::Writer,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ToSql, TransactionBehavior, types::FromSql};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use zephyr_core::auth::{Service, StorageKey};
use zephyr_engine::server::{Changed, Horizon, KeptDelivery, ServerId, Stamp};

/// How long to wait for somebody who looks at the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of authenticators in a file. Beyond, those that would end first are forgotten.
const MAX_AUTHENTICATORS: i64 = 524_288;
/// How far ahead of the clock a time may be that was written down: clients' clocks may be, by the skew that Kerberos allows.
const MAX_AHEAD: Duration = Duration::from_secs(600);
/// What may have been used after the last heartbeat before a power cut.
const UNKNOWN_AFTER_HEARTBEAT: Duration = Duration::from_secs(2);
/// Where Linux tells which run of the machine this is.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// Keys that are sealed anew in one transaction.
const KEYS_PER_TRANSACTION: usize = 1000;

/// Whose state a file keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The realm that the server serves.
    pub realm: String,
    /// The identity for a file that is new.
    pub new_id: ServerId,
}

/// What a server keeps at its end beside its state.
#[derive(Debug, Default)]
pub struct Rest {
    /// Up to when authenticators that are not remembered are refused.
    pub horizons: Vec<Horizon>,
    /// Packets that wait for their acknowledgements.
    pub deliveries: Vec<KeptDelivery>,
}

/// An open state file.
pub struct Store {
    // Dropped before the lock: to close a file ends the locks that SQLite has on it.
    connection: Connection,
    sealing: Sealing,
    salt: [u8; SALT_LEN],
    id: ServerId,
    path: PathBuf,
    horizon: SystemTime,
    in_use: file::InUse,
}

/// How often a file was written, and how many of its keys could be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Keys that are sealed with the newest storage key now, and were not.
    pub done: usize,
    /// Keys that no storage key opens.
    pub lost: usize,
}

impl Store {
    /// Opens a state file, or makes one. An earlier version is upgraded.
    ///
    /// # Errors
    ///
    /// When it is another program's, another realm's, of a newer version, in use or damaged, or cannot be written to.
    pub fn open(path: &Path, owner: &Owner, keys: &[StorageKey]) -> Result<Self, StateError> {
        let in_use = file::take(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        // Links among the folders that lead there are the machine's own matter.
        let canonical = path.canonicalize()?;
        let mut connection = Connection::open_with_flags(canonical, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        schema::version(&connection)?;
        check_quickly(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // A log that has become long once is cut.
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        schema::upgrade(&mut connection)?;
        let realm = get(&connection, "realm")?.unwrap_or_else(|| owner.realm.clone());
        if realm != owner.realm {
            return Err(StateError::OtherRealm(realm));
        }
        // Another one at each start: what was told last may not be here.
        let id = owner.new_id;
        let salt: Option<Vec<u8>> = get(&connection, "salt")?;
        let salt = match salt.and_then(|salt| salt.try_into().ok()) {
            Some(salt) => salt,
            None => sealing::new_salt().ok_or_else(|| StateError::Broken("no random octets".to_owned()))?,
        };
        let first = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        set(&first, "realm", &realm)?;
        set(&first, "server", &of_number(id.0))?;
        set(&first, "salt", &&salt[..])?;
        first.commit()?;
        let horizon = horizon(&connection, in_use.was_out)?;
        let (sealing, path) = (Sealing::new(keys, &salt), path.to_owned());
        Ok(Self { connection, sealing, salt, id, path, horizon, in_use })
    }

    /// As [`open`](Self::open); but a damaged file is moved aside, and a new one made. Gives also what was wrong.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for damage.
    pub fn open_or_replace(
        path: &Path,
        owner: &Owner,
        keys: &[StorageKey],
    ) -> Result<(Self, Option<StateError>), StateError> {
        match Self::open(path, owner, keys) {
            Err(error) if error.is_damage() => {
                let moved = StateError::MovedAside { why: error.to_string(), to: file::move_aside(path)? };
                Ok((Self::open(path, owner, keys)?, Some(moved)))
            }
            store => store.map(|store| (store, None)),
        }
    }

    /// Removes the file, with those beside it. Nobody else can use it before it is gone.
    pub(crate) fn discard(self) {
        let Self { connection, path, in_use, .. } = self;
        drop(connection);
        for name in file::names(&path) {
            // What cannot be removed is empty.
            let _ = std::fs::remove_file(name);
        }
        drop(in_use);
    }

    /// The identity of the server that writes now.
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that the file has; sessions are made from their keys by `service`.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn load(&self, service: &dyn Service) -> Result<Kept, StateError> {
        load::load(&self.connection, &self.sealing, service, self.horizon)
    }

    /// The file is in use by a server that runs: until it ends in order, what it knew last may be missing.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin(&mut self, now: SystemTime) -> Result<(), StateError> {
        let horizon = self.horizon;
        self.in_transaction(Durable::Yes, |transaction, _| {
            set(transaction, "clean", &false)?;
            set(transaction, "boot", &boot())?;
            set(transaction, "forgotten", &of_time(horizon))?;
            set(transaction, "heartbeat", &of_time(now))?;
            transaction.execute_batch("DELETE FROM deliveries; DELETE FROM horizons")?;
            Ok(())
        })
    }

    /// Not all that the server knows is in the file from now on.
    pub(crate) fn is_out(&self) {
        self.in_use.mark(file::Mark::Out);
    }

    /// Writes changes, the oldest first: all of them, or none. They are there whatever becomes of this process, and after a
    /// power cut if [`heartbeat`](Self::heartbeat) has followed.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn write(&mut self, changes: &[Changed]) -> Result<(), StateError> {
        let id = self.id;
        self.in_transaction(Durable::Later, |_, writer| write_all(writer, changes, id))
    }

    /// Writes all of the state in the place of what there is.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what there was is still there then.
    pub fn replace(&mut self, snapshot: &[Changed]) -> Result<(), StateError> {
        let id = self.id;
        self.in_transaction(Durable::Yes, |transaction, writer| {
            for (table, _) in schema::ELEMENTS {
                transaction.execute_batch(&format!("DELETE FROM {table}"))?;
            }
            transaction.execute_batch("DELETE FROM versions")?;
            write_all(writer, snapshot, id)
        })?;
        self.in_use.mark(file::Mark::Kept);
        Ok(())
    }

    /// Fills a file without elements: with all of it, or nothing.
    ///
    /// # Errors
    ///
    /// When there are elements already, and as `fill` says.
    pub(crate) fn fill(&mut self, fill: impl FnOnce(&Connection) -> Result<(), StateError>) -> Result<(), StateError> {
        self.in_transaction(Durable::Yes, |transaction, _| {
            for (table, _) in schema::ELEMENTS {
                let any = format!("SELECT EXISTS (SELECT 1 FROM {table})");
                if transaction.query_row(&any, [], |row| row.get(0))? {
                    return Err(StateError::NotEmpty);
                }
            }
            transaction.execute_batch("DELETE FROM versions; DELETE FROM horizons")?;
            fill(transaction)
        })
    }

    /// The server lives at this moment: all that was written before outlasts a power cut from now on. Authenticators that
    /// have ended are forgotten.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn heartbeat(&mut self, now: SystemTime) -> Result<(), StateError> {
        self.check_place()?;
        self.in_transaction(Durable::Yes, |transaction, _| {
            set(transaction, "heartbeat", &of_time(now))?;
            transaction.execute("DELETE FROM authenticators WHERE ends < ?", [of_time(now)])?;
            Ok(())
        })
    }

    /// What is written is lost when the file has no name any more.
    fn check_place(&self) -> Result<(), StateError> {
        if self.in_use.is_at(&self.path) { Ok(()) } else { Err(StateError::Gone) }
    }

    /// Forgets authenticators of which there are too many; gives how many. What is forgotten is refused after the next start.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn tidy(&mut self) -> Result<usize, StateError> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM authenticators", [], |row| row.get(0))?;
        let beyond = count - MAX_AUTHENTICATORS;
        if beyond <= 0 {
            return Ok(0);
        }
        self.in_transaction(Durable::Later, |transaction, _| {
            let oldest = "SELECT authenticator FROM authenticators ORDER BY ends LIMIT ?";
            let made: Option<i64> = transaction.query_row(
                &format!("SELECT max(coalesce(made, time)) FROM authenticators WHERE authenticator IN ({oldest})"),
                [beyond],
                |row| row.get(0),
            )?;
            let known: Option<i64> = get(transaction, "forgotten")?;
            set(transaction, "forgotten", &made.max(known))?;
            let forgotten = format!("DELETE FROM authenticators WHERE authenticator IN ({oldest})");
            Ok(transaction.execute(&forgotten, [beyond])?)
        })
    }

    /// The server ends in order: nothing is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn end(&mut self, now: SystemTime, rest: &Rest) -> Result<(), StateError> {
        self.check_place()?;
        self.in_transaction(Durable::Yes, |transaction, writer| {
            transaction.execute_batch("DELETE FROM deliveries; DELETE FROM horizons")?;
            rest.horizons.iter().try_for_each(|horizon| writer.horizon(horizon))?;
            rest.deliveries.iter().try_for_each(|delivery| writer.delivery(delivery))?;
            set(transaction, "heartbeat", &of_time(now))?;
            set(transaction, "clean", &true)
        })?;
        // All into the file itself: so it can be copied without those beside it.
        self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").or_else(|error| match error {
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            error => Err(error.into()),
        })
    }

    /// Seals session keys with other storage keys from now on, and those that are there with the newest of them.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn reseal(&mut self, keys: &[StorageKey]) -> Result<Resealed, StateError> {
        self.sealing = Sealing::new(keys, &self.salt);
        let mut resealed = Resealed::default();
        let mut after = Vec::new();
        while let Some(last) = self.reseal_some(&after, &mut resealed)? {
            after = last;
        }
        Ok(resealed)
    }

    /// Seals some keys anew, of clients behind this one; gives the last of them.
    fn reseal_some(&mut self, after: &[u8], resealed: &mut Resealed) -> Result<Option<Vec<u8>>, StateError> {
        let Some(newest) = self.sealing.newest().map(str::to_owned) else { return Ok(None) };
        let rows = load::sealed_otherwise(&self.connection, &newest, after, KEYS_PER_TRANSACTION)?;
        let last = rows.last().map(|row| row.address.clone());
        let sealing = &self.sealing;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for row in rows {
            let opened = sealing.open(&row.label, &row.key, &row.bound_to);
            let Some(sealed) = opened.and_then(|key| sealing.seal(&key, &row.bound_to)) else {
                resealed.lost += 1;
                continue;
            };
            resealed.done += 1;
            transaction.execute(
                "UPDATE clients SET label = ?, key = ? WHERE address = ?",
                (sealed.label, sealed.octets, row.address),
            )?;
        }
        transaction.commit()?;
        Ok(last)
    }

    fn in_transaction<T>(
        &mut self,
        durable: Durable,
        work: impl FnOnce(&Connection, &mut Writer<'_>) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        if durable == Durable::Yes {
            self.connection.pragma_update(None, "synchronous", "FULL")?;
        }
        let done = commit(&mut self.connection, &self.sealing, work);
        if durable == Durable::Yes {
            self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        done
    }
}

/// When what is written outlasts a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    Yes,
    Later,
}

fn commit<T>(
    connection: &mut Connection,
    sealing: &Sealing,
    work: impl FnOnce(&Connection, &mut Writer<'_>) -> Result<T, StateError>,
) -> Result<T, StateError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction, &mut Writer::new(&transaction, sealing))?;
    transaction.commit()?;
    Ok(done)
}

fn write_all(writer: &mut Writer<'_>, changes: &[Changed], own: ServerId) -> Result<(), StateError> {
    changes.iter().try_for_each(|changed| writer.change(changed))?;
    // What a server changes itself it knows.
    let last: Option<Stamp> = changes.iter().map(|changed| changed.stamp).filter(|it| it.server == own).max();
    last.map_or(Ok(()), |last| writer.known(last))
}

/// Looks at the file as far as that is quickly done: a damaged page is found at the latest when it is read.
fn check_quickly(connection: &Connection) -> Result<(), StateError> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(())
}

/// A value of the file as a whole.
pub(crate) fn get<T: FromSql>(connection: &Connection, name: &str) -> Result<Option<T>, StateError> {
    let value = connection.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()?;
    Ok(value.flatten())
}

pub(crate) fn set(connection: &Connection, name: &str, value: &dyn ToSql) -> Result<(), StateError> {
    connection.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))?;
    Ok(())
}

/// Authenticators that were made until then, and are not in the file, may have been used.
///
/// What a process has written is there whatever becomes of it. A machine that ends may lose what came after the last
/// heartbeat; and a server that could write nothing has lost all that it did then.
fn horizon(connection: &Connection, was_out: bool) -> Result<SystemTime, StateError> {
    let now = SystemTime::now();
    let forgotten = believable(get(connection, "forgotten")?.map_or(SystemTime::UNIX_EPOCH, time), now);
    let Some(heartbeat) = heartbeat(connection)? else { return Ok(now) };
    if get(connection, "clean")?.unwrap_or(false) {
        return Ok(forgotten);
    }
    if was_out {
        return Ok(now);
    }
    let written_in = get::<String>(connection, "boot")?;
    let same_boot = written_in.is_some() && written_in == boot();
    Ok(if same_boot { forgotten } else { forgotten.max(believable(heartbeat + UNKNOWN_AFTER_HEARTBEAT, now)) })
}

/// A time that was written down, unless the clock was far ahead then: that must not shut everybody out once it is right.
fn believable(written: SystemTime, now: SystemTime) -> SystemTime {
    if written > now + MAX_AHEAD { now } else { written }
}

/// Which run of the machine this is, where the system tells.
fn boot() -> Option<String> {
    std::fs::read_to_string(BOOT).ok().map(|text| text.trim().to_owned())
}

/// When the server that wrote the file lived last.
pub(crate) fn heartbeat(connection: &Connection) -> Result<Option<SystemTime>, StateError> {
    Ok(get(connection, "heartbeat")?.map(time))
}
