//! A domain with several servers, ours or C's, and machines whose host managers use them. Each is a machine of its own, on
//! a local network that may have a second domain.

use crate::{
    person::{Make, Person, TIMEOUT},
    stack::READY,
};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::{fs, thread, time::Duration};
use zephyr_testkit::{
    bins,
    deadline::wait_until,
    process::{self, Daemon, Output},
    realm::{Realm, RealmOptions},
    reference::{self, HOST_MANAGER_PORT, Host, LabOptions, Lan, SERVER_PORT},
};

/// The realm of a domain that is alone.
pub const REALM: &str = "ATHENA.TEST";
/// The realm of the second one.
pub const OTHER_REALM: &str = "OTHER.TEST";

/// The number of machines with a host manager of each domain.
const STATIONS: usize = 4;
const MAX_SERVERS: usize = 5;
/// The time after which a C server is told again to write its state down.
const DUMP_WAIT: Duration = Duration::from_millis(300);

/// Whether our servers keep their state on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// They forget everything when they end.
    Nothing,
    /// In a file, which their next start reads.
    State,
}

/// A server and its machine.
#[derive(Debug)]
pub struct Server {
    daemon: Option<Daemon>,
    /// Whose program runs there, from the next start on.
    pub make: Make,
    host: Host,
}

/// A machine with a host manager.
#[derive(Debug)]
pub struct Station {
    zhm: Daemon,
    host: Host,
}

/// A domain. All that runs in it ends when it is dropped.
#[derive(Debug)]
pub struct Domain {
    // Dropped in this order.
    stations: Vec<Station>,
    servers: Vec<Server>,
    realm: Realm,
    keeps: Keeps,
}

/// One domain on a network of its own, with servers of these makes, which run; `None` where that cannot be, so that the caller
/// can skip the test. Drop the network last.
///
/// # Errors
/// When something does not start; shows what it said.
pub fn alone(makes: &[Make], keeps: Keeps) -> Result<Option<(Lan, Domain)>> {
    let Some((lan, mut domain)) = quiet(makes, keeps)? else { return Ok(None) };
    for number in 0..makes.len() {
        domain.start(number)?;
    }
    Ok(Some((lan, domain)))
}

/// As [`alone`], and no server runs yet.
///
/// # Errors
/// As [`alone`].
pub fn quiet(makes: &[Make], keeps: Keeps) -> Result<Option<(Lan, Domain)>> {
    if reference::is_skipped()? {
        return Ok(None);
    }
    let lan = lan(&[REALM])?;
    let domain = Domain::furnish(&lan, REALM, makes, keeps)?;
    Ok(Some((lan, domain)))
}

/// Two domains that know and trust each other, with servers of these makes, which run; as [`alone`].
///
/// # Errors
/// As [`alone`].
pub fn neighbours(one: &[Make], other: &[Make]) -> Result<Option<(Lan, Domain, Domain)>> {
    if reference::is_skipped()? {
        return Ok(None);
    }
    let lan = lan(&[REALM, OTHER_REALM])?;
    let mut domains = [
        Domain::furnish(&lan, REALM, one, Keeps::Nothing)?,
        Domain::furnish(&lan, OTHER_REALM, other, Keeps::Nothing)?,
    ];
    let [here, there] = &domains;
    lan.introduce(&here.realm, &there.realm)?;
    here.knows(there)?;
    there.knows(here)?;
    for domain in &mut domains {
        (0..domain.servers.len()).try_for_each(|number| domain.start(number))?;
    }
    let [one, other] = domains;
    Ok(Some((lan, one, other)))
}

/// A network with the machines of all domains that may be on it.
fn lan(realms: &[&str]) -> Result<Lan> {
    let names = realms.iter().flat_map(|realm| {
        let servers = (0..MAX_SERVERS).map(|number| server_name(realm, number));
        servers.chain((0..STATIONS).map(|number| station_name(realm, number)))
    });
    let names: Vec<String> = names.collect();
    Lan::new(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn server_name(realm: &str, number: usize) -> String {
    format!("s{}.{}", number + 1, realm.to_lowercase())
}

fn station_name(realm: &str, number: usize) -> String {
    format!("h{}.{}", number + 1, realm.to_lowercase())
}

impl Domain {
    fn furnish(lan: &Lan, realm: &str, makes: &[Make], keeps: Keeps) -> Result<Self> {
        // Without a PAC, as with it notices outgrow what the C programs send.
        let options = RealmOptions { realm: realm.to_owned(), ..LabOptions::default().realm };
        let realm = lan.realm(&options)?;
        let mut domain = Self { stations: Vec::new(), servers: Vec::new(), realm, keeps };
        for (number, &make) in makes.iter().enumerate() {
            let host = lan.host(&server_name(domain.realm.name(), number))?;
            host.enrol(&domain.realm)?;
            host.entrust(&domain.realm)?;
            domain.servers.push(Server { daemon: None, make, host });
        }
        let list: String = domain.servers.iter().map(|server| format!("{}\n", server.host.name())).collect();
        for server in &domain.servers {
            fs::write(server.host.etc_zephyr().join("server.list"), &list)?;
        }
        Ok(domain)
    }

    /// Makes this domain's servers know the other's.
    fn knows(&self, other: &Self) -> Result<()> {
        let names = other.servers.iter().map(|server| format!("{} {}\n", other.realm.name(), server.host.name()));
        let list: String = names.collect();
        for server in &self.servers {
            fs::write(server.host.etc_zephyr().join("realm.list"), &list)?;
            server.host.enrol(&self.realm)?;
        }
        Ok(())
    }

    /// Its realm.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// One of its servers. A test that asks for another one is wrong, and panics.
    #[expect(clippy::indexing_slicing, reason = "of tests only")]
    pub fn server(&mut self, number: usize) -> &mut Server {
        &mut self.servers[number]
    }

    #[expect(clippy::indexing_slicing, reason = "of tests only")]
    fn server_host(&self, number: usize) -> &Host {
        &self.servers[number].host
    }

    /// One of its machines with a host manager; as [`Domain::server`].
    #[expect(clippy::indexing_slicing, reason = "of tests only")]
    pub fn station(&mut self, number: usize) -> &mut Station {
        &mut self.stations[number]
    }

    #[expect(clippy::indexing_slicing, reason = "of tests only")]
    fn station_host(&self, number: usize) -> &Host {
        &self.stations[number].host
    }

    /// The name of the machine that a person is found at.
    pub fn station_name(&self, number: usize) -> &str {
        self.station_host(number).name()
    }

    /// How many machines with a host manager there are.
    pub fn stations(&self) -> usize {
        self.stations.len()
    }

    /// Starts a server, which must not run; returns when it serves. What it finds of others, it finds by itself.
    ///
    /// # Errors
    /// When it does not serve; shows what it said.
    pub fn start(&mut self, number: usize) -> Result<()> {
        self.configure(number)?;
        let server = self.servers.get_mut(number).context("no such server")?;
        server.start(&self.realm)
    }

    /// Starts all servers at the same moment.
    ///
    /// # Errors
    /// When one does not serve; shows what it said.
    pub fn start_all(&mut self) -> Result<()> {
        (0..self.servers.len()).try_for_each(|number| self.configure(number))?;
        let realm = &self.realm;
        thread::scope(|scope| {
            let starting: Vec<_> =
                self.servers.iter_mut().map(|server| scope.spawn(move || server.start(realm))).collect();
            starting.into_iter().try_for_each(|start| start.join().unwrap_or_else(|_| bail!("a start has panicked")))
        })
    }

    /// Tells all servers of ours that run who the others are now.
    ///
    /// # Errors
    /// When one does not take it.
    pub fn reload(&self) -> Result<()> {
        for number in 0..self.servers.len() {
            self.configure(number)?;
        }
        let running = |server: &Server| server.make == Make::Ours && server.daemon.is_some();
        for (number, _) in self.servers.iter().enumerate().filter(|(_, server)| running(server)) {
            self.zephyrctl(number, &["reload"])?.success()?;
        }
        Ok(())
    }

    /// Loses all that two servers send each other, and nothing else.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn part(&self, one: usize, other: usize) -> Result<()> {
        self.server_host(one).part_from(self.server_host(other))
    }

    /// Undoes [`Domain::part`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn meet(&self, one: usize, other: usize) -> Result<()> {
        self.server_host(one).meet(self.server_host(other))
    }

    /// Runs zephyrctl on the machine of a server of ours.
    ///
    /// # Errors
    /// When it cannot be run; that it fails is none.
    pub fn zephyrctl(&self, number: usize, arguments: &[&str]) -> Result<Output> {
        let mut command = self.server_host(number).command(&self.realm, bins::path("zephyrctl")?);
        command.args(arguments);
        process::run(command, TIMEOUT)
    }

    /// Writes the configuration of ours: which servers are C's, and where state is kept. C's reads none of it.
    fn configure(&self, number: usize) -> Result<()> {
        let host = self.server_host(number);
        let state = match self.keeps {
            Keeps::Nothing => "none".to_owned(),
            Keeps::State => host.folder().join("state.db").display().to_string(),
        };
        let strangers = self.servers.iter().filter(|other| other.make == Make::C);
        let strangers: Vec<String> = strangers.map(|other| format!("{:?}", other.host.name())).collect();
        let mut text = format!("[state]\nfile = {state:?}\n");
        if !strangers.is_empty() {
            text += &format!("\n[peers]\nc = [{}]\n", strangers.join(", "));
        }
        Ok(fs::write(host.etc_zephyr().join("zephyr.toml"), text)?)
    }

    /// Makes one more machine with a host manager of this make, which uses these servers, the first for preference; returns
    /// when that one has answered it.
    ///
    /// # Errors
    /// When it does not; shows what it said.
    pub fn add_station(&mut self, lan: &Lan, make: Make, servers: &[usize]) -> Result<usize> {
        let host = lan.host(&station_name(self.realm.name(), self.stations.len()))?;
        host.enrol(&self.realm)?;
        let names: Vec<&str> = servers.iter().map(|&number| self.server_host(number).name()).collect();
        let program = match make {
            Make::C => "/usr/sbin/zhm".into(),
            Make::Ours => bins::path("zhm")?,
        };
        let mut command = host.command(&self.realm, program);
        command.args(["-n", "-d"]).args(names);
        let zhm = host.spawn_at_port("zhm", command, HOST_MANAGER_PORT)?;
        if make == Make::Ours {
            zhm.wait_for(TIMEOUT, |line| line.ends_with("answers"))?;
        }
        self.stations.push(Station { zhm, host });
        Ok(self.stations.len() - 1)
    }

    /// A person at one of the machines, with a fresh ticket and our programs.
    ///
    /// # Errors
    /// When the KDC gives none.
    pub fn login(&self, station: usize, name: &str) -> Result<Person> {
        let user = self.station_host(station).login(&self.realm, name)?;
        Ok(Person::of_realm(user, Vec::new()))
    }

    /// Waits until what a client tells one of these two servers is known at the other, and the other way round. There must be a
    /// machine for each, whose host managers use nobody else.
    ///
    /// # Errors
    /// When it never is; shows what the servers said.
    pub fn agree(&self, stations: &[usize]) -> Result<()> {
        for &here in stations {
            for &there in stations.iter().filter(|&&there| there != here) {
                let class = format!("agree-{here}-{there}");
                let mut reader = self.login(here, "carol")?.client()?;
                let mut writer = self.login(there, "carol")?.client()?;
                // A server that has just started may know that it has forgotten something, and take nothing before.
                wait_until(&format!("station {here} subscribes"), TIMEOUT, || {
                    Ok((reader.ask(&["subscribe", &class, "*", "*"])? == "done").then_some(()))
                })?;
                wait_until(&format!("what station {here} says is known to station {there}"), TIMEOUT, || {
                    Ok((writer.send(&class, "probe", "", "probe")? == "sent").then_some(()))
                })
                .with_context(|| self.said())?;
                reader.order(&["cancel"])?;
            }
        }
        Ok(())
    }

    /// What its servers have said, for messages.
    pub fn said(&self) -> String {
        self.servers.iter().map(|server| format!("== {}:\n{}\n", server.host.name(), server.said())).collect()
    }
}

impl Server {
    fn start(&mut self, realm: &Realm) -> Result<()> {
        ensure!(self.daemon.is_none(), "{} runs already", self.host.name());
        let program = match self.make {
            Make::C => "/usr/sbin/zephyrd".into(),
            Make::Ours => bins::path("zephyrd")?,
        };
        let mut command = self.host.command(realm, program);
        command.args(["-n", "-d"]);
        let mark = self.host.syslog().mark();
        let daemon = self.host.spawn_at_port("zephyrd", command, SERVER_PORT)?;
        // C's is ended by signals before it says so.
        match self.make {
            Make::C => drop(self.host.syslog().wait_after(mark, TIMEOUT, |line| line.contains("Ready for action"))?),
            Make::Ours => drop(daemon.wait_for(TIMEOUT, |line| line.contains(READY))?),
        }
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Its machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What it has said, to its output and to the syslog.
    pub fn said(&self) -> String {
        let output = self.daemon.as_ref().map(|daemon| daemon.transcript().text()).unwrap_or_default();
        output + &self.host.syslog().text()
    }

    /// Its process, which must be there.
    ///
    /// # Errors
    /// When it does not run.
    pub fn daemon(&mut self) -> Result<&mut Daemon> {
        self.daemon.as_mut().with_context(|| format!("{} does not run", self.host.name()))
    }

    /// Ends it as an operator does: SIGTERM.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::SIGTERM)?;
        self.daemon()?.wait_for_end(TIMEOUT)?;
        self.daemon = None;
        Ok(())
    }

    /// Ends it as a fault does: SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::SIGKILL)?;
        self.daemon()?.wait_for_end(TIMEOUT)?;
        self.daemon = None;
        Ok(())
    }

    /// Stops it where it is: its socket stays, and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.daemon()?.signal(Signal::SIGCONT)
    }

    /// All that a C server knows, as it writes it down: peers, locations, clients, triplets, realms.
    ///
    /// # Errors
    /// When it writes nothing in time.
    pub fn dump(&mut self) -> Result<String> {
        let mark = self.host.syslog().mark();
        let is_done = |line: &str| line.contains("dump done");
        wait_until("a C server's dump", TIMEOUT, || {
            // It looks for what a signal has ordered before it waits for packets, and so may miss it until one comes.
            self.daemon()?.signal(Signal::SIGFPE)?;
            Ok(self.host.syslog().wait_after(mark, DUMP_WAIT, is_done).ok())
        })?;
        Ok(fs::read_to_string(self.host.folder().join("vartmp/zephyr.db"))?)
    }

    /// Waits until what a C server writes down has all of these texts, each in a line.
    ///
    /// # Errors
    /// When it never has; shows what it knows.
    pub fn wait_to_know(&mut self, wanted: &[&str]) -> Result<()> {
        let mut known = String::new();
        wait_until(&wanted.join(", "), TIMEOUT, || {
            known = self.dump()?;
            if wanted.iter().all(|wanted| known.contains(wanted)) {
                return Ok(Some(()));
            }
            // Writing takes it from its work.
            thread::sleep(DUMP_WAIT);
            Ok(None)
        })
        .with_context(|| format!("{} knows:\n{known}\nand said:\n{}", self.host.name(), self.said()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A frozen one would not hear anything else, and nobody waits for what it would say at its end.
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.signal(Signal::SIGKILL);
        }
    }
}

impl Station {
    /// Its machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its host manager.
    pub fn zhm(&mut self) -> &mut Daemon {
        &mut self.zhm
    }
}
