//! What servers of ours say to each other, in octets. `docs/protocol/peers.md` is the description.
//!
//! A stream is a sequence of messages, cut into records wherever a record is full. Each begins with its kind and its length, so
//! that one of a kind that is not known is passed over. What follows the fields that are known is left alone as well: later
//! versions may say more.

use crate::server::{
    Change, Changed, ClientOwner, Gone, Horizon, KeptAnswer, Located, UsedAuthenticator,
    stamp::{ServerId, Stamp, VersionVector},
    state::subscriptions::Destination,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{
    auth::{Lifetime, SessionKey},
    exposure::Exposure,
};

/// The version of the protocol. A server of another major version is not understood.
pub const VERSION: Version = Version { major: 1, minor: 0 };
/// Maximum octets of a message's body.
pub const MAX_BODY: usize = 16 * 1024;
/// Octets before a message's body.
const HEAD: usize = 3;
/// A list of destinations is cut into messages of about so many octets.
const LIST_OCTETS: usize = 4096;
/// Maximum number of stamps in a message.
const STAMPS: usize = 512;
/// Maximum octets of the version of a program.
const MAX_PROGRAM: usize = 128;
/// Maximum octets of a key.
const MAX_KEY: usize = 256;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Another one is not understood.
    pub major: u8,
    /// A greater one says more.
    pub minor: u8,
}

/// The first thing that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The version that it speaks.
    pub version: Version,
    /// Its identity.
    pub server: ServerId,
    /// The port that it listens on, by which it is known in lists of servers.
    pub port: u16,
    /// The program and its version, for people.
    pub program: String,
    /// What time it is there; later servers of version 1.0 say so.
    pub clock: Option<SystemTime>,
}

/// A key as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The client is not proven, and has none.
    None,
    /// The key.
    Is(SessionKey),
    /// The client is proven, and its key is none that can be handed on.
    Unknown,
}

/// Whether a change has just been made, or is part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It has just been made, or has just come here.
    Live,
    /// It is part of the state, and comes in the order of the elements.
    Snapshot,
}

/// A change as it travels: without what is of use at one server only.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its stamp.
    pub stamp: Stamp,
    /// Live or not.
    pub part: Part,
    /// Whether the same change goes on in the next message.
    pub goes_on: bool,
    /// The change. A client's session is made of its key.
    pub change: Change,
    /// The key of a client.
    pub key: Key,
}

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Who speaks.
    Hello(Hello),
    /// What the other knows, as far as it is more than it has said before.
    Known(VersionVector),
    /// A snapshot begins.
    Begin,
    /// The authenticators of a principal that were made until then are not all remembered any more.
    Horizon(Horizon),
    /// It is over.
    End,
    /// Nothing but that the other is there.
    KeepAlive,
    /// A change.
    Told(Box<Told>),
    /// Something of a later version.
    Unknown,
}

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A body that is longer than any.
    #[error("a message of {0} octets")]
    TooLong(usize),
    /// A body that is not what its kind says.
    #[error("a malformed message of kind {0}")]
    Malformed(u8),
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const KNOWN: u8 = 2;
    pub(super) const BEGIN: u8 = 3;
    pub(super) const END: u8 = 4;
    pub(super) const KEEP_ALIVE: u8 = 5;
    pub(super) const HORIZON: u8 = 6;
    pub(super) const CLIENT: u8 = 16;
    pub(super) const CONFIRMED: u8 = 17;
    pub(super) const SUBSCRIBED: u8 = 18;
    pub(super) const UNSUBSCRIBED: u8 = 19;
    pub(super) const CLIENT_GONE: u8 = 20;
    pub(super) const LOCATED: u8 = 21;
    pub(super) const LOCATION_GONE: u8 = 22;
    pub(super) const HOST: u8 = 23;
    pub(super) const AUTHENTICATOR: u8 = 24;
    pub(super) const UNDONE: u8 = 25;
    pub(super) const REALM_SUBSCRIBED: u8 = 26;
    pub(super) const REALM_UNSUBSCRIBED: u8 = 27;
    pub(super) const REALM_ASKED: u8 = 28;
    /// Added to the kind of a change that is part of a snapshot.
    pub(super) const SNAPSHOT: u8 = 32;
}

/// Appends a message to what is to be sent. What is longer than a message is cut into several.
pub fn write(message: &Message, out: &mut Vec<u8>) {
    match message {
        Message::Hello(hello) => framed(out, kind::HELLO, |out| {
            out.extend([hello.version.major, hello.version.minor]);
            out.extend(hello.server.0.to_be_bytes());
            out.extend(hello.port.to_be_bytes());
            text(out, hello.program.as_bytes());
            if let Some(clock) = hello.clock {
                out.extend(micros(clock).to_be_bytes());
            }
        }),
        Message::Known(versions) => {
            let all: Vec<Stamp> = versions.stamps().collect();
            for some in all.chunks(STAMPS) {
                framed(out, kind::KNOWN, |out| stamps(out, some));
            }
        }
        Message::Horizon(Horizon { principal, lifetime: Lifetime { made, ends } }) => {
            framed(out, kind::HORIZON, |out| {
                text(out, principal);
                out.extend([*made, *ends].map(micros).into_iter().flat_map(u64::to_be_bytes));
            });
        }
        Message::Begin => framed(out, kind::BEGIN, |_| ()),
        Message::End => framed(out, kind::END, |_| ()),
        Message::KeepAlive => framed(out, kind::KEEP_ALIVE, |_| ()),
        Message::Told(told) => {
            let changed = Changed { stamp: told.stamp, change: told.change.clone() };
            write_change(&changed, told.part, out);
        }
        Message::Unknown => {}
    }
}

/// Appends a change; nothing, if it is one that concerns one server only.
pub(crate) fn write_change(changed: &Changed, part: Part, out: &mut Vec<u8>) {
    let Changed { stamp, change } = changed;
    let head = Head { stamp: *stamp, part };
    match change {
        Change::ClientKnown { client, principal, session, through, local: _ } => {
            head.framed(out, kind::CLIENT, false, |out| {
                address(out, *client);
                text(out, principal);
                out.extend(through.to_be_bytes());
                match session.as_ref().map(|session| session.key()) {
                    None => out.push(0),
                    Some(None) => out.push(2),
                    Some(Some(SessionKey { kind, octets })) => {
                        out.push(1);
                        out.extend(kind.to_be_bytes());
                        text(out, &octets);
                    }
                }
            });
        }
        Change::ClientConfirmed { client, owner } => head.framed(out, kind::CONFIRMED, false, |out| {
            address(out, *client);
            write_owner(out, owner);
        }),
        Change::Subscribed { client, owner, destinations } => {
            for (some, goes_on) in lists(destinations) {
                head.framed(out, kind::SUBSCRIBED, goes_on, |out| {
                    address(out, *client);
                    write_owner(out, owner);
                    list(out, some);
                });
            }
        }
        Change::Unsubscribed { client, destinations, stamps: of } => {
            write_ends(out, &head, kind::UNSUBSCRIBED, (destinations, of), |out| address(out, *client));
        }
        Change::ClientGone { client, stamps: of, why } => {
            let last = of.len().div_ceil(STAMPS);
            for (number, group) in of.chunks(STAMPS).enumerate() {
                head.framed(out, kind::CLIENT_GONE, number + 1 < last, |out| {
                    address(out, *client);
                    out.push(match why {
                        Gone::Ended => 0,
                        Gone::Silent => 1,
                    });
                    stamps(out, group);
                });
            }
        }
        Change::Located(located) => head.framed(out, kind::LOCATED, false, |out| {
            text(out, &located.user);
            address(out, located.address);
            out.push(u8::from(located.proven));
            text(out, located.exposure.name().as_bytes());
            [&located.machine, &located.time, &located.tty].into_iter().for_each(|it| text(out, it));
        }),
        Change::LocationGone { user, address: from, stamp: of } => {
            head.framed(out, kind::LOCATION_GONE, false, |out| {
                text(out, user);
                address(out, *from);
                stamps(out, &[*of]);
            });
        }
        Change::HostKnown { manager, local: _ } => {
            head.framed(out, kind::HOST, false, |out| address(out, *manager));
        }
        Change::AuthenticatorUsed(used) => {
            head.framed(out, kind::AUTHENTICATOR, false, |out| write_authenticator(out, used));
        }
        Change::ProofsUndone { host } => {
            head.framed(out, kind::UNDONE, false, |out| address(out, SocketAddr::new(*host, 0)));
        }
        Change::VersionsKnown { versions } => write(&Message::Known(versions.clone()), out),
        Change::RealmSubscribed { realm, asker, destinations } => {
            for (some, goes_on) in lists(destinations) {
                head.framed(out, kind::REALM_SUBSCRIBED, goes_on, |out| {
                    [realm, asker].into_iter().for_each(|it| text(out, it));
                    list(out, some);
                });
            }
        }
        Change::RealmUnsubscribed { realm, destinations, stamps: of } => {
            write_ends(out, &head, kind::REALM_UNSUBSCRIBED, (destinations, of), |out| text(out, realm));
        }
        Change::RealmAsked { client, owner, destinations } => {
            for (some, goes_on) in lists(destinations) {
                head.framed(out, kind::REALM_ASKED, goes_on, |out| {
                    address(out, *client);
                    write_owner(out, owner);
                    list(out, some);
                });
            }
        }
        Change::HostGone { .. } | Change::Ended { .. } => {}
    }
}

/// Appends that of subscriptions to these destinations those have ended that these changes made: each list of the ones with each
/// of the others. `of_whom` says whose they were.
fn write_ends(
    out: &mut Vec<u8>,
    head: &Head,
    kind: u8,
    (destinations, of): (&[Destination], &[Stamp]),
    of_whom: impl Fn(&mut Vec<u8>),
) {
    let parts: Vec<_> = lists(destinations).collect();
    let groups: Vec<_> = of.chunks(STAMPS).collect();
    let last = parts.len() * groups.len();
    let all = parts.iter().flat_map(|(some, _)| groups.iter().map(move |group| (some, group)));
    for (number, (some, group)) in all.enumerate() {
        head.framed(out, kind, number + 1 < last, |out| {
            of_whom(out);
            stamps(out, group);
            list(out, some);
        });
    }
}

/// What all changes begin with.
struct Head {
    stamp: Stamp,
    part: Part,
}

impl Head {
    fn framed(&self, out: &mut Vec<u8>, kind: u8, goes_on: bool, body: impl FnOnce(&mut Vec<u8>)) {
        let kind = match self.part {
            Part::Live => kind,
            Part::Snapshot => kind | kind::SNAPSHOT,
        };
        framed(out, kind, |out| {
            write_stamp(out, self.stamp);
            out.push(u8::from(goes_on));
            body(out);
        });
    }
}

/// Appends a message with this body. One that is too long has no meaning for anybody, and is not sent: only texts that were
/// longer than any packet could make it.
fn framed(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([kind, 0, 0]);
    body(out);
    let len = out.len() - start - HEAD;
    match u16::try_from(len).ok().filter(|_| len <= MAX_BODY) {
        Some(len) => {
            if let Some(place) = out.get_mut(start + 1..start + HEAD) {
                place.copy_from_slice(&len.to_be_bytes());
            }
        }
        None => out.truncate(start),
    }
}

fn text(out: &mut Vec<u8>, octets: &[u8]) {
    let len = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    out.extend(len.to_be_bytes());
    out.extend(octets.iter().take(len.into()));
}

fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(host) => {
            out.push(4);
            out.extend(host.octets());
        }
        IpAddr::V6(host) => {
            out.push(6);
            out.extend(host.octets());
        }
    }
    out.extend(address.port().to_be_bytes());
}

fn write_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    out.extend(stamp.time.to_be_bytes());
    out.extend(stamp.server.0.to_be_bytes());
}

fn stamps(out: &mut Vec<u8>, stamps: &[Stamp]) {
    out.extend(u16::try_from(stamps.len()).unwrap_or(0).to_be_bytes());
    stamps.iter().for_each(|&stamp| write_stamp(out, stamp));
}

fn write_owner(out: &mut Vec<u8>, owner: &ClientOwner) {
    text(out, &owner.principal);
    out.push(u8::from(owner.proven));
}

/// Destinations in lists that fit into a message, and whether another one follows.
fn lists(destinations: &[Destination]) -> impl Iterator<Item = (&[Destination], bool)> {
    let mut left = destinations;
    std::iter::from_fn(move || {
        let mut octets = 0;
        let fit = left.iter().take_while(|it| {
            let fits = octets < LIST_OCTETS;
            octets += it.text().len() + 2;
            fits
        });
        let (some, rest) = left.split_at_checked(fit.count())?;
        left = rest;
        (!some.is_empty()).then_some((some, !rest.is_empty()))
    })
}

fn list(out: &mut Vec<u8>, destinations: &[Destination]) {
    out.extend(u16::try_from(destinations.len()).unwrap_or(0).to_be_bytes());
    destinations.iter().for_each(|it| text(out, it.text()));
}

fn write_authenticator(out: &mut Vec<u8>, used: &UsedAuthenticator) {
    out.extend(used.authenticator);
    out.extend(used.packet);
    text(out, &used.principal);
    address(out, used.sender);
    text(out, used.answer.map_or("", KeptAnswer::name).as_bytes());
    out.push(u8::from(used.of_host) | u8::from(used.undone) << 1);
    match used.lifetime {
        None => out.push(0),
        Some(Lifetime { made, ends }) => {
            out.push(1);
            out.extend([made, ends].map(micros).into_iter().flat_map(u64::to_be_bytes));
        }
    }
}

fn micros(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// Takes the first message off what has come; `None` when it has not come as a whole yet.
///
/// # Errors
///
/// When that is none. Nothing that follows can be read then.
pub fn read(octets: &mut &[u8]) -> Result<Option<Message>, WireError> {
    let Some((&[kind, high, low], rest)) = octets.split_first_chunk() else { return Ok(None) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_BODY {
        return Err(WireError::TooLong(len));
    }
    let Some((body, rest)) = rest.split_at_checked(len) else { return Ok(None) };
    *octets = rest;
    body_of(kind, &mut Fields(body)).ok_or(WireError::Malformed(kind)).map(Some)
}

fn body_of(kind: u8, fields: &mut Fields<'_>) -> Option<Message> {
    Some(match kind {
        kind::HELLO => {
            let [major, minor] = *fields.take()?;
            let server = ServerId(u64::from_be_bytes(*fields.take()?));
            let port = fields.number()?;
            let program = fields.text()?;
            let program = program.get(..MAX_PROGRAM).unwrap_or(program);
            let program = String::from_utf8_lossy(program).into_owned();
            let clock = fields.time();
            Message::Hello(Hello { version: Version { major, minor }, server, port, program, clock })
        }
        kind::KNOWN => Message::Known(fields.stamps()?.into_iter().collect()),
        kind::HORIZON => {
            let (principal, made, ends) = (fields.text()?.into(), fields.time()?, fields.time()?);
            Message::Horizon(Horizon { principal, lifetime: Lifetime { made, ends } })
        }
        kind::BEGIN => Message::Begin,
        kind::END => Message::End,
        kind::KEEP_ALIVE => Message::KeepAlive,
        _ => {
            let part = if kind & kind::SNAPSHOT == 0 { Part::Live } else { Part::Snapshot };
            let kind = kind & !kind::SNAPSHOT;
            if !(kind::CLIENT..=kind::REALM_ASKED).contains(&kind) {
                return Some(Message::Unknown);
            }
            let stamp = fields.stamp()?;
            let goes_on = fields.flag()?;
            let mut key = Key::None;
            let change = fields.change(kind, &mut key)?;
            Message::Told(Box::new(Told { stamp, part, goes_on, change, key }))
        }
    })
}

/// The fields of a body that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take::<1>().map(|&[octet]| octet)
    }

    fn number(&mut self) -> Option<u16> {
        self.take().map(|&octets| u16::from_be_bytes(octets))
    }

    fn flag(&mut self) -> Option<bool> {
        match self.octet()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        let (text, rest) = self.0.split_at_checked(len.into())?;
        self.0 = rest;
        Some(text)
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let host = match self.octet()? {
            4 => IpAddr::from(*self.take::<4>()?),
            6 => IpAddr::from(*self.take::<16>()?).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(host, self.number()?))
    }

    fn stamp(&mut self) -> Option<Stamp> {
        let time = u64::from_be_bytes(*self.take()?);
        let server = ServerId(u64::from_be_bytes(*self.take()?));
        Some(Stamp { time, server })
    }

    fn stamps(&mut self) -> Option<Vec<Stamp>> {
        (0..self.number()?).map(|_| self.stamp()).collect()
    }

    fn owner(&mut self) -> Option<ClientOwner> {
        Some(ClientOwner { principal: self.text()?.into(), proven: self.flag()? })
    }

    fn destinations(&mut self) -> Option<Vec<Destination>> {
        (0..self.number()?).map(|_| Destination::from_text(self.text()?)).collect()
    }

    fn time(&mut self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_micros(u64::from_be_bytes(*self.take()?)))
    }

    fn key(&mut self) -> Option<Key> {
        Some(match self.octet()? {
            0 => Key::None,
            1 => {
                let kind = i32::from_be_bytes(*self.take()?);
                let octets = self.text().filter(|octets| octets.len() <= MAX_KEY)?;
                Key::Is(SessionKey { kind, octets: octets.to_vec().into() })
            }
            2 => Key::Unknown,
            _ => return None,
        })
    }

    fn change(&mut self, kind: u8, key: &mut Key) -> Option<Change> {
        Some(match kind {
            kind::CLIENT => {
                let (client, principal) = (self.address()?, Arc::from(self.text()?));
                let through = self.number()?;
                *key = self.key()?;
                Change::ClientKnown { client, principal, session: None, through, local: None }
            }
            kind::CONFIRMED => Change::ClientConfirmed { client: self.address()?, owner: self.owner()? },
            kind::SUBSCRIBED => {
                let (client, owner) = (self.address()?, self.owner()?);
                Change::Subscribed { client, owner, destinations: self.destinations()? }
            }
            kind::UNSUBSCRIBED => {
                let (client, stamps) = (self.address()?, self.stamps()?);
                Change::Unsubscribed { client, destinations: self.destinations()?, stamps }
            }
            kind::CLIENT_GONE => {
                let client = self.address()?;
                let why = if self.flag()? { Gone::Silent } else { Gone::Ended };
                Change::ClientGone { client, stamps: self.stamps()?, why }
            }
            kind::LOCATED => Change::Located(self.located()?),
            kind::LOCATION_GONE => {
                let (user, address) = (Arc::from(self.text()?), self.address()?);
                Change::LocationGone { user, address, stamp: self.stamps()?.first().copied()? }
            }
            kind::HOST => Change::HostKnown { manager: self.address()?, local: None },
            kind::AUTHENTICATOR => Change::AuthenticatorUsed(self.authenticator()?),
            kind::UNDONE => Change::ProofsUndone { host: self.address()?.ip() },
            kind::REALM_SUBSCRIBED => {
                let (realm, asker) = (Arc::from(self.text()?), Arc::from(self.text()?));
                Change::RealmSubscribed { realm, asker, destinations: self.destinations()? }
            }
            kind::REALM_UNSUBSCRIBED => {
                let (realm, stamps) = (Arc::from(self.text()?), self.stamps()?);
                Change::RealmUnsubscribed { realm, destinations: self.destinations()?, stamps }
            }
            kind::REALM_ASKED => {
                let (client, owner) = (self.address()?, self.owner()?);
                Change::RealmAsked { client, owner, destinations: self.destinations()? }
            }
            _ => return None,
        })
    }

    fn located(&mut self) -> Option<Located> {
        let (user, address) = (Arc::from(self.text()?), self.address()?);
        let proven = self.flag()?;
        let exposure = Exposure::from_opcode(self.text()?)?;
        let [machine, time, tty] = [self.text()?, self.text()?, self.text()?].map(Into::into);
        Some(Located { user, address, exposure, proven, machine, time, tty })
    }

    fn authenticator(&mut self) -> Option<UsedAuthenticator> {
        let (authenticator, packet) = (*self.take()?, *self.take()?);
        let (principal, sender) = (self.text()?.into(), self.address()?);
        let answer = match self.text()? {
            b"" => None,
            name => Some(KeptAnswer::named(std::str::from_utf8(name).ok()?)?),
        };
        let flags = self.octet()?;
        let lifetime = match self.flag()? {
            false => None,
            true => Some(Lifetime { made: self.time()?, ends: self.time()? }),
        };
        let (of_host, undone) = (flags & 1 != 0, flags & 2 != 0);
        Some(UsedAuthenticator { authenticator, packet, principal, sender, answer, of_host, undone, lifetime })
    }
}
