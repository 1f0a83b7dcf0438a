//! The names of the hosts that notices say they are from (zwgc, section 5).
//!
//! Whoever sends a notice chooses the address in it, and the name of that address need not be found soon, or at all. So a look-up
//! holds a notice up for a moment only, and no other one soon after.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout},
};
use zephyr_net::host;

/// How long a notice waits for the name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long no notice waits for a name after one that was not found in time.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a name, or that there was none in time, is remembered.
const LIFETIME: Duration = Duration::from_secs(600);
/// Maximum number of names that are remembered.
const MAX_NAMES: usize = 1024;
/// Maximum number of look-ups at a time.
const MAX_LOOKUPS: usize = 8;

/// Names, or that there are none, and until when that is remembered.
type Names = HashMap<IpAddr, (Option<String>, Instant)>;

/// Finds the names of hosts.
pub(super) struct HostNames {
    known: Arc<Mutex<Names>>,
    lookups: Arc<Semaphore>,
    /// Until when no notice waits.
    slow_until: Mutex<Option<Instant>>,
}

impl Default for HostNames {
    fn default() -> Self {
        Self { known: Arc::default(), lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)), slow_until: Mutex::new(None) }
    }
}

impl HostNames {
    /// The name of a host, or its address.
    pub(super) async fn name_of(&self, address: IpAddr) -> String {
        self.find(address, host::name_of).await.unwrap_or_else(|| address.to_string())
    }

    async fn find(
        &self,
        address: IpAddr,
        look_up: impl FnOnce(IpAddr) -> Option<String> + Send + 'static,
    ) -> Option<String> {
        let now = Instant::now();
        if let Some((name, _)) = locked(&self.known).get(&address).filter(|(_, until)| now < *until) {
            return name.clone();
        }
        let permit = Arc::clone(&self.lookups).try_acquire_owned().ok()?;
        let known = Arc::clone(&self.known);
        let (tell, found) = oneshot::channel();
        let work = move || {
            let name = look_up(address);
            remember(&mut locked(&known), address, name.clone());
            drop(permit);
            let _ = tell.send(name);
        };
        thread::Builder::new().name("zwgc look-up".to_owned()).spawn(work).ok()?;
        if locked(&self.slow_until).is_some_and(|until| now < until) {
            return None;
        }
        match timeout(LOOKUP_TIMEOUT, found).await {
            Ok(found) => found.ok().flatten(),
            Err(_) => {
                *locked(&self.slow_until) = Some(Instant::now() + PAUSE);
                None
            }
        }
    }
}

fn remember(known: &mut Names, address: IpAddr, name: Option<String>) {
    let now = Instant::now();
    if known.len() >= MAX_NAMES {
        known.retain(|_, (_, until)| now < *until);
    }
    if known.len() >= MAX_NAMES {
        known.clear();
    }
    known.insert(address, (name, now + LIFETIME));
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::Ipv4Addr, sync::mpsc};

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once() {
        let names = HostNames::default();
        assert_eq!(names.find(address(1), |_| Some("one".to_owned())).await.as_deref(), Some("one"));
        assert_eq!(names.find(address(1), |_| panic!("it is known")).await.as_deref(), Some("one"));
        assert_eq!(names.find(address(2), |_| None).await, None);
        assert_eq!(names.find(address(2), |_| panic!("it is known that there is none")).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_not_found_hold_up_one_notice_and_not_the_others() {
        let (names, began) = (HostNames::default(), Instant::now());
        // They end when the test does.
        let mut kept = Vec::new();
        for last in 0..20 {
            let (end, ended) = mpsc::channel::<()>();
            let stuck = move |_| ended.recv().ok().map(|()| "late".to_owned());
            assert_eq!(names.find(address(last), stuck).await, None);
            kept.push(end);
        }
        assert_eq!(began.elapsed(), LOOKUP_TIMEOUT);
        // One of those that were started is found after all.
        kept[0].send(()).unwrap();
        while !locked(&names.known).contains_key(&address(0)) {
            thread::yield_now();
        }
        assert_eq!(names.find(address(0), |_| panic!("it is known")).await.as_deref(), Some("late"));
        drop(kept);
    }
}
