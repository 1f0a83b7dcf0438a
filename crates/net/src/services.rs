//! Port numbers (wire format, section 1).

use std::fs;

/// The service of servers.
pub const ZEPHYR_CLT: &str = "zephyr-clt";
/// The service of host managers.
pub const ZEPHYR_HM: &str = "zephyr-hm";

/// The UDP port of a service: what `/etc/services` says, else the protocol's own number; 0 for a name that neither
/// knows.
///
/// Only the file is asked, not what else the machine's name service switch may offer.
pub fn port(name: &str) -> u16 {
    fs::read("/etc/services").ok().and_then(|file| find(&file, name)).unwrap_or_else(|| fallback(name))
}

fn fallback(name: &str) -> u16 {
    match name {
        ZEPHYR_CLT => 2103,
        ZEPHYR_HM => 2104,
        _ => 0,
    }
}

/// The UDP port of `name` in the text of a services file. What is no UTF-8, such as a comment, costs itself alone.
fn find(file: &[u8], name: &str) -> Option<u16> {
    String::from_utf8_lossy(file).lines().find_map(|line| {
        let entry = line.split('#').next()?;
        let mut fields = entry.split_ascii_whitespace();
        let official = fields.next()?;
        let (number, protocol) = fields.next()?.split_once('/')?;
        let named = official == name || fields.any(|alias| alias == name);
        (named && protocol == "udp").then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"\
        # zephyr-clt 1/udp\n\
        # caf\xe9\n\
        zephyr-clt 7/tcp\n\
        zephyr-clt\t2203/udp\t# Zephyr serv-hm connection\n\
        zephyr-clt 9/udp\n\
        hostmanager 2204/udp other zephyr-hm # alias\n\
        broken\n\
        zephyr-hm-srv 99999/udp\n";

    #[test]
    fn the_first_udp_line_counts_also_by_an_alias() {
        assert_eq!(find(FILE, ZEPHYR_CLT), Some(2203));
        assert_eq!(find(FILE, ZEPHYR_HM), Some(2204));
    }

    #[test]
    fn what_cannot_be_read_is_as_if_it_were_not_there() {
        assert_eq!(find(FILE, "zephyr-hm-srv"), None);
        assert_eq!(find(FILE, "broken"), None);
        assert_eq!(fallback(ZEPHYR_CLT), 2103);
        assert_eq!(fallback("nonsense"), 0);
    }
}
