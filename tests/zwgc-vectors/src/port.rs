//! The port of a client: from its port file (zwgc, section 2.6), or from the kernel's table of sockets.

use crate::quiet::all_processes;
use std::{fs, path::Path};

/// The port in a port file: its two octets in network order, read as a number of this machine's.
pub(crate) fn of_file(path: &Path) -> Option<u16> {
    of_text(&fs::read_to_string(path).ok()?)
}

fn of_text(text: &str) -> Option<u16> {
    let number: u16 = text.strip_suffix('\n')?.parse().ok()?;
    Some(u16::from_be(number)).filter(|port| *port != 0)
}

/// The port of the first UDP socket of a process that receives from everybody.
pub(crate) fn of_process(process: u32) -> Option<u16> {
    let table = fs::read_to_string("/proc/self/net/udp").ok()?;
    let sockets = sockets_of(process);
    sockets.iter().find_map(|inode| table.lines().filter_map(Row::read).find(|row| row.inode == *inode)?.open_port())
}

/// The process that has this UDP port.
pub(crate) fn owner(port: u16) -> Option<u32> {
    let table = fs::read_to_string("/proc/self/net/udp").ok()?;
    let row = table.lines().filter_map(Row::read).find(|row| row.port == port)?;
    all_processes().ok()?.into_iter().find(|process| sockets_of(*process).contains(&row.inode))
}

/// The inodes of a process's sockets, in the order of its descriptors.
fn sockets_of(process: u32) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/fd")) else { return Vec::new() };
    let mut sockets: Vec<(u32, u64)> = entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, inode))
        })
        .collect();
    sockets.sort_unstable();
    sockets.into_iter().map(|(_, inode)| inode).collect()
}

/// A row of `/proc/net/udp`.
struct Row {
    port: u16,
    is_connected: bool,
    inode: u64,
}

impl Row {
    /// Reads a row: `  12: 0100007F:0837 00000000:0000 07 00000000:00000000 00:00000000 00000000  0  0  4711 …`.
    fn read(line: &str) -> Option<Self> {
        let mut columns = line.split_whitespace().skip(1);
        let (_, port) = columns.next()?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let is_connected = columns.next()? != "00000000:0000";
        Some(Self { port, is_connected, inode: columns.nth(6)?.parse().ok()? })
    }

    fn open_port(&self) -> Option<u16> {
        (!self.is_connected).then_some(self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, UdpSocket};

    #[test]
    fn a_port_file_has_its_octets_in_network_order() {
        assert_eq!(of_text("37850\n"), Some(if cfg!(target_endian = "little") { 55_955 } else { 37_850 }));
        for text in ["", "37850", "0\n", "70000\n", "x\n", "1\n2\n"] {
            assert_eq!(of_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn ports_and_their_owners_are_in_the_table_of_sockets() {
        let row = Row::read("  1: 0100007F:0837 0100007F:0001 07 00000000:00000000 00:00000000 00000000  0  0 42 2 0");
        let row = row.unwrap();
        assert_eq!((row.port, row.inode, row.open_port()), (0x837, 42, None));
        assert!(Row::read("  sl  local_address rem_address   st tx_queue rx_queue tr").is_none());

        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(owner(port), Some(std::process::id()));
        assert!(of_process(std::process::id()).is_some());
        assert_eq!(of_process(0), None);
    }
}
