//! Somebody between the servers of two realms, through whom everything goes that they send each other.

use crate::{middle::Rule, stack::Stack};
use anyhow::Result;
use std::{
    fmt,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use zephyr_core::limits::MAX_PACKET;
use zephyr_testkit::relay::Way;

/// How often a thread looks whether it should end.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// The last octet of his addresses, which nothing else of a stack has.
const HOST: u8 = 77;

/// A relay between two servers. Ends when dropped.
pub struct Between {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Where one server takes him for the other.
    at_one: UdpSocket,
    /// Where the other takes him for the one.
    at_other: UdpSocket,
    one: SocketAddr,
    other: SocketAddr,
    rule: Mutex<Box<dyn Rule>>,
    stop: AtomicBool,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Between").finish_non_exhaustive()
    }
}

impl Between {
    /// Stands between the servers of two domains, once those know him as each other. What goes to the other is on its way
    /// [`Way::ToServer`], what goes to the one [`Way::ToHost`].
    ///
    /// # Errors
    /// When there is no socket to stand on.
    pub fn start(one: &Stack, other: &Stack, rule: impl Rule) -> Result<Self> {
        let at_one = UdpSocket::bind((one.network().host(HOST), 0))?;
        let at_other = UdpSocket::bind((other.network().host(HOST), 0))?;
        for socket in [&at_one, &at_other] {
            socket.set_read_timeout(Some(READ_TIMEOUT))?;
        }
        let (rule, stop): (Mutex<Box<dyn Rule>>, _) = (Mutex::new(Box::new(rule)), AtomicBool::new(false));
        let shared = Arc::new(Shared { at_one, at_other, one: one.server(), other: other.server(), rule, stop });
        let threads = [Way::ToServer, Way::ToHost].map(|way| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.relay(way))
        });
        Ok(Self { shared, threads: threads.into() })
    }

    /// Where the one server must believe the other to be.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn as_other(&self) -> Result<SocketAddr> {
        Ok(self.shared.at_one.local_addr()?)
    }

    /// Where the other server must believe the one to be.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn as_one(&self) -> Result<SocketAddr> {
        Ok(self.shared.at_other.local_addr()?)
    }

    /// Another rule from the next datagram on.
    pub fn change(&self, rule: impl Rule) {
        *self.shared.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    /// Sends octets of his own to the other server, as if they were the one's.
    ///
    /// # Errors
    /// When the system does not.
    pub fn send_to_other(&self, packet: &[u8]) -> Result<()> {
        self.shared.at_other.send_to(packet, self.shared.other)?;
        Ok(())
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has printed that.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn relay(&self, way: Way) {
        let (from, onward, to) = match way {
            Way::ToServer => (&self.at_one, &self.at_other, self.other),
            _ => (&self.at_other, &self.at_one, self.one),
        };
        let mut buffer = [0; MAX_PACKET];
        while !self.stop.load(Ordering::Relaxed) {
            let Ok(length) = from.recv(&mut buffer) else { continue };
            let mut packet = buffer.get(..length).unwrap_or_default().to_vec();
            let passes = (*self.rule.lock().unwrap_or_else(PoisonError::into_inner))(way, &mut packet);
            if passes {
                // Who does not listen now will be sent it again.
                let _ = onward.send_to(&packet, to);
            }
        }
    }
}
