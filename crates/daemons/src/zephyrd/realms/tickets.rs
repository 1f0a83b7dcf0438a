//! Sessions with the servers of other realms, got on threads: a KDC may not answer, and nothing waits for it.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use zephyr_core::{
    auth::{AuthError, Service, Session},
    sanitize,
};
use zephyr_engine::server::{RealmDone, RealmJob};

/// How long nobody asks the KDCs again after they gave nothing.
const RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How often it is said that a realm still cannot be reached.
const REMINDER_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Maximum number of realms that sessions are got with at a time, each on a thread.
const MAX_AT_ONCE: usize = 8;

/// The result of an attempt.
type Obtained = Result<Arc<dyn Session>, AuthError>;

/// Gets sessions with other realms.
pub(crate) struct Tickets {
    service: Arc<dyn Service>,
    /// Our realm, for what is said.
    own: String,
    realms: HashMap<Arc<[u8]>, Realm>,
    /// Who waits for a thread.
    waiting: VecDeque<Arc<[u8]>>,
    running: usize,
    results: mpsc::UnboundedSender<Attempt>,
    queue: mpsc::UnboundedReceiver<Attempt>,
}

/// What is known of a realm.
#[derive(Default)]
struct Realm {
    state: State,
    /// What was said about it last, and when.
    said: Option<(String, Instant)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nobody wants a session with it.
    #[default]
    Idle,
    /// An attempt is under way, or waits for a thread.
    Under,
    /// Somebody wants one, and the last attempt failed: the next is at this moment.
    Again(Instant),
    /// The last attempt failed, and nobody has asked since.
    Failed(Instant),
}

/// An attempt that has ended.
pub(crate) struct Attempt {
    realm: Arc<[u8]>,
    result: Obtained,
}

impl Tickets {
    /// Gets sessions as this service of the realm `own`.
    pub(crate) fn new(service: Arc<dyn Service>, own: &str) -> Self {
        let (results, queue) = mpsc::unbounded_channel();
        let own = own.to_owned();
        Self { service, own, realms: HashMap::new(), waiting: VecDeque::new(), running: 0, results, queue }
    }

    /// As another service from now on.
    pub(crate) fn replace(&mut self, service: Arc<dyn Service>) {
        self.service = service;
    }

    /// Whoever failed may be tried at once: somebody may have mended what was wrong.
    pub(crate) fn retry(&mut self, now: Instant) {
        for realm in self.realms.values_mut() {
            match realm.state {
                State::Again(_) => realm.state = State::Again(now),
                State::Failed(_) => realm.state = State::Idle,
                State::Idle | State::Under => {}
            }
        }
    }

    /// Begins a job. Its result comes through [`Tickets::next`]: at once where a thread is free, and not before the time where the last
    /// attempt has failed a moment ago.
    pub(crate) fn begin(&mut self, now: Instant, RealmJob::Session(realm): RealmJob) {
        let known = self.realms.entry(Arc::clone(&realm)).or_default();
        match known.state {
            State::Under | State::Again(_) => {}
            State::Failed(again) if again > now => known.state = State::Again(again),
            State::Idle | State::Failed(_) => {
                known.state = State::Under;
                self.waiting.push_back(realm);
                self.start();
            }
        }
    }

    /// Begins the attempts that are due.
    pub(crate) fn go_on(&mut self, now: Instant) {
        for (name, realm) in &mut self.realms {
            if matches!(realm.state, State::Again(again) if again <= now) {
                realm.state = State::Under;
                self.waiting.push_back(Arc::clone(name));
            }
        }
        self.start();
    }

    /// When the next attempt is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let again = |realm: &Realm| match realm.state {
            State::Again(again) => Some(again),
            State::Idle | State::Under | State::Failed(_) => None,
        };
        self.realms.values().filter_map(again).min()
    }

    /// The next attempt that has ended. May be cancelled.
    pub(crate) async fn next(&mut self) -> Attempt {
        match self.queue.recv().await {
            Some(attempt) => attempt,
            // The other end is here as well.
            None => std::future::pending().await,
        }
    }

    /// Takes an attempt that has ended; gives the result of the job, and says in the log what there is to do.
    pub(crate) fn ended(&mut self, now: Instant, Attempt { realm, result }: Attempt) -> RealmDone {
        self.running = self.running.saturating_sub(1);
        self.start();
        let known = self.realms.entry(Arc::clone(&realm)).or_default();
        known.state = if result.is_ok() { State::Idle } else { State::Failed(now + RETRY_INTERVAL) };
        let name = sanitize::name(&realm);
        match &result {
            Ok(_) if known.said.take().is_some() => {
                tracing::info!("realm {name}: there is a ticket for zephyr/zephyr@{name}");
            }
            Ok(_) => tracing::debug!("realm {name}: there is a ticket for zephyr/zephyr@{name}"),
            Err(error) => {
                let text = failure(&name, &self.own, error);
                if known.said.as_ref().is_none_or(|(said, at)| *said != text || now >= *at + REMINDER_INTERVAL) {
                    tracing::warn!("{text}");
                    known.said = Some((text, now));
                }
            }
        }
        RealmDone::Session { realm, result }
    }

    fn start(&mut self) {
        while self.running < MAX_AT_ONCE
            && let Some(realm) = self.waiting.pop_front()
        {
            self.running += 1;
            let (service, results, asked) = (Arc::clone(&self.service), self.results.clone(), Arc::clone(&realm));
            let work = move || {
                let result = obtain(&*service, &asked);
                // When nobody wants the result any more, the server has ended.
                let _ = results.send(Attempt { realm: asked, result });
            };
            if let Err(error) = thread::Builder::new().name("ticket".to_owned()).spawn(work) {
                let result = Err(AuthError::Backend(format!("no thread for it: {error}")));
                let _ = self.results.send(Attempt { realm, result });
            }
        }
    }
}

/// A session with a realm. A backend that breaks down is an error like others: somebody waits.
fn obtain(service: &dyn Service, realm: &[u8]) -> Obtained {
    let name = str::from_utf8(realm).map_err(|_| AuthError::Backend("the realm's name is not UTF-8".to_owned()))?;
    catch_unwind(AssertUnwindSafe(|| service.session(name)))
        .unwrap_or_else(|_| Err(AuthError::Backend("the authentication backend broke down".to_owned())))
}

/// What is said of a realm that there is no session with: what it means, why, and what to do.
fn failure(realm: &str, own: &str, error: &AuthError) -> String {
    let advice = match error {
        AuthError::WrongRealm { reason, .. } if reason.contains("differ on the two KDCs") => format!(
            "Set the same password for krbtgt/{realm}@{own} on both, as with kadmin.local cpw, and compare the versions with getprinc; \
             it is tried again every {} seconds",
            RETRY_INTERVAL.as_secs()
        ),
        AuthError::WrongRealm { .. } => format!(
            "Check as the server does, with kinit -k -t KEYTAB zephyr/zephyr@{own} and then kvno zephyr/zephyr@{realm}: both KDCs \
             must have krbtgt/{realm}@{own} with the same key, and krb5.conf must say where the KDC of {realm} is"
        ),
        error => error
            .advice()
            .map_or_else(|| "It is tried again".to_owned(), |advice| advice.trim_end_matches('.').to_owned()),
    };
    format!(
        "realm {realm}: nothing can be sent there, as there is no ticket for zephyr/zephyr@{realm}: {error}. {advice}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    };
    use zephyr_core::{
        auth::{Channel, Ends, PendingChannel, SessionKey, StorageKey},
        time::Now,
    };

    /// A service whose attempts end when the test says, and fail.
    struct Slow {
        asked: Mutex<Sender<String>>,
        go: Mutex<Receiver<()>>,
    }

    fn no() -> AuthError {
        AuthError::WrongRealm { realm: "A.TEST".to_owned(), reason: "Server not found in database".to_owned() }
    }

    impl Service for Slow {
        fn session(&self, realm: &str) -> Obtained {
            self.asked.lock().unwrap().send(realm.to_owned()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
            Err(no())
        }

        fn restore(&self, _: &SessionKey) -> Obtained {
            Err(no())
        }

        fn storage_keys(&self, _: &[u8]) -> Result<Vec<StorageKey>, AuthError> {
            Err(no())
        }

        fn connect(&self, _: Ends, _: Now) -> Result<(Vec<u8>, Box<dyn PendingChannel>), AuthError> {
            Err(no())
        }

        fn accept(&self, _: Ends, _: &[u8], _: Now) -> Result<(Vec<u8>, Box<dyn Channel>), AuthError> {
            Err(no())
        }
    }

    struct Test {
        tickets: Tickets,
        asked: Receiver<String>,
        go: Sender<()>,
        begun: Instant,
    }

    impl Test {
        fn new() -> Self {
            let ((asked, log), (go, gate)) = (channel(), channel());
            let service = Arc::new(Slow { asked: Mutex::new(asked), go: Mutex::new(gate) });
            Self { tickets: Tickets::new(service, "HERE.TEST"), asked: log, go, begun: Instant::now() }
        }

        fn want(&mut self, after: u64, realm: &str) {
            self.tickets.begin(self.begun + Duration::from_secs(after), RealmJob::Session(realm.as_bytes().into()));
        }

        /// Lets an attempt end, at a moment.
        fn end(&mut self, after: u64) -> RealmDone {
            self.go.send(()).unwrap();
            let attempt = self.tickets.queue.blocking_recv().unwrap();
            self.tickets.ended(self.begun + Duration::from_secs(after), attempt)
        }
    }

    #[test]
    fn a_realm_without_a_ticket_is_tried_again_when_somebody_wants_it_and_not_before_the_time() {
        let mut test = Test::new();
        test.want(0, "A.TEST");
        test.want(1, "A.TEST");
        assert_eq!(test.asked.recv().unwrap(), "A.TEST");
        let RealmDone::Session { realm, result } = test.end(5);
        assert_eq!((&*realm, result.err()), (&b"A.TEST"[..], Some(no())));
        assert_eq!(test.tickets.next_due(), None, "nobody wants one");
        test.want(6, "A.TEST");
        let again = test.begun + Duration::from_secs(35);
        assert_eq!(test.tickets.next_due(), Some(again));
        test.tickets.go_on(again - Duration::from_millis(1));
        assert!(test.tickets.running == 0);
        test.tickets.go_on(again);
        assert_eq!(test.asked.recv().unwrap(), "A.TEST");
        test.end(36);
        test.want(70, "A.TEST");
        assert_eq!(test.asked.recv().unwrap(), "A.TEST", "the time is over");
        test.end(71);
        assert!(test.asked.try_recv().is_err(), "one attempt for each");
    }

    #[test]
    fn a_realm_that_hangs_keeps_no_other_waiting_and_there_are_only_so_many_threads() {
        let mut test = Test::new();
        for number in 0..MAX_AT_ONCE + 1 {
            test.want(0, &format!("R{number}"));
        }
        assert_eq!((test.tickets.running, test.tickets.waiting.len()), (MAX_AT_ONCE, 1));
        test.end(1);
        assert_eq!((test.tickets.running, test.tickets.waiting.len()), (MAX_AT_ONCE, 0));
        for _ in 0..MAX_AT_ONCE {
            test.end(1);
        }
        assert_eq!((test.tickets.running, test.asked.try_iter().count()), (0, MAX_AT_ONCE + 1));
    }

    #[test]
    fn what_is_said_names_the_command_and_the_principal() {
        let said = failure("A.TEST", "HERE.TEST", &no());
        assert!(
            said.starts_with(
                "realm A.TEST: nothing can be sent there, as there is no ticket for zephyr/zephyr@A.TEST: "
            )
        );
        for part in ["kvno zephyr/zephyr@A.TEST", "krbtgt/A.TEST@HERE.TEST", "Server not found in database"] {
            assert!(said.contains(part), "{said}");
        }
        let reason =
            "the keys or versions of krbtgt/A.TEST@HERE.TEST differ on the two KDCs: Decrypt integrity check failed";
        let differ = AuthError::WrongRealm { realm: "A.TEST".to_owned(), reason: reason.to_owned() };
        let said = failure("A.TEST", "HERE.TEST", &differ);
        assert!(said.contains("Set the same password for krbtgt/A.TEST@HERE.TEST on both"), "{said}");
        assert!(failure("A", "H", &AuthError::ClockSkew).contains("Set this machine's clock"));
    }
}
