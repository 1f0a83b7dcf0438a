//! The question whether a windowgram client of the user's is at a port.

use bytes::Bytes;
use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::{Duration, Instant},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    uid::{Uid, UidSource},
};
use zephyr_net::{clock::Clock, socket_owner::SocketOwners};

/// How often it is asked.
const ATTEMPTS: u32 = 5;
/// How long an answer is awaited each time. A client that is there answers at once, unless its machine is very busy.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum number of octets of an answer that are looked at.
const MAX_PACKET: usize = 2048;

/// Whether a windowgram client of `user` has this port: whoever is there acknowledges a notice, as every client does, C's too. Another
/// user's program is none, whatever it answers.
pub(super) fn has_client(port: u16, address: Ipv4Addr, user: u32) -> bool {
    !is_free(port) && answers(&[Ipv4Addr::LOCALHOST, address], port, user, ATTEMPT_TIMEOUT)
}

/// Whether no program on this machine has a port.
fn is_free(port: u16) -> bool {
    // Of all addresses, which fails if one of them has it.
    port == 0 || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// Asks whoever is at the port of these addresses of this machine, and waits so long each time.
fn answers(addresses: &[Ipv4Addr], port: u16, user: u32, wait: Duration) -> bool {
    // Where the question cannot be put, as at an address that is none of this machine's, nobody is seen.
    let clients =
        addresses.iter().map(|&address| Conversation::begin(SocketAddrV4::new(address, port), user).ok().flatten());
    let mut clients: Vec<_> = clients.flatten().collect();
    for _ in 0..ATTEMPTS {
        // Who is not there refuses.
        clients.retain(Conversation::ask);
        let each = wait / u32::try_from(clients.len().max(1)).unwrap_or(1);
        if clients.iter().any(|client| client.is_answered(Instant::now() + each)) {
            return true;
        }
    }
    false
}

/// The question to a client at an address, and what comes back.
struct Conversation {
    /// Connected, so that only what the client sends from there arrives, and that nobody is there.
    socket: UdpSocket,
    uid: Uid,
    question: Bytes,
}

impl Conversation {
    /// `None` when nobody is there, or another user's program.
    fn begin(client: SocketAddrV4, user: u32) -> io::Result<Option<Self>> {
        let socket = UdpSocket::bind((*client.ip(), 0))?;
        // Where the system tells, others who are there cannot speak for the user.
        if let Ok(mut owners) = SocketOwners::new(socket.local_addr()?)
            && owners.owner(client.into()) != Some(user)
        {
            return Ok(None);
        }
        socket.connect(client)?;
        let uid = UidSource::new(*client.ip()).next(&Clock::new().now());
        let question = question(uid).write(&Claim::NONE, Limits::COMPATIBLE).map_err(io::Error::other)?;
        Ok(Some(Self { socket, uid, question }))
    }

    fn ask(&self) -> bool {
        self.socket.send(&self.question).is_ok()
    }

    /// Waits for the answer; false when none has come by then.
    fn is_answered(&self, until: Instant) -> bool {
        let mut octets = [0; MAX_PACKET];
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if self.socket.set_read_timeout(Some(left)).is_err() {
                return false;
            }
            // No more time, or nobody is there.
            let Ok(len) = self.socket.recv(&mut octets) else { return false };
            let is_answer = |packet: Packet<'_>| packet.notice.kind == Kind::ClientAck && packet.notice.uid == self.uid;
            if octets.get(..len).and_then(|octets| Packet::parse(octets).ok()).is_some_and(is_answer) {
                return true;
            }
        }
        false
    }
}

/// A notice that a client acknowledges, and that has no effect: it takes back that what has no name is not shown.
const fn question(uid: Uid) -> Notice<'static> {
    Notice {
        kind: Kind::Acked,
        uid,
        multiuid: uid,
        class: names::WG_CTL,
        instance: names::USER,
        opcode: names::UNSUPPRESS,
        multinotice: b"0/3",
        body: b"\0\0\0",
        ..Notice::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account;
    use std::thread;
    use zephyr_testkit::loopback::Network;

    #[test]
    fn a_free_port_has_no_client() {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(!is_free(port), "whatever address has it");
        drop(socket);
        assert!(is_free(0));
        assert!(!has_client(0, network.here(), account::user_id()));
    }

    #[test]
    fn a_client_acknowledges() {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let client = thread::spawn(move || {
            let mut octets = [0; MAX_PACKET];
            // The first is lost; before the answer comes something else.
            socket.recv_from(&mut octets).unwrap();
            let (len, from) = socket.recv_from(&mut octets).unwrap();
            let asked = Packet::parse(&octets[..len]).unwrap().notice;
            assert_eq!((asked.class, asked.instance, asked.opcode), (&b"WG_CTL"[..], &b"USER"[..], &b"UNSUPPRESS"[..]));
            let answer = Notice { kind: Kind::ClientAck, body: b"", ..asked };
            socket.send_to(b"what?", from).unwrap();
            socket.send_to(&answer.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
        });
        assert!(has_client(port, network.here(), account::user_id()));
        client.join().unwrap();
    }

    /// What a program gets that answers nothing, when this user asks.
    fn asked(user: u32) -> usize {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(!answers(&[Ipv4Addr::LOCALHOST, network.here()], port, user, Duration::from_millis(20)));
        socket.set_nonblocking(true).unwrap();
        let mut octets = [0; MAX_PACKET];
        std::iter::from_fn(|| socket.recv(&mut octets).ok()).count()
    }

    #[test]
    fn another_program_is_no_client_and_neither_is_another_users() {
        assert_eq!(asked(account::user_id()), ATTEMPTS as usize);
        if cfg!(target_os = "linux") {
            assert_eq!(asked(account::user_id() + 1), 0, "nobody else's program is asked");
        }
    }
}
