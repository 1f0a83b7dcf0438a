//! Writing changes: each becomes what is left of it in the tables.

use crate::{
    StateError,
    octets::{of_address, of_host, of_name, of_number, of_time},
    sealing::{Sealed, Sealing},
};
use rusqlite::{Connection, Params, Statement, ToSql, params};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use zephyr_core::auth::{Lifetime, Session};
use zephyr_engine::server::{Change, Changed, Destination, Element, Horizon, KeptDelivery, Stamp, UsedAuthenticator};

/// How long an authenticator is kept that does not say how long it can prove something.
const UNKNOWN_LIFETIME: Duration = Duration::from_secs(600);

/// Writes changes in one transaction, which its maker begins and ends.
pub(crate) struct Writer<'c> {
    connection: &'c Connection,
    sealing: &'c Sealing,
    /// Those that were used already.
    statements: HashMap<&'static str, Statement<'c>>,
}

impl<'c> Writer<'c> {
    pub(crate) fn new(connection: &'c Connection, sealing: &'c Sealing) -> Self {
        Self { connection, sealing, statements: HashMap::new() }
    }

    fn run(&mut self, text: &'static str, values: impl Params) -> Result<usize, StateError> {
        let statement = match self.statements.entry(text) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(self.connection.prepare(text)?),
        };
        Ok(statement.execute(values)?)
    }

    /// Writes a change.
    pub(crate) fn change(&mut self, changed: &Changed) -> Result<(), StateError> {
        let stamp = changed.stamp;
        match &changed.change {
            Change::ClientKnown { client, principal, session, through, local } => {
                let client = ClientRow { address: *client, principal, through: *through, local: *local };
                self.client(&client, session.as_ref(), stamp)?;
            }
            Change::ClientConfirmed { client, .. } => {
                self.run("UPDATE clients SET confirmed = 1 WHERE address = ?", [of_address(*client)])?;
            }
            Change::Subscribed { client, destinations, .. } => self.subscriptions(*client, destinations, stamp)?,
            Change::Unsubscribed { client, destinations, .. } => {
                let client = of_address(*client);
                for destination in destinations {
                    let (name, _) = of_name(destination.text());
                    self.run("DELETE FROM subscriptions WHERE client = ? AND destination = ?", params![client, name])?;
                }
            }
            Change::ClientGone { client, .. } => {
                let client = of_address(*client);
                self.run("DELETE FROM subscriptions WHERE client = ?", [&client])?;
                self.run("DELETE FROM clients WHERE address = ?", [&client])?;
            }
            Change::Located(it) => {
                self.run(
                    "REPLACE INTO locations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    params![
                        &it.user[..],
                        of_address(it.address),
                        it.exposure.name(),
                        it.proven,
                        &it.machine[..],
                        &it.time[..],
                        &it.tty[..],
                        of_number(stamp.time),
                        of_number(stamp.server.0)
                    ],
                )?;
            }
            Change::LocationGone { user, address, .. } => {
                self.run(
                    "DELETE FROM locations WHERE user = ? AND address = ?",
                    params![&user[..], of_address(*address)],
                )?;
            }
            Change::HostKnown { manager, local } => {
                self.run(
                    "REPLACE INTO hosts VALUES (?, ?, ?, ?, ?)",
                    params![
                        of_host(manager.ip()),
                        manager.port(),
                        local.map(of_host),
                        of_number(stamp.time),
                        of_number(stamp.server.0)
                    ],
                )?;
            }
            Change::HostGone { manager } => {
                self.run(
                    "DELETE FROM hosts WHERE host = ? AND port = ?",
                    params![of_host(manager.ip()), manager.port()],
                )?;
            }
            Change::Ended { made, element } => self.ended(*made, element)?,
            Change::VersionsKnown { versions } => {
                for known in versions.stamps() {
                    self.known(known)?;
                }
            }
            Change::AuthenticatorUsed(used) => self.authenticator(used, stamp)?,
            // Realms ask again after a start.
            Change::RealmSubscribed { realm, asker, destinations } => {
                for destination in destinations {
                    let (name, spelt) = of_name(destination.text());
                    let (time, server) = (of_number(stamp.time), of_number(stamp.server.0));
                    self.run(
                        "REPLACE INTO realm_subscriptions VALUES (?, ?, ?, ?, ?, ?)",
                        params![&realm[..], name, spelt, &asker[..], time, server],
                    )?;
                }
            }
            Change::RealmUnsubscribed { realm, destinations } => {
                for destination in destinations {
                    let (name, _) = of_name(destination.text());
                    self.run(
                        "DELETE FROM realm_subscriptions WHERE realm = ? AND destination = ?",
                        params![&realm[..], name],
                    )?;
                }
            }
            Change::ProofsUndone { host } => {
                self.run(
                    "UPDATE authenticators SET undone = 1 WHERE substr(sender, 1, 16) = ? AND of_host",
                    [of_host(*host)],
                )?;
            }
        }
        Ok(())
    }

    /// Everything up to this stamp is known.
    pub(crate) fn known(&mut self, stamp: Stamp) -> Result<(), StateError> {
        self.run(
            "INSERT INTO versions VALUES (?, ?) ON CONFLICT DO UPDATE SET time = max(time, excluded.time)",
            [of_number(stamp.server.0), of_number(stamp.time)],
        )?;
        self.run(
            "DELETE FROM ended WHERE server = ? AND time <= ?",
            [of_number(stamp.server.0), of_number(stamp.time)],
        )?;
        Ok(())
    }

    /// What a change had made has ended, and is not to come back from another server.
    fn ended(&mut self, made: Stamp, element: &Element) -> Result<(), StateError> {
        let (kind, address, name): (_, _, &[u8]) = match element {
            Element::Client(address) => ("client", address, b""),
            Element::Request(address) => ("request", address, b""),
            Element::Subscription(address, destination) => ("subscription", address, destination.text()),
            Element::Location(user, address) => ("location", address, user),
        };
        self.run(
            "REPLACE INTO ended VALUES (?, ?, ?, ?, ?)",
            params![of_number(made.server.0), of_number(made.time), kind, of_address(*address), name],
        )?;
        Ok(())
    }

    fn client(
        &mut self,
        client: &ClientRow<'_>,
        session: Option<&Arc<dyn Session>>,
        stamp: Stamp,
    ) -> Result<(), StateError> {
        let key = session.and_then(|session| session.key());
        let kind = key.as_ref().map(|key| key.kind);
        let sealed = key.and_then(|key| match key.octets.is_empty() {
            // Where there is no authentication there is nothing to hide.
            true => Some(Sealed { label: String::new(), octets: Vec::new() }),
            false => self.sealing.seal(&key.octets, &bound_to(client.address, client.principal, key.kind)),
        });
        let (label, key) = sealed.map(|Sealed { label, octets }| (label, octets)).unzip();
        let values: [&dyn ToSql; 10] = [
            &of_address(client.address),
            &client.principal,
            &session.is_some(),
            &kind,
            &label,
            &key,
            &client.through,
            &client.local.map(of_host),
            &of_number(stamp.time),
            &of_number(stamp.server.0),
        ];
        self.run(
            "INSERT INTO clients VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET \
             principal = ?2, proven = ?3, kind = ?4, label = ?5, key = ?6, through = ?7, local = ?8, time = ?9, server = ?10",
            values,
        )?;
        Ok(())
    }

    fn subscriptions(
        &mut self,
        client: SocketAddr,
        destinations: &[Destination],
        stamp: Stamp,
    ) -> Result<(), StateError> {
        let client = of_address(client);
        for (place, destination) in destinations.iter().enumerate() {
            let (name, spelt) = of_name(destination.text());
            let (place, time, server) = (place as u64, of_number(stamp.time), of_number(stamp.server.0));
            self.run(
                "REPLACE INTO subscriptions VALUES (?, ?, ?, ?, ?, ?)",
                params![client, name, spelt, of_number(place), time, server],
            )?;
        }
        Ok(())
    }

    fn authenticator(&mut self, used: &UsedAuthenticator, stamp: Stamp) -> Result<(), StateError> {
        let made = used.lifetime.map(|Lifetime { made, .. }| of_time(made));
        let ends = used.lifetime.map_or_else(
            || of_number(stamp.time.saturating_add(u64::try_from(UNKNOWN_LIFETIME.as_micros()).unwrap_or(u64::MAX))),
            |Lifetime { ends, .. }| of_time(ends),
        );
        self.run(
            "REPLACE INTO authenticators VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                used.authenticator,
                used.packet,
                &used.principal[..],
                of_address(used.sender),
                used.answer.map(|answer| answer.name()),
                used.of_host,
                used.undone,
                made,
                ends,
                of_number(stamp.time),
                of_number(stamp.server.0)
            ],
        )?;
        Ok(())
    }

    /// Writes a horizon of the authenticators that are not remembered.
    pub(crate) fn horizon(&mut self, horizon: &Horizon) -> Result<(), StateError> {
        let Lifetime { made, ends } = horizon.lifetime;
        self.run(
            "REPLACE INTO horizons VALUES (?, ?, ?)",
            params![&horizon.principal[..], of_time(made), of_time(ends)],
        )?;
        Ok(())
    }

    /// Writes a packet that waits for its acknowledgement.
    pub(crate) fn delivery(&mut self, delivery: &KeptDelivery) -> Result<(), StateError> {
        self.run(
            "INSERT INTO deliveries (client, uid, local, transmissions, due, payload) VALUES (?, ?, ?, ?, ?, ?)",
            params![
                of_address(delivery.client),
                crate::octets::of_uid(delivery.uid),
                delivery.local.map(of_host),
                i64::try_from(delivery.transmissions).unwrap_or(i64::MAX),
                of_time(delivery.due),
                &delivery.payload[..]
            ],
        )?;
        Ok(())
    }
}

/// A client, but for its key.
struct ClientRow<'a> {
    address: SocketAddr,
    principal: &'a [u8],
    through: u16,
    local: Option<IpAddr>,
}

/// What a sealed key is bound to: the row that it is in.
pub(crate) fn bound_to(client: SocketAddr, principal: &[u8], kind: i32) -> Vec<u8> {
    [&of_address(client)[..], &kind.to_be_bytes(), principal].concat()
}
