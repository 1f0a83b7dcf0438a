//! Who has a UDP port that this process cannot have.

use nix::unistd::{Uid, User};
use std::{collections::BTreeSet, fs, io, net::SocketAddr};

/// The error of listening on `address`, with whose socket is there, where the system tells.
///
/// Ports above 1023 are anybody's: whoever binds one before its daemon does is taken for the daemon by every program here.
pub(crate) fn explain(address: SocketAddr, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::AddrInUse {
        return error;
    }
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let owners: BTreeSet<u32> = owners(&table, address.port()).collect();
    if owners.is_empty() {
        return error;
    }
    let named: Vec<String> = owners.into_iter().map(Uid::from_raw).map(name_of).collect();
    io::Error::new(error.kind(), format!("{error}: a socket of {} is there", named.join(" and of ")))
}

/// The users who have sockets at this port, by the system's table of UDP sockets (proc(5)).
fn owners(table: &str, port: u16) -> impl Iterator<Item = u32> {
    table.lines().skip(1).filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace();
        let (_, local) = columns.nth(1)?.rsplit_once(':')?;
        // Between them: the remote address, the state, queues, timer and retransmissions.
        let owner = columns.nth(5)?;
        (u16::from_str_radix(local, 16) == Ok(port)).then(|| owner.parse().ok()).flatten()
    })
}

fn name_of(user: Uid) -> String {
    match User::from_uid(user) {
        Ok(Some(known)) => format!("user {} ({user})", known.name),
        _ => format!("user {user}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_table() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 0100007F:0838 00000000:0000 07 00000000:00000000 00:00000000 00000000  1001        0 11111 2 0000000000000000 0
  124: 00000000:0839 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 22222 2 0000000000000000 0
  125: nonsense
";
        assert_eq!(owners(table, 2104).collect::<Vec<_>>(), [1001]);
        assert_eq!(owners(table, 2105).collect::<Vec<_>>(), [0]);
        assert_eq!(owners("", 2104).count(), 0);
    }
}
