//! Handlers of requests by class: a file for each class, named after it.

mod hm_ctl;
mod login;
mod message;
mod user_locate;
mod zephyr_admin;
mod zephyr_ctl;

use crate::server::{Server, origin::Origin, request::Request};
use zephyr_core::names;

impl Server {
    /// Dispatches a request to the handler of its class; true when it was about its own host, and not only a notice for
    /// others.
    pub(crate) fn dispatch(&mut self, request: &mut Request<'_>) -> bool {
        self.earn(request.from.ip(), request.octets);
        match request.origin {
            Origin::HostManager => self.hm_ctl(request),
            Origin::Client | Origin::Peer(_) | Origin::Realm(_) => return self.dispatch_class(request),
        }
        true
    }

    fn dispatch_class(&mut self, request: &mut Request<'_>) -> bool {
        let class = &request.names.class;
        if class.is(names::ZEPHYR_CTL) {
            self.zephyr_ctl(request);
        } else if class.is(names::LOGIN) {
            self.login(request);
        } else if class.is(names::USER_LOCATE) {
            self.user_locate(request);
        } else if class.is(names::ZEPHYR_ADMIN) {
            self.zephyr_admin(request);
        } else {
            self.message(request);
            return false;
        }
        true
    }
}
