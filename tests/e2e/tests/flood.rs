//! A hundred thousand invalid and nearly valid packets: the daemons serve on, and grow no further.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};
use zephyr_core::{
    kind::Kind,
    names,
    notice::{Claim, Notice, Packet},
};
use zephyr_e2e::{listener::Origin, stack::Stack, stranger::Stranger};
use zephyr_testkit::realm::{Engine, RealmOptions};

const PACKETS: usize = 100_000;
/// After so many packets every table that may fill has filled.
const WARM_UP: usize = 20_000;
/// So few that the smallest receive buffer a system gives holds them, and the answers.
const BURST: usize = 50;
/// How much a server may have grown after the warm-up, in kibioctets. By design it remembers 8192 requests with their
/// answers, ten megaoctets at most, and holds answers that nobody acknowledges for a while; not all of that is full
/// when the warm-up ends. What follows are 80 000 packets, some 40 MiB: who keeps packets is found out. What is kept by
/// the dozen octets is found by the tests of the engines, which count.
const SERVER_GROWTH: u64 = 12 * 1024;
/// The same for a host manager, in whose queue 4096 packets may wait, each of up to 1024 octets and something around
/// them.
const HOST_MANAGER_GROWTH: u64 = 8 * 1024;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    packet_hex: String,
}

/// The packets of the project's golden vectors: what all kinds of programs say to each other.
fn genuine_packets() -> Result<Vec<Vec<u8>>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/data/packets.json");
    let vectors: Vectors = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let octets = |hex: &str| -> Result<Vec<u8>> {
        (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(hex.get(at..at + 2).context("odd")?, 16)?)).collect()
    };
    vectors.vectors.iter().map(|vector| octets(&vector.packet_hex)).collect()
}

/// Random numbers (splitmix64), the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn octets(&mut self, max: usize) -> Vec<u8> {
        (0..self.below(max)).map(|_| self.next() as u8).collect()
    }
}

/// Makes packets out of genuine ones.
struct Forger {
    genuine: Vec<Vec<u8>>,
    /// Those of the genuine packets that want something of a daemon.
    requests: Vec<Vec<u8>>,
    random: Random,
}

impl Forger {
    fn new(seed: u64) -> Result<Self> {
        let genuine = genuine_packets()?;
        let is_request = |packet: &&Vec<u8>| {
            Packet::parse(packet)
                .is_ok_and(|packet| matches!(packet.notice.kind, Kind::Unsafe | Kind::Unacked | Kind::Acked))
        };
        let requests = genuine.iter().filter(is_request).cloned().collect();
        Ok(Self { genuine, requests, random: Random(seed) })
    }

    fn pick(&mut self) -> Vec<u8> {
        // What is kept of anything is kept of requests, so most are such.
        let list = if self.random.below(4) > 0 { &self.requests } else { &self.genuine };
        list.get(self.random.below(list.len())).cloned().unwrap_or_default()
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut packet = self.pick();
        match self.random.below(8) {
            0 => return self.random.octets(1200),
            1 => packet.truncate(self.random.below(packet.len())),
            2 => {
                // The beginning of one and the end of another.
                let other = self.pick();
                packet.truncate(self.random.below(packet.len()));
                packet.extend(other.get(self.random.below(other.len())..).unwrap_or_default());
            }
            3 => self.renew(&mut packet),
            4 => {
                self.renew(&mut packet);
                packet.extend(self.random.octets(900));
            }
            5 => {
                self.renew(&mut packet);
                self.change_a_field(&mut packet);
            }
            _ => {
                for _ in 0..=self.random.below(8) {
                    let at = self.random.below(packet.len());
                    if let Some(octet) = packet.get_mut(at) {
                        *octet ^= 1 << self.random.below(8);
                    }
                }
            }
        }
        packet
    }

    /// Gives a packet another uid, so that it is no repetition.
    fn renew(&mut self, packet: &mut [u8]) {
        let uid = format!("0x7F000001 0x{:08X} 0x{:08X}", self.random.next() as u32, self.random.next() as u32);
        if let Some(field) = field(packet, 3).and_then(|field| packet.get_mut(field))
            && field.len() == uid.len()
        {
            field.copy_from_slice(uid.as_bytes());
        }
    }

    /// Puts the field of another packet into this one's place, or random octets.
    fn change_a_field(&mut self, packet: &mut Vec<u8>) {
        let number = self.random.below(19);
        let donor = self.pick();
        let new = match field(&donor, number).and_then(|field| donor.get(field)) {
            Some(new) if self.random.below(4) > 0 => new.to_vec(),
            _ => self.random.octets(100),
        };
        if let Some(old) = field(packet, number) {
            packet.splice(old, new);
        }
    }
}

fn field(packet: &[u8], number: usize) -> Option<std::ops::Range<usize>> {
    let start = match number.checked_sub(1) {
        None => 0,
        Some(before) => packet.iter().enumerate().filter(|(_, octet)| **octet == 0).nth(before)?.0 + 1,
    };
    let length = packet.get(start..)?.iter().position(|&octet| octet == 0)?;
    Some(start..start + length)
}

/// Resident memory of a process in kibioctets.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// A request that a daemon answers whatever its state.
#[derive(Clone, Copy)]
enum Probe {
    /// Of a host manager: how are you?
    Status,
    /// Of a server: what are the default subscriptions? With port 0 it only acknowledges that.
    Defaults,
}

/// Waits until a daemon answers, which it does after everything that came before.
fn is_alive(stranger: &mut Stranger, daemon: SocketAddr, probe: Probe) -> Result<()> {
    const ATTEMPTS: usize = 20;
    let notice = match probe {
        Probe::Status => Notice {
            kind: Kind::Stat,
            class: names::HM_STAT,
            instance: names::HMST_CLIENT,
            opcode: names::GIMMESTATS,
            ..Notice::EMPTY
        },
        Probe::Defaults => Notice {
            kind: Kind::Acked,
            class: names::ZEPHYR_CTL,
            instance: names::CLIENT,
            opcode: names::GIMMEDEFS,
            sender: b"stranger@ZEPHYR.TEST",
            ..Notice::EMPTY
        },
    };
    for _ in 0..ATTEMPTS {
        // A request can be lost when more has come than the system keeps.
        let uid = stranger.send_notice(daemon, notice, &Claim::NONE)?;
        if stranger.receive_within(Duration::from_secs(1), |packet| packet.notice.uid == uid).is_ok() {
            return Ok(());
        }
    }
    bail!("{daemon} answers no more")
}

/// Floods a daemon, and returns how much each of these processes has grown after the warm-up, in kibioctets.
fn flood(daemon: SocketAddr, probe: Probe, seed: u64, watched: &[u32]) -> Result<Vec<u64>> {
    let mut forger = Forger::new(seed)?;
    let IpAddr::V4(here) = daemon.ip() else { bail!("not at an IPv4 address") };
    let mut asker = Stranger::at(here)?;
    let senders = (0..8).map(|_| Stranger::at(here)).collect::<Result<Vec<_>>>()?;
    let memory = || watched.iter().map(|&pid| resident(pid)).collect::<Result<Vec<_>>>();
    let mut before = Vec::new();
    for burst in 0..PACKETS / BURST {
        if burst == WARM_UP / BURST {
            before = memory()?;
        }
        for _ in 0..BURST {
            let sender = senders.get(forger.random.below(senders.len())).context("no sender")?;
            sender.send(daemon, &forger.packet())?;
        }
        is_alive(&mut asker, daemon, probe).with_context(|| format!("after {} packets", (burst + 1) * BURST))?;
    }
    let after = memory()?;
    eprintln!("resident: {before:?} KiB after the warm-up, {after:?} KiB at the end");
    Ok(after.iter().zip(&before).map(|(after, before)| after.saturating_sub(*before)).collect())
}

/// New people still reach each other, with proof.
fn still_serves(stack: &Stack) -> Result<()> {
    let (alice, bob) = (stack.login("alice")?, stack.login("bob")?);
    let listener = bob.listen(&[("MESSAGE", "*", "bob")])?;
    let sent = alice.send(&["bob", "-m", "after the flood"])?;
    assert_eq!(sent.stdout, "Message queued for bob... sent\n");
    listener.expect("after the flood", Origin::Authentic)?;
    Ok(())
}

#[test]
fn zephyrd_stands_a_flood() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    let pid = stack.zephyrd().pid();
    let growth = flood(stack.server(), Probe::Defaults, 2, &[pid])?;
    assert!(growth.iter().all(|&growth| growth < SERVER_GROWTH), "grown by {growth:?} KiB");
    still_serves(&stack)
}

#[test]
fn zhm_stands_a_flood() -> Result<()> {
    let mut stack = Stack::start(Engine::Native, RealmOptions::default())?;
    // What it takes it hands on to the server.
    let watched = [stack.zhm().pid(), stack.zephyrd().pid()];
    let growth = flood(stack.host_manager(), Probe::Status, 3, &watched)?;
    assert!(
        matches!(growth[..], [zhm, zephyrd] if zhm < HOST_MANAGER_GROWTH && zephyrd < SERVER_GROWTH),
        "grown by {growth:?} KiB"
    );
    still_serves(&stack)
}

#[test]
fn the_flood_has_all_kinds_of_packets() -> Result<()> {
    let mut forger = Forger::new(1)?;
    let packets: Vec<_> = (0..2000).map(|_| forger.packet()).collect();
    let parsed = packets.iter().filter(|packet| Packet::parse(packet).is_ok()).count();
    assert!((500..1500).contains(&parsed), "{parsed} of {} are well-formed", packets.len());
    Ok(())
}
