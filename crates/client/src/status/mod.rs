//! How a host manager or a server is, asked of itself: for whoever looks after them. Nothing proves the answer.

use crate::system_text;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};
use zephyr_core::{
    auth::Verdict,
    body,
    inbox::{Arrival, Inbox},
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, OwnedPacket},
    time::Now,
    uid::UidSource,
};
use zephyr_engine::client::status_query;
use zephyr_net::clock::Clock;

/// When the question is put, counted from the first time: packets are lost.
const ATTEMPTS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];
/// How long an answer is waited for in all.
pub const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
/// How often nobody may listen at the port: the program may just be starting.
const MAX_REFUSALS: usize = 2;

/// The maximum number of texts of an answer that are kept.
const MAX_TEXTS: usize = 64;
/// The maximum number of octets of a text that are kept.
const MAX_TEXT: usize = 256;
/// The maximum number of octets of a datagram that are looked at: no packet is longer.
const MAX_DATAGRAM: usize = 2048;

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The version of the protocol: `ZEPH0.2`.
    pub protocol: Vec<u8>,
    /// The texts of the answer, whose meaning is their place: at most 64, each of at most 256 octets.
    pub texts: Vec<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No program has the port.
    #[error("nobody listens at {0}")]
    NobodyListens(SocketAddr),
    /// No answer has come within [`STATUS_TIMEOUT`].
    #[error("no answer from {0}")]
    Silent(SocketAddr),
    /// An error of the system, such as that there is no way there.
    #[error("{}", system_text(.0))]
    Io(#[from] io::Error),
}

/// Asks the host manager at an address: a user's program may ask any, and needs none of its own for that.
///
/// # Errors
///
/// When nobody listens there, no answer comes, or the system cannot send.
pub fn of_host_manager(at: SocketAddr) -> Result<Status, StatusError> {
    Asking::begin(at, Asked::HostManager)?.answer(&ATTEMPTS, STATUS_TIMEOUT)
}

/// Asks the server at an address.
///
/// # Errors
///
/// As [`of_host_manager`].
pub fn of_server(at: SocketAddr) -> Result<Status, StatusError> {
    Asking::begin(at, Asked::Server)?.answer(&ATTEMPTS, STATUS_TIMEOUT)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    HostManager,
    Server,
}

/// A question that is under way.
struct Asking {
    at: SocketAddr,
    asked: Asked,
    /// Connected, so that nobody else's packets arrive, and the system tells that nobody listens.
    socket: UdpSocket,
    clock: Clock,
    uids: UidSource,
    inbox: Inbox,
}

impl Asking {
    fn begin(at: SocketAddr, asked: Asked) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(at)?;
        let SocketAddr::V4(local) = socket.local_addr()? else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let uids = UidSource::new(*local.ip());
        Ok(Self { at, asked, socket, clock: Clock::new(), uids, inbox: Inbox::new() })
    }

    /// Puts the question at these times, and waits for the answer until `timeout`.
    fn answer(mut self, attempts: &[Duration], timeout: Duration) -> Result<Status, StatusError> {
        let port = self.socket.local_addr()?.port();
        let uid = self.uids.next(&self.clock.now());
        let question = match self.asked {
            Asked::HostManager => status_query(uid, port),
            Asked::Server => Notice {
                kind: Kind::Unsafe,
                uid,
                multiuid: uid,
                port,
                class: names::ZEPHYR_ADMIN,
                opcode: names::STATUS,
                multinotice: b"0/0",
                address: uid.address.into(),
                ..Notice::EMPTY
            },
        };
        let packet = question.write(&Claim::NONE, Limits::COMPATIBLE).map_err(io::Error::other)?;
        let mut attempts = attempts.iter().copied().peekable();
        let mut refusals = 0;
        loop {
            let now = self.clock.now();
            let elapsed = now.monotonic;
            if elapsed >= timeout {
                return Err(StatusError::Silent(self.at));
            }
            let result = match attempts.next_if(|&attempt| attempt <= elapsed) {
                Some(_) => self.socket.send(&packet).map(|_| None),
                None => {
                    let until = attempts.peek().copied().unwrap_or(timeout).min(timeout);
                    self.receive(now, until.saturating_sub(elapsed), &question)
                }
            };
            match result {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    refusals += 1;
                    if refusals == MAX_REFUSALS {
                        return Err(StatusError::NobodyListens(self.at));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a packet, for at most this time; gives the answer once all of it is there.
    fn receive(&mut self, now: Now, wait: Duration, question: &Notice<'_>) -> io::Result<Option<Status>> {
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let mut octets = [0; MAX_DATAGRAM];
        let len = match self.socket.recv(&mut octets) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Ok(packet) = OwnedPacket::receive(octets.get(..len).unwrap_or_default()) else { return Ok(None) };
        let notice = packet.notice();
        if notice.kind.is_acknowledgement() {
            let is_answer = notice.kind == Kind::HmAck && notice.uid == question.uid;
            return Ok((is_answer && self.asked == Asked::HostManager).then(|| Status::read(&packet, notice.body)));
        }
        let arrival = Arrival { from: self.at, packet, opened: Verdict::Unauthenticated.into() };
        let reception = self.inbox.receive(now, arrival);
        if let Some(acknowledgement) = reception.acknowledgement {
            // Where it is lost, the server sends its answer again.
            let _ = self.socket.send(&acknowledgement);
        }
        let Ok(Some(delivered)) = reception.delivered else { return Ok(None) };
        let notice = delivered.notice();
        let is_answer = notice.class == names::ZEPHYR_ADMIN && notice.opcode == names::STATUS;
        Ok((is_answer && self.asked == Asked::Server).then(|| Status::read(delivered.packet(), notice.body)))
    }
}

impl Status {
    fn read(packet: &OwnedPacket, body: &[u8]) -> Self {
        let cut = |text: &[u8]| text.get(..MAX_TEXT).unwrap_or(text).to_vec();
        let texts = if body.is_empty() { Vec::new() } else { body::texts(body).take(MAX_TEXTS).map(cut).collect() };
        Self { protocol: cut(packet.packet().version), texts }
    }
}

#[cfg(test)]
mod tests;
