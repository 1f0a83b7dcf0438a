//! The question whether a windowgram client of the user's is at a port.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};
use zephyr_core::{
    kind::Kind,
    limits::Limits,
    names,
    notice::{Claim, Notice, Packet},
    time::Now,
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
    if is_free(port) {
        return false;
    }
    [Ipv4Addr::LOCALHOST, address].into_iter().any(|address| {
        let client = SocketAddr::from((address, port));
        // Where the question cannot be put, as without any address, nobody has been seen.
        answers(client, user, ATTEMPT_TIMEOUT, &mut || {}).unwrap_or(false)
    })
}

/// Whether no program on this machine has a port.
fn is_free(port: u16) -> bool {
    // Of all addresses, which fails if one of them has it.
    port == 0 || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// Asks the client at this address, which is one of this machine, and waits so long each time; `asked` is called after each
/// question.
fn answers(client: SocketAddr, user: u32, wait: Duration, asked: &mut dyn FnMut()) -> io::Result<bool> {
    let IpAddr::V4(here) = client.ip() else { return Ok(false) };
    let socket = UdpSocket::bind((here, 0))?;
    let owner = SocketOwners::new(socket.local_addr()?).ok().and_then(|mut owners| owners.owner(client));
    if owner.is_some_and(|owner| owner != user) {
        return Ok(false);
    }
    // Only what the client sends from there arrives, and that nobody is there.
    socket.connect(client)?;
    let question = Question::new(Clock::new().now(), here)?;
    for _ in 0..ATTEMPTS {
        if socket.send(&question.packet).is_err() {
            return Ok(false);
        }
        asked();
        if question.is_answered(&socket, Instant::now() + wait)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A notice that a client acknowledges, and that has no effect: it takes back that what has no name is not shown.
struct Question {
    uid: Uid,
    packet: Vec<u8>,
}

impl Question {
    fn new(now: Now, here: Ipv4Addr) -> io::Result<Self> {
        let uid = UidSource::new(here).next(&now);
        let notice = Notice {
            kind: Kind::Acked,
            uid,
            multiuid: uid,
            class: names::WG_CTL,
            instance: names::USER,
            opcode: names::UNSUPPRESS,
            multinotice: b"0/3",
            body: b"\0\0\0",
            ..Notice::EMPTY
        };
        let packet = notice.write(&Claim::NONE, Limits::COMPATIBLE).map_err(io::Error::other)?;
        Ok(Self { uid, packet: packet.to_vec() })
    }

    /// Waits for the answer; false when none has come by then.
    fn is_answered(&self, socket: &UdpSocket, until: Instant) -> io::Result<bool> {
        let mut octets = [0; MAX_PACKET];
        loop {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Ok(false);
            };
            socket.set_read_timeout(Some(left))?;
            let Ok(len) = socket.recv(&mut octets) else {
                // No more time, or nobody is there: the next question fails then.
                return Ok(false);
            };
            let is_answer = |packet: Packet<'_>| packet.notice.kind == Kind::ClientAck && packet.notice.uid == self.uid;
            if octets.get(..len).and_then(|octets| Packet::parse(octets).ok()).is_some_and(is_answer) {
                return Ok(true);
            }
        }
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

    #[test]
    fn another_program_is_no_client_and_neither_is_another_users() {
        let network = Network::claim().unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let client = socket.local_addr().unwrap();
        let mut questions = 0;
        let wait = Duration::from_millis(20);
        assert!(!answers(client, account::user_id(), wait, &mut || questions += 1).unwrap());
        assert_eq!(questions, ATTEMPTS);
        if cfg!(target_os = "linux") {
            questions = 0;
            assert!(!answers(client, account::user_id() + 1, wait, &mut || questions += 1).unwrap());
            assert_eq!(questions, 0, "nobody else's program is asked");
        }
    }
}
