//! The keeper: a thread that writes down what a server tells.
//!
//! Whoever runs the server hands over changes and never waits. When more of them wait than the keeper takes, or the file
//! cannot be written, the keeper is *out*: it drops what it has, and when it can write again it asks for all of the state,
//! which it writes in the place of what there was.

use crate::{
    StateError,
    store::{Owner, Rest, Store},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};
use zephyr_core::auth::StorageKey;
use zephyr_engine::plural::Plural;
use zephyr_engine::server::{Change, Changed};

/// Maximum weight of changes that wait to be written: each counts one, and one for each destination in it.
const MAX_WAITING: usize = 131_072;
/// Heartbeats between two looks at how much the file holds.
const HEARTBEATS_PER_TIDY: u32 = 60;

/// How the file is opened, and opened again.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where it is.
    pub path: PathBuf,
    /// Whose state it keeps.
    pub owner: Owner,
    /// What its session keys are sealed with, the newest first.
    pub keys: Vec<StorageKey>,
    /// Prepares its folder, and says whether nobody else can put anything there.
    pub prepare: fn(&Path) -> io::Result<()>,
}

impl Opening {
    /// Opens the file, or makes one; a damaged one is moved aside. Gives also what was wrong.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn open(&self) -> Result<(Store, Option<StateError>), StateError> {
        (self.prepare)(&self.path)?;
        Store::open_or_replace(&self.path, &self.owner, &self.keys)
    }
}

/// How often a keeper does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two heartbeats: what a power cut may cost.
    pub heartbeat: Duration,
    /// The time between two tries to use a file that cannot be used.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(1), retry: Duration::from_secs(30) }
    }
}

/// What a keeper tells whoever runs the server, from its own thread.
#[derive(Debug)]
pub enum Report {
    /// So many of all changes that were handed over since the start are written.
    Stored(u64),
    /// Nothing is kept from now on: why.
    Out(String),
    /// It can write again, and wants all of the state: [`Keeper::give_all`].
    WantsAll,
    /// Everything is kept again; how much that is, follows.
    Back,
    /// Something else for the log.
    Says(String),
}

/// How a keeper is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeeperStatus {
    /// Since when nothing is kept, and why.
    pub out: Option<(SystemTime, String)>,
    /// Changes that wait to be written.
    pub waiting: usize,
    /// Changes that were written.
    pub written: u64,
    /// Transactions in which that was done.
    pub transactions: u64,
    /// Changes that were not written when they were made, as nothing was kept.
    pub dropped: u64,
    /// How often the file could no longer be used.
    pub failures: u64,
}

/// A keeper. Its thread ends when this is dropped.
pub struct Keeper {
    shared: Arc<Shared>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    /// Something has come, or something is done.
    news: Condvar,
}

#[derive(Default)]
struct Inbox {
    changes: Vec<Changed>,
    weight: usize,
    /// Changes that were ever handed over.
    handed_over: u64,
    /// Nothing is taken: all of the state is wanted first.
    is_out: bool,
    out_since: Option<Instant>,
    /// All of the state has been asked for.
    asked: bool,
    /// All of the state, as it was after so many changes.
    all: Option<(Vec<Changed>, u64)>,
    keys: Option<Vec<StorageKey>>,
    end: Option<Rest>,
    is_dropped: bool,
    /// Whether everything was written at the end.
    ended: Option<bool>,
    status: KeeperStatus,
}

/// What the thread is to do next.
enum Work {
    Write {
        changes: Vec<Changed>,
        up_to: u64,
    },
    Replace {
        all: Vec<Changed>,
        up_to: u64,
    },
    Reseal(Vec<StorageKey>),
    Heartbeat,
    /// All of the state is to be asked for, as it can be written again.
    CatchUp,
    Retry,
    End(Rest),
    Stop,
}

impl Keeper {
    /// Begins to keep what happens in this store; without one it is to be opened later, and the reason is why it is not.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        store: Result<Store, String>,
        opening: Opening,
        pace: Pace,
        report: impl Fn(Report) + Send + 'static,
    ) -> io::Result<Self> {
        let mut inbox = Inbox::default();
        let store = store.map_err(|why| inbox.go_out(why)).ok();
        let shared = Arc::new(Shared { inbox: Mutex::new(inbox), news: Condvar::new() });
        let now = Instant::now();
        let mut worker = Worker {
            shared: Arc::clone(&shared),
            store,
            opening,
            pace,
            report: Box::new(report),
            next_heartbeat: now + pace.heartbeat,
            next_retry: now + pace.retry,
            began_anew: None,
            heartbeats: 0,
        };
        thread::Builder::new().name("state".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared })
    }

    /// Hands over changes, the oldest first, and takes them out of `changes`. False when it is too much: nothing is kept
    /// from now on, which is not reported otherwise.
    pub fn hand_over(&self, changes: &mut Vec<Changed>) -> bool {
        if changes.is_empty() {
            return true;
        }
        let mut inbox = self.shared.lock();
        inbox.handed_over += changes.len() as u64;
        if inbox.is_out {
            inbox.status.dropped += changes.len() as u64;
            changes.clear();
            return true;
        }
        inbox.weight += changes.iter().map(weight).sum::<usize>();
        if inbox.weight > MAX_WAITING {
            inbox.status.dropped += changes.len() as u64;
            changes.clear();
            inbox.go_out("the disk is too slow".to_owned());
            return false;
        }
        let is_first = inbox.changes.is_empty();
        inbox.changes.append(changes);
        drop(inbox);
        if is_first {
            self.shared.news.notify_all();
        }
        true
    }

    /// Gives all of the state, as it is after all that was handed over. From now on changes are kept again.
    pub fn give_all(&self, all: Vec<Changed>) {
        let mut inbox = self.shared.lock();
        if inbox.is_out {
            (inbox.is_out, inbox.asked) = (false, false);
            inbox.all = Some((all, inbox.handed_over));
            self.shared.news.notify_all();
        }
    }

    /// Seals with other storage keys from now on, the newest first, and what is there already as well. A file that cannot be
    /// used is tried again.
    pub fn reseal(&self, keys: Vec<StorageKey>) {
        self.shared.lock().keys = Some(keys);
        self.shared.news.notify_all();
    }

    /// How it is.
    pub fn status(&self) -> KeeperStatus {
        let inbox = self.shared.lock();
        KeeperStatus { waiting: inbox.changes.len(), ..inbox.status.clone() }
    }

    /// Ends in order, with this beside the state; true when everything is written. Waits no longer than this.
    pub fn finish(self, rest: Rest, timeout: Duration) -> bool {
        let mut inbox = self.shared.lock();
        inbox.end = Some(rest);
        self.shared.news.notify_all();
        let waited = self.shared.news.wait_timeout_while(inbox, timeout, |inbox| inbox.ended.is_none());
        let (inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inbox.ended.unwrap_or(false)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().is_dropped = true;
        self.shared.news.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Nothing is kept from now on.
    fn go_out(&mut self, why: String) {
        self.status.dropped += self.changes.len() as u64;
        (self.changes, self.all, self.weight) = (Vec::new(), None, 0);
        (self.is_out, self.asked) = (true, false);
        self.out_since = Some(Instant::now());
        self.status.failures += 1;
        self.status.out.get_or_insert_with(|| (SystemTime::now(), String::new())).1 = why;
    }
}

fn weight(changed: &Changed) -> usize {
    1 + match &changed.change {
        Change::Subscribed { destinations, .. } | Change::Unsubscribed { destinations, .. } => destinations.len(),
        _ => 0,
    }
}

struct Worker {
    shared: Arc<Shared>,
    /// `None` while the file cannot be used.
    store: Option<Store>,
    opening: Opening,
    pace: Pace,
    report: Box<dyn Fn(Report) + Send>,
    next_heartbeat: Instant,
    next_retry: Instant,
    /// When a new file was last begun at once, as the one in use was broken or gone.
    began_anew: Option<Instant>,
    heartbeats: u32,
}

impl Worker {
    fn run(&mut self) {
        let begun = self.store.as_mut().map(|store| store.begin(SystemTime::now()));
        if let Some(Err(error)) = begun {
            self.fail(&error);
        }
        loop {
            let done = match self.next() {
                Work::Stop => return,
                Work::End(rest) => return self.end(&rest),
                Work::Write { changes, up_to } => self.write(&changes, up_to),
                Work::Replace { all, up_to } => self.replace(&all, up_to),
                Work::Reseal(keys) => self.reseal(keys),
                Work::Heartbeat => self.heartbeat(),
                Work::CatchUp => {
                    (self.report)(Report::WantsAll);
                    Ok(())
                }
                Work::Retry => {
                    self.retry();
                    Ok(())
                }
            };
            if let Err(error) = done {
                self.fail(&error);
            }
        }
    }

    /// Waits for something to do.
    fn next(&mut self) -> Work {
        let mut inbox = self.shared.lock();
        loop {
            let now = Instant::now();
            if inbox.is_dropped && inbox.end.is_none() {
                return Work::Stop;
            }
            let due = if self.store.is_some() { self.next_heartbeat } else { self.next_retry };
            if self.store.is_some() && now >= due {
                return Work::Heartbeat;
            }
            if let Some((all, up_to)) = inbox.all.take() {
                return Work::Replace { all, up_to };
            }
            if !inbox.changes.is_empty() {
                inbox.weight = 0;
                let changes = std::mem::take(&mut inbox.changes);
                return Work::Write { changes, up_to: inbox.handed_over };
            }
            if let Some(keys) = inbox.keys.take() {
                return Work::Reseal(keys);
            }
            if let Some(rest) = inbox.end.take() {
                return Work::End(rest);
            }
            if self.store.is_none() && now >= due {
                self.next_retry = now + self.pace.retry;
                return Work::Retry;
            }
            let mut due = due;
            if self.store.is_some() && inbox.is_out && !inbox.asked {
                // Not at once: all of the state is much, and the disk may be slow all the time.
                let may_ask = inbox.out_since.map_or(now, |since| since + self.pace.heartbeat);
                if now >= may_ask {
                    inbox.asked = true;
                    if let Some(store) = &self.store {
                        store.is_out();
                    }
                    return Work::CatchUp;
                }
                due = due.min(may_ask);
            }
            let waited = self.shared.news.wait_timeout(inbox, due.saturating_duration_since(now));
            inbox = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn write(&mut self, changes: &[Changed], up_to: u64) -> Result<(), StateError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let written = store.write(changes);
        let mut inbox = self.shared.lock();
        if let Err(error) = written {
            inbox.status.dropped += changes.len() as u64;
            return Err(error);
        }
        inbox.status.written += changes.len() as u64;
        inbox.status.transactions += 1;
        drop(inbox);
        (self.report)(Report::Stored(up_to));
        Ok(())
    }

    fn replace(&mut self, all: &[Changed], up_to: u64) -> Result<(), StateError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        store.begin(SystemTime::now())?;
        store.replace(all)?;
        let mut inbox = self.shared.lock();
        inbox.status.out = None;
        inbox.status.transactions += 1;
        drop(inbox);
        (self.report)(Report::Back);
        (self.report)(Report::Stored(up_to));
        Ok(())
    }

    fn heartbeat(&mut self) -> Result<(), StateError> {
        let is_out = self.shared.lock().is_out;
        let store = self.store.as_mut().filter(|_| !is_out);
        let beaten = store.map_or(Ok(()), |store| store.heartbeat(SystemTime::now()));
        // From its end on: on a slow disk there is time for changes between two of them.
        self.next_heartbeat = Instant::now() + self.pace.heartbeat;
        beaten?;
        let Some(store) = self.store.as_mut().filter(|_| !is_out) else { return Ok(()) };
        self.heartbeats = self.heartbeats.wrapping_add(1);
        if self.heartbeats.is_multiple_of(HEARTBEATS_PER_TIDY) {
            store.tidy()?;
        }
        Ok(())
    }

    fn reseal(&mut self, keys: Vec<StorageKey>) -> Result<(), StateError> {
        self.opening.keys = keys;
        let Some(store) = &mut self.store else {
            // Whoever reads the keytab anew may have mended the disk as well.
            self.next_retry = Instant::now();
            return Ok(());
        };
        let resealed = store.reseal(&self.opening.keys)?;
        if resealed.done > 0 {
            (self.report)(Report::Says(format!(
                "{} sealed with the keytab's newest key now",
                Plural(resealed.done, "session key is", "session keys are")
            )));
        }
        Ok(())
    }

    fn retry(&mut self) {
        match self.opening.open() {
            Ok((store, replaced)) => {
                if let Some(replaced) = replaced {
                    (self.report)(Report::Says(format!("{}: {replaced}", self.opening.path.display())));
                }
                self.store = Some(store);
                self.next_heartbeat = Instant::now() + self.pace.heartbeat;
                self.shared.lock().asked = false;
            }
            Err(error) => {
                let why = error.to_string();
                let mut inbox = self.shared.lock();
                let out = inbox.status.out.get_or_insert_with(|| (SystemTime::now(), String::new()));
                let is_news = out.1 != why;
                out.1.clone_from(&why);
                drop(inbox);
                if is_news {
                    (self.report)(Report::Out(why));
                }
            }
        }
    }

    /// The file cannot be used any longer. A broken one is moved aside when it is tried again.
    fn fail(&mut self, error: &StateError) {
        if let Some(store) = self.store.take() {
            store.is_out();
        }
        let now = Instant::now();
        self.next_retry = now + self.pace.retry;
        let may_begin = self.began_anew.is_none_or(|last| now.duration_since(last) >= self.pace.retry);
        if may_begin && (error.is_damage() || matches!(error, StateError::Gone)) {
            // In another file, so that it need not be the same again; but not for ever on a disk that breaks all of them.
            (self.next_retry, self.began_anew) = (now, Some(now));
        }
        let why = error.to_string();
        self.shared.lock().go_out(why.clone());
        (self.report)(Report::Out(why));
    }

    fn end(&mut self, rest: &Rest) {
        let is_out = self.shared.lock().is_out;
        let ended = match self.store.as_mut().filter(|_| !is_out).map(|store| store.end(SystemTime::now(), rest)) {
            None => false,
            Some(Ok(())) => true,
            Some(Err(error)) => {
                (self.report)(Report::Out(error.to_string()));
                false
            }
        };
        // Whoever reads the file next finds it free.
        self.store = None;
        self.shared.lock().ended = Some(ended);
        self.shared.news.notify_all();
    }
}
