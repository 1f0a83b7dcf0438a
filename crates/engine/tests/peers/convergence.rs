//! Random changes, cuts and restarts, from hundreds of seeds.

use crate::world::{Client, World, manager};
use std::time::Duration;

const WHO: [&str; 3] = ["alice@R.TEST", "bob@R.TEST", "carol@R.TEST"];
const STEPS: usize = 80;

/// One story.
struct Story {
    world: World,
    trace: Vec<String>,
    /// What was subscribed to once, at a client that nobody ends.
    kept: Vec<String>,
    /// What was subscribed to once, and ended once.
    gone: Vec<String>,
    /// What was subscribed to and may still be ended.
    open: Vec<String>,
    names: usize,
}

/// A client that nobody ends as a whole.
const STEADY: Client<'static> = Client { host: 9, port: 6000, who: "steady@R.TEST" };

impl Story {
    fn new(seed: u64) -> Self {
        let mut world = World::new(2 + usize::try_from(seed % 3).unwrap(), seed);
        if seed % 4 == 3 {
            // Their clocks are hours apart.
            for number in 0..world.nodes.len() {
                world.nodes[number].ahead = Duration::from_secs(world.random.below(40_000) as u64);
            }
        }
        Self { world, trace: Vec::new(), kept: Vec::new(), gone: Vec::new(), open: Vec::new(), names: 0 }
    }

    fn running(&mut self) -> Option<usize> {
        let running: Vec<usize> = (0..self.world.nodes.len()).filter(|&it| self.world.runs(it)).collect();
        (!running.is_empty()).then(|| running[self.world.random.below(running.len())])
    }

    fn client(&mut self) -> Client<'static> {
        let random = &mut self.world.random;
        let (host, port) = (1 + random.below(2), 5000 + random.below(2));
        let who = WHO[random.below(3)];
        Client { host: u8::try_from(host).unwrap(), port: u16::try_from(port).unwrap(), who }
    }

    fn step(&mut self) {
        let choice = self.world.random.below(112);
        let Some(at) = self.running() else { return self.restart() };
        if self.world.random.chance(8) {
            return self.twice(at);
        }
        let client = self.client();
        let some = |story: &mut Self| {
            let count = 1 + story.world.random.below(3);
            let classes = (0..count).map(|_| story.world.random.below(5));
            classes.map(|class| format!("c{class}\0*\0\0")).collect::<String>()
        };
        match choice {
            0..22 => {
                let body = some(self);
                self.trace.push(format!("{at}: {client:?} subscribes to {body:?}"));
                self.world.control(at, client, "SUBSCRIBE_NODEFS", body.as_bytes());
            }
            22..32 => {
                let body = some(self);
                self.trace.push(format!("{at}: {client:?} unsubscribes from {body:?}"));
                self.world.control(at, client, "UNSUBSCRIBE", body.as_bytes());
            }
            32..36 => {
                self.trace.push(format!("{at}: {client:?} cancels"));
                self.world.control(at, client, "CLEARSUB", b"");
            }
            36..38 => {
                self.trace.push(format!("{at}: host {} begins", client.host));
                self.world.boot(at, client.host);
            }
            38..44 => {
                let opcode = ["NET-VISIBLE", "REALM-VISIBLE", "USER_LOGOUT"][self.world.random.below(3)];
                self.trace.push(format!("{at}: {client:?} {opcode}"));
                self.world.login(at, client, opcode);
            }
            44..52 => self.add_steadily(at),
            52..58 => self.end_steadily(at),
            58..62 => self.cut(at),
            62..66 => {
                self.trace.push("joined".to_owned());
                self.world.cut.clear();
            }
            66..69 => {
                self.trace.push(format!("{at} is killed"));
                self.world.kill(at, true);
            }
            69..73 => self.restart(),
            73..93 => {
                for _ in 0..self.world.random.below(12) {
                    self.world.deliver_one();
                }
            }
            93..97 => {
                let time = self.world.random.below(3000);
                self.trace.push(format!("{time} ms"));
                self.world.wait(Duration::from_millis(time as u64));
            }
            100..106 => {
                let (body, who) = (some(self), ["dora@OTHER.TEST", "eve@OTHER.TEST"][self.world.random.below(2)]);
                self.trace.push(format!("{at}: the other realm subscribes to {body:?} for {who}"));
                self.world.realm_subscribes(at, who, body.as_bytes());
            }
            106..112 => {
                let body = some(self);
                self.trace.push(format!("{at}: the other realm unsubscribes from {body:?}"));
                self.world.realm(at, "", "RLM_UNSUBSCRIBE", body.as_bytes());
            }
            _ => {
                self.trace.push("a while".to_owned());
                self.world.pass(Duration::from_secs(3));
            }
        }
    }

    /// Two servers get the same packet, as from another server that forwards it to both.
    fn twice(&mut self, at: usize) {
        let Some(other) = self.running() else { return };
        let client = self.client();
        let packet = if self.world.random.chance(50) {
            self.trace.push(format!("{at} and {other}: {client:?} subscribes to c0 and c1"));
            self.world.control(at, client, "SUBSCRIBE_NODEFS", b"c0\0*\0\0c1\0*\0\0")
        } else {
            self.trace.push(format!("{at} and {other}: {client:?} is visible"));
            self.world.login(at, client, "NET-VISIBLE")
        };
        for _ in 0..self.world.random.below(3) {
            self.world.deliver_one();
        }
        self.world.give(other, manager(client.host), &packet);
    }

    fn add_steadily(&mut self, at: usize) {
        self.names += 1;
        let name = format!("n{}", self.names);
        self.trace.push(format!("{at}: {name} is added"));
        self.world.control(at, STEADY, "SUBSCRIBE_NODEFS", format!("{name}\0*\0\0").as_bytes());
        if self.world.random.chance(50) { self.kept.push(name) } else { self.open.push(name) }
    }

    fn end_steadily(&mut self, at: usize) {
        // Whoever ends it knows it.
        let world = &self.world;
        let Some(place) = self.open.iter().position(|name| world.has(at, STEADY, name)) else { return };
        let name = self.open.swap_remove(place);
        self.trace.push(format!("{at}: {name} is ended"));
        self.world.control(at, STEADY, "UNSUBSCRIBE", format!("{name}\0*\0\0").as_bytes());
        self.gone.push(name);
    }

    fn cut(&mut self, one: usize) {
        let other = self.world.random.below(self.world.nodes.len());
        if one != other {
            self.trace.push(format!("cut between {one} and {other}"));
            self.world.cut(one, other);
        }
    }

    fn restart(&mut self) {
        let down: Vec<usize> = (0..self.world.nodes.len()).filter(|&it| !self.world.runs(it)).collect();
        if !down.is_empty() {
            let number = down[self.world.random.below(down.len())];
            self.trace.push(format!("{number} starts"));
            self.world.start(number);
        }
    }

    fn check(&self) -> Result<(), String> {
        let first = self.world.state(0);
        for number in 0..self.world.nodes.len() {
            let state = self.world.state(number);
            if state != first {
                return Err(format!("server {number} has {state:#?}\nand not {first:#?}"));
            }
            self.world.check_rows(number)?;
            let has = |name: &&String| self.world.has(number, STEADY, name);
            if let Some(name) = self.gone.iter().find(has) {
                return Err(format!("{name} has come back at {number}"));
            }
            if let Some(name) = self.kept.iter().chain(&self.open).find(|name| !has(name)) {
                return Err(format!("{name} is lost at {number}"));
            }
        }
        Ok(())
    }

    fn tell(&mut self, seed: u64) {
        for _ in 0..2 {
            for _ in 0..STEPS {
                self.step();
                let wrong = (0..self.world.nodes.len()).find_map(|number| self.world.check_rows(number).err());
                if let Some(why) = wrong {
                    panic!("seed {seed}: {why}\n{}", self.trace.join("\n"));
                }
            }
            self.world.heal();
            if let Err(why) = self.check() {
                let logs: Vec<_> = self.world.nodes.iter().map(|node| &node.log).collect();
                panic!("seed {seed}: {why}\n{}\n{logs:#?}", self.trace.join("\n"));
            }
            self.trace.push("healed".to_owned());
            // Whoever has lost all gets it again.
            let forgetful = self.world.random.below(self.world.nodes.len());
            self.trace.push(format!("{forgetful} loses its state"));
            self.world.kill(forgetful, false);
            self.world.start(forgetful);
        }
    }
}

#[test]
fn in_the_end_all_know_the_same() {
    let only = std::env::var("ZEPHYR_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..200, |seed: u64| seed..seed + 1);
    for seed in seeds {
        Story::new(seed).tell(seed);
    }
}
