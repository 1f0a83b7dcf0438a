//! Counters of published notices.

use super::subscriber::Subscriber;
use zephyr_core::auth::Verdict;
use zephyr_engine::{numbers, server::Event};

numbers! {
    /// Notices, and fragments of notices, handed to their readers since the start. The numbers only grow.
    PublishedCounters: u64 {
        /// Published, their sender proven.
        published_authentic => "zephyrd_published_total" verdict = "authentic",
        /// Published without proof.
        published_unproven => "zephyrd_published_total" verdict = "unauthenticated",
        /// Published although their proof failed.
        published_failed => "zephyrd_published_total" verdict = "failed",
        /// Published, and nobody had subscribed who could get them.
        published_to_nobody => "zephyrd_published_to_nobody_total",
    }
}

impl Subscriber for PublishedCounters {
    fn receive(&mut self, event: &Event) {
        let Event::Published(published) = event else { return };
        *match published.verdict {
            Verdict::Authentic(_) => &mut self.published_authentic,
            Verdict::Unauthenticated => &mut self.published_unproven,
            Verdict::Failed(_) => &mut self.published_failed,
        } += 1;
        self.published_to_nobody += u64::from(published.readers == 0);
    }
}
