//! `zephyrctl check --servers`: how a host manager and programs on this machine find their servers, by the same code.

use super::{
    Outcome, check,
    options::Options,
    print, print_json,
    show::{self, printable},
};
use crate::{
    settings::{HostManagerSettings, LoadedSettings},
    zhm::discovery,
};
use serde::Serialize;
use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use zephyr_discovery::{Answer, Survey, Testimony};
use zephyr_engine::host_manager::{Candidate, NotFound};
use zephyr_net::{address, lookup};

/// How long name servers are waited for.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server's address is waited for when finding its name took all of that: some are in a file of this machine.
const MIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The address of a server, or why it has none.
type Address = Result<Ipv4Addr, Box<str>>;

/// What is said as JSON.
#[derive(Serialize)]
struct Said<'a> {
    /// The source that names the servers.
    source: Option<&'a str>,
    servers: Vec<Server<'a>>,
    /// What those said that were asked before.
    passed_over: Vec<PassedOver<'a>>,
}

#[derive(Serialize)]
struct Server<'a> {
    host: &'a str,
    port: u16,
    priority: u16,
    weight: u16,
    /// One of its addresses, or why none is known.
    address: Option<Ipv4Addr>,
    unknown: Option<&'a str>,
}

#[derive(Serialize)]
struct PassedOver<'a> {
    source: &'a str,
    why: &'a str,
    is_invalid: bool,
}

/// Asks, and says what was answered.
pub(super) fn run(options: &Options) -> ExitCode {
    let LoadedSettings { settings, warnings } = match HostManagerSettings::load(&options.config_dir) {
        Ok(loaded) => loaded,
        // A host manager does not start with them, so nothing follows from the sources.
        Err(findings) => return check::tell(options, &options.config_dir.display().to_string(), &findings),
    };
    let deadline = Instant::now() + TIMEOUT;
    let survey = discovery::of_settings(&settings.zhm, &options.config_dir).survey(TIMEOUT);
    let servers = survey.result.as_ref().map(|found| &*found.candidates).unwrap_or_default();
    let addresses = addresses(servers, deadline.max(Instant::now() + MIN_TIMEOUT));
    let outcome = if addresses.iter().any(Result::is_ok) { Outcome::Done } else { Outcome::Problem };
    if options.json {
        print_json(&said(&survey, &addresses), outcome)
    } else {
        let advice = discovery::advice(&settings.zhm, &options.config_dir);
        print(&(show::warnings(&warnings) + &text(&survey, &addresses, &advice)), outcome)
    }
    .into()
}

/// The addresses of these servers, in their order. All are asked for at once, as each may wait for the name service.
fn addresses(servers: &[Candidate], deadline: Instant) -> Vec<Address> {
    let ask = |server: &Candidate| {
        let (answer, answers) = mpsc::sync_channel(1);
        let host = server.host.clone();
        let started = thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            // When it took too long, nobody wants it any more.
            let _ = answer.send(address::resolve(&host, 0));
        });
        started.map(|_| answers)
    };
    let asked: Vec<_> = servers.iter().map(ask).collect();
    let wait = |asked: io::Result<mpsc::Receiver<io::Result<SocketAddrV4>>>| -> Address {
        let answers = asked.map_err(|error| lookup::reason(&error))?;
        match answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(found) => found.map(|found| *found.ip()).map_err(|error| lookup::reason(&error)),
            Err(_) => Err("no name service answers".into()),
        }
    };
    asked.into_iter().map(wait).collect()
}

fn said<'a>(survey: &'a Survey, addresses: &'a [Address]) -> Said<'a> {
    let found = survey.result.as_ref().ok();
    let servers = found.into_iter().flat_map(|found| &found.candidates).zip(addresses);
    Said {
        source: found.map(|found| &*found.source),
        servers: servers
            .map(|(server, address)| Server {
                host: &server.host,
                port: server.port,
                priority: server.priority,
                weight: server.weight,
                address: address.as_ref().ok().copied(),
                unknown: address.as_ref().err().map(|why| &**why),
            })
            .collect(),
        passed_over: survey.testimonies.iter().filter_map(passed_over).collect(),
    }
}

fn passed_over(testimony: &Testimony) -> Option<PassedOver<'_>> {
    let (why, is_invalid) = match &testimony.answer {
        Answer::Servers(_) => return None,
        Answer::None(why) | Answer::Absent(why) | Answer::NoAnswer(why) => (why, false),
        Answer::Invalid(why) => (why, true),
    };
    Some(PassedOver { source: &testimony.source, why, is_invalid })
}

/// A line for each source that was asked, and what follows from it.
fn text(survey: &Survey, addresses: &[Address], advice: &str) -> String {
    let line = |testimony: &Testimony| {
        let before = if matches!(testimony.answer, Answer::Invalid(_)) { "warning: " } else { "" };
        format!("{before}{}\n", printable(&testimony.to_string()))
    };
    let lines: String = survey.testimonies.iter().map(line).collect();
    lines
        + &match &survey.result {
            Ok(found) => {
                let unknown = |(server, address): (&Candidate, &Address)| {
                    let why = address.as_ref().err()?;
                    Some(format!("warning: the address of {} is not known: {}\n", server.host, printable(why)))
                };
                let warnings: String = found.candidates.iter().zip(addresses).filter_map(unknown).collect();
                format!("{warnings}servers are found by {}\n", printable(&found.source))
            }
            Err(NotFound::NoServer(_)) => format!("no source names a server\n{}\n", printable(advice)),
            Err(NotFound::NoAnswer(_)) => {
                let silent = |one: &&Testimony| matches!(one.answer, Answer::NoAnswer(_));
                let silent: Vec<&str> = survey.testimonies.iter().filter(silent).map(|one| &*one.source).collect();
                format!(
                    "whether there is a server is not known, as {} gives no answer: zhm waits for it\n\
                     Look whether the name servers of /etc/resolv.conf can be reached.\n",
                    printable(&silent.join(", "))
                )
            }
        }
}
