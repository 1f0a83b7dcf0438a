//! `zephyrctl check --servers`: how a host manager and programs on this machine find their servers, by the same code.

use super::{Outcome, check, options::Options, print, print_json, show::printable};
use crate::{settings::HostManagerSettings, zhm::discovery};
use serde::Serialize;
use std::{process::ExitCode, time::Duration};
use zephyr_discovery::{Answer, Survey, Testimony};

/// How long name servers are waited for.
const TIMEOUT: Duration = Duration::from_secs(3);

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
}

#[derive(Serialize)]
struct PassedOver<'a> {
    source: &'a str,
    why: &'a str,
    is_invalid: bool,
}

/// Asks, and says what was answered.
pub(super) fn run(options: &Options) -> ExitCode {
    let settings = match HostManagerSettings::load(&options.config_dir) {
        Ok(loaded) => loaded.settings,
        // A host manager does not start with them, so nothing follows from the sources.
        Err(findings) => return check::tell(options, &options.config_dir.display().to_string(), &findings),
    };
    let survey = discovery::of_settings(&settings.zhm, &options.config_dir).survey(TIMEOUT);
    let outcome = if survey.result.is_ok() { Outcome::Done } else { Outcome::Problem };
    if options.json { print_json(&said(&survey), outcome) } else { print(&text(&survey), outcome) }.into()
}

fn said(survey: &Survey) -> Said<'_> {
    let found = survey.result.as_ref().ok();
    let servers = found.into_iter().flat_map(|found| &found.candidates);
    Said {
        source: found.map(|found| &*found.source),
        servers: servers
            .map(|server| Server {
                host: &server.host,
                port: server.port,
                priority: server.priority,
                weight: server.weight,
            })
            .collect(),
        passed_over: survey.testimonies.iter().filter_map(passed_over).collect(),
    }
}

fn passed_over(testimony: &Testimony) -> Option<PassedOver<'_>> {
    let (why, is_invalid) = match &testimony.answer {
        Answer::Servers(_) => return None,
        Answer::None(why) | Answer::NoAnswer(why) => (why, false),
        Answer::Invalid(why) => (why, true),
    };
    Some(PassedOver { source: &testimony.source, why, is_invalid })
}

/// A line for each source that was asked, and what follows from it.
fn text(survey: &Survey) -> String {
    let line = |testimony: &Testimony| {
        let before = if matches!(testimony.answer, Answer::Invalid(_)) { "warning: " } else { "" };
        format!("{before}{}\n", printable(&testimony.to_string()))
    };
    let lines: String = survey.testimonies.iter().map(line).collect();
    lines
        + &match &survey.result {
            Ok(found) => format!("servers are found by {}\n", printable(&found.source)),
            Err(_) => "no source names a server: add one to section zhm of zephyr.toml, or to DNS\n".to_owned(),
        }
}
