//! Shares of the queue: who has how many packets in it.

use super::owner::{Owner, Program};
use std::{
    collections::{BTreeSet, HashMap},
    net::{Ipv4Addr, SocketAddr},
};

/// The least of all addresses, for ranges.
const FIRST_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Who has how many packets in the queue. The packets are numbers, the older the smaller.
#[derive(Debug, Default)]
pub(super) struct Shares {
    programs: HashMap<Program, BTreeSet<u64>>,
    owners: HashMap<Owner, usize>,
    /// The programs of each owner, by how many packets they have.
    ranked_programs: BTreeSet<(Owner, usize, SocketAddr)>,
    ranked_owners: BTreeSet<(usize, Owner)>,
}

impl Shares {
    pub(super) fn add(&mut self, program: Program, number: u64) {
        self.change(program, |numbers| numbers.insert(number));
    }

    pub(super) fn remove(&mut self, program: Program, number: u64) {
        self.change(program, |numbers| numbers.remove(&number));
    }

    /// The program that must give up a packet when there is no room for one of `newcomer`: the one with most packets
    /// of the owner with most packets; the newcomer itself when nobody has more.
    pub(super) fn largest(&self, newcomer: Program) -> Program {
        let &(most, mut owner) = self.ranked_owners.last().unwrap_or(&(0, newcomer.owner));
        if self.owners.get(&newcomer.owner) == Some(&most) {
            owner = newcomer.owner;
        }
        let of_owner = (owner, 0, FIRST_ADDRESS)..(owner, usize::MAX, FIRST_ADDRESS);
        let largest = self.ranked_programs.range(of_owner).next_back();
        let (most, program) = largest.map_or((0, newcomer), |&(owner, len, address)| (len, Program { owner, address }));
        if owner == newcomer.owner && self.len_of(newcomer) >= most { newcomer } else { program }
    }

    /// The oldest packet of a program.
    pub(super) fn oldest(&self, program: Program) -> Option<u64> {
        self.programs.get(&program)?.first().copied()
    }

    /// The newest packet of a program.
    pub(super) fn newest(&self, program: Program) -> Option<u64> {
        self.programs.get(&program)?.last().copied()
    }

    fn len_of(&self, program: Program) -> usize {
        self.programs.get(&program).map_or(0, BTreeSet::len)
    }

    fn change(&mut self, program: Program, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let Program { owner, address } = program;
        let numbers = self.programs.entry(program).or_default();
        let before = numbers.len();
        change(numbers);
        let after = numbers.len();
        if after == 0 {
            self.programs.remove(&program);
        }
        self.ranked_programs.remove(&(owner, before, address));
        if after > 0 {
            self.ranked_programs.insert((owner, after, address));
        }
        let owned = self.owners.remove(&owner).unwrap_or(0);
        self.ranked_owners.remove(&(owned, owner));
        let owned = owned + after - before;
        if owned > 0 {
            self.owners.insert(owner, owned);
            self.ranked_owners.insert((owned, owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(user: u32, port: u16) -> Program {
        Program { owner: Owner::User(user), address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    #[test]
    fn whoever_has_most_gives_up() {
        let mut shares = Shares::default();
        let (one, other, third) = (program(1, 1), program(1, 2), program(2, 3));
        assert_eq!(shares.largest(third), third, "nobody has anything");
        for number in 0..10 {
            shares.add(if number < 3 { one } else { other }, number);
        }
        for number in 10..19 {
            shares.add(third, number);
        }
        assert_eq!((shares.largest(third), shares.largest(one), shares.largest(other)), (other, other, other));
        assert_eq!((shares.oldest(other), shares.newest(other)), (Some(3), Some(9)));
        shares.add(third, 20);
        assert_eq!((shares.largest(third), shares.largest(one)), (third, other), "as much as any: of one's own");
        for number in 3..10 {
            shares.remove(other, number);
        }
        assert_eq!((shares.largest(one), shares.oldest(other)), (third, None));
    }

    #[test]
    fn nothing_is_left_of_those_who_have_nothing() {
        let mut shares = Shares::default();
        shares.add(program(1, 1), 7);
        shares.remove(program(1, 1), 7);
        shares.remove(program(1, 1), 7);
        assert!(shares.programs.is_empty() && shares.owners.is_empty());
        assert!(shares.ranked_programs.is_empty() && shares.ranked_owners.is_empty());
    }
}
