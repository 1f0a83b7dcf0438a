//! Who has a port that this process cannot have.

use crate::users;
use std::{
    collections::BTreeSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use zephyr_config::system_text;
use zephyr_core::sanitize;

/// The kind of a port, by the name of the system's table of sockets (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A socket in the system's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    user: u32,
    inode: u64,
}

/// The error of listening on `address`, in the system's words, with who is there, where the system tells.
///
/// Ports above 1023 are anybody's: whoever binds one before its daemon does is taken for the daemon by every program here.
pub(crate) fn explain(transport: Transport, address: SocketAddr, error: io::Error) -> io::Error {
    let text = system_text(&error);
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => match held_by(transport, address) {
            Some(holders) => format!("{text}: {holders} there; end that program, or choose another address"),
            None => format!("{text}: another program has that port"),
        },
        io::ErrorKind::AddrNotAvailable => format!("{text}: no interface of this machine has it"),
        _ => text,
    };
    io::Error::new(error.kind(), text)
}

/// Looks at the system's tables until one has the socket: it is written a part at a time, and misses sockets when others close
/// meanwhile.
const MAX_LOOKS: usize = 5;

/// Whose sockets keep others from this address and port; `None` when the system does not say.
fn held_by(transport: Transport, address: SocketAddr) -> Option<String> {
    // Of this process, as they are there also where a unit shows nothing else of /proc (ProcSubset=pid).
    let tables: &[&str] = match transport {
        Transport::Udp => &["/proc/self/net/udp", "/proc/self/net/udp6"],
        Transport::Tcp => &["/proc/self/net/tcp", "/proc/self/net/tcp6"],
    };
    let look = || {
        let tables = tables.iter().map(|table| fs::read_to_string(table).unwrap_or_default());
        tables.flat_map(|table| holders(&table, address).collect::<Vec<_>>()).collect::<BTreeSet<_>>()
    };
    let found = (0..MAX_LOOKS).map(|_| look()).find(|found| !found.is_empty()).unwrap_or_default();
    let named: BTreeSet<String> = found.into_iter().map(described).collect();
    match named.len() {
        0 => None,
        1 => Some(format!("{} is", named.into_iter().collect::<String>())),
        _ => Some(format!("{} are", named.into_iter().collect::<Vec<_>>().join(" and "))),
    }
}

/// The sockets that are in the way of one at this address, by the system's table.
fn holders(table: &str, address: SocketAddr) -> impl Iterator<Item = Holder> {
    table.lines().skip(1).filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace();
        let local = local_address(columns.nth(1)?)?;
        // Between them: the remote address, the state, queues, timer and retransmissions.
        let user = columns.nth(5)?.parse();
        // After the timeout.
        let inode = columns.nth(1)?.parse();
        are_in_each_others_way(local, address).then_some(Holder { user: user.ok()?, inode: inode.ok()? })
    })
}

/// An address and port as the system's table has it: words of 32 bits in the byte order of the machine, and a number.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = if address.len() == 8 {
        IpAddr::from(Ipv4Addr::from(word(0)?))
    } else {
        let [a, b, c, d] = [word(0)?, word(8)?, word(16)?, word(24)?];
        let octets: Vec<u8> = [a, b, c, d].concat();
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)).to_canonical()
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Whether of two sockets with these addresses only one can be bound. One for all addresses of IPv6 may be for those of IPv4, too.
fn are_in_each_others_way(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip().to_canonical());
    one.port() == other.port() && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}

/// A socket, with its program where this process may know.
fn described(Holder { user, inode }: Holder) -> String {
    let user = users::name_of(user);
    match program_of(inode) {
        Some(program) => format!("{program} of {user}"),
        None => format!("a socket of {user}"),
    }
}

/// The program that has this socket open, by name and process id. Only root is told of other people's.
fn program_of(inode: u64) -> Option<String> {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    let has_it = |process: &PathBuf| {
        let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        open.map(|open| fs::read_link(open.path())).any(|target| target.is_ok_and(|target| target == socket))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten().map(|process| process.path());
    let process = processes.filter(|process| is_process(process)).find(has_it)?;
    let name = fs::read(process.join("comm")).ok()?;
    let id = process.file_name()?.to_string_lossy().into_owned();
    Some(format!("{} (process {id})", sanitize::name(name.trim_ascii_end())))
}

fn is_process(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use zephyr_testkit::loopback::Network;

    #[test]
    fn a_table_of_the_system() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:0838 00000000:0000 07 00000000:00000000 00:00000000 00000000  1001        0 11111 2 0000000000000000 0
  124: 00000000:0839 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 22222 2 0000000000000000 0
  124: 00000000000000000000000000000000:083A 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 33333 2 0000000000000000 0
  125: nonsense
";
        let at = |address: &str| holders(table, address.parse().unwrap()).collect::<Vec<_>>();
        let (alices, roots) = (Holder { user: 1001, inode: 11111 }, |inode| Holder { user: 0, inode });
        assert_eq!(at("127.0.0.1:2104"), [alices]);
        assert_eq!(at("0.0.0.0:2104"), [alices], "one for all addresses");
        assert_eq!(at("127.0.0.2:2104"), [], "the same port of another address is in nobody's way");
        assert_eq!(at("127.0.0.2:2105"), [roots(22222)]);
        assert_eq!((at("127.0.0.2:2106"), at("[::1]:2106")), (vec![roots(33333)], vec![roots(33333)]));
        assert_eq!(at("[::ffff:127.0.0.1]:2104"), [alices]);
        assert_eq!(holders("", ([127, 0, 0, 1], 2104).into()).count(), 0);
    }

    #[test]
    fn who_has_a_port_is_named() {
        let network = Network::claim().unwrap();
        let held = UdpSocket::bind((network.here(), 0)).unwrap();
        let address = held.local_addr().unwrap();
        let error = UdpSocket::bind(address).unwrap_err();
        let text = explain(Transport::Udp, address, error).to_string();
        let own = format!("(process {}) of ", std::process::id());
        assert!(text.starts_with("Address already in use: ") && text.contains(&own), "{text}");
        assert!(!text.contains("os error") && text.contains("choose another address"), "{text}");
    }
}
