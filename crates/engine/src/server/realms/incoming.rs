//! Notices from other realms' servers (server to server, section 7.2).
//!
//! A realm's server is believed to be one when the packet comes from its address and is proven to be of the realm's
//! service. Even then only those senders are believed for whom the realm may speak here, by the domain's policy: without
//! a rule of its own, the realm's own people. A sender whom it may not speak for has not proven anything.

use crate::server::{
    Server,
    log_event::LogEvent,
    origin::RealmId,
    reply::Reply,
    request::{Reach, Request},
    server_class::ServerClass,
};
use zephyr_core::{policy::Action, principal::Principal};

/// Whom a notice from another realm is for.
enum Addressed {
    /// Those here who subscribed to this recipient.
    Here(Vec<u8>),
    /// All, and realms that subscribed.
    All,
    /// Another realm, to which we do not pass on what comes from elsewhere.
    Elsewhere,
}

impl Server {
    /// What is proven of a packet that comes from a server of another realm.
    pub(crate) fn apply_realm(&self, request: &mut Request<'_>, realm: RealmId) {
        let Some(server) = request.verdict.identity() else { return };
        request.vouched_by = Some(server.clone());
        if let Some(ServerClass::ZephyrCtl | ServerClass::UserLocate) = ServerClass::of(&request.names.class) {
            // The realm itself asks; what it says of people is looked at there.
            return;
        }
        request.verdict = self.vouched(realm, request.notice.sender);
        if !request.verdict.is_authentic() {
            request.session = None;
        }
    }

    /// Handles a request from a server of another realm; true when it was no notice for others.
    pub(crate) fn realm_request(&mut self, request: &mut Request<'_>, realm: RealmId) -> bool {
        let class = ServerClass::of(&request.names.class);
        let is_control = class == Some(ServerClass::ZephyrCtl);
        if request.vouched_by.is_some() && !is_control {
            self.realm_heard(request.now, realm);
        }
        match class {
            Some(ServerClass::ZephyrCtl) => self.realm_control(request, realm),
            Some(ServerClass::UserLocate) => self.realm_locate(request, realm),
            Some(ServerClass::ZephyrAdmin) => self.zephyr_admin(request),
            Some(ServerClass::HmCtl) => {
                // No server is a host manager here.
                self.report(LogEvent::UnknownOpcode {
                    class: "hm",
                    opcode: request.notice.opcode.into(),
                    from: request.from,
                });
                self.reply(request, Reply::Lost);
            }
            Some(ServerClass::Login) | None => {
                self.realm_notice(request, realm);
                return false;
            }
        }
        true
    }

    fn realm_notice(&mut self, request: &mut Request<'_>, realm: RealmId) {
        if !self.allowed_in_class(request, Action::Send) || !self.within_measure(request) {
            return;
        }
        if let Some(forbidden) = self.forbidden_to_send(request, request.who()) {
            request.message = Some(forbidden);
            return self.reply(request, Reply::Denied);
        }
        let answer = match self.addressed_by_realm(request, realm) {
            Addressed::Here(recipient) => self.publish_here(request, &recipient, recipient.clone().into()),
            Addressed::All => {
                request.notice.recipient = b"";
                request.reach = Reach::Realms;
                self.publish_here(request, b"", Box::default())
            }
            Addressed::Elsewhere => {
                request.message = Some("this server hands nothing on from one realm to another".to_owned());
                Reply::Lost
            }
        };
        self.reply(request, answer);
    }

    fn addressed_by_realm(&self, request: &Request<'_>, realm: RealmId) -> Addressed {
        let of_realm = || {
            let name = self.realms.table.get(realm).map_or(&b""[..], |realm| &realm.name);
            Addressed::Here([b"@", name].concat())
        };
        let (realms, local) = (&self.config.realms, self.config.realms.local());
        let recipient = Principal::parse(request.notice.recipient);
        if ServerClass::of(&request.names.class) == Some(ServerClass::Login) {
            return of_realm();
        }
        match (recipient.name, recipient.realm.map(|named| realms.expand(named))) {
            (b"", None) => of_realm(),
            (b"", Some(named)) if named == local => Addressed::All,
            (b"", Some(named)) if self.realms.table.named(named) == Some(realm) => of_realm(),
            (b"", Some(_)) => Addressed::Elsewhere,
            (name, named) => Addressed::Here([name, b"@", named.unwrap_or(local)].concat()),
        }
    }
}
