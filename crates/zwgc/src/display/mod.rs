//! Notices shown by a description, on a thread of its own.

mod host_names;
mod ports;
mod repetitions;
mod standard_ports;
mod variables;
mod worker;

use crate::{
    description_file::DescriptionFile,
    ending::{Ended, Ending},
};
use host_names::HostNames;
use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::{Semaphore, oneshot};
use worker::{Order, Shown, Worker};
use zephyr_client::{Received, system_text, variables::Variables};

/// How much may wait to be shown, in units of [`UNIT`] octets.
const MAX_WAITING: u32 = 4096;
/// What a notice is counted in; each is one unit more than its body.
const UNIT: usize = 1024;

/// What decides how notices are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct DisplaySettings {
    /// A description in place of the user's; `-` is standard input.
    pub(crate) description: Option<PathBuf>,
    /// The ports to do without.
    pub(crate) disabled: Vec<String>,
    /// The port that is written to where the description names none.
    pub(crate) default_port: Option<String>,
    /// Show notices on the terminal.
    pub(crate) tty_mode: bool,
    /// The terminal's character set.
    pub(crate) charset: Option<String>,
    /// Whether the terminal will do where there is no X; `None` where the user has not said.
    pub(crate) fallback: Option<bool>,
    /// The user's variables.
    pub(crate) zephyr_variables: Variables,
}

/// There is no port to write to: the lines about it.
pub(crate) struct NoPort(pub(crate) Vec<String>);

/// Shows notices by a description.
pub(crate) struct Display {
    orders: mpsc::Sender<Order>,
    /// Limits what waits.
    room: Arc<Semaphore>,
    ending: Ending,
    host_names: HostNames,
}

impl Display {
    /// Chooses the ports and starts the thread that shows (zwgc, section 1.1), by the description that is read then.
    pub(crate) fn start(settings: &DisplaySettings) -> Result<Self, NoPort> {
        let file = DescriptionFile::new(settings.description.clone());
        let (interpreter, ports) = standard_ports::start(settings)?;
        let (orders, ordered) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let work = move || {
            let reason = Worker::new(interpreter, file, ports).work(&ordered);
            // The program may have ended.
            let _ = end.send(reason);
        };
        let started = thread::Builder::new().name("display".to_owned()).spawn(work);
        started.map_err(|error| NoPort(vec![format!("zwgc: no thread: {}", system_text(&error))]))?;
        let room = Arc::new(Semaphore::new(MAX_WAITING as usize));
        Ok(Self { orders, room, ending: Ending::new(ended), host_names: HostNames::default() })
    }

    fn order(&self, order: Order) {
        // Nobody takes it when the display has ended, which whoever waits for that is told.
        let _ = self.orders.send(order);
    }

    /// Takes up the name and the realm of the user.
    pub(crate) fn identify(&self, user: &[u8], realm: &str) {
        self.order(Order::Identify { user: user.to_vec(), realm: realm.as_bytes().to_vec() });
    }

    /// Reads the description again.
    pub(crate) fn reread(&self) {
        self.order(Order::Reread);
    }

    /// Runs the description for the start.
    pub(crate) fn startup(&self) {
        self.order(Order::Startup);
    }

    /// Shows a notice. While too much waits to be shown, this waits, too.
    pub(crate) async fn show(&self, received: Received) {
        let notice = received.notice();
        let units = 1 + notice.body.len() / UNIT;
        let units = u32::try_from(units).unwrap_or(MAX_WAITING).min(MAX_WAITING);
        // Nobody closes it.
        let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(units).await else { return };
        let from_host = self.host_names.name_of(notice.address).await;
        self.order(Order::Show(Shown { received: Some(Arc::new(received)), from_host }, permit));
    }

    /// Waits until nothing can be shown any more. Cancel safe.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.ending.told().await
    }

    /// Waits until all is shown that was given.
    pub(crate) async fn finish(self) {
        self.order(Order::Finish);
        self.ending.come().await;
    }
}
