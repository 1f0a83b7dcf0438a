//! Answers of other realms' servers to what we sent them, and what those say of the realm.

use crate::server::{
    Server,
    origin::RealmId,
    realms::{
        outbox::{Entry, Purpose},
        table::RealmState,
    },
    reply::Late,
    request::Path,
};
use zephyr_core::{
    kind::Kind,
    notice::{Notice, Packet},
    time::Now,
};

/// Octets of the body of an answer that are handed on.
const MAX_ANSWER_BODY: usize = 512;

impl Server {
    /// Handles an acknowledgement that may be of a realm's server; false when nothing was asked there.
    ///
    /// Nothing in it is proven, so it counts only from where the packet went, for the packet's uid, and once.
    pub(crate) fn realm_answered(&mut self, now: Now, path: Path, packet: &Packet<'_>) -> bool {
        let Some(realm) = self.realms.table.at(path.from) else { return false };
        let key = (realm, packet.notice.uid);
        if self.realms.outbox.get(&key).is_none_or(|entry| entry.first_sent.is_none()) {
            return false;
        }
        let is_refused = packet.notice.kind == Kind::ServNak;
        if is_refused && self.realms.outbox.get_mut(&key).is_some_and(Entry::refused) {
            // It may be that old proof which it does not take.
            self.realms.outbox.set_due(&key, now.monotonic);
            return true;
        }
        let Some(entry) = self.realms.outbox.remove(&key) else { return false };
        self.counters.realm_answered += 1;
        if let Some(place) = self.realms.table.get(realm).and_then(|known| known.place_of(path.from))
            && let Some(known) = self.realms.table.get_mut(realm)
            && !matches!(entry.outgoing.purpose, Purpose::Answer(_))
        {
            known.current = place;
        }
        self.answered_by_realm(now, realm, &entry, &packet.notice);
        self.realm_heard(now, realm);
        self.go_on_asking(now, realm);
        true
    }

    fn answered_by_realm(&mut self, now: Now, realm: RealmId, entry: &Entry, answer: &Notice<'_>) {
        match &entry.outgoing.purpose {
            Purpose::HandOff(waiting) => {
                let packet = waiting.packet.packet();
                let notice = Notice { recipient: &waiting.recipient, ..packet.notice };
                let late = Late { path: waiting.path, known_by: waiting.known_by, notice, claim: packet.claim };
                let body = answer.body.get(..MAX_ANSWER_BODY).unwrap_or(answer.body);
                self.relay_answer(now, &late, answer.kind, body);
            }
            Purpose::Wish(client, destination) if answer.kind == Kind::ServAck => {
                self.realms.wishes.received(now.monotonic, *client, destination);
            }
            Purpose::Wish(client, destination) => {
                self.realms.wishes.end(*client, destination);
            }
            Purpose::Question if answer.kind == Kind::ServNak => {
                self.realms.questions.end(&(realm, answer.uid));
            }
            Purpose::Copy
            | Purpose::Greeting
            | Purpose::Control
            | Purpose::End(_)
            | Purpose::Answer(_)
            | Purpose::Question => {}
        }
    }

    /// Something has come from a realm that only it can have sent.
    pub(crate) fn realm_heard(&mut self, now: Now, id: RealmId) {
        let Some(realm) = self.realms.table.get_mut(id) else { return };
        realm.heard = now.monotonic;
        if realm.state == RealmState::Dead {
            realm.began = now.monotonic;
        }
        let (was, forgot_us) = (realm.state, std::mem::take(&mut realm.forgot_us));
        if was == RealmState::New {
            return;
        }
        self.set_realm_state(id, RealmState::Up);
        if was == RealmState::Dead {
            self.wake_packets_to(id, now.monotonic);
        }
        if forgot_us {
            self.ask_again(now, id);
        }
    }

    /// A realm's servers say that they have just started: what we hold there is asked for again.
    pub(crate) fn realm_starts(&mut self, now: Now, id: RealmId) {
        let Some(realm) = self.realms.table.get_mut(id) else { return };
        (realm.heard, realm.began) = (now.monotonic, now.monotonic);
        if realm.state != RealmState::Up && realm.state != RealmState::New {
            self.set_realm_state(id, RealmState::Starting);
        }
        if let Some(realm) = self.realms.table.get_mut(id) {
            realm.forgot_us = false;
        }
        self.ask_again(now, id);
    }
}
