//! A state as lines of JSON, one for each element, and a file from such lines.
//!
//! The first line says what it is. Octets are a text where they are UTF-8, and else `{"hex": "…"}`. Session keys are left out
//! unless they are wanted, and then sealed as they are in the file.

use crate::{
    StateError, examine, file, octets,
    octets::{number, of_time},
    sealing::SALT_LEN,
    store::{self, Owner, Store},
};
use rusqlite::{
    Connection,
    types::{Value, ValueRef},
};
use serde_json::{Map, Value as Json, json};
use std::{
    io::{self, BufRead, Write},
    net::{IpAddr, SocketAddr},
    path::Path,
    time::SystemTime,
};
use zephyr_engine::server::ServerId;

/// The version of the lines.
const FORMAT: u64 = 1;
/// Maximum octets of a line.
const MAX_LINE: u64 = 64 << 10;
/// Maximum characters that a message shows of a line.
const MAX_EXCERPT: usize = 40;
/// Elements between two calls of whoever wants to know how far it is.
const PER_PROGRESS: u64 = 10_000;

/// Whether session keys are exported, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedKeys {
    /// They are.
    With,
    /// They are not: clients that are proven then subscribe again.
    Without,
}

/// The kind of a column.
#[derive(Clone, Copy)]
enum Kind {
    Address,
    Host,
    Octets,
    /// Octets that are no text.
    Hex,
    Number,
    Flag,
    Text,
    Server,
}

impl Kind {
    /// What a value of it is.
    const fn in_words(self) -> &'static str {
        match self {
            Address => "an address with a port",
            Host => "an address",
            Octets => "a text or {\"hex\": …}",
            Hex => "hexadecimal digits",
            Number => "a number",
            Flag => "true or false",
            Text => "a text",
            Server => "the identity of a server",
        }
    }
}

use Kind::{Address, Flag, Hex, Host, Number, Octets, Server, Text};

/// A table, and its columns in the order of its making.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// The columns of a session key.
const OF_KEY: [&str; 2] = ["label", "key"];

const TABLES: [Table; 10] = [
    Table { name: "versions", columns: &[("server", Server), ("time", Number)] },
    Table {
        name: "clients",
        columns: &[
            ("address", Address),
            ("principal", Octets),
            ("proven", Flag),
            ("confirmed", Flag),
            ("kind", Number),
            ("label", Text),
            ("key", Hex),
            ("through", Number),
            ("local", Host),
            ("time", Number),
            ("server", Server),
        ],
    },
    Table {
        name: "subscriptions",
        columns: &[
            ("client", Address),
            ("destination", Octets),
            ("spelt", Octets),
            ("place", Number),
            ("time", Number),
            ("server", Server),
        ],
    },
    Table {
        name: "locations",
        columns: &[
            ("user", Octets),
            ("address", Address),
            ("exposure", Text),
            ("proven", Flag),
            ("machine", Octets),
            ("told", Octets),
            ("tty", Octets),
            ("time", Number),
            ("server", Server),
        ],
    },
    Table {
        name: "hosts",
        columns: &[("host", Host), ("port", Number), ("local", Host), ("time", Number), ("server", Server)],
    },
    Table {
        name: "authenticators",
        columns: &[
            ("authenticator", Hex),
            ("packet", Hex),
            ("principal", Octets),
            ("sender", Address),
            ("answer", Text),
            ("of_host", Flag),
            ("undone", Flag),
            ("made", Number),
            ("ends", Number),
            ("time", Number),
            ("server", Server),
        ],
    },
    Table { name: "horizons", columns: &[("principal", Octets), ("made", Number), ("ends", Number)] },
    Table {
        name: "realm_subscriptions",
        columns: &[
            ("realm", Octets),
            ("destination", Octets),
            ("spelt", Octets),
            ("asker", Octets),
            ("time", Number),
            ("server", Server),
        ],
    },
    Table {
        name: "deliveries",
        columns: &[
            ("number", Number),
            ("client", Address),
            ("uid", Hex),
            ("local", Host),
            ("transmissions", Number),
            ("due", Number),
            ("payload", Hex),
        ],
    },
    Table {
        name: "ended",
        columns: &[("server", Server), ("time", Number), ("element", Text), ("whose", Octets), ("name", Octets)],
    },
];

/// Writes all of a file as lines, as it is at one moment, whether or not a server uses it; gives how many elements there are.
///
/// # Errors
///
/// When the file cannot be read, or the lines cannot be written.
pub fn export(
    path: &Path,
    keys: SealedKeys,
    out: &mut impl Write,
    mut progress: impl FnMut(u64),
) -> Result<u64, StateError> {
    let mut connection = examine::open(path)?;
    // One moment: what is written meanwhile is not seen.
    let snapshot = connection.transaction()?;
    let mut head = json!({
        "zephyr-state": FORMAT,
        "realm": store::get::<String>(&snapshot, "realm")?,
        "clean": store::get::<bool>(&snapshot, "clean")?.unwrap_or(false),
        "heartbeat": store::get::<i64>(&snapshot, "heartbeat")?,
        "forgotten": store::get::<i64>(&snapshot, "forgotten")?,
    });
    if keys == SealedKeys::With
        && let Some(salt) = store::get::<Vec<u8>>(&snapshot, "salt")?
        && let Some(head) = head.as_object_mut()
    {
        head.insert("salt".to_owned(), Json::String(hex(&salt)));
    }
    writeln!(out, "{head}").map_err(StateError::Out)?;
    let mut count = 0;
    for table in TABLES {
        export_table(&snapshot, &table, keys, &mut |line| {
            writeln!(out, "{line}").map_err(StateError::Out)?;
            count += 1;
            if count % PER_PROGRESS == 0 {
                progress(count);
            }
            Ok(())
        })?;
    }
    out.flush().map_err(StateError::Out)?;
    Ok(count)
}

fn export_table(
    connection: &Connection,
    table: &Table,
    keys: SealedKeys,
    line: &mut dyn FnMut(Json) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let mut statement = connection.prepare(&format!("SELECT {} FROM {}", columns.join(", "), table.name))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut element = Map::new();
        element.insert("element".to_owned(), Json::String(table.name.to_owned()));
        for (place, (name, kind)) in table.columns.iter().enumerate() {
            let is_key = table.name == "clients" && OF_KEY.contains(name);
            let value = row.get_ref(place)?;
            if !matches!(value, ValueRef::Null) && (!is_key || keys == SealedKeys::With) {
                element.insert((*name).to_owned(), to_json(*kind, value));
            }
        }
        line(Json::Object(element))?;
    }
    Ok(())
}

/// Makes a file from lines, or fills one without elements: all of them, or none. Gives how many there are. The server
/// that the lines are from may have gone on, so what was made until now counts as used.
///
/// # Errors
///
/// When the file holds elements, or a server uses it; and when a line is none.
pub fn import(
    path: &Path,
    new_id: ServerId,
    lines: impl BufRead,
    mut progress: impl FnMut(u64),
) -> Result<u64, StateError> {
    let mut lines = Lines { source: lines, number: 0 };
    let head = lines.next()?.ok_or_else(|| lines.wrong("there is nothing"))?;
    if head.get("zephyr-state").and_then(Json::as_u64) != Some(FORMAT) {
        return Err(lines.wrong("this is no exported state of a version that is known"));
    }
    let realm = head.get("realm").and_then(Json::as_str).ok_or_else(|| lines.wrong("it names no realm"))?;
    let is_new = !file::look(path)?;
    let opened = Store::open(path, &Owner { realm: realm.to_owned(), new_id }, &[]);
    let mut store = opened.map_err(|error| match error {
        StateError::OtherRealm(own) => {
            StateError::LinesOfOtherRealm { lines: realm.to_owned(), file: path.to_owned(), own }
        }
        error => error,
    })?;
    let mut count = 0;
    let filled = store.fill(|connection| {
        import_head(connection, &head).map_err(|why| lines.wrong(why))?;
        while let Some(element) = lines.next()? {
            import_element(connection, &element, &lines)?;
            count += 1;
            if count % PER_PROGRESS == 0 {
                progress(count);
            }
        }
        Ok(())
    });
    if let Err(error) = filled {
        if is_new {
            store.discard();
        }
        return Err(error);
    }
    Ok(count)
}

fn import_head(connection: &Connection, head: &Json) -> Result<(), &'static str> {
    let set = |name: &str, value: Value| store::set(connection, name, &value).map_err(|_| "it cannot be written");
    if let Some(salt) = head.get("salt") {
        let salt = salt.as_str().and_then(of_hex).filter(|salt| salt.len() == SALT_LEN);
        set("salt", Value::Blob(salt.ok_or("salt is none")?))?;
    }
    // The server may have gone on since, so what was made until now may have been used.
    let now = Value::Integer(of_time(SystemTime::now()));
    set("heartbeat", now.clone())?;
    set("forgotten", now)?;
    set("clean", Value::Integer(false.into()))
}

fn import_element<R: BufRead>(connection: &Connection, element: &Json, lines: &Lines<R>) -> Result<(), StateError> {
    let name = element
        .get("element")
        .and_then(Json::as_str)
        .ok_or_else(|| lines.wrong(format_args!("expected an element, found {}", excerpt(&element.to_string()))))?;
    let table = TABLES.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| lines.wrong(format_args!("there are no elements {:?}", excerpt(name))))?;
    let mut values = Vec::with_capacity(table.columns.len());
    for (column, kind) in table.columns {
        let value = element.get(*column).unwrap_or(&Json::Null);
        let wrong = || {
            let found = value.to_string();
            lines.wrong(format_args!("{column}: expected {}, found {}", kind.in_words(), excerpt(&found)))
        };
        values.push(of_json(*kind, value).ok_or_else(wrong)?);
    }
    let places = vec!["?"; values.len()].join(", ");
    let mut statement = connection.prepare(&format!("INSERT INTO {} VALUES ({places})", table.name))?;
    statement.execute(rusqlite::params_from_iter(values)).map_err(|error| of_insertion(error, lines))?;
    Ok(())
}

/// An element that the file does not take: what the line lacks is said of the line, and all else of the file.
fn of_insertion<R: BufRead>(error: rusqlite::Error, lines: &Lines<R>) -> StateError {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_NOTNULL, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    match &error {
        rusqlite::Error::SqliteFailure(code, text) => match code.extended_code {
            SQLITE_CONSTRAINT_NOTNULL => {
                let column = text.as_deref().and_then(|text| text.rsplit('.').next()).unwrap_or("something");
                lines.wrong(format_args!("{column} is missing"))
            }
            SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE => lines.wrong("there is this element already"),
            _ if code.code == rusqlite::ErrorCode::ConstraintViolation => {
                lines.wrong("a value is none of those allowed")
            }
            _ => error.into(),
        },
        _ => error.into(),
    }
}

/// As much of a text as a message takes.
fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Lines of a bounded length, as JSON.
struct Lines<R> {
    source: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Json>, StateError> {
        let mut line = Vec::new();
        self.number += 1;
        let read =
            io::Read::take(&mut self.source, MAX_LINE).read_until(b'\n', &mut line).map_err(StateError::Lines)?;
        if read == 0 {
            return Ok(None);
        }
        if !line.ends_with(b"\n") && line.len() as u64 >= MAX_LINE {
            return Err(self.wrong(format_args!("it is longer than {MAX_LINE} octets")));
        }
        let line = std::str::from_utf8(&line).map_err(|_| self.wrong("it is not in UTF-8"))?.trim_end();
        serde_json::from_str(line).map(Some).map_err(|error| self.no_json(line, &error))
    }

    /// Where a line stops being JSON.
    fn no_json(&self, line: &str, error: &serde_json::Error) -> StateError {
        if error.is_eof() {
            return self.wrong("it ends in the middle");
        }
        let mut start = error.column().saturating_sub(1);
        // What is whole is followed by more; else the first octet of a word is where it begins.
        let is_whole =
            serde_json::Deserializer::from_str(line).into_iter::<Json>().next().is_some_and(|value| value.is_ok());
        if !is_whole {
            let before = line.get(..start).unwrap_or_default();
            start = before.trim_end_matches(char::is_alphanumeric).len();
        }
        let rest = line.get(start..).unwrap_or(line);
        let expected = if is_whole { "nothing more" } else { "JSON" };
        let why = format!(", column {}: expected {expected}, found {:?}", start + 1, excerpt(rest));
        StateError::Line { line: self.number, why }
    }

    fn wrong(&self, why: impl std::fmt::Display) -> StateError {
        StateError::Line { line: self.number, why: format!(": {why}") }
    }
}

fn to_json(kind: Kind, value: ValueRef<'_>) -> Json {
    let readable = match (kind, value) {
        (Address, ValueRef::Blob(blob)) => octets::address(blob).map(|address| Json::String(address.to_string())),
        (Host, ValueRef::Blob(blob)) => octets::host(blob).map(|host| Json::String(host.to_string())),
        (Octets, ValueRef::Blob(blob)) => std::str::from_utf8(blob).ok().map(|text| Json::String(text.to_owned())),
        (Hex, ValueRef::Blob(blob)) => Some(Json::String(hex(blob))),
        (Flag, ValueRef::Integer(flag)) => Some(Json::Bool(flag != 0)),
        (Server, ValueRef::Integer(id)) => Some(Json::String(ServerId(number(id)).to_string())),
        (_, ValueRef::Integer(number)) => Some(number.into()),
        (_, ValueRef::Text(text)) => std::str::from_utf8(text).ok().map(|text| Json::String(text.to_owned())),
        _ => None,
    };
    readable.unwrap_or_else(|| match value {
        ValueRef::Blob(octets) | ValueRef::Text(octets) => json!({ "hex": hex(octets) }),
        _ => Json::Null,
    })
}

fn of_json(kind: Kind, value: &Json) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    if let Some(octets) = value.get("hex") {
        return octets.as_str().and_then(of_hex).map(Value::Blob);
    }
    Some(match kind {
        Address => Value::Blob(octets::of_address(value.as_str()?.parse::<SocketAddr>().ok()?)),
        Host => Value::Blob(octets::of_host(value.as_str()?.parse::<IpAddr>().ok()?).to_vec()),
        Octets => Value::Blob(value.as_str()?.as_bytes().to_vec()),
        Hex => Value::Blob(of_hex(value.as_str()?)?),
        Number => Value::Integer(value.as_i64()?),
        Flag => Value::Integer(value.as_bool()?.into()),
        Text => Value::Text(value.as_str()?.to_owned()),
        Server => Value::Integer(octets::of_number(u64::from_str_radix(value.as_str()?, 16).ok()?)),
    })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    rest.is_empty().then_some(octets)?
}
