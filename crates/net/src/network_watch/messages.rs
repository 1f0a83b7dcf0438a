//! Messages of the kernel about the network, as `<linux/rtnetlink.h>` has them: which of them change anything.
//!
//! Many do not: DHCP says every few minutes that an address is still good, a wireless card tells of each look for other
//! stations, and a routing daemon may change a thousand routes to elsewhere in a second.

use std::collections::HashMap;

/// The length of a message's header (`struct nlmsghdr`).
const HEADER: usize = 16;
const NEW_LINK: u16 = 16;
const DELETED_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const DELETED_ADDRESS: u16 = 21;
const NEW_ROUTE: u16 = 24;
const DELETED_ROUTE: u16 = 25;
/// The table of routes that come with addresses (`RT_TABLE_LOCAL`).
const LOCAL_TABLE: u8 = 255;
/// What decides whether a link carries anything: `IFF_UP` and `IFF_RUNNING`.
const CARRIES: u32 = 0x1 | 0x40;
/// Routes of daemons that learn them (`RTPROT_GATED` to `RTPROT_BABEL`), apart from DHCP (16).
const LEARNT: std::ops::RangeInclusive<u8> = 10..=15;
const LEARNT_TOO: [u8; 6] = [42, 186, 187, 188, 189, 192];
/// Where the body's attributes begin in a message about an address (`struct ifaddrmsg`).
const ADDRESS_ATTRIBUTES: usize = HEADER + 8;
/// The attribute with the address (`IFA_ADDRESS`), and with this host's end of it (`IFA_LOCAL`).
const ADDRESS: u16 = 1;
const OWN_ADDRESS: u16 = 2;
/// Maximum number of links and addresses that are remembered, of each.
const MAX_KNOWN: usize = 1024;

/// What was told last, so that what is told again is no change.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What decides whether a link carries anything, by its number.
    links: HashMap<u32, u32>,
    /// The flags of addresses (secondary, deprecated, ...).
    addresses: HashMap<Address, u8>,
}

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Address {
    link: u32,
    prefix: u8,
    octets: Box<[u8]>,
}

/// Whether one of these messages changes anything. What cannot be understood might.
pub(super) fn change_anything(mut messages: &[u8], known: &mut Known) -> bool {
    let mut changed = false;
    while !messages.is_empty() {
        let len = read(messages, 0).map(u32::from_ne_bytes).and_then(|len| usize::try_from(len).ok());
        let Some(len) = len.filter(|len| (HEADER..=messages.len()).contains(len)) else { return true };
        let message = messages.get(..len).unwrap_or_default();
        changed |= is_change(message, known).unwrap_or(true);
        messages = messages.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    changed
}

/// Whether this message changes anything; `None` when it ends too early.
fn is_change(message: &[u8], known: &mut Known) -> Option<bool> {
    match read(message, 4).map(u16::from_ne_bytes)? {
        NEW_LINK => {
            let (link, flags) = (number(message, HEADER + 4)?, number(message, HEADER + 8)? & CARRIES);
            Some(remember(&mut known.links, link, flags))
        }
        DELETED_LINK => {
            known.links.remove(&number(message, HEADER + 4)?);
            Some(true)
        }
        kind @ (NEW_ADDRESS | DELETED_ADDRESS) => {
            let [_, prefix, flags, _] = read::<4>(message, HEADER)?;
            let octets = address(message.get(ADDRESS_ATTRIBUTES..)?)?;
            let address = Address { link: number(message, HEADER + 4)?, prefix, octets: octets.into() };
            if kind == DELETED_ADDRESS {
                known.addresses.remove(&address);
                return Some(true);
            }
            Some(remember(&mut known.addresses, address, flags))
        }
        NEW_ROUTE | DELETED_ROUTE => {
            let [_, destination, ..] = read::<4>(message, HEADER)?;
            let [table, protocol, ..] = read::<4>(message, HEADER + 4)?;
            let is_learnt = LEARNT.contains(&protocol) || LEARNT_TOO.contains(&protocol);
            Some(table != LOCAL_TABLE && (destination == 0 || !is_learnt))
        }
        _ => Some(false),
    }
}

/// Whether this is new.
fn remember<K: Eq + std::hash::Hash, V: PartialEq>(known: &mut HashMap<K, V>, key: K, value: V) -> bool {
    if known.len() >= MAX_KNOWN && !known.contains_key(&key) {
        known.clear();
    }
    let is_new = known.get(&key) != Some(&value);
    known.insert(key, value);
    is_new
}

/// This host's address among these attributes (`struct rtattr`).
fn address(mut attributes: &[u8]) -> Option<&[u8]> {
    let mut address = None;
    while !attributes.is_empty() {
        let len = usize::from(read(attributes, 0).map(u16::from_ne_bytes)?);
        let kind = read(attributes, 2).map(u16::from_ne_bytes)?;
        let value = attributes.get(4..len)?;
        match kind {
            OWN_ADDRESS => return Some(value),
            ADDRESS => address = Some(value),
            _ => {}
        }
        attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    address
}

fn number(octets: &[u8], at: usize) -> Option<u32> {
    read(octets, at).map(u32::from_ne_bytes)
}

fn read<const LEN: usize>(octets: &[u8], at: usize) -> Option<[u8; LEN]> {
    octets.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[&[u8]]) -> Vec<u8> {
        let body = body.concat();
        let len = u32::try_from(HEADER + body.len()).unwrap();
        [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &body].concat()
    }

    fn link(kind: u16, number: u32, flags: u32) -> Vec<u8> {
        message(kind, &[&[0; 4], &number.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]])
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + value.len()).unwrap();
        [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
    }

    fn address_of(kind: u16, [family, flags, scope]: [u8; 3], octets: &[u8]) -> Vec<u8> {
        let attributes = [attribute(6, &[0; 16]), attribute(ADDRESS, octets)].concat();
        message(kind, &[&[family, 24, flags, scope], &2_u32.to_ne_bytes(), &attributes])
    }

    fn route(kind: u16, [destination, table, protocol]: [u8; 3]) -> Vec<u8> {
        message(kind, &[&[2, destination, 0, 0, table, protocol, 0, 1], &[0; 4]])
    }

    #[test]
    fn what_is_told_again_is_no_change() {
        let known = &mut Known::default();
        let mut changes = |told: Vec<u8>| change_anything(&told, known);
        assert!(changes(link(NEW_LINK, 2, 0x1043)));
        assert!(!changes(link(NEW_LINK, 2, 0x1043)));
        assert!(!changes(link(NEW_LINK, 2, 0x1143)), "another flag: it hears all that is said");
        assert!(changes(link(NEW_LINK, 2, 0x1003)), "its cable is out");
        assert!(changes(link(NEW_LINK, 3, 0x1003)), "another link");
        assert!(changes(link(DELETED_LINK, 2, 0x1003)));
        assert!(changes(link(NEW_LINK, 2, 0x1003)));

        assert!(changes(address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1])));
        assert!(!changes(address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1])));
        assert!(changes(address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 2])));
        assert!(changes(address_of(NEW_ADDRESS, [2, 0xA0, 0], &[10, 0, 0, 1])), "it is used no more for what is new");
        assert!(changes(address_of(DELETED_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1])));
        assert!(changes(address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1])));
    }

    #[test]
    fn an_address_that_is_good_on_its_link_alone_may_be_all_there_is() {
        /// `RT_SCOPE_LINK`.
        const LINK_SCOPE: u8 = 253;
        let told = address_of(NEW_ADDRESS, [2, 0, LINK_SCOPE], &[169, 254, 0, 1]);
        assert!(change_anything(&told, &mut Known::default()));
    }

    #[test]
    fn routes_to_elsewhere_are_no_change() {
        let known = &mut Known::default();
        let mut changes = |told: Vec<u8>| change_anything(&told, known);
        assert!(changes(route(NEW_ROUTE, [0, 254, 16])), "by DHCP");
        assert!(changes(route(DELETED_ROUTE, [24, 254, 4])), "by hand");
        assert!(!changes(route(NEW_ROUTE, [24, 254, 186])), "by BGP");
        assert!(changes(route(NEW_ROUTE, [0, 254, 186])), "everything, by BGP");
        assert!(!changes(route(NEW_ROUTE, [32, LOCAL_TABLE, 2])), "with an address");
    }

    #[test]
    fn what_cannot_be_understood_is_a_change_and_harmless() {
        let known = &mut Known::default();
        for told in [
            link(NEW_LINK, 2, 0x1043),
            address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1]),
            address_of(DELETED_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1]),
            route(NEW_ROUTE, [0, 254, 16]),
        ] {
            for len in 1..told.len() {
                assert!(change_anything(&told[..len], known), "cut to {len} octets");
            }
            for len in [0, 15, 17, u32::MAX] {
                let mut lying = told.clone();
                lying[..4].copy_from_slice(&len.to_ne_bytes());
                assert!(change_anything(&lying, known), "{len} octets");
            }
        }
        for len in [0_u16, 3, 9, u16::MAX] {
            let mut lying = address_of(NEW_ADDRESS, [2, 0x80, 0], &[10, 0, 0, 1]);
            lying[ADDRESS_ATTRIBUTES..ADDRESS_ATTRIBUTES + 2].copy_from_slice(&len.to_ne_bytes());
            assert!(change_anything(&lying, known), "an attribute of {len} octets");
        }
        assert!(!change_anything(&message(3, &[]), known), "the end of a list");
        assert!(!change_anything(&[], known));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let known = &mut Known::default();
        for number in 0..5000 {
            change_anything(&link(NEW_LINK, number, 0x43), known);
            let octets = number.to_ne_bytes();
            change_anything(&address_of(NEW_ADDRESS, [2, 0, 0], &octets), known);
        }
        assert!(known.links.len() <= MAX_KNOWN && known.addresses.len() <= MAX_KNOWN);
    }

    #[test]
    fn several_messages_are_read_to_the_end() {
        let known = &mut Known::default();
        let quiet = route(NEW_ROUTE, [32, LOCAL_TABLE, 2]);
        let told = [quiet.clone(), link(NEW_LINK, 2, 0x43), quiet].concat();
        assert!(change_anything(&told, known));
        assert!(!change_anything(&told, known));
    }
}
