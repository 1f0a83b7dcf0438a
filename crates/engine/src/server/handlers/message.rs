//! Every class that means nothing special to the server: notices that users send each other.

use crate::server::{Server, reply::Reply, request::Request};
use zephyr_core::policy::Action;

impl Server {
    /// A notice of a class that means nothing special to the server.
    pub(crate) fn message(&mut self, request: &mut Request<'_>) {
        if !self.allowed_in_class(request, Action::Send) || !self.within_measure(request) {
            return;
        }
        let answer = if self.may_send(request, request.who()) { self.publish(request) } else { Reply::Denied };
        self.reply(request, answer);
    }
}
