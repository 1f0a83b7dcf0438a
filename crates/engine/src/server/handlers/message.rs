//! Messages: notices of every class without a handler of its own.

use crate::server::{Server, reply::Reply, request::Request};
use zephyr_core::policy::Action;

impl Server {
    /// Handles a notice of a class without a handler of its own.
    pub(crate) fn message(&mut self, request: &mut Request<'_>) {
        if !self.allowed_in_class(request, Action::Send) || !self.within_measure(request) {
            return;
        }
        let answer = match self.forbidden_to_send(request, request.who()) {
            None => self.publish(request),
            forbidden => {
                request.message = forbidden;
                Reply::Denied
            }
        };
        self.reply(request, answer);
    }
}
