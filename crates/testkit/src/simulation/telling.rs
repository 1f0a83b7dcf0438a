//! The events of servers and clients, checked against the invariants.

use super::{
    invariants::Violation,
    mutant::Mutant,
    node::Node,
    trace::beginning,
    world::{Happening, World},
};
use zephyr_engine::{
    client,
    server::{self, LogEvent},
};

impl World {
    /// A server tells something.
    pub(super) fn server_tells(&mut self, node: usize, event: &server::Event) -> Result<(), Violation> {
        match event {
            server::Event::Published(published) => {
                self.tell(node, || {
                    let notice = published.notice();
                    format!("publishes {} for {} readers: {:?}", notice.uid, published.readers, published.verdict)
                });
                self.promise(node, published);
                self.checked(node, self.checker.published(published))
            }
            server::Event::Log(entry) => {
                let entry: &LogEvent = &entry.event;
                self.tell(node, || format!("logs {entry}"));
                Ok(())
            }
            server::Event::Changed(changed) => {
                self.tell(node, || {
                    let server::Changed { stamp: server::Stamp { time, server }, change } = changed;
                    format!("changes {change:?} ({time} by {server})")
                });
                self.keep(node, changed)
            }
        }
    }

    /// A client tells its program something.
    pub(super) fn client_tells(&mut self, node: usize, event: client::Event) -> Result<(), Violation> {
        let who = self.nodes[node].incarnation(node);
        match event {
            client::Event::Received(received) => {
                self.tell(node, || {
                    let notice = received.notice();
                    let [class, instance] = [notice.class, notice.instance].map(|text| text.escape_ascii().to_string());
                    let text = beginning(notice.body);
                    format!("SHOWS {class}/{instance} uid {} {:?}: {text:?}", notice.uid, received.verdict())
                });
                self.note_shown(node, &received);
                let checked = self.checker.shown(who, &received);
                self.checked(node, checked)?;
                if self.mutant == Some(Mutant::ShowsTwice) && self.random.chance(100) {
                    let checked = self.checker.shown(who, &received);
                    self.checked(node, checked)?;
                }
                Ok(())
            }
            client::Event::Finished { id, outcome } => {
                self.tell(node, || format!("ends {}: {outcome:?}", id.0));
                self.note_last_word(who, id, &outcome);
                self.note_outcome(node, &outcome);
                if self.mutant == Some(Mutant::LosesOutcomes) && self.random.chance(50) {
                    return Ok(());
                }
                if self.mutant == Some(Mutant::RepeatsOutcomes) && self.random.chance(50) {
                    let checked = self.checker.finished(who, id, &outcome);
                    self.checked(node, checked)?;
                }
                let checked = self.checker.finished(who, id, &outcome);
                self.checked(node, checked)
            }
            client::Event::StartFailed(error) => {
                self.tell(node, || format!("cannot start: {error}"));
                self.check_failed_start(node)?;
                self.crash(node);
                let delay = self.random.seconds(1, 20);
                self.later(delay, Happening::Start(node));
                Ok(())
            }
            other => {
                self.tell(node, || format!("tells {other:?}"));
                match other {
                    client::Event::Subscriptions(client::SubscriptionEvent::Restored { .. }) => {
                        self.check_restored(node)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// When a client cannot start, all that was ordered has failed.
    fn check_failed_start(&self, node: usize) -> Result<(), Violation> {
        let who = self.nodes[node].incarnation(node);
        match self.checker.all_finished() {
            Err((client, invariant, seen)) if client == who => self.checked(node, Err((invariant, seen))),
            _ => Ok(()),
        }
    }

    /// A node's program ends, whatever it is doing.
    pub(super) fn crash(&mut self, index: usize) {
        let who = self.nodes[index].incarnation(index);
        self.tell(index, || "is gone".to_owned());
        self.leave(who);
        let node: &mut Node = &mut self.nodes[index];
        (node.process, node.timer) = (None, None);
        self.checker.crashed(who);
    }
}
