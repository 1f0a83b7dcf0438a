//! The procedure of zstat (clients, section 7).

use super::{
    options::{Asked, Options},
    report::Program,
};
use crate::messages::Messages;
use std::{
    io::{Write, stdout},
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};
use zephyr_client::{
    host_manager_of_environment,
    status::{self, Status, StatusError},
    terminal,
};
use zephyr_core::{sanitize, screen::Screen};
use zephyr_net::{address, host, services};

/// The exit status when something could not be told, as C has it.
const FAILURE: u8 = 255;
/// Octets of a host's name at most: no name is longer.
const MAX_NAME: usize = 255;

/// A host to ask: its name for people, and the address of the program.
struct Target {
    name: String,
    at: SocketAddr,
}

/// Tells how host managers and servers are. The exit status is success when all have answered.
pub fn run(options: &Options, out: &mut dyn Write, messages: &mut Messages<'_>) -> ExitCode {
    let mut asking = Asking { options, out, screen: terminal::screen(&stdout()), messages };
    let mut is_all = true;
    if options.hosts.is_empty() {
        is_all = asking.this_host().is_some();
    }
    for host in &options.hosts {
        is_all &= asking.host(host).is_some();
    }
    if is_all { ExitCode::SUCCESS } else { ExitCode::from(FAILURE) }
}

struct Asking<'a, 'm> {
    options: &'a Options,
    out: &'a mut dyn Write,
    screen: Screen,
    messages: &'a mut Messages<'m>,
}

// `None`: something could not be told, which was said.
impl Asking<'_, '_> {
    fn this_host(&mut self) -> Option<()> {
        let own = host::own_name().unwrap_or_else(|_| "localhost".to_owned());
        if self.options.asked == Asked::Server {
            return self.host(own.as_bytes());
        }
        // Wherever this user's programs have it.
        let at = match host_manager_of_environment() {
            Ok(at) => at,
            Err(error) => {
                self.messages.say(&error.to_string());
                return None;
            }
        };
        let name = match at.ip().is_loopback() {
            true => host::canonical_name(&own).unwrap_or(own),
            false => at.ip().to_string(),
        };
        self.host_manager(&Target { name: sanitize::name(name.as_bytes()), at })
    }

    fn host(&mut self, host: &[u8]) -> Option<()> {
        match self.options.asked {
            Asked::Server => {
                let target = self.target(host, services::ZEPHYR_CLT)?;
                self.server(&target)
            }
            Asked::HostManager | Asked::Both => {
                let target = self.target(host, services::ZEPHYR_HM)?;
                self.host_manager(&target)
            }
        }
    }

    /// Asks a host manager, and the server that it names if that is wanted.
    fn host_manager(&mut self, target: &Target) -> Option<()> {
        self.heading(Program::HostManager, target);
        let status = match status::of_host_manager(target.at) {
            Ok(status) => status,
            Err(error) => {
                let said = match &error {
                    StatusError::Io(_) => format!("{error} getting hostmanager status"),
                    _ => "Hostmanager not responding getting hostmanager status".to_owned(),
                };
                self.messages.say(&said);
                if !matches!(error, StatusError::Io(_)) {
                    self.messages.say(&format!("{}: {error}", target.name));
                }
                return None;
            }
        };
        self.answer(Program::HostManager, target, &status);
        if self.options.asked == Asked::HostManager {
            return Some(());
        }
        let server = status.texts.first().map(Vec::as_slice).unwrap_or_default();
        if server.is_empty() {
            self.messages.say(&format!("{}: the host manager has no server", target.name));
            return None;
        }
        let target = self.target(server, services::ZEPHYR_CLT)?;
        self.server(&target)
    }

    fn server(&mut self, target: &Target) -> Option<()> {
        self.heading(Program::Server, target);
        match status::of_server(target.at) {
            Ok(status) => {
                self.answer(Program::Server, target, &status);
                Some(())
            }
            Err(error) => {
                match error {
                    StatusError::Silent(_) => {
                        self.messages.line(&format!("No response after {} seconds.", status::STATUS_TIMEOUT.as_secs()));
                        self.messages.say(&format!("{}: {error}", target.name));
                    }
                    StatusError::NobodyListens(_) => self.messages.say(&format!("{}: {error}", target.name)),
                    StatusError::Io(_) => self.messages.say(&format!("{error} sending notice")),
                }
                None
            }
        }
    }

    /// The program of a service on a host, by name or address.
    fn target(&mut self, host: &[u8], service: &str) -> Option<Target> {
        let port = services::port(service);
        let found = str::from_utf8(host).ok().filter(|name| name.len() <= MAX_NAME).and_then(|name| {
            if let Ok(address) = name.parse::<Ipv4Addr>() {
                return Some(Target { name: name.to_owned(), at: (address, port).into() });
            }
            let at = address::resolve(name, port).ok()?.into();
            let name = host::canonical_name(name).unwrap_or_else(|| name.to_owned());
            Some(Target { name: sanitize::name(name.as_bytes()), at })
        });
        if found.is_none() {
            let _ = self.out.flush();
            self.messages.line(&format!("Unknown host: {}", sanitize::name(host)));
        }
        found
    }

    /// What is said before a program is asked, for whoever waits.
    fn heading(&mut self, program: Program, target: &Target) {
        if !self.options.json {
            self.line(&program.heading(&target.name));
            let _ = self.out.flush();
        }
    }

    fn answer(&mut self, program: Program, target: &Target, status: &Status) {
        if self.options.json {
            let object = program.json(&target.name, status);
            // Whole, for whoever reads it.
            let _ = writeln!(self.out, "{object}");
            return;
        }
        for line in program.lines(status) {
            self.line(&line);
        }
        self.line("");
    }

    // What cannot be written stops nothing: who gives the output looks at that in the end.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{}", self.screen.line(line));
    }
}
