//! The tables, and how a file of an earlier version becomes one of today.

use crate::StateError;
use rusqlite::{Connection, TransactionBehavior};

/// What says in a file that it is a state of ours: `ZSTA`.
const APPLICATION: i64 = 0x5a53_5441;

/// What takes a file from each version to the next; the first makes it.
///
/// An address is its host in sixteen octets, with IPv4 mapped, and its port in two. A name that is compared without regard to
/// case is there in lower case, and as it was spelt where that differs. Times are microseconds since 1970.
const UPGRADES: [&str; 3] = [
    "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE versions (server INTEGER PRIMARY KEY, time INTEGER NOT NULL);
    CREATE TABLE clients (
        address BLOB PRIMARY KEY, principal BLOB NOT NULL, proven INTEGER NOT NULL, confirmed INTEGER NOT NULL,
        kind INTEGER, label TEXT, key BLOB, through INTEGER NOT NULL, local BLOB,
        time INTEGER NOT NULL, server INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE subscriptions (
        client BLOB NOT NULL, destination BLOB NOT NULL, spelt BLOB, place INTEGER NOT NULL,
        time INTEGER NOT NULL, server INTEGER NOT NULL, PRIMARY KEY (client, destination)
    ) WITHOUT ROWID;
    CREATE TABLE locations (
        user BLOB NOT NULL, address BLOB NOT NULL, exposure TEXT NOT NULL, proven INTEGER NOT NULL,
        machine BLOB NOT NULL, told BLOB NOT NULL, tty BLOB NOT NULL,
        time INTEGER NOT NULL, server INTEGER NOT NULL, PRIMARY KEY (user, address)
    ) WITHOUT ROWID;
    CREATE TABLE hosts (
        host BLOB PRIMARY KEY, port INTEGER NOT NULL, local BLOB, time INTEGER NOT NULL, server INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE authenticators (
        authenticator BLOB PRIMARY KEY, packet BLOB NOT NULL, principal BLOB NOT NULL, sender BLOB NOT NULL,
        answer TEXT, of_host INTEGER NOT NULL, undone INTEGER NOT NULL, made INTEGER, ends INTEGER NOT NULL,
        time INTEGER NOT NULL, server INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX authenticators_ends ON authenticators (ends);
    CREATE INDEX authenticators_of_host ON authenticators (substr(sender, 1, 16)) WHERE of_host;
    CREATE TABLE horizons (principal BLOB PRIMARY KEY, made INTEGER NOT NULL, ends INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE realm_subscriptions (
        realm BLOB NOT NULL, destination BLOB NOT NULL, spelt BLOB, asker BLOB NOT NULL,
        time INTEGER NOT NULL, server INTEGER NOT NULL, PRIMARY KEY (realm, destination, asker)
    ) WITHOUT ROWID;
    CREATE TABLE deliveries (
        number INTEGER PRIMARY KEY, client BLOB NOT NULL, uid BLOB NOT NULL, local BLOB,
        transmissions INTEGER NOT NULL, due INTEGER NOT NULL, payload BLOB NOT NULL
    );
",
    "
    CREATE TABLE ended (
        server INTEGER NOT NULL, time INTEGER NOT NULL, element TEXT NOT NULL, whose BLOB NOT NULL, name BLOB NOT NULL,
        PRIMARY KEY (server, time, element, whose, name)
    ) WITHOUT ROWID;
",
    // Two servers may have been told of the same subscription of a realm: it ends when both have ended.
    "
    ALTER TABLE realm_subscriptions RENAME TO earlier;
    CREATE TABLE realm_subscriptions (
        realm BLOB NOT NULL, destination BLOB NOT NULL, spelt BLOB, asker BLOB NOT NULL,
        time INTEGER NOT NULL, server INTEGER NOT NULL, PRIMARY KEY (realm, destination, asker, time, server)
    ) WITHOUT ROWID;
    INSERT INTO realm_subscriptions SELECT * FROM earlier;
    DROP TABLE earlier;
",
];

/// The version of today.
pub const VERSION: i64 = UPGRADES.len() as i64;

/// The tables that hold elements of the state, with the words for them.
pub(crate) const ELEMENTS: [(&str, &str); 8] = [
    ("clients", "clients"),
    ("subscriptions", "subscriptions"),
    ("locations", "locations"),
    ("hosts", "hosts"),
    ("authenticators", "used authenticators"),
    ("realm_subscriptions", "subscriptions of realms"),
    ("deliveries", "unacknowledged packets"),
    ("ended", "ends that other servers may not know"),
];

/// The version of a file; `None` of one without anything in it.
///
/// # Errors
///
/// When it is another program's, or of a newer version.
pub(crate) fn version(connection: &Connection) -> Result<Option<i64>, StateError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let (application, found) = (number("application_id")?, number("user_version")?);
    if application == 0 && found == 0 {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return if tables == 0 { Ok(None) } else { Err(StateError::Foreign) };
    }
    if application != APPLICATION || found < 1 {
        return Err(StateError::Foreign);
    }
    if found > VERSION {
        return Err(StateError::Newer { found, known: VERSION });
    }
    Ok(Some(found))
}

/// Makes the tables, or takes those of an earlier version to that of today: all of it, or nothing.
///
/// # Errors
///
/// As [`version`], and when the file cannot be written.
pub(crate) fn upgrade(connection: &mut Connection) -> Result<(), StateError> {
    upgrade_by(connection, &UPGRADES)
}

fn upgrade_by(connection: &mut Connection, upgrades: &[&str]) -> Result<(), StateError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = version(&transaction)?.unwrap_or(0);
    for upgrade in upgrades.iter().skip(usize::try_from(known).unwrap_or(usize::MAX)) {
        transaction.execute_batch(upgrade)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", i64::try_from(upgrades.len()).unwrap_or(i64::MAX))?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn what_is_not_ours_or_is_newer_is_refused() {
        let mut empty = memory();
        assert_eq!(version(&empty).unwrap(), None);
        upgrade(&mut empty).unwrap();
        assert_eq!(version(&empty).unwrap(), Some(VERSION));
        upgrade(&mut empty).unwrap();
        empty.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let newer = upgrade(&mut empty).unwrap_err().to_string();
        assert!(newer.contains("made by a newer zephyrd"), "{newer}");

        for strange in ["CREATE TABLE x (y)", "PRAGMA user_version = 1", "PRAGMA application_id = 77"] {
            let mut other = memory();
            other.execute_batch(strange).unwrap();
            assert!(matches!(upgrade(&mut other), Err(StateError::Foreign)), "{strange}");
        }
    }

    #[test]
    fn an_upgrade_that_fails_changes_nothing() {
        let mut connection = memory();
        upgrade(&mut connection).unwrap();
        let next = "CREATE TABLE more (x); INSERT INTO more VALUES (1);";
        let with = |last| [&UPGRADES[..], &[last]].concat();
        assert!(upgrade_by(&mut connection, &with("CREATE TABLE half (x); oops")).is_err());
        assert_eq!(version(&connection).unwrap(), Some(VERSION));
        assert!(connection.execute_batch("SELECT * FROM half").is_err());
        upgrade_by(&mut connection, &with(next)).unwrap();
        let count: i64 = connection.query_row("SELECT count(*) FROM more", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }
}
