//! What the server knows, kept in a file: read at the start, written while it runs, and told about.

use super::{options::Options, subscriber::Subscriber};
use crate::{
    admin_protocol::{StateStatus, Status},
    own_folder, plural, private_file,
    problem::Problem,
    settings::ServerSettings,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use zephyr_config::system_text;
use zephyr_core::{auth::Service, time::Now};
use zephyr_engine::{
    machine::{Input, Machine as _},
    numbers,
    server::{
        ChangeSource, Changed, Command, Event, Horizon, KeeperId, KeptDelivery, Metric, Presence, Server, ServerId,
    },
};
use zephyr_state::{
    Keeper, KeeperStatus, Kept, Opening, Owner, PURPOSE, Pace, Report, Rest, StateError, Store, examine,
};

/// How long the end of a server waits for the disk.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// Changes between two lines about how far a start is.
const CHANGES_PER_LINE: usize = 500_000;

numbers! {
    /// Numbers of the file that the state is kept in.
    StateNumbers: u64 {
        /// Whether everything the server knows is kept in its file: 1 or 0.
        state_kept => "zephyrd_state_kept",
        /// Changes that wait to be written to the state's file.
        state_waiting => "zephyrd_state_waiting_changes",
        /// Changes written to the state's file.
        state_written => "zephyrd_state_written_total",
        /// Transactions in which changes were written to the state's file.
        state_transactions => "zephyrd_state_transactions_total",
        /// Changes not written when they were made because the state's file could not be used.
        state_dropped => "zephyrd_state_dropped_total",
        /// How often the state's file could no longer be used.
        state_failures => "zephyrd_state_failures_total",
        /// Clients that were in the state's file at the start, and are known again.
        state_restored_clients => "zephyrd_state_restored_clients",
        /// Clients in the state's file at the start that are not known again, as no key of the keytab opens theirs.
        state_lost_clients => "zephyrd_state_lost_clients",
    }
}

/// The state's file as it was found at the start.
pub(super) struct Found {
    path: Option<PathBuf>,
    opening: Option<Opening>,
    store: Result<Store, String>,
    kept: Kept,
    id: ServerId,
}

/// The file of a running server.
pub(super) struct KeptState {
    path: Option<PathBuf>,
    keeper: Option<Keeper>,
    /// Told, and not handed over yet.
    changes: Vec<Changed>,
    reports: UnboundedReceiver<Report>,
    restored: usize,
    lost: usize,
}

/// Opens the file, and reads it. What is wrong with it keeps no server from its work; it goes on in memory.
pub(super) fn find(
    options: &Options,
    settings: &ServerSettings,
    realm: &str,
    service: Result<Arc<dyn Service>, String>,
    new_id: ServerId,
) -> Found {
    let Some(path) = options.state_file(settings) else {
        return Found { path: None, opening: None, store: Err(String::new()), kept: Kept::default(), id: new_id };
    };
    let owner = Owner { realm: realm.to_owned(), new_id };
    let keys =
        service.as_ref().map_err(Clone::clone).and_then(|it| it.storage_keys(PURPOSE).map_err(|e| e.to_string()));
    let mut opening = Opening { path: path.to_owned(), owner, keys: Vec::new(), prepare };
    let opened = keys.and_then(|keys| {
        opening.keys = keys;
        open(&opening)
    });
    let loaded = opened.and_then(|store| match service.as_ref().map(|service| store.load(service.as_ref())) {
        Ok(Ok(kept)) => Ok((store, kept)),
        Ok(Err(error)) if error.is_damage() => {
            drop(store);
            // What is damaged is noticed at the latest now.
            begin_anew(&opening, &error, service.as_ref().map_err(Clone::clone)?.as_ref())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.clone()),
    });
    let (store, kept) = match loaded {
        Ok((store, kept)) => (Ok(store), kept),
        Err(why) => (Err(why), Kept::default()),
    };
    let id = store.as_ref().map_or(new_id, Store::id);
    Found { path: Some(path.to_owned()), opening: Some(opening), store, kept, id }
}

fn open(opening: &Opening) -> Result<Store, String> {
    let path = &opening.path;
    let (store, replaced) = opening.open().map_err(|error| error.to_string())?;
    if let Some(replaced) = replaced {
        tracing::error!("state {}: {replaced}; what the server knew is lost", path.display());
    }
    Ok(store)
}

/// Makes the folder when only that one is missing; it must be one in which nobody else has a hand.
fn prepare(path: &Path) -> io::Result<()> {
    private_file::make_folder(path)?;
    own_folder::check(path)
}

/// Moves a broken file aside, and makes a new one.
fn begin_anew(opening: &Opening, error: &StateError, service: &dyn Service) -> Result<(Store, Kept), String> {
    let path = &opening.path;
    let to = zephyr_state::move_aside(path)
        .map_err(|failure| format!("it is broken ({error}), and cannot be moved aside: {}", system_text(&failure)))?;
    let moved = StateError::MovedAside { why: error.to_string(), to };
    tracing::error!("state {}: {moved}; what the server knew is lost", path.display());
    let store = open(opening)?;
    let kept = store.load(service).map_err(|error| error.to_string())?;
    Ok((store, kept))
}

/// Looks whether a server could keep its state, for a check: what is wrong keeps it from nothing else.
pub(super) fn examine(
    options: &Options,
    settings: &ServerSettings,
    realm: Option<&str>,
    running: Option<&Status>,
) -> Option<Problem> {
    let path = options.state_file(settings)?;
    let is_its_own = running.is_some_and(|running| running.state.file == Some(path.display().to_string()));
    let usual = settings.state == crate::settings::State::default();
    if usual && !own_folder::folder_of(path).exists() {
        // The unit makes it.
        return None;
    }
    let warning =
        |why: String| Some(Problem::of_machine(format!("the state cannot be kept in {}: {why}", path.display())));
    if let Err(error) = own_folder::check_writable(path) {
        return warning(system_text(&error));
    }
    match examine::look(path) {
        Err(StateError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => warning(error.to_string()),
        Ok(found) if realm.is_some_and(|realm| realm != found.realm) => {
            warning(StateError::OtherRealm(found.realm).to_string())
        }
        Ok(_) if !is_its_own && examine::is_in_use(path) => warning(StateError::InUse.to_string()),
        Ok(_) => None,
    }
}

impl Found {
    /// The identity of the state.
    pub(super) const fn id(&self) -> ServerId {
        self.id
    }

    /// Gives a new server what was kept, and keeps what it tells from now on.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn restore(self, server: &mut Server, now: Now) -> io::Result<KeptState> {
        let Self { path, opening, store, kept, .. } = self;
        let (sender, reports) = unbounded_channel();
        let mut state = KeptState { path, keeper: None, changes: Vec::new(), reports, restored: 0, lost: 0 };
        let (Some(path), Some(opening)) = (&state.path, opening) else { return Ok(state) };
        match &store {
            Ok(_) => {
                state.lost = kept.without_key;
                let begun = Instant::now();
                give_back(server, now, kept);
                // They may have been written anew while the server was away.
                let (rules, policy) = (server.config().rules.clone(), Box::new(server.config().policy.clone()));
                server.handle(now, Input::Command(Command::Renew { rules, policy }));
                state.restored = server.gauges().clients;
                tracing::info!(
                    "state {}: {}, {} and {} are known again, in {} ms",
                    path.display(),
                    plural::count(state.restored, "client"),
                    plural::count(server.gauges().subscriptions, "subscription"),
                    plural::count(server.gauges().locations, "location"),
                    begun.elapsed().as_millis()
                );
                if state.lost > 0 {
                    tracing::warn!(
                        "state {}: {} forgotten, as no key of the keytab opens theirs; their programs subscribe again",
                        path.display(),
                        plural::count(state.lost, "client")
                    );
                }
            }
            Err(why) => tracing::error!("state {}: in memory only: {why}", path.display()),
        }
        let is_kept = store.is_ok();
        let keys = opening.keys.clone();
        let keeper = Keeper::start(store, opening, Pace::default(), move |report| drop(sender.send(report)))?;
        if is_kept {
            // Those of an older key of the keytab are sealed with the newest.
            keeper.reseal(keys);
            server.keep_with(KeeperId::Disk);
        }
        state.keeper = Some(keeper);
        Ok(state)
    }
}

/// Gives a server what was kept.
fn give_back(server: &mut Server, now: Now, kept: Kept) {
    let Kept { changes, horizons, deliveries, horizon, unreadable, .. } = kept;
    if let Some(horizon) = horizon {
        server.remember_since(horizon);
    }
    horizons.iter().for_each(|horizon: &Horizon| server.restore_horizon(horizon));
    let total = changes.len();
    for (number, changed) in changes.into_iter().enumerate() {
        if number > 0 && number.is_multiple_of(CHANGES_PER_LINE) {
            tracing::info!("restoring the state: {} %", number * 100 / total);
        }
        server.apply(now, changed, ChangeSource::Kept);
    }
    let restored = deliveries.into_iter().filter(|it: &KeptDelivery| server.restore_delivery(now, it.clone())).count();
    if restored > 0 {
        tracing::info!("{} that nobody has acknowledged go on", plural::count(restored, "packet"));
    }
    if unreadable > 0 {
        tracing::warn!("{} of the state left out, as they cannot be read", plural::count(unreadable, "row"));
    }
}

impl KeptState {
    /// Hands over what was told. Gives what the server is to be told of that.
    pub(super) fn hand_over(&mut self) -> Option<Command> {
        let keeper = self.keeper.as_ref()?;
        if keeper.hand_over(&mut self.changes) {
            return None;
        }
        Some(self.out("the disk is too slow"))
    }

    /// Waits for the next report; for ever where nothing is kept.
    pub(super) async fn next(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A report that is there already.
    pub(super) fn try_next(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }

    /// Handles a report; gives what the server is to be told.
    pub(super) fn take(&mut self, report: Report, server: &Server) -> Option<Command> {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        match report {
            Report::Stored(up_to) => Some(Command::Stored { keeper: KeeperId::Disk, up_to }),
            Report::Out(why) => Some(self.out(&why)),
            Report::WantsAll => {
                self.hand_over();
                if let Some(keeper) = &self.keeper {
                    keeper.give_all(server.snapshot().collect());
                }
                None
            }
            Report::Back => {
                tracing::info!("state {}: everything is kept again", path.display());
                Some(Command::Keeper { keeper: KeeperId::Disk, presence: Presence::Here })
            }
            Report::Says(text) => {
                tracing::info!("state {}: {text}", path.display());
                None
            }
        }
    }

    fn out(&self, why: &str) -> Command {
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        tracing::error!("state {}: in memory only: {why}", path.display());
        Command::Keeper { keeper: KeeperId::Disk, presence: Presence::Away }
    }

    /// Other keys to seal session keys with, as the keytab has been read again.
    pub(super) fn reseal(&self, service: Result<Arc<dyn Service>, String>) {
        let Some(keeper) = &self.keeper else { return };
        match service.and_then(|service| service.storage_keys(PURPOSE).map_err(|error| error.to_string())) {
            Ok(keys) => keeper.reseal(keys),
            Err(error) => tracing::error!("state: the keytab gives no keys to seal with: {error}"),
        }
    }

    /// Ends in order, with what is not acknowledged yet.
    pub(super) fn finish(&mut self, server: &Server, now: Now) {
        let Some(keeper) = self.keeper.take() else { return };
        let rest = Rest { horizons: server.horizons(), deliveries: server.deliveries(now) };
        let waiting = rest.deliveries.len();
        let path = self.path.as_deref().unwrap_or(Path::new(""));
        if keeper.finish(rest, END_TIMEOUT) {
            tracing::info!(
                "state {}: all is kept, and {} that nobody has acknowledged",
                path.display(),
                plural::count(waiting, "packet")
            );
        } else {
            tracing::error!("state {}: not all is kept", path.display());
        }
    }

    fn keeper_status(&self) -> KeeperStatus {
        self.keeper.as_ref().map(Keeper::status).unwrap_or_default()
    }

    /// How it is, for operators.
    pub(super) fn status(&self) -> StateStatus {
        let out = self.keeper_status().out;
        StateStatus {
            file: self.path.as_ref().map(|path| path.display().to_string()),
            seconds_in_memory: out.as_ref().map(|(since, _)| since.elapsed().unwrap_or_default().as_secs()),
            why: out.map(|(_, why)| why),
        }
    }

    /// Its numbers.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let status = self.keeper_status();
        let numbers = StateNumbers {
            state_kept: u64::from(self.keeper.is_some() && status.out.is_none()),
            state_waiting: status.waiting as u64,
            state_written: status.written,
            state_transactions: status.transactions,
            state_dropped: status.dropped,
            state_failures: status.failures,
            state_restored_clients: self.restored as u64,
            state_lost_clients: self.lost as u64,
        };
        numbers.metrics()
    }
}

impl Subscriber for KeptState {
    fn receive(&mut self, event: &Event) {
        if let Event::Changed(changed) = event
            && self.keeper.is_some()
        {
            self.changes.push(changed.clone());
        }
    }
}
