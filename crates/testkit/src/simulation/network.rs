//! The simulated network between hosts: loss, duplication, delay, reordering, corruption.

use super::random::Random;
use bytes::Bytes;
use std::time::Duration;

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// Datagrams between hosts that are lost, of a thousand.
    pub loss: u16,
    /// Datagrams within a host that are lost, of a thousand: its buffers are full.
    pub local_loss: u16,
    /// Datagrams that come twice or three times, of a thousand.
    pub duplication: u16,
    /// Datagrams that are held back so that others overtake them, of a thousand.
    pub reordering: u16,
    /// Datagrams of which an octet is changed, of a thousand.
    pub corruption: u16,
    /// The least time that a datagram takes between hosts.
    pub latency: Duration,
    /// What it may take beyond that.
    pub jitter: Duration,
    /// What a datagram may take within a host.
    pub local_jitter: Duration,
}

/// The least time that a datagram takes within a host.
const LOCAL_LATENCY: Duration = Duration::from_micros(5);
/// What a datagram may take within a host where nothing else is said.
const LOCAL_JITTER: Duration = Duration::from_micros(200);

impl Conditions {
    /// A network that loses nothing.
    pub const GOOD: Self = Self {
        loss: 0,
        local_loss: 0,
        duplication: 0,
        reordering: 0,
        corruption: 0,
        latency: Duration::from_millis(1),
        jitter: Duration::from_millis(1),
        local_jitter: LOCAL_JITTER,
    };

    /// A good network on which every datagram takes the same time, whatever else is sent.
    pub const EXACT: Self = Self { jitter: Duration::ZERO, local_jitter: Duration::ZERO, ..Self::GOOD };

    /// Conditions of this seed: good ones, bad ones, and everything between.
    pub fn draw(random: &mut Random) -> Self {
        Self {
            loss: random.one_of(0, [10, 50, 200, 400]),
            local_loss: random.one_of(0, [0, 0, 5, 30]),
            duplication: random.one_of(0, [10, 100, 300]),
            reordering: random.one_of(0, [10, 100, 300]),
            corruption: random.one_of(0, [0, 5, 50]),
            latency: random.millis(0, 60),
            jitter: random.millis(1, 200),
            local_jitter: LOCAL_JITTER,
        }
    }
}

/// From one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// The host that sends.
    pub from: usize,
    /// The host that receives.
    pub to: usize,
}

/// Hosts that do not reach each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The host that is cut off.
    pub host: usize,
    /// From which one; `None`: from all.
    pub other: Option<usize>,
    /// Whether what the host sends is lost.
    pub outward: bool,
    /// Whether what is sent to the host is lost.
    pub inward: bool,
    /// Until when.
    pub until: Duration,
}

impl Cut {
    fn blocks(&self, path: Path) -> bool {
        let concerns = |other| self.other.is_none_or(|only| only == other);
        (self.outward && path.from == self.host && concerns(path.to))
            || (self.inward && path.to == self.host && concerns(path.from))
    }
}

/// A host to and from which everything takes longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowLink {
    /// The host.
    pub host: usize,
    /// By how much.
    pub by: Duration,
    /// Until when.
    pub until: Duration,
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is lost, and why.
    Lost(&'static str),
    /// It arrives, perhaps more than once.
    Arrives(Vec<Arrival>),
}

/// A datagram that will arrive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// After how long.
    pub delay: Duration,
    /// As what.
    pub payload: Bytes,
    /// Whether it is not what was sent.
    pub corrupt: bool,
}

/// The network.
#[derive(Debug)]
pub(super) struct Network {
    conditions: Conditions,
    cuts: Vec<Cut>,
    slow: Vec<SlowLink>,
}

/// The least time after which what a stream has lost is sent again.
const STREAM_REPETITION: Duration = Duration::from_millis(200);
/// How often a part of a stream is lost at most before it arrives.
const MAX_STREAM_LOSSES: u32 = 4;

impl Network {
    /// A network under these conditions.
    pub(super) const fn new(conditions: Conditions) -> Self {
        Self { conditions, cuts: Vec::new(), slow: Vec::new() }
    }

    /// Cuts hosts off.
    pub(super) fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
    }

    /// Makes a host slow to reach.
    pub(super) fn slow_down(&mut self, link: SlowLink) {
        self.slow.push(link);
    }

    /// From now on everything arrives, once and soon.
    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.slow.clear();
        self.conditions = Conditions::GOOD;
    }

    /// Decides what becomes of a datagram.
    pub(super) fn fate(&mut self, now: Duration, path: Path, payload: &Bytes, random: &mut Random) -> Fate {
        let Conditions { loss, local_loss, duplication, local_jitter, .. } = self.conditions;
        if path.from == path.to {
            if random.chance(local_loss) {
                return Fate::Lost("no room in the buffer");
            }
            let delay = random.between(LOCAL_LATENCY, LOCAL_LATENCY + local_jitter);
            return Fate::Arrives(vec![Arrival { delay, payload: payload.clone(), corrupt: false }]);
        }
        if self.is_cut(now, path) {
            return Fate::Lost("no way there");
        }
        if random.chance(loss) {
            return Fate::Lost("lost");
        }
        let copies = if random.chance(duplication) { 2 + random.below(2) } else { 1 };
        let slow = self.slowness(now, path);
        let arrivals = (0..copies).map(|_| self.arrival(payload, random));
        Fate::Arrives(arrivals.map(|arrival| Arrival { delay: arrival.delay + slow, ..arrival }).collect())
    }

    fn is_cut(&mut self, now: Duration, path: Path) -> bool {
        self.cuts.retain(|cut| cut.until > now);
        self.cuts.iter().any(|cut| cut.blocks(path))
    }

    fn slowness(&mut self, now: Duration, path: Path) -> Duration {
        self.slow.retain(|link| link.until > now);
        self.slow.iter().filter(|link| link.host == path.from || link.host == path.to).map(|link| link.by).sum()
    }

    /// How long a part of a stream takes, which is sent again where it is lost; `None`: there is no way now.
    pub(super) fn stream_delay(&mut self, now: Duration, path: Path, random: &mut Random) -> Option<Duration> {
        if path.from == path.to {
            return Some(LOCAL_LATENCY);
        }
        // What arrives must be acknowledged.
        let back = Path { from: path.to, to: path.from };
        if self.is_cut(now, path) || self.is_cut(now, back) {
            return None;
        }
        let Conditions { latency, jitter, loss, .. } = self.conditions;
        let losses = (0..MAX_STREAM_LOSSES).take_while(|_| random.chance(loss)).count();
        let repeated = (0..losses).map(|number| STREAM_REPETITION * (1 << number)).sum::<Duration>();
        Some(random.between(latency, latency + jitter) + repeated + self.slowness(now, path))
    }

    fn arrival(&self, payload: &Bytes, random: &mut Random) -> Arrival {
        let Conditions { latency, jitter, reordering, corruption, .. } = self.conditions;
        let mut delay = random.between(latency, latency + jitter);
        if random.chance(reordering) {
            delay += random.millis(1, 3000);
        }
        let corrupt = random.chance(corruption);
        let payload = if corrupt { corrupted(payload, random) } else { payload.clone() };
        Arrival { delay, payload, corrupt }
    }
}

/// The same octets with one that is another, or without their end.
pub(super) fn corrupted(payload: &Bytes, random: &mut Random) -> Bytes {
    let mut octets = payload.to_vec();
    let place = random.below(octets.len());
    if random.chance(100) {
        octets.truncate(place);
    } else if let Some(octet) = octets.get_mut(place) {
        *octet ^= 1 << random.below(8);
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Path = Path { from: 1, to: 2 };

    fn arrives(network: &mut Network, seconds: u64, path: Path) -> bool {
        let fate = network.fate(Duration::from_secs(seconds), path, &Bytes::from_static(b"x"), &mut Random::new(1));
        matches!(fate, Fate::Arrives(_))
    }

    #[test]
    fn cuts_have_a_direction_and_an_end() {
        let mut network = Network::new(Conditions::GOOD);
        let until = Duration::from_secs(10);
        network.cut(Cut { host: 1, other: None, outward: true, inward: false, until });
        assert!(!arrives(&mut network, 9, PATH));
        assert!(arrives(&mut network, 9, Path { from: 2, to: 1 }));
        assert!(arrives(&mut network, 9, Path { from: 1, to: 1 }), "within a host nothing is cut");
        assert!(arrives(&mut network, 10, PATH));
        network.cut(Cut { host: 2, other: Some(3), outward: true, inward: true, until: Duration::MAX });
        assert!(arrives(&mut network, 20, PATH) && !arrives(&mut network, 20, Path { from: 3, to: 2 }));
        network.heal();
        assert!(arrives(&mut network, 20, Path { from: 3, to: 2 }));
    }

    #[test]
    fn streams_wait_where_there_is_no_way_and_are_slow_where_links_are() {
        let mut network = Network::new(Conditions::EXACT);
        let delay =
            |network: &mut Network, path| network.stream_delay(Duration::from_secs(1), path, &mut Random::new(1));
        assert_eq!(delay(&mut network, PATH), Some(Duration::from_millis(1)));
        let until = Duration::from_secs(10);
        network.slow_down(SlowLink { host: 2, by: Duration::from_secs(2), until });
        assert_eq!(delay(&mut network, PATH), Some(Duration::from_millis(2001)));
        network.cut(Cut { host: 2, other: None, outward: true, inward: false, until });
        assert_eq!(delay(&mut network, PATH), None, "nothing is acknowledged");
    }
}
