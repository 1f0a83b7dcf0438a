//! The beginning of a connection between servers: both ends prove that they are the service.

use super::{
    Limits,
    transfer::{self, End},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::{
    io::BufReader,
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    task::spawn_blocking,
    time::timeout,
};
use zephyr_config::system_text;
use zephyr_core::auth::{AuthError, Channel, Ends, Service};
use zephyr_engine::server::Belief;
use zephyr_net::clock::Clock;

/// Connections of ours that ask the KDC at a time.
pub(super) const MAX_CONNECTING: usize = 4;

/// What beginning a connection takes.
#[derive(Clone)]
pub(super) struct Prover {
    pub(super) service: Arc<dyn Service>,
    pub(super) belief: Belief,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    /// For connecting, which may wait for a KDC.
    pub(super) connecting: Arc<Semaphore>,
}

/// A connection whose ends have proven themselves.
pub(super) struct Established {
    /// What was received and not read yet is in its buffer.
    pub(super) stream: BufReader<TcpStream>,
    pub(super) channel: Box<dyn Channel>,
    /// The first record, where that was waited for.
    pub(super) first: Option<Vec<u8>>,
}

/// Whether who connects must send something before it counts as proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// The first record shows that it has the connection's key, and is not only repeating what somebody else once sent.
    FirstRecord,
    /// Such as a C server, which waits for ours to begin. What is sent to it nobody else can read.
    None,
}

impl Prover {
    /// Connects to another server and proves that both are the service. `own` is this server's address, which the other
    /// knows it by.
    pub(super) async fn connect(self, own: IpAddr, to: SocketAddr) -> Result<Established, String> {
        self.may_connect()?;
        let limit = self.limits.connect;
        let connected = timeout(limit, dial(own, to)).await;
        let stream = connected.map_err(|_| format!("no connection to {to} within {} seconds", limit.as_secs()))?;
        let stream = stream.map_err(|error| format!("cannot connect to {to}: {}", system_text(&error)))?;
        let limit = self.limits.handshake;
        let proven = timeout(limit, self.introduce(stream)).await;
        proven.unwrap_or_else(|_| Err(too_slow(limit))).map_err(|why| format!("{to}: {why}"))
    }

    async fn introduce(self, stream: TcpStream) -> Result<Established, String> {
        let ends = prepared(&stream, self.limits)?;
        let Self { service, clock, connecting, .. } = self;
        let (token, pending) = on_thread(&connecting, move || service.connect(ends, clock.now())).await?;
        let mut stream = BufReader::new(stream);
        transfer::write_token(&mut stream, &token).await?;
        let answer = transfer::read_token(&mut stream).await?;
        let channel = on_thread(&connecting, move || pending.finish(&answer)).await?;
        Ok(Established { stream, channel, first: None })
    }

    /// Accepts a connection of another server, which proves that both are the service. One at a time of those with the same
    /// `turn` is judged.
    pub(super) async fn accept(
        self,
        stream: TcpStream,
        turn: Arc<Semaphore>,
        confirmation: Confirmation,
    ) -> Result<Established, String> {
        self.may_connect()?;
        let limit = self.limits.handshake;
        let proven = timeout(limit, self.receive(stream, &turn, confirmation)).await;
        proven.unwrap_or_else(|_| Err(too_slow(limit)))
    }

    async fn receive(
        self,
        stream: TcpStream,
        turn: &Arc<Semaphore>,
        confirmation: Confirmation,
    ) -> Result<Established, String> {
        let ends = prepared(&stream, self.limits)?;
        let Self { service, clock, limits, .. } = self;
        let mut stream = BufReader::new(stream);
        let token = transfer::read_token(&mut stream).await?;
        let (answer, mut channel) = on_thread(turn, move || service.accept(ends, &token, clock.now())).await?;
        transfer::write_token(&mut stream, &answer).await?;
        let first = match confirmation {
            Confirmation::None => None,
            Confirmation::FirstRecord => {
                let sealed = transfer::read_record(&mut stream, limits.handshake).await.map_err(|end| match end {
                    End::Closed => "it proved nothing".to_owned(),
                    End::Wrong(why) => why,
                })?;
                Some(channel.open(&sealed).map_err(|error| error.to_string())?)
            }
        };
        Ok(Established { stream, channel, first })
    }

    /// Where nobody can prove anything, nobody is believed unless somebody has said so.
    fn may_connect(&self) -> Result<(), String> {
        if self.service.proves() || self.belief == Belief::Addresses {
            return Ok(());
        }
        Err("without authentication no server can prove that it is one, and addresses are not believed".to_owned())
    }
}

fn too_slow(limit: std::time::Duration) -> String {
    format!("nothing was proven within {} seconds", limit.as_secs())
}

/// Connects from this server's own address, where that can be.
async fn dial(own: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = || if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let is_usable =
        !own.is_unspecified() && own.is_ipv4() == to.is_ipv4() && (!own.is_loopback() || to.ip().is_loopback());
    if is_usable {
        let from_own = socket()?;
        // The address of our name may be none of this machine's, as behind a translator of addresses.
        if from_own.bind((own, 0).into()).is_ok() {
            return from_own.connect(to).await;
        }
    }
    socket()?.connect(to).await
}

/// The ends of a connection, which sends small records at once and notices when the other end is gone.
fn prepared(stream: &TcpStream, limits: Limits) -> Result<Ends, String> {
    let system = |error: std::io::Error| system_text(&error);
    stream.set_nodelay(true).map_err(system)?;
    notice_silence(stream, limits);
    let ends = Ends { local: stream.local_addr().map_err(system)?, remote: stream.peer_addr().map_err(system)? };
    Ok(Ends { local: canonical(ends.local), remote: canonical(ends.remote) })
}

fn canonical(end: SocketAddr) -> SocketAddr {
    (end.ip().to_canonical(), end.port()).into()
}

/// Has the system end the connection when the other end has acknowledged nothing for so long. Without it that takes longer.
#[cfg(target_os = "linux")]
fn notice_silence(stream: &TcpStream, limits: Limits) {
    use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
    let millis = u32::try_from(limits.stall.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(stream, TcpUserTimeout, &millis) {
        tracing::debug!("no time limit for acknowledgements of a connection: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn notice_silence(_: &TcpStream, _: Limits) {}

/// Runs a step that may wait for a KDC or a file, when it has its turn.
async fn on_thread<T: Send + 'static>(
    turn: &Arc<Semaphore>,
    step: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
) -> Result<T, String> {
    let turn = Arc::clone(turn).acquire_owned().await.map_err(|error| error.to_string())?;
    let step = move || {
        // Held until the step has ended, even when nobody waits for it any more.
        let _turn = turn;
        step()
    };
    match spawn_blocking(step).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err("the authentication backend broke down".to_owned()),
    }
}
