//! zephyrctl, the administration tool of the server.
//!
//! It sends one request over the server's local socket and shows the answer; `check` looks itself, with the server's own
//! code.

mod check;
mod discovery;
mod drain;
pub mod options;
mod policy;
mod show;
mod state;

use crate::{
    admin_protocol::{Answer, ControlRequest},
    own_folder, private_file,
    settings::ServerSettings,
    users,
};
use nix::sys::{
    socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, sockopt},
    time::{TimeVal, TimeValLike},
};
use options::{AclVerb, Act, Options, Verb};
use serde::Serialize;
use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use zephyr_config::system_text;
use zephyr_output::complain;

/// The outcome of a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is done, and all is well.
    Done,
    /// There is a problem, or the server refuses.
    Problem,
    /// There is no server.
    Unreachable,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Problem => Self::from(1),
            Outcome::Unreachable => Self::from(3),
        }
    }
}

/// Maximum octets of an answer.
const MAX_ANSWER_OCTETS: u64 = 4 << 30;

/// Runs zephyrctl.
pub fn run(options: &Options) -> ExitCode {
    let request = match options.verb.clone() {
        Verb::Policy(verb) => {
            let (outcome, text) = policy::run(&verb, &options.config_dir, options.json);
            return print(&text, outcome).into();
        }
        Verb::Check(check) => return check::run(options, &check),
        Verb::State(verb) => return state::run(options, &verb).into(),
        Verb::Status => ControlRequest::Status {},
        Verb::Dump { file } => ControlRequest::Dump { here: file.is_some() },
        Verb::Clients { limit } => ControlRequest::Clients { limit },
        Verb::Subscriptions { class, limit } => ControlRequest::Subscriptions { class, limit },
        Verb::Peers => ControlRequest::Peers {},
        Verb::Realms => ControlRequest::Realms {},
        Verb::Acl(AclVerb::Check { principal, class, address, .. }) => {
            ControlRequest::AclCheck { principal, class, address }
        }
        Verb::Drain { undo: true, .. } => ControlRequest::EndDrain {},
        Verb::Drain { wait, .. } => {
            return drain::run(options, &socket(options), Duration::from_secs(wait.into())).into();
        }
        Verb::Reload => ControlRequest::Reload {},
    };
    let (socket, timeout) = (socket(options), Duration::from_secs(options.timeout.into()));
    let outcome = match ask(&socket, &request, timeout) {
        Ok(answer) => deal_with(options, answer),
        Err(error) => {
            let outcome = unreachable(&socket, &error);
            if error.kind() == io::ErrorKind::TimedOut && matches!(request, ControlRequest::Reload {}) {
                complain!("zephyrctl: It may still reload: its log says when it has.");
            }
            outcome
        }
    };
    outcome.into()
}

/// Says why the server was not reached.
fn unreachable(socket: &Path, error: &io::Error) -> Outcome {
    complain!("zephyrctl: cannot reach the server at {}: {}", socket.display(), system_text(error));
    if let Some(advice) = advice(error) {
        complain!("zephyrctl: {advice}");
    }
    Outcome::Unreachable
}

fn socket(options: &Options) -> PathBuf {
    options.control_socket.clone().unwrap_or_else(|| {
        // A broken file is for `check` to complain about; the server that runs may well be at the usual place.
        ServerSettings::load_in_part(&options.config_dir).0.control.socket
    })
}

/// Asks the server; `timeout` is that of its answer, and of each part of it.
fn ask(socket: &Path, request: &ControlRequest, timeout: Duration) -> io::Result<Answer> {
    exchange(socket, request, timeout).map_err(|error| match error.kind() {
        // A server that hangs. One whose queue of connections is full does, too.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", timeout.as_secs()))
        }
        _ => error,
    })
}

fn exchange(socket: &Path, request: &ControlRequest, timeout: Duration) -> io::Result<Answer> {
    let mut stream = connect(socket, timeout)?;
    check_server(socket, &stream)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A server that refuses to listen answers all the same.
    let written = stream.write_all(&line);
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER_OCTETS)).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        written?;
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it does not answer; its log may say why"));
    }
    let another = "what answers there is no zephyrd, or one of another version";
    serde_json::from_slice(&answer).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, another))
}

/// What to do about a server that cannot be reached.
fn advice(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Some(
            "Does zephyrd run on this machine (systemctl status zephyrd)? --control-socket names another socket than that of zephyr.toml.",
        ),
        io::ErrorKind::TimedOut => Some(
            "It is busy, or hangs: wait longer (--timeout), look at journalctl -u zephyrd, or start it anew (systemctl restart zephyrd).",
        ),
        // Of the system's, not of ours.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            Some("Only root and the server's own user may ask: try sudo.")
        }
        // Of ours, about who listens.
        io::ErrorKind::PermissionDenied => Some(
            "Somebody else may have made that socket. If it is the server's, its folder must belong to the server's user or root, with nobody else writing to it; else remove it and restart zephyrd.",
        ),
        _ => None,
    }
}

/// Connects to a socket, which the system makes wait where as many wait already as it lets.
fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let stream = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
    socket::setsockopt(&stream, sockopt::SendTimeout, &TimeVal::seconds(seconds))?;
    socket::connect(stream.as_raw_fd(), &address)?;
    Ok(stream.into())
}

/// Checks who answers at the socket: root, the user of this process, or the one to whom the socket's folder belongs, if nobody
/// else can make files in that. Anybody else may have put a socket there before the server did.
fn check_server(socket: &Path, stream: &UnixStream) -> io::Result<()> {
    let peer = peer(stream)?;
    if [0, nix::unistd::geteuid().as_raw()].contains(&peer) {
        return Ok(());
    }
    let folder = fs::metadata(own_folder::folder_of(socket))?;
    if folder.uid() == peer && !own_folder::is_writable_by_others(&folder) {
        return Ok(());
    }
    let peer = users::name_of(peer);
    let why = format!("{peer} listens there, who is neither root nor the owner of a folder of the server's alone");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// The user at the other end.
fn peer(stream: &UnixStream) -> io::Result<u32> {
    // The standard library does not tell yet, and each system has a way of its own, which tokio knows.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    let other = stream.try_clone()?;
    other.set_nonblocking(true)?;
    let peer = tokio::net::UnixStream::from_std(other)?.peer_cred()?.uid();
    stream.set_nonblocking(false)?;
    Ok(peer)
}

/// Prints an answer, or writes it to a file.
fn deal_with(options: &Options, answer: Answer) -> Outcome {
    let answer = match (&options.verb, answer) {
        (Verb::Dump { file: Some(file) }, Answer::Dump(dump)) if !is_standard_output(file) => {
            match private_file::write(file, dump.as_bytes()) {
                Ok(()) => Answer::DumpedTo(file.display().to_string()),
                Err(error) => Answer::Refused(format!("cannot write {}: {}", file.display(), system_text(&error))),
            }
        }
        (Verb::Acl(AclVerb::Check { act: Some(act), .. }), Answer::AclCheck(mut check)) => {
            check.rulings.retain(|ruling| ruling.list == list_of(*act));
            Answer::AclCheck(check)
        }
        (_, answer) => answer,
    };
    let outcome = match &answer {
        Answer::Problems(_) | Answer::Refused(_) => Outcome::Problem,
        Answer::AclCheck(check) if check.rulings.iter().any(|ruling| !ruling.allowed) => Outcome::Problem,
        _ => Outcome::Done,
    };
    if options.json {
        print_json(&answer, outcome)
    } else if let Answer::Refused(why) = &answer {
        complain!("zephyrctl: refused: {}", show::printable(why));
        outcome
    } else {
        print(&show::answer(&answer), outcome)
    }
}

/// Whether a file for the dump means standard output.
fn is_standard_output(file: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| file == Path::new(name))
}

const fn list_of(act: Act) -> &'static str {
    match act {
        Act::Xmt => "xmt",
        Act::Sub => "sub",
        Act::Iws => "iws",
        Act::Iui => "iui",
    }
}

fn print_json(value: &impl Serialize, outcome: Outcome) -> Outcome {
    match show::json(value) {
        Ok(line) => print(&format!("{line}\n"), outcome),
        Err(error) => {
            complain!("zephyrctl: {error}");
            Outcome::Problem
        }
    }
}

/// Prints, and gives the outcome: what was not written is not done. A reader who has seen enough is no failure.
fn print(text: &str, outcome: Outcome) -> Outcome {
    match zephyr_output::print(text) {
        Ok(_) => outcome,
        Err(error) => {
            complain!("zephyrctl: {error}");
            Outcome::Problem
        }
    }
}
