//! A local network: machines that are joined by a switch, and the KDCs of realms, which all of them reach.

use super::{Host, Namespace};
use crate::{
    process,
    realm::{Realm, RealmOptions},
};
use anyhow::{Context, Result, bail};
use std::{net::Ipv4Addr, path::Path};
use tempfile::TempDir;

/// The switch, which is where the KDCs are.
const SWITCH: u8 = 254;

/// A local network. When it is dropped, its machines are still there, but nothing joins them: drop it last.
#[derive(Debug)]
pub struct Lan {
    // Dropped in this order.
    switch: Namespace,
    folder: TempDir,
    names: Vec<String>,
}

impl Lan {
    /// Creates a network on which these machines may be, by their full names. Needs root; see [`super::available`].
    ///
    /// # Errors
    ///
    /// When the system refuses, or there are too many.
    pub fn new(names: &[&str]) -> Result<Self> {
        if names.len() >= usize::from(SWITCH) {
            bail!("{} machines are too many for one network", names.len());
        }
        let folder = tempfile::Builder::new().prefix("zephyr-lan-").tempdir()?;
        let switch = Namespace::new(folder.path())?;
        let lan = Self { switch, folder, names: names.iter().map(|&name| name.to_owned()).collect() };
        let address = format!("{}/24", address(SWITCH));
        // With a hardware address of its own: otherwise it takes that of a machine, and another one when the next is plugged in.
        let script = "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up\n\
                      ip link add switch address 02:00:00:00:00:01 type bridge\n\
                      ip addr add $ADDRESS dev switch; ip link set switch up";
        lan.switch.script(script, &[("ADDRESS", &address)]).context("cannot make a switch")?;
        Ok(lan)
    }

    /// Creates a realm whose KDC every machine reaches.
    ///
    /// # Errors
    ///
    /// When its KDC does not start.
    pub fn realm(&self, options: &RealmOptions) -> Result<Realm> {
        Realm::start_at(self.switch.place(), address(SWITCH), options)
    }

    /// Makes two realms trust each other, and tells each where the other's KDC and machines are.
    ///
    /// # Errors
    ///
    /// When kadmin reports an error.
    pub fn introduce(&self, one: &Realm, other: &Realm) -> Result<()> {
        one.trust(other)?;
        other.trust(one)?;
        for (here, there) in [(one, other), (other, one)] {
            let domain = there.name().to_lowercase();
            let domains = format!("[domain_realm]\n{domain} = {0}\n.{domain} = {0}\n", there.name());
            here.add_settings("neighbour", &(there.whereabouts() + &domains))?;
        }
        Ok(())
    }

    /// Starts one of the machines: it has a name, an address and files of its own, and is plugged in.
    ///
    /// # Errors
    ///
    /// When the name is none of this network's, or the machine cannot be made.
    pub fn host(&self, name: &str) -> Result<Host> {
        let number = self.number(name)?;
        // The machine's own name first, so that its short name is its own; those of others are full ones.
        let short = name.split('.').next().unwrap_or(name);
        let mut hosts = format!("127.0.0.1 localhost\n{} {name} {short}\n", address(number));
        for (other, number) in self.names.iter().zip(1..).filter(|(other, _)| *other != name) {
            hosts += &format!("{} {other}\n", address(number));
        }
        let host = Host::furnish(name, address(number), &hosts, self.switch.place())?;
        host.join().with_context(|| format!("cannot plug in {name}"))?;
        Ok(host)
    }

    /// The address that belongs to a machine's name.
    ///
    /// # Errors
    ///
    /// When the name is none of this network's.
    pub fn address_of(&self, name: &str) -> Result<Ipv4Addr> {
        self.number(name).map(address)
    }

    /// Records what passes the switch, in `lan.pcap` of [`Lan::folder`], if the machine has tcpdump.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn record(&self) -> Result<process::Daemon> {
        let mut command = self.switch.command("tcpdump");
        command.args(["-i", "switch", "-U", "-s", "0", "-w"]).arg(self.folder().join("lan.pcap"));
        process::Daemon::spawn(command, self.folder().join("tcpdump.log"))
    }

    /// Its private directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn number(&self, name: &str) -> Result<u8> {
        let place = self.names.iter().position(|known| known == name);
        let place = place.with_context(|| format!("{name} is no machine of this network"))?;
        Ok(u8::try_from(place + 1)?)
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}
