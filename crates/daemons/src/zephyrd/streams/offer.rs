//! An offer: one connection from one host, at a port of its own (server to server, section 3.1).

use super::handshake::{Confirmation, Established, Prover};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};
use zephyr_config::system_text;

/// Connections of one host that may prove themselves at a time: beside that of the server there may be others, of whoever is
/// on its machine. When one more comes, the oldest ends.
pub(super) const MAX_HANDSHAKES: usize = 4;

/// How long to wait when the system gives no connection, perhaps for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A listener for one host.
pub(super) struct Offer {
    listener: TcpListener,
    to: IpAddr,
}

impl Offer {
    /// Listens at a port of this server's own address.
    pub(super) async fn open(own: IpAddr, to: IpAddr) -> io::Result<Self> {
        let own = if own.is_ipv4() == to.is_ipv4() { own } else { unspecified_as(to) };
        let listener = TcpListener::bind(SocketAddr::from((own, 0))).await?;
        Ok(Self { listener, to: to.to_canonical() })
    }

    /// The port that it waits at.
    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }

    /// Waits until the host connects and proves itself. Others are sent away, and what proves nothing leaves the offer open.
    pub(super) async fn wait(self, prover: Prover) -> Result<Established, String> {
        let deadline = Instant::now() + prover.limits.offer;
        let turn = Arc::new(Semaphore::new(1));
        let (mut handshakes, mut running) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
        let mut last = format!("nobody came within {} seconds", prover.limits.offer.as_secs());
        loop {
            let is_over = Instant::now() >= deadline;
            if is_over && handshakes.is_empty() {
                return Err(last);
            }
            tokio::select! {
                biased;
                Some(ended) = handshakes.join_next() => match ended {
                    Ok(Ok(established)) => return Ok(established),
                    Ok(Err(why)) => last = why,
                    Err(_) => {}
                },
                accepted = self.next(), if !is_over => {
                    running.retain(|handshake| !handshake.is_finished());
                    if running.len() >= MAX_HANDSHAKES && let Some(oldest) = running.pop_front() {
                        oldest.abort();
                    }
                    let handshake = prover.clone().accept(accepted, Arc::clone(&turn), Confirmation::None);
                    running.push_back(handshakes.spawn(handshake));
                }
                () = sleep_until(deadline), if !is_over => {}
            }
        }
    }

    /// The next connection of the host.
    async fn next(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) if from.ip().to_canonical() == self.to => return stream,
                Ok((_, from)) => tracing::debug!("a connection from {from} to what is offered to {}", self.to),
                Err(error) => {
                    tracing::debug!("cannot accept a connection: {}", system_text(&error));
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn unspecified_as(other: IpAddr) -> IpAddr {
    match other {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
