//! Questions to Linux about sockets: `NETLINK_SOCK_DIAG`, as `<linux/inet_diag.h>` has it.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, recv, send, socket,
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    sync::atomic::{AtomicU32, Ordering},
};

/// The message by which a socket is asked for, and told (`SOCK_DIAG_BY_FAMILY`).
const BY_FAMILY: u16 = 20;
/// An error (`NLMSG_ERROR`).
const ERROR: u16 = 2;
/// The end of several messages (`NLMSG_DONE`).
const DONE: u16 = 3;
/// It is a request (`NLM_F_REQUEST`) for one socket.
const ONE: u16 = 1;
/// It is a request for all sockets that fit (`NLM_F_REQUEST | NLM_F_DUMP`).
const ALL: u16 = 0x301;
/// The length of a message's header (`struct nlmsghdr`).
const HEADER: usize = 16;
/// The length of a request with its header (`struct inet_diag_req_v2`).
const REQUEST_LEN: usize = HEADER + 56;
/// Where the port of a socket that is told begins (`idiag_sport` of `struct inet_diag_msg`).
const PORT: usize = HEADER + 4;
/// Where the address begins that it is bound to (`idiag_src`), of either family.
const ADDRESS: usize = HEADER + 8;
/// Where its user begins (`idiag_uid`).
const USER: usize = HEADER + 64;
const UDP: u8 = 17;
const ALL_STATES: u32 = u32::MAX;
/// Any socket at this address, not one that is known already (`INET_DIAG_NOCOOKIE`).
const NO_COOKIE: u32 = u32::MAX;
/// What stands for users whom a program cannot name, such as those of another user namespace, unless an administrator
/// has chosen another number.
const OVERFLOW_USER: u32 = 65_534;
/// Room for what the kernel tells at once.
const BUFFER: usize = 32 << 10;
/// Maximum number of sockets of a port that are looked at.
const MAX_SOCKETS: usize = 1024;

/// A socket that the kernel has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    user: u32,
    /// It is bound to all addresses of the machine.
    pub(super) has_all_addresses: bool,
}

impl Found {
    /// Its user, if he is one whom this program could name.
    pub(super) fn user(self) -> Option<u32> {
        (self.user != OVERFLOW_USER).then_some(self.user)
    }
}

/// A socket for questions to the kernel.
#[derive(Debug)]
pub(super) struct Diagnosis {
    kernel: OwnedFd,
    /// The last question's number.
    asked: AtomicU32,
}

impl Diagnosis {
    pub(super) fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let kernel = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
        // From then on nobody else can send anything to it.
        connect(kernel.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { kernel, asked: AtomicU32::new(0) })
    }

    /// The socket that a packet from `from` to `to` would come to.
    pub(super) fn find(&self, to: SocketAddrV4, from: SocketAddrV4) -> io::Result<Found> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // As for a packet: the source is where it comes from, the destination is the socket in question.
        let request = request(ONE, number, AddressFamily::Inet, from, to);
        send(self.kernel.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut buffer = [0; 1024];
        loop {
            // The answer is there as soon as the question is sent.
            let len = recv(self.kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let answer = buffer.get(..len).unwrap_or_default();
            // Or it is one of before, which was not waited for because something went wrong.
            if read(answer, 8).map(u32::from_ne_bytes) == Some(number) {
                return found(answer, to.port());
            }
        }
    }
}

/// The users of all sockets at this port, of either family.
pub(super) fn users_of_port(port: u16) -> io::Result<Vec<u32>> {
    let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let mut users = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        // On a socket of its own: an answer that is not read to its end would be in the way of the next.
        let Diagnosis { kernel, .. } = Diagnosis::new()?;
        // Here the source is the socket in question.
        let request = request(ALL, 1, family, SocketAddrV4::new(*nowhere.ip(), port), nowhere);
        send(kernel.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let len = recv(kernel.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if !add_users(buffer.get(..len).unwrap_or_default(), port, &mut users)? {
                break;
            }
        }
    }
    Ok(users)
}

/// Adds the users whom several messages name; whether more messages follow.
fn add_users(mut messages: &[u8], port: u16, users: &mut Vec<u32>) -> io::Result<bool> {
    while !messages.is_empty() {
        let len = read(messages, 0).map(u32::from_ne_bytes).and_then(|len| usize::try_from(len).ok());
        let len = len.filter(|len| (HEADER..=messages.len()).contains(len)).ok_or_else(malformed)?;
        let message = messages.get(..len).unwrap_or_default();
        if read(message, 4).map(u16::from_ne_bytes) == Some(DONE) {
            return Ok(false);
        }
        if users.len() >= MAX_SOCKETS {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        users.push(found(message, port)?.user);
        messages = messages.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn request(
    wanted: u16,
    number: u32,
    family: AddressFamily,
    source: SocketAddrV4,
    destination: SocketAddrV4,
) -> Vec<u8> {
    let address = |address: SocketAddrV4| [&address.ip().octets()[..], &[0; 12]].concat();
    let len = u32::try_from(REQUEST_LEN).unwrap_or_default();
    let family = u8::try_from(family as i32).unwrap_or_default();
    [
        &len.to_ne_bytes()[..],
        &BY_FAMILY.to_ne_bytes(),
        &wanted.to_ne_bytes(),
        &number.to_ne_bytes(),
        &0_u32.to_ne_bytes(),
        &[family, UDP, 0, 0],
        &ALL_STATES.to_ne_bytes(),
        &source.port().to_be_bytes(),
        &destination.port().to_be_bytes(),
        &address(source),
        &address(destination),
        &0_u32.to_ne_bytes(),
        &NO_COOKIE.to_ne_bytes(),
        &NO_COOKIE.to_ne_bytes(),
    ]
    .concat()
}

/// The socket at this port that a message tells.
fn found(message: &[u8], port: u16) -> io::Result<Found> {
    let kind = read(message, 4).map(u16::from_ne_bytes).ok_or_else(malformed)?;
    if kind == ERROR {
        let error = read(message, HEADER).map(i32::from_ne_bytes).ok_or_else(malformed)?;
        return Err(io::Error::from_raw_os_error(error.saturating_neg()));
    }
    let told = read(message, PORT).map(u16::from_be_bytes).ok_or_else(malformed)?;
    let user = read(message, USER).map(u32::from_ne_bytes).ok_or_else(malformed)?;
    let address: [u8; 16] = read(message, ADDRESS).ok_or_else(malformed)?;
    if kind != BY_FAMILY || told != port {
        return Err(malformed());
    }
    Ok(Found { user, has_all_addresses: address == [0; 16] })
}

fn malformed() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn read<const LEN: usize>(octets: &[u8], at: usize) -> Option<[u8; LEN]> {
    octets.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> [u8; HEADER + 72] {
        let mut answer = [0; HEADER + 72];
        answer[..4].copy_from_slice(&88_u32.to_ne_bytes());
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[PORT..PORT + 2].copy_from_slice(&7_u16.to_be_bytes());
        answer[USER..USER + 4].copy_from_slice(&1000_u32.to_ne_bytes());
        answer
    }

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let address = SocketAddrV4::new([127, 0, 0, 1].into(), 5);
        assert_eq!(request(ONE, 1, AddressFamily::Inet, address, address).len(), REQUEST_LEN);
    }

    #[test]
    fn what_is_no_answer_names_nobody() {
        let mut answer = answer();
        assert_eq!(found(&answer, 7).ok(), Some(Found { user: 1000, has_all_addresses: true }));
        assert!(found(&answer, 8).is_err(), "a socket at another port");
        for len in 0..USER + 4 {
            assert!(found(&answer[..len], 7).is_err(), "{len}");
        }
        answer[ADDRESS + 3] = 1;
        assert_eq!(found(&answer, 7).ok(), Some(Found { user: 1000, has_all_addresses: false }));
        answer[USER..USER + 4].copy_from_slice(&OVERFLOW_USER.to_ne_bytes());
        assert_eq!(found(&answer, 7).ok().and_then(Found::user), None, "somebody of another user namespace");
        answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        assert!(found(&answer, 7).is_err());
    }

    #[test]
    fn several_messages_end_where_they_say() {
        let mut done = answer();
        done[4..6].copy_from_slice(&DONE.to_ne_bytes());
        let mut users = Vec::new();
        assert_eq!(add_users(&[answer(), answer()].concat(), 7, &mut users).ok(), Some(true));
        assert_eq!(add_users(&[answer(), done, answer()].concat(), 7, &mut users).ok(), Some(false));
        assert_eq!(users, [1000; 3]);
        for len in [0_u32, 15, 89, u32::MAX] {
            let mut broken = answer();
            broken[..4].copy_from_slice(&len.to_ne_bytes());
            assert!(add_users(&broken, 7, &mut users).is_err(), "{len}");
        }
    }
}
