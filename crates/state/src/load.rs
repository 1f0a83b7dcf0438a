//! Reading all that a file has.

use crate::{
    StateError,
    octets::{self, number, time},
    sealing::Sealing,
    store,
    write::bound_to,
};
use bytes::Bytes;
use rusqlite::{Connection, Row};
use std::{net::SocketAddr, sync::Arc, time::SystemTime};
use zephyr_core::{
    auth::{Lifetime, Service, Session, SessionKey},
    exposure::Exposure,
};
use zephyr_engine::server::{
    Change, Changed, ClientOwner, Destination, Element, Horizon, KeptAnswer, KeptDelivery, Located, ServerId, Stamp,
    UsedAuthenticator, VersionVector,
};
use zeroize::Zeroizing;

// Both in the order of their keys, so that they are read side by side, and nothing is sorted.
const CLIENTS: &str = "SELECT time, server, address, principal, proven, confirmed, kind, label, key, through, local \
                       FROM clients ORDER BY address";
const SUBSCRIPTIONS: &str =
    "SELECT time, server, coalesce(spelt, destination), client, place FROM subscriptions ORDER BY client";

/// What a file had.
#[derive(Debug, Default)]
pub struct Kept {
    /// The changes that make the state.
    pub changes: Vec<Changed>,
    /// Up to when authenticators of principals that are not among them are refused; only after an end in order.
    pub horizons: Vec<Horizon>,
    /// Packets that wait for their acknowledgements; only after an end in order.
    pub deliveries: Vec<KeptDelivery>,
    /// Whether the server before this one ended in order.
    pub is_complete: bool,
    /// When it lived last; `None` when there was none.
    pub heartbeat: Option<SystemTime>,
    /// Authenticators that were made until then, and are not among the changes, may have been used.
    pub horizon: Option<SystemTime>,
    /// Clients left out because no key that the service has opens theirs.
    pub without_key: usize,
    /// Rows left out because they are none.
    pub unreadable: usize,
}

pub(crate) fn load(
    connection: &Connection,
    sealing: &Sealing,
    service: &dyn Service,
    horizon: SystemTime,
) -> Result<Kept, StateError> {
    let mut kept = Kept {
        is_complete: store::get(connection, "clean")?.unwrap_or(false),
        heartbeat: store::heartbeat(connection)?,
        horizon: Some(horizon),
        ..Kept::default()
    };
    let load = &mut Load { connection, kept: &mut kept };
    load.hosts()?;
    load.clients(sealing, service)?;
    load.locations()?;
    load.realms()?;
    load.authenticators()?;
    load.ended()?;
    load.versions()?;
    if load.kept.is_complete {
        load.horizons()?;
        load.deliveries()?;
    }
    Ok(kept)
}

struct Load<'a> {
    connection: &'a Connection,
    kept: &'a mut Kept,
}

impl Load<'_> {
    /// Takes each row of a query; one that is none is left out and counted.
    fn each(
        &mut self,
        query: &str,
        mut take: impl FnMut(&mut Kept, &Row<'_>) -> rusqlite::Result<Option<()>>,
    ) -> Result<(), StateError> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            match take(self.kept, row) {
                Ok(Some(())) => {}
                Ok(None)
                | Err(
                    rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
                    | rusqlite::Error::FromSqlConversionFailure(..),
                ) => self.kept.unreadable += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn hosts(&mut self) -> Result<(), StateError> {
        self.each("SELECT time, server, host, port, local FROM hosts ORDER BY time", |kept, row| {
            let Some(host) = octets::host(blob(row, 2)?) else { return Ok(None) };
            let Some(local) = host_or_none(row, 4)? else { return Ok(None) };
            let change = Change::HostKnown { manager: SocketAddr::new(host, row.get(3)?), local };
            kept.changes.push(Changed { stamp: stamp(row)?, change });
            Ok(Some(()))
        })
    }

    /// Clients, each with its subscriptions behind it.
    fn clients(&mut self, sealing: &Sealing, service: &dyn Service) -> Result<(), StateError> {
        let mut subscriptions = self.connection.prepare(SUBSCRIPTIONS)?;
        let mut subscriptions = Subscriptions { rows: subscriptions.query([])?, next: None, unreadable: 0 };
        self.each(CLIENTS, |kept, row| {
            let held = subscriptions.of(blob(row, 2)?)?;
            let Some(address) = octets::address(blob(row, 2)?) else { return Ok(None) };
            let Some(local) = host_or_none(row, 10)? else { return Ok(None) };
            let principal: Arc<[u8]> = blob(row, 3)?.into();
            let session = if row.get(4)? {
                let Some(session) = session(row, sealing, service, &bound(address, &principal, row)?)? else {
                    kept.without_key += 1;
                    return Ok(Some(()));
                };
                Some(session)
            } else {
                None
            };
            let stamp = stamp(row)?;
            let through = row.get(9)?;
            let owner = ClientOwner { principal: principal.clone(), proven: session.is_some() };
            let known = Change::ClientKnown { client: address, principal, session, through, local };
            kept.changes.push(Changed { stamp, change: known });
            if row.get(5)? {
                kept.changes
                    .push(Changed { stamp, change: Change::ClientConfirmed { client: address, owner: owner.clone() } });
            }
            kept.changes.extend(held.into_iter().map(|(stamp, destinations)| Changed {
                stamp,
                change: Change::Subscribed { client: address, owner: owner.clone(), destinations },
            }));
            Ok(Some(()))
        })?;
        self.kept.unreadable += subscriptions.unreadable;
        Ok(())
    }

    fn locations(&mut self) -> Result<(), StateError> {
        let query = "SELECT time, server, user, address, exposure, proven, machine, told, tty FROM locations \
                     ORDER BY user, time";
        self.each(query, |kept, row| {
            let Some(address) = octets::address(blob(row, 3)?) else { return Ok(None) };
            let Some(exposure) = Exposure::named(row.get_ref(4)?.as_str()?) else { return Ok(None) };
            let located = Located {
                user: blob(row, 2)?.into(),
                address,
                exposure,
                proven: row.get(5)?,
                machine: blob(row, 6)?.into(),
                time: blob(row, 7)?.into(),
                tty: blob(row, 8)?.into(),
            };
            kept.changes.push(Changed { stamp: stamp(row)?, change: Change::Located(located) });
            Ok(Some(()))
        })
    }

    /// What other realms have subscribed to, each by itself.
    fn realms(&mut self) -> Result<(), StateError> {
        let query = "SELECT time, server, realm, asker, coalesce(spelt, destination) FROM realm_subscriptions \
                     ORDER BY realm, time";
        self.each(query, |kept, row| {
            let Some(destination) = Destination::from_text(blob(row, 4)?) else { return Ok(None) };
            let (realm, asker) = (blob(row, 2)?.into(), blob(row, 3)?.into());
            let change = Change::RealmSubscribed { realm, asker, destinations: vec![destination] };
            kept.changes.push(Changed { stamp: stamp(row)?, change });
            Ok(Some(()))
        })
    }

    fn authenticators(&mut self) -> Result<(), StateError> {
        let query = "SELECT time, server, authenticator, packet, principal, sender, answer, of_host, undone, made, ends \
                     FROM authenticators ORDER BY time";
        self.each(query, |kept, row| {
            let (Ok(authenticator), Ok(packet)) = (blob(row, 2)?.try_into(), blob(row, 3)?.try_into()) else {
                return Ok(None);
            };
            let Some(sender) = octets::address(blob(row, 5)?) else { return Ok(None) };
            let answer: Option<String> = row.get(6)?;
            let ends: i64 = row.get(10)?;
            let made: Option<i64> = row.get(9)?;
            let used = UsedAuthenticator {
                authenticator,
                packet,
                principal: blob(row, 4)?.into(),
                sender,
                answer: answer.as_deref().and_then(KeptAnswer::named),
                of_host: row.get(7)?,
                undone: row.get(8)?,
                lifetime: made.map(|made| Lifetime { made: time(made), ends: time(ends) }),
            };
            kept.changes.push(Changed { stamp: stamp(row)?, change: Change::AuthenticatorUsed(used) });
            Ok(Some(()))
        })
    }

    /// What has ended that another server may still tell of.
    fn ended(&mut self) -> Result<(), StateError> {
        self.each("SELECT time, server, element, whose, name FROM ended", |kept, row| {
            let (of, name) = (blob(row, 3)?, blob(row, 4)?);
            let (address, destination) = (octets::address(of), Destination::from_text(name));
            let element = match (row.get_ref(2)?.as_str()?, address, destination) {
                ("client", Some(address), _) => Element::Client(address),
                ("request", Some(address), _) => Element::Request(address),
                ("location", Some(address), _) => Element::Location(name.into(), address),
                ("subscription", Some(address), Some(destination)) => Element::Subscription(address, destination),
                ("of realm", _, Some(destination)) => Element::OfRealm(of.into(), destination),
                _ => return Ok(None),
            };
            let change = Change::Ended { made: stamp(row)?, element };
            kept.changes.push(Changed { stamp: Stamp::default(), change });
            Ok(Some(()))
        })
    }

    fn versions(&mut self) -> Result<(), StateError> {
        let mut stamps = Vec::new();
        self.each("SELECT time, server FROM versions", |_, row| {
            stamps.push(stamp(row)?);
            Ok(Some(()))
        })?;
        let versions: VersionVector = stamps.into_iter().collect();
        self.kept.changes.push(Changed { stamp: Stamp::default(), change: Change::VersionsKnown { versions } });
        Ok(())
    }

    fn horizons(&mut self) -> Result<(), StateError> {
        self.each("SELECT principal, made, ends FROM horizons", |kept, row| {
            let lifetime = Lifetime { made: time(row.get(1)?), ends: time(row.get(2)?) };
            kept.horizons.push(Horizon { principal: blob(row, 0)?.into(), lifetime });
            Ok(Some(()))
        })
    }

    fn deliveries(&mut self) -> Result<(), StateError> {
        let query = "SELECT client, uid, local, transmissions, due, payload FROM deliveries ORDER BY number";
        self.each(query, |kept, row| {
            let (Some(client), Some(uid)) = (octets::address(blob(row, 0)?), octets::uid(blob(row, 1)?)) else {
                return Ok(None);
            };
            let Some(local) = host_or_none(row, 2)? else { return Ok(None) };
            let transmissions = row.get::<_, u32>(3)? as usize;
            let (due, payload) = (time(row.get(4)?), Bytes::copy_from_slice(blob(row, 5)?));
            kept.deliveries.push(KeptDelivery { client, uid, local, transmissions, due, payload });
            Ok(Some(()))
        })
    }
}

/// The subscriptions of all clients, in the clients' order.
struct Subscriptions<'s> {
    rows: rusqlite::Rows<'s>,
    /// The next one that was read already, and whose it is.
    next: Option<(Vec<u8>, Place)>,
    unreadable: usize,
}

/// A subscription, and where it was made.
struct Place {
    stamp: Stamp,
    place: u32,
    destination: Destination,
}

/// What clients subscribed to with one request, and its stamp.
type Request = (Stamp, Vec<Destination>);

impl Subscriptions<'_> {
    /// What this client has subscribed to: the oldest request first.
    fn of(&mut self, client: &[u8]) -> rusqlite::Result<Vec<Request>> {
        let mut held: Vec<Place> = Vec::new();
        while let Some((of, one)) = self.take_next()? {
            match of.as_slice().cmp(client) {
                // Of nobody who is there.
                std::cmp::Ordering::Less => self.unreadable += 1,
                std::cmp::Ordering::Equal => held.push(one),
                std::cmp::Ordering::Greater => {
                    self.next = Some((of, one));
                    break;
                }
            }
        }
        held.sort_by_key(|one| (one.stamp, one.place));
        let mut requests: Vec<Request> = Vec::new();
        for Place { stamp, destination, .. } in held {
            match requests.last_mut() {
                Some((of, destinations)) if *of == stamp => destinations.push(destination),
                _ => requests.push((stamp, vec![destination])),
            }
        }
        Ok(requests)
    }

    fn take_next(&mut self) -> rusqlite::Result<Option<(Vec<u8>, Place)>> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        while let Some(row) = self.rows.next()? {
            let Some(destination) = Destination::from_text(blob(row, 2)?) else {
                self.unreadable += 1;
                continue;
            };
            return Ok(Some((blob(row, 3)?.to_vec(), Place { stamp: stamp(row)?, place: row.get(4)?, destination })));
        }
        Ok(None)
    }
}

/// The session of a client with proof; `None` when no key opens its.
fn session(
    row: &Row<'_>,
    sealing: &Sealing,
    service: &dyn Service,
    bound_to: &[u8],
) -> rusqlite::Result<Option<Arc<dyn Session>>> {
    let (Some(kind), Some(label)) = (row.get::<_, Option<i32>>(6)?, row.get::<_, Option<String>>(7)?) else {
        return Ok(None);
    };
    let sealed = blob(row, 8)?;
    let opened = if sealed.is_empty() { Some(Zeroizing::default()) } else { sealing.open(&label, sealed, bound_to) };
    let Some(octets) = opened else { return Ok(None) };
    Ok(service.restore(&SessionKey { kind, octets }).ok())
}

fn bound(address: SocketAddr, principal: &[u8], row: &Row<'_>) -> rusqlite::Result<Vec<u8>> {
    Ok(bound_to(address, principal, row.get::<_, Option<i32>>(6)?.unwrap_or_default()))
}

fn stamp(row: &Row<'_>) -> rusqlite::Result<Stamp> {
    Ok(Stamp { time: number(row.get(0)?), server: ServerId(number(row.get(1)?)) })
}

fn blob<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(Into::into)
}

/// A host that may be unknown; the outer `None` when it is no host.
#[expect(clippy::option_option, reason = "what is no host is not the same as none")]
fn host_or_none(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Option<std::net::IpAddr>>> {
    let octets: Option<Vec<u8>> = row.get(column)?;
    Ok(match octets {
        None => Some(None),
        Some(octets) => octets::host(&octets).map(Some),
    })
}

/// A key that is not sealed as it would be now.
pub(crate) struct SealedOtherwise {
    pub(crate) address: Vec<u8>,
    pub(crate) label: String,
    pub(crate) key: Vec<u8>,
    pub(crate) bound_to: Vec<u8>,
}

/// So many keys at most that are not sealed with the storage key of this label, of clients behind this one.
pub(crate) fn sealed_otherwise(
    connection: &Connection,
    newest: &str,
    after: &[u8],
    max: usize,
) -> Result<Vec<SealedOtherwise>, StateError> {
    let mut statement = connection.prepare(
        "SELECT address, principal, kind, label, key FROM clients \
         WHERE address > ? AND length(key) > 0 AND label != ? ORDER BY address LIMIT ?",
    )?;
    let rows = statement.query_map((after, newest, i64::try_from(max).unwrap_or(i64::MAX)), |row| {
        let address = blob(row, 0)?.to_vec();
        let kind: i32 = row.get(2)?;
        let client = octets::address(&address);
        let bound_to = client.map(|client| Ok(bound_to(client, blob(row, 1)?, kind))).transpose();
        let bound_to = bound_to.map_err(|error: rusqlite::Error| error)?.unwrap_or_default();
        Ok(SealedOtherwise { address, label: row.get(3)?, key: blob(row, 4)?.to_vec(), bound_to })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_are_read_without_sorting_them() {
        let mut connection = Connection::open_in_memory().unwrap();
        crate::schema::upgrade(&mut connection).unwrap();
        for query in [CLIENTS, SUBSCRIPTIONS] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert!(steps.len() == 1 && steps[0].starts_with("SCAN "), "{steps:?}");
        }
    }
}
