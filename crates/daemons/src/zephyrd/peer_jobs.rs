//! Jobs about C servers, each on a thread of its own: the sessions of the keys that they tell, and since when they run.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use zephyr_core::{
    auth::Service,
    kind::Kind,
    limits::{Limits, MAX_PACKET},
    names,
    notice::{Claim, Notice, Packet},
    time::Now,
    uid::UidSource,
};
use zephyr_engine::server::{
    Done,
    peers::c::{RestoreJob, Restored, Uptime},
};

/// How long a server may take to say how it is, and how often it is asked meanwhile.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
const QUESTIONS: usize = 2;
/// Datagrams looked at for one answer.
const MAX_DATAGRAMS: usize = 16;

/// Runs jobs. The machine wants few at a time for each server.
#[derive(Debug)]
pub(super) struct PeerJobs {
    results: mpsc::UnboundedSender<Done>,
    queue: mpsc::UnboundedReceiver<Done>,
}

impl PeerJobs {
    pub(super) fn new() -> Self {
        let (results, queue) = mpsc::unbounded_channel();
        Self { results, queue }
    }

    /// Makes sessions; gives the result where that takes no thread.
    pub(super) fn restore(&self, service: &Arc<dyn Service>, job: RestoreJob) -> Option<Done> {
        if job.keys.is_empty() {
            return Some(Done::Restored(Restored { id: job.id, sessions: Vec::new() }));
        }
        let (service, id, count) = (service.clone(), job.id, job.keys.len());
        let work = move || {
            let sessions = job.keys.iter().map(|key| service.restore(key).ok()).collect();
            Done::Restored(Restored { id: job.id, sessions })
        };
        let none = || Done::Restored(Restored { id, sessions: vec![None; count] });
        self.on_thread(work).err().map(|_| none())
    }

    /// Asks a C server for how long it has been running.
    pub(super) fn ask_uptime(&self, now: Now, bound: Option<IpAddr>, of: SocketAddr) -> Option<Done> {
        let ask = move || {
            let seconds = ask(now, bound, of).unwrap_or_else(|error| {
                tracing::debug!("{of} does not say for how long it has been running: {error}");
                None
            });
            Done::Uptime(Uptime { of, seconds })
        };
        self.on_thread(ask).err().map(|_| Done::Uptime(Uptime { of, seconds: None }))
    }

    fn on_thread(&self, work: impl FnOnce() -> Done + Send + 'static) -> io::Result<()> {
        let results = self.results.clone();
        let run = move || {
            // When nobody wants it any more, the server has ended.
            let _ = results.send(work());
        };
        thread::Builder::new().name("peer job".to_owned()).spawn(run).map(drop)
    }

    /// The next result. May be cancelled.
    pub(super) async fn next(&mut self) -> Done {
        match self.queue.recv().await {
            Some(done) => done,
            // The other end is here as well.
            None => std::future::pending().await,
        }
    }
}

/// Asks a server how it is, from a port that is no server's, as servers do not tell each other.
fn ask(now: Now, bound: Option<IpAddr>, of: SocketAddr) -> io::Result<Option<u64>> {
    let socket = UdpSocket::bind((bound.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), 0))?;
    socket.connect(of)?;
    let local = socket.local_addr()?;
    let IpAddr::V4(address) = local.ip() else { return Ok(None) };
    let uid = UidSource::new(address).next(&now);
    let notice = Notice {
        kind: Kind::Unsafe,
        uid,
        multiuid: uid,
        port: local.port(),
        class: names::ZEPHYR_ADMIN,
        opcode: names::STATUS,
        address: address.into(),
        ..Notice::EMPTY
    };
    let question = notice.write(&Claim::NONE, Limits::COMPATIBLE).map_err(io::Error::other)?;
    for _ in 0..QUESTIONS {
        socket.send(&question)?;
        if let Some(seconds) = answer(&socket)? {
            return Ok(Some(seconds));
        }
    }
    Ok(None)
}

fn answer(socket: &UdpSocket) -> io::Result<Option<u64>> {
    let deadline = Instant::now() + STATUS_TIMEOUT;
    let mut buffer = [0; MAX_PACKET];
    for _ in 0..MAX_DATAGRAMS {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        socket.set_read_timeout(Some(left))?;
        let octets = match socket.recv(&mut buffer) {
            Ok(octets) => buffer.get(..octets).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        let Ok(packet) = Packet::parse(octets) else { continue };
        let notice = packet.notice;
        if notice.class != names::ZEPHYR_ADMIN || notice.opcode != names::STATUS || notice.kind == Kind::ServAck {
            continue;
        }
        if let Some(seconds) = Uptime::read(notice.body) {
            // It would be repeated for a quarter of an hour.
            let thanks = Notice { kind: Kind::ClientAck, body: b"", ..notice };
            if let Ok(thanks) = thanks.write(&Claim::NONE, Limits::WHOLE_PACKET) {
                let _ = socket.send(&thanks);
            }
            return Ok(Some(seconds));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;
    use zephyr_testkit::loopback::Network;

    #[test]
    fn a_server_is_asked_for_how_long_it_runs_and_thanked() {
        let network = Network::claim().unwrap();
        let server = UdpSocket::bind((network.here(), 0)).unwrap();
        let address = server.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let now = Now { monotonic: Duration::ZERO, wall: UNIX_EPOCH };
            ask(now, Some(address.ip()), address).unwrap()
        });
        let mut buffer = [0; MAX_PACKET];
        let (octets, from) = server.recv_from(&mut buffer).unwrap();
        let question = Packet::parse(&buffer[..octets]).unwrap().notice;
        assert_eq!((question.opcode, question.port), (names::STATUS, from.port()));
        server.send_to(b"junk", from).unwrap();
        let body = b"v\x0012 pkts\x00345 seconds operational\0";
        let status = Notice { class: names::ZEPHYR_ADMIN, opcode: names::STATUS, body, ..Notice::EMPTY };
        server.send_to(&status.write(&Claim::NONE, Limits::COMPATIBLE).unwrap(), from).unwrap();
        assert_eq!(asked.join().unwrap(), Some(345));
        let (octets, _) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(Packet::parse(&buffer[..octets]).unwrap().notice.kind, Kind::ClientAck);
    }
}
