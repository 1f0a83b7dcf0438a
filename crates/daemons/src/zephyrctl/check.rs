//! `zephyrctl check`: everything that a start needs, as the user that will run the server, with the server's own code.

use super::{
    Outcome, ask, discovery,
    options::{Check, Options},
    print, print_json, show,
};
use crate::{
    admin_protocol::{Answer, ControlRequest, Status},
    command_line, logging,
    problem::{Findings, Problem},
    settings::{self, HostManagerSettings, Log, ServerName, ServerSettings},
    users,
    zephyrd::{configuration, options::Options as ServerOptions, start},
};
use clap::Parser;
use nix::unistd::{Uid, User, geteuid};
use std::{ffi::OsString, path::Path, process::ExitCode, time::Duration};
use zephyr_net::address;
use zephyr_output::complain;

/// The user that the shipped unit runs the server as.
const USUAL_USER: &str = "zephyr";
/// Timeout of the answer of a server that runs.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The exit status of wrong usage.
const USAGE: u8 = 2;

/// Checks, and says what was found.
pub(super) fn run(options: &Options, check: &Check) -> ExitCode {
    if check.servers {
        return discovery::run(options);
    }
    if check.files {
        return tell(options, &options.config_dir.display().to_string(), &configuration::check(&options.config_dir));
    }
    let server = match server_options(options, check) {
        Ok(server) => server,
        Err(error) => return command_line::end("zephyrctl", &error),
    };
    let (user, mut findings) = match become_user(check.user.as_deref()) {
        Ok(became) => became,
        Err(why) => {
            complain!("zephyrctl: {why}");
            return USAGE.into();
        }
    };
    let running = running(&server);
    let gather = async {
        let mut gathered = start::gather(&server, running.as_deref()).await;
        gathered.look_for_realms().await;
        gathered.findings
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let needs = runtime.map(|runtime| runtime.block_on(gather));
    findings.add_new(configuration::check(&server.config_dir));
    match needs {
        Ok(needs) => findings.add_new(needs),
        Err(error) => findings.problems.push(Problem::of_machine(error)),
    }
    findings.warnings.extend(unreachable_servers(&server.config_dir));
    // Not of those that a start logs: it says this before it has a log.
    findings.warnings.extend(logging::examine(&log_settings(&server.config_dir)).map(Problem::of_machine));
    let as_user = user.map(|user| format!(", as user {user}")).unwrap_or_default();
    tell(options, &format!("{}{as_user}", server.config_dir.display()), &findings)
}

/// Says what was found, in this place.
pub(super) fn tell(options: &Options, place: &str, findings: &Findings) -> ExitCode {
    let outcome = if findings.problems.is_empty() { Outcome::Done } else { Outcome::Problem };
    if options.json {
        print_json(findings, outcome)
    } else {
        print(&show::findings(place, &findings.problems, &findings.warnings), outcome)
    }
    .into()
}

/// Section `log`; what holds without it when it cannot be used.
fn log_settings(folder: &Path) -> Log {
    ServerSettings::load_in_part(folder).0.log
}

/// Warns of servers in the host manager's section that have no address, as a mistyped name is tried for ever; and of those
/// of other hosts, where it listens on this machine alone.
fn unreachable_servers(folder: &Path) -> Vec<Problem> {
    let zhm = HostManagerSettings::load(folder).map(|loaded| loaded.settings.zhm).unwrap_or_default();
    let file = folder.join(settings::FILE_NAME);
    let loopback = zhm.listen.filter(|listen| listen.ip().is_loopback());
    let warning = |server: &ServerName| match (address::resolve(&server.host, 0), loopback) {
        (Err(error), _) => Some(format!("server {server} of section zhm has no IPv4 address: {error}")),
        (Ok(address), Some(listen)) if !address.ip().is_loopback() => Some(format!(
            "zhm reaches no server of another host, such as {server} of section zhm, as it listens at {listen}: listen at \
             0.0.0.0:{}",
            listen.port()
        )),
        (Ok(_), _) => None,
    };
    zhm.discovery.servers.iter().filter_map(warning).map(|text| Problem::whole_file(&file, text)).collect()
}

/// What the server's command line says. The folder and the control socket may be given as options of zephyrctl.
fn server_options(options: &Options, check: &Check) -> Result<ServerOptions, clap::Error> {
    let mut line: Vec<OsString> = vec!["zephyrd".into(), "--config-dir".into(), options.config_dir.clone().into()];
    if let Some(socket) = &options.control_socket {
        line.extend(["--control-socket".into(), socket.clone().into()]);
    }
    ServerOptions::try_parse_from(line.into_iter().chain(check.server_options.iter().cloned()))
}

/// The server that runs already, if it answers at the control socket: what it has is not somebody else's.
fn running(options: &ServerOptions) -> Option<Box<Status>> {
    // What is broken in one section does not hide who runs.
    let settings = options.overrule(ServerSettings::load_in_part(&options.config_dir).0);
    match ask(&settings.control.socket, &ControlRequest::Status {}, TIMEOUT) {
        Ok(Answer::Status(status)) => Some(status),
        _ => None,
    }
}

/// Becomes the user that runs the server, where root asks. Gives his name if he is somebody else, and what is doubtful.
fn become_user(wanted: Option<&str>) -> Result<(Option<String>, Findings), String> {
    let own = geteuid();
    let warning = |text: String| Findings { warnings: vec![Problem::of_machine(text)], ..Findings::default() };
    match (wanted, users::find(wanted.unwrap_or(USUAL_USER))) {
        (Some(name), None) => Err(format!("there is no user {name}")),
        (_, Some(user)) if user.uid == own => Ok((None, Findings::default())),
        (_, Some(user)) if own.is_root() => {
            let name = user.name.clone();
            users::become_user(user).map_err(|error| format!("cannot become user {name}: {error}"))?;
            Ok((Some(name), Findings::default()))
        }
        (Some(name), Some(_)) => Err(format!("only root can check as user {name}")),
        (None, Some(_)) => Ok((
            None,
            warning(format!(
                "checked as {}, and the server runs as user {USUAL_USER}: run this as root, who then checks as {USUAL_USER}",
                name_of(own)
            )),
        )),
        (None, None) if own.is_root() => Ok((
            None,
            warning(format!(
                "there is no user {USUAL_USER}, as whom the unit runs the server; checked as root, and --user names another"
            )),
        )),
        (None, None) => Ok((None, Findings::default())),
    }
}

fn name_of(user: Uid) -> String {
    User::from_uid(user).ok().flatten().map_or_else(|| format!("user {user}"), |known| format!("user {}", known.name))
}
