//! The thread that looks at what arrives, before it is received.

use super::seen::SeenNotices;
use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use std::{
    io::{self, PipeWriter},
    net::UdpSocket,
    sync::Arc,
    thread,
};
use zephyr_core::{limits::MAX_PACKET, names, notice::Packet};
use zephyr_net::socket_owner::SocketOwners;

/// What has happened.
const ARRIVAL: u64 = 0;
const END: u64 = 1;
/// Where the class is among the fields of a header (wire format, section 2).
const CLASS_FIELD: usize = 8;

/// The thread; it ends when this is dropped.
pub(super) struct Lookout(#[expect(dead_code, reason = "that it is closed ends the thread")] PipeWriter);

impl Lookout {
    /// Starts to look at what arrives at a socket that does not wait.
    pub(super) fn start(socket: UdpSocket, mut owners: SocketOwners, seen: Arc<SeenNotices>) -> io::Result<Self> {
        let (end, alive) = io::pipe()?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        // Each arrival is told once, though somebody else receives it.
        events.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, ARRIVAL))?;
        events.add(&end, EpollEvent::new(EpollFlags::EPOLLHUP, END))?;
        let watch = move || {
            let _end = end;
            let mut happened = [EpollEvent::empty(); 2];
            loop {
                let count = match events.wait(&mut happened, EpollTimeout::NONE) {
                    Ok(count) => count,
                    Err(Errno::EINTR) => continue,
                    Err(_) => return,
                };
                if happened.iter().take(count).any(|event| event.data() == END) {
                    return;
                }
                look(&socket, &mut owners, &seen);
            }
        };
        thread::Builder::new().name("lookout".to_owned()).spawn(watch)?;
        Ok(Self(alive))
    }
}

/// Looks at what has arrived first, and asks whose it is.
fn look(socket: &UdpSocket, owners: &mut SocketOwners, seen: &SeenNotices) {
    let mut octets = [0; MAX_PACKET];
    let Ok((len, from)) = socket.peek_from(&mut octets) else { return };
    let octets = octets.get(..len).unwrap_or_default();
    // It is parsed after that, which takes too long.
    if may_be_control(octets)
        && let Some(user) = owners.owner(from)
        && let Ok(packet) = Packet::parse(octets)
    {
        seen.add(from, packet.notice.uid, user);
    }
}

/// Whether the header of a packet may name the class of control notices.
fn may_be_control(octets: &[u8]) -> bool {
    let class = octets.split(|&octet| octet == 0).nth(CLASS_FIELD);
    class.is_some_and(|class| class.eq_ignore_ascii_case(names::WG_CTL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::Ipv4Addr,
        time::{Duration, Instant},
    };
    use zephyr_core::{
        limits::Limits,
        notice::{Claim, Notice},
        uid::Uid,
    };
    use zephyr_testkit::loopback::Network;

    #[test]
    fn the_class_is_found_in_a_header() {
        let packet =
            |class| Notice { class, sender: names::WG_CTL, ..Notice::EMPTY }.write(&Claim::NONE, Limits::COMPATIBLE);
        let may_be = |class| may_be_control(&packet(class).unwrap());
        assert_eq!([&b"WG_CTL"[..], b"wg_ctl", b"MESSAGE", b""].map(may_be), [true, true, false, false]);
        assert!(!may_be_control(b"") && !may_be_control(b"\0\0\0\0\0\0\0"));
    }

    #[test]
    fn what_is_gone_when_it_is_received_was_seen_before() {
        let network = Network::claim().unwrap();
        let here = UdpSocket::bind((network.here(), 0)).unwrap();
        here.set_nonblocking(true).unwrap();
        let address = here.local_addr().unwrap();
        let owners = || SocketOwners::new(address).unwrap();
        let seen = Arc::new(SeenNotices::default());
        let lookout = Lookout::start(here.try_clone().unwrap(), owners(), Arc::clone(&seen)).unwrap();
        let user = nix::unistd::Uid::effective().as_raw();
        for (number, class) in [(1, names::WG_CTL), (2, names::MESSAGE), (3, b"wg_ctl")] {
            let uid = Uid { address: network.here(), seconds: number, micros: 0 };
            let notice = Notice { uid, class, ..Notice::EMPTY };
            let sender = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            sender.send_to(&notice.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), address).unwrap();
            let from = loop {
                match here.peek_from(&mut [0; MAX_PACKET]) {
                    Ok((_, from)) => break from,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            };
            let (is_control, deadline) = (class != names::MESSAGE, Instant::now() + Duration::from_secs(60));
            while is_control && !seen.knows(from) && Instant::now() < deadline {
                thread::yield_now();
            }
            drop(sender);
            here.recv_from(&mut [0; MAX_PACKET]).unwrap();
            assert_eq!(seen.take(from, uid), is_control.then_some(user), "{number}");
        }
        drop(lookout);
        // The thread had the only other reference.
        let deadline = Instant::now() + Duration::from_secs(60);
        while Arc::strong_count(&seen) > 1 && Instant::now() < deadline {
            thread::yield_now();
        }
        assert_eq!(Arc::strong_count(&seen), 1, "it has ended");
    }
}
