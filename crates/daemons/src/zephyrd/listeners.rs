//! Listeners for control and metrics connections.
//!
//! Nobody there can make the server wait or grow, or keep others from being served: there are few connections at a time, of which
//! one ends when the next needs its place; each has little time, and what is read from one is bounded.

use super::{
    connections::{Accepted, MAX_CONNECTIONS, Source, accept_connections},
    metrics,
    options::Options,
};
use crate::{
    admin_protocol::{Answer, ControlRequest, MAX_REQUEST_OCTETS, Status},
    own_folder,
    port_holder::{self, Transport},
    problem::{Findings, Problem},
    settings::{Control, ServerSettings, StreamAddress, WholeSections},
    users,
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
    unistd::geteuid,
};
use std::{
    fs, io,
    os::fd::AsRawFd,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    time::timeout,
};
use zephyr_config::system_text;

/// What there is to say about the listeners of a server with these options, before they are opened. Without operators a server
/// still serves its users; without the metrics that its settings promise it does not begin. What a running server has is
/// its own.
///
/// Sections that are not `whole` are left out.
pub(super) async fn examine(
    options: &Options,
    settings: &ServerSettings,
    whole: WholeSections,
    running: Option<&Status>,
) -> Findings {
    let mut findings = Findings::default();
    let control = &settings.control.socket;
    // The usual folder may be missing: the unit makes it.
    let waits_for_unit = *control == Control::default().socket && !own_folder::folder_of(control).exists();
    if (whole.control || options.control_socket.is_some())
        && options.wants_control(settings)
        && running.is_none()
        && !waits_for_unit
        && let Err(error) = SocketFile::examine(control)
    {
        findings.warnings.push(Problem::of_machine(unanswered(control, &error)));
    }
    if let Some(address) = &settings.metrics.listen {
        let examined = match address {
            _ if running.is_some_and(|running| running.metrics == Some(address.to_string())) => Ok(()),
            StreamAddress::Tcp(address) => TcpListener::bind(address).await.map(drop),
            StreamAddress::Unix(path) => SocketFile::examine(path).map(drop),
        };
        if let Err(error) = examined {
            findings.problems.push(Problem::of_machine(no_metrics(address, error)));
        }
    }
    findings
}

/// The warning that operators are not answered.
pub(super) fn unanswered(path: &Path, error: &io::Error) -> String {
    format!("zephyrctl gets no answers, as there is no socket at {}: {}", path.display(), system_text(error))
}

/// The problem that metrics cannot be offered.
pub(super) fn no_metrics(address: &StreamAddress, error: io::Error) -> String {
    let error = match address {
        StreamAddress::Tcp(tcp) => port_holder::explain(Transport::Tcp, *tcp, error),
        StreamAddress::Unix(_) => error,
    };
    format!("cannot offer metrics on {address}: {}", system_text(&error))
}

/// How long a connection may take.
#[derive(Clone, Copy)]
struct Timeouts {
    /// For sending a request.
    request: Duration,
    /// For taking the response.
    response: Duration,
}

impl Timeouts {
    const USUAL: Self = Self { request: Duration::from_secs(5), response: Duration::from_secs(60) };
}

/// A request to the server, and the channel for its answer.
pub(super) enum AdminRequest {
    /// A request over the control socket.
    Control(ControlRequest, oneshot::Sender<Answer>),
    /// A request for the metrics.
    Metrics(oneshot::Sender<String>),
}

/// The open listeners.
pub(super) struct Listeners {
    requests: mpsc::Receiver<AdminRequest>,
    sender: mpsc::Sender<AdminRequest>,
    files: Vec<SocketFile>,
    timeouts: Timeouts,
}

impl Listeners {
    /// No listener yet.
    pub(super) fn new() -> Self {
        let (sender, requests) = mpsc::channel(MAX_CONNECTIONS);
        Self { requests, sender, files: Vec::new(), timeouts: Timeouts::USUAL }
    }

    /// Opens the socket for operators. Only root and the server's own user get an answer.
    pub(super) fn listen_for_control(&mut self, path: &Path) -> io::Result<()> {
        let (listener, file) = SocketFile::bind(path, 0o600)?;
        // What this process makes belongs to it.
        let owner = fs::metadata(path)?.uid();
        self.files.push(file);
        let (sender, timeouts) = (self.sender.clone(), self.timeouts);
        tokio::spawn(accept_connections(
            move |context| listener.poll_accept(context).map_ok(|(stream, _)| of_user(stream)),
            move |stream| serve_control(stream, owner, sender.clone(), timeouts),
        ));
        Ok(())
    }

    /// Opens the listener for metrics collectors. Gives its address.
    pub(super) async fn listen_for_metrics(&mut self, address: &StreamAddress) -> io::Result<String> {
        let (sender, timeouts) = (self.sender.clone(), self.timeouts);
        match address {
            StreamAddress::Tcp(address) => {
                let listener = TcpListener::bind(address).await?;
                let place = listener.local_addr()?.to_string();
                tokio::spawn(accept_connections(
                    move |context| {
                        let accepted = listener.poll_accept(context);
                        accepted.map_ok(|(stream, peer)| Accepted { stream, source: peer.ip().into() })
                    },
                    move |stream| serve_collector(stream, sender.clone(), timeouts),
                ));
                Ok(place)
            }
            StreamAddress::Unix(path) => {
                // Collectors run as users of their own; what they read here is no secret of any user.
                let (listener, file) = SocketFile::bind(path, 0o666)?;
                self.files.push(file);
                tokio::spawn(accept_connections(
                    move |context| listener.poll_accept(context).map_ok(|(stream, _)| of_user(stream)),
                    move |stream| serve_collector(stream, sender.clone(), timeouts),
                ));
                Ok(path.display().to_string())
            }
        }
    }

    /// Waits for the next request. Nothing is lost when this is cancelled.
    pub(super) async fn next(&mut self) -> AdminRequest {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

fn of_user(stream: UnixStream) -> Accepted<UnixStream> {
    let source = stream.peer_cred().map_or(Source::Unknown, |peer| Source::User(peer.uid()));
    Accepted { stream, source }
}

async fn serve_control(mut stream: UnixStream, owner: u32, sender: mpsc::Sender<AdminRequest>, timeouts: Timeouts) {
    let allowed = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == owner);
    let answer = if allowed {
        match timeout(timeouts.request, read_request(&mut stream)).await {
            Ok(Ok(request)) => ask(&sender, |answer| AdminRequest::Control(request, answer)).await,
            Ok(Err(refusal)) => Some(Answer::Refused(refusal)),
            Err(_) => Some(Answer::Refused("no question has come in time".to_owned())),
        }
    } else {
        // Its name is not asked for: that may take long, and anybody can ask here.
        let user =
            stream.peer_cred().map_or_else(|_| "an unknown user".to_owned(), |peer| format!("uid {}", peer.uid()));
        tracing::warn!("refused a request of {user} at the control socket: neither root nor the server's own user");
        Some(Answer::Refused("only root and the server's own user may ask".to_owned()))
    };
    let answer = answer.unwrap_or_else(|| Answer::Refused("the server is about to end".to_owned()));
    if let Ok(mut line) = serde_json::to_vec(&answer) {
        line.push(b'\n');
        write_out(&mut stream, &line, timeouts).await;
    }
}

async fn read_request(stream: &mut UnixStream) -> Result<ControlRequest, String> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_REQUEST_OCTETS).unwrap_or(u64::MAX);
    match BufReader::new(stream.take(limit)).read_until(b'\n', &mut line).await {
        Ok(_) if line.ends_with(b"\n") => {
            serde_json::from_slice(&line).map_err(|error| format!("not a question: {error}"))
        }
        Ok(_) if line.len() >= MAX_REQUEST_OCTETS => Err("the question is too long".to_owned()),
        Ok(_) => Err("the question has no end".to_owned()),
        Err(error) => Err(format!("the question cannot be read: {error}")),
    }
}

async fn serve_collector(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    sender: mpsc::Sender<AdminRequest>,
    timeouts: Timeouts,
) {
    let Ok(Some(wanted)) = timeout(timeouts.request, metrics::read_request(&mut stream)).await else { return };
    let response = match wanted {
        Ok(()) => match ask(&sender, AdminRequest::Metrics).await {
            Some(text) => metrics::response(&text),
            None => return,
        },
        Err(refusal) => refusal.response(),
    };
    write_out(&mut stream, response.as_bytes(), timeouts).await;
}

/// Asks the loop that owns the engine; `None` when it is gone.
async fn ask<T>(
    sender: &mpsc::Sender<AdminRequest>,
    request: impl FnOnce(oneshot::Sender<T>) -> AdminRequest,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    sender.send(request(answer)).await.ok()?;
    answered.await.ok()
}

/// Writes a response. A connection that does not read gets no more.
async fn write_out(stream: &mut (impl AsyncWrite + Unpin), octets: &[u8], timeouts: Timeouts) {
    let _ = timeout(timeouts.response, async {
        stream.write_all(octets).await?;
        stream.shutdown().await
    })
    .await;
}

/// The path of a bound Unix socket, removed when dropped.
struct SocketFile(PathBuf);

/// What is at the path of a socket.
enum Place {
    Free,
    /// A socket that nobody listens to, left behind by a server that was killed.
    LeftBehind,
}

impl SocketFile {
    fn bind(path: &Path, mode: u32) -> io::Result<(UnixListener, Self)> {
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            fs::create_dir(folder)?;
        }
        // What is checked here is still so when it is used below: nobody else can exchange it.
        if let Place::LeftBehind = Self::examine(path)? {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let file = Self(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok((listener, file))
    }

    /// Checks that a socket can be had there. Nothing is changed.
    fn examine(path: &Path) -> io::Result<Place> {
        own_folder::check_writable(path)?;
        UnixAddr::new(path)?;
        match fs::symlink_metadata(path) {
            Ok(known) if !known.file_type().is_socket() => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "something is there that is no socket; remove it, or name another place",
            )),
            Ok(known) if ![0, geteuid().as_raw()].contains(&known.uid()) => {
                let why = format!("there is a socket of {}", users::name_of(known.uid()));
                Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
            }
            Ok(_) if is_listened_to(path)? => {
                Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"))
            }
            Ok(_) => Ok(Place::LeftBehind),
            Err(_) => Ok(Place::Free),
        }
    }
}

/// Whether somebody listens at a socket. Does not wait for one who accepts nothing.
fn is_listened_to(path: &Path) -> io::Result<bool> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(match connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        // Nobody has it open.
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => false,
        // Also one whose queue is full.
        _ => true,
    })
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;
    use zephyr_testkit::loopback::Network;

    /// Only tests that fail wait so long.
    const DEADLINE: Duration = Duration::from_secs(60);
    /// As many idle connections as somebody likes to make.
    const IDLE: usize = 300;
    const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\n\r\n";

    /// Listeners that wait for idle connections much longer than tests run.
    fn patient() -> Listeners {
        let hour = Duration::from_secs(3600);
        Listeners { timeouts: Timeouts { request: hour, response: hour }, ..Listeners::new() }
    }

    /// Answers requests for ever.
    fn answer(mut listeners: Listeners) {
        tokio::spawn(async move {
            loop {
                match listeners.next().await {
                    AdminRequest::Metrics(answer) => drop(answer.send("clients 1\n".to_owned())),
                    AdminRequest::Control(_, answer) => drop(answer.send(Answer::Refused("heard".to_owned()))),
                }
            }
        });
    }

    /// What comes after this request.
    async fn asked(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
        let mut response = String::new();
        let asking = async {
            stream.write_all(request).await.unwrap();
            stream.read_to_string(&mut response).await.unwrap();
        };
        timeout(DEADLINE, asking).await.expect("an answer");
        response
    }

    #[tokio::test]
    async fn idle_connections_do_not_keep_a_collector_waiting() {
        let network = Network::claim().unwrap();
        let mut listeners = patient();
        let listen = StreamAddress::Tcp((network.here(), 0).into());
        let address = listeners.listen_for_metrics(&listen).await.unwrap();
        answer(listeners);
        let connect = async || TcpStream::connect(&address).await.unwrap();
        assert!(asked(connect().await, REQUEST).await.ends_with("clients 1\n"));
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            let mut stream = connect().await;
            // Half of them seem to be about to ask.
            if idle.len() % 2 == 0 {
                stream.write_all(b"GET /metr").await.unwrap();
            }
            idle.push(stream);
        }
        assert!(asked(connect().await, REQUEST).await.ends_with("clients 1\n"));
        let mut oldest = idle.remove(0);
        let ended = timeout(DEADLINE, oldest.read(&mut [0])).await.expect("the end of an idle connection");
        assert!(!matches!(ended, Ok(1..)));
    }

    #[tokio::test]
    async fn idle_connections_do_not_keep_an_operator_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (control, metrics) = (folder.path().join("control"), folder.path().join("metrics"));
        let mut listeners = patient();
        listeners.listen_for_control(&control).unwrap();
        listeners.listen_for_metrics(&StreamAddress::Unix(metrics.clone())).await.unwrap();
        answer(listeners);
        let mut idle = Vec::new();
        for number in 0..IDLE {
            let path = if number % 2 == 0 { &control } else { &metrics };
            idle.push(UnixStream::connect(path).await.unwrap());
        }
        let connect = async |path| UnixStream::connect(path).await.unwrap();
        assert!(asked(connect(&metrics).await, REQUEST).await.ends_with("clients 1\n"));
        assert!(asked(connect(&control).await, b"nonsense\n").await.contains("not a question"));
    }
}
