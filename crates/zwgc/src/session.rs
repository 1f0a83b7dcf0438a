//! What is done with a connection: presence, control notices, and showing what comes (zwgc, sections 2 and 5).

use crate::{
    background::Background,
    control::{self, Order},
    ending::Ended,
    init_programs,
    notice_log::NoticeLog,
    output::Output,
    port_files::PortFiles,
    presence::{PortRefused, Presence},
    report::report,
    subscription_file::SubscriptionFile,
    terminal_watch::TerminalWatch,
    wishes::Wishes,
};
use std::{collections::HashSet, pin::pin, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use zephyr_client::{Error, Inbox, Location, Received, Zephyr, account};
use zephyr_core::sanitize;
use zephyr_output::{Unwritten, complain};

/// The maximum number of different reasons for hiding notices that are reported.
const MAX_REASONS: usize = 16;

/// Why notices are not shown any more.
pub(crate) enum End {
    /// By an EXIT notice, because nobody reads what is shown, because the terminal is gone, or because the connection was closed.
    Asked,
    /// The server does not subscribe a client at this port.
    PortRefused(PortRefused),
    /// What was to be shown cannot be written.
    Unwritten(Unwritten),
    /// The connection has failed.
    Failed(Error),
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::NobodyReads => Self::Asked,
            Ended::Unwritten(error) => Self::Unwritten(error),
        }
    }
}

/// What lasts, whichever the connection.
pub(crate) struct Session<'a> {
    pub(crate) background: &'a Background,
    pub(crate) wishes: Wishes,
    pub(crate) location: Location,
    /// `None`: there is none that can be read.
    pub(crate) file: Option<SubscriptionFile>,
    pub(crate) output: Output,
    pub(crate) log: Option<NoticeLog>,
    pub(crate) files: PortFiles,
    pub(crate) terminal: TerminalWatch,
    pub(crate) rewrite: Signal,
    /// What is still to be done once the user is subscribed: the programs to be run.
    pub(crate) first: Option<FirstTime>,
    /// The reasons for hiding notices that were reported.
    pub(crate) hidden: HashSet<String>,
    /// When it was last said that a control notice was not obeyed.
    pub(crate) refused: Option<Instant>,
}

/// What is done once.
pub(crate) struct FirstTime {
    /// The programs that the user wants to be run.
    pub(crate) init_programs: Option<Vec<u8>>,
}

/// The signal that has the port files written again.
pub(crate) fn rewrite_signal() -> std::io::Result<Signal> {
    signal(SignalKind::user_defined1())
}

impl Session<'_> {
    /// Sets the location, subscribes, and shows notices.
    pub(crate) async fn serve(&mut self, zephyr: &Zephyr, inbox: &mut Inbox, may_move: bool) -> End {
        let Self { background, wishes, location, file, output, log, files, terminal, rewrite, .. } = self;
        let mut presence = Presence::new(zephyr, wishes, location, file.as_ref(), may_move);
        if let Err(refused) = presence.begin().await {
            return End::PortRefused(refused);
        }
        output.identify(&zephyr.endpoint().sender, &zephyr.realm());
        if let Some(first) = self.first.take() {
            // Who does not wait any more does not want it any more.
            if background.enter().is_err() {
                return End::Asked;
            }
            if let Some(command) = first.init_programs {
                init_programs::run(command).await;
            }
            output.reread();
            if wishes.is_active() {
                output.startup();
            }
        }
        let mut presence = pin!(presence.keep());
        loop {
            let received = tokio::select! {
                received = inbox.next_any() => match received {
                    Ok(Some(received)) => received,
                    Ok(None) => return End::Asked,
                    Err(error) => return End::Failed(error),
                },
                refused = &mut presence => return End::PortRefused(refused),
                ended = output.ended() => return ended.into(),
                () = terminal.gone() => return End::Asked,
                _ = rewrite.recv() => {
                    files.renew();
                    continue;
                }
            };
            if let Some(order) = Order::of(&received.notice()) {
                if !control::is_obeyed(&received, account::user_id(), &zephyr.endpoint().sender) {
                    report_refusal(&received, &mut self.refused);
                    continue;
                }
                tracing::debug!(?order, from = %received.from(), "obeys a control notice");
                if order == Order::Exit {
                    return End::Asked;
                }
                obey(order, &received, zephyr, wishes, output);
                continue;
            }
            if !is_shown(&received, wishes, &mut self.hidden) {
                continue;
            }
            if let Some(log) = log.as_mut().filter(|_| !received.is_ping()) {
                log.append(&received);
            }
            tokio::select! {
                () = output.show(received) => {}
                refused = &mut presence => return End::PortRefused(refused),
            }
        }
    }
}

/// Does what a control notice wants, but end.
fn obey(order: Order, received: &Received, zephyr: &Zephyr, wishes: &Wishes, output: &Output) {
    match order {
        Order::Reread => {
            output.reread();
            if wishes.is_active() {
                output.startup();
            }
        }
        Order::Shutdown => wishes.set_active(false),
        Order::Startup => wishes.set_active(true),
        Order::Suppress(triple) => {
            if wishes.punts.borrow_mut().add(&triple).is_err() {
                report(&format!("zwgc: cannot hide {triple}: there are too many of them, or it is too long"));
            }
        }
        Order::Unsuppress(triple) => wishes.punts.borrow_mut().remove(&triple),
        Order::ListSuppressed => {
            let list = wishes.punts.borrow().list();
            if let Err(error) = control::answer(received, zephyr.address(), zephyr.port(), &list) {
                tracing::info!(%error, "cannot answer which notices are hidden");
            }
        }
        Order::Exit => {}
        Order::Unknown(opcode) => complain!("zwgc: unknown control opcode {opcode}."),
    }
}

/// Says that a control notice was not obeyed: seldom, as anybody can send them.
fn report_refusal(received: &Received, last: &mut Option<Instant>) {
    const INTERVAL: Duration = Duration::from_secs(60);
    let (from, opcode) = (received.from(), sanitize::name(received.notice().opcode));
    tracing::debug!(%from, %opcode, sender = ?received.local_user(), "a control notice is not obeyed");
    if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
        *last = Some(Instant::now());
        let why = match received.local_user() {
            None if from.ip().is_loopback() => "its sender was gone before it could be asked whose it is: say it again",
            _ => "it comes from somebody else",
        };
        report(&format!("zwgc: {opcode} of {from} was not obeyed: {why}"));
    }
}

/// Whether a notice is shown. That the policy hides it is reported once for each reason, as forged notices could otherwise fill the
/// terminal.
fn is_shown(received: &Received, wishes: &Wishes, hidden: &mut HashSet<String>) -> bool {
    if let Some(reason) = received.hidden() {
        let reason = sanitize::line(reason.to_string().as_bytes());
        if hidden.len() < MAX_REASONS && hidden.insert(reason.clone()) {
            report(&format!("zwgc: not showing a notice, nor others like it: {reason}"));
        }
        return false;
    }
    wishes.is_active() && !wishes.punts.borrow().hide(&received.notice())
}
