//! Handlers of requests by class: a file for each class, named after it.

mod hm_ctl;
mod login;
mod message;
mod user_locate;
mod zephyr_admin;
mod zephyr_ctl;

use crate::server::{PeerKind, Server, origin::Origin, request::Request, server_class::ServerClass};

impl Server {
    /// Dispatches a request to the handler of its class; true when it was about its own host, and not only a notice for
    /// others.
    pub(crate) fn dispatch(&mut self, request: &mut Request<'_>) -> bool {
        self.earn(request.from.ip(), request.octets);
        match request.origin {
            Origin::Peer(peer) if self.config.neighbours.kind(peer) == Some(PeerKind::C) => {
                self.c_request(request, peer)
            }
            Origin::HostManager => self.hm_ctl(request),
            Origin::Realm(realm) => return self.realm_request(request, realm),
            Origin::Client | Origin::Peer(_) => return self.dispatch_class(request),
        }
        true
    }

    fn dispatch_class(&mut self, request: &mut Request<'_>) -> bool {
        match ServerClass::of(&request.names.class) {
            Some(ServerClass::ZephyrCtl) => self.zephyr_ctl(request),
            Some(ServerClass::Login) => self.login(request),
            Some(ServerClass::UserLocate) => self.user_locate(request),
            Some(ServerClass::ZephyrAdmin) => self.zephyr_admin(request),
            // Of that class nothing is a client's, so this is from another server.
            Some(ServerClass::HmCtl) | None => {
                self.message(request);
                return false;
            }
        }
        true
    }
}
