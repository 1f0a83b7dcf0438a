//! Class USER_LOCATE: asking where users are (server behaviour, section 7).

use crate::server::{
    Outbox, Server,
    event::Event,
    reply::{Answer, Request},
    state::locations::Location,
};
use zephyr_core::{exposure::Exposure, names, policy::Action, principal::Principal};

impl Server {
    /// A notice of class USER_LOCATE; its instance is the user whom it asks about.
    pub(crate) fn locate(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        let opcode = request.notice.opcode;
        if opcode != names::LOCATE {
            out.report(Event::UnknownOpcode { class: "uloc", opcode: opcode.into(), from: request.from });
            self.reply(request, Answer::Lost, out);
            return;
        }
        if !self.allowed(request, Action::Locate, None, out) {
            return;
        }
        self.reply(request, Answer::Sent, out);
        let visible = |location: &&Location| self.may_see(request, location.exposure);
        let entries: Vec<Vec<u8>> = self
            .locations
            .of(request.notice.instance)
            .iter()
            .filter(visible)
            .map(|location| {
                let mut entry = Vec::new();
                location.list(&mut entry);
                entry
            })
            .collect();
        self.answer_with_list(request, &entries, out);
    }

    fn may_see(&self, request: &Request<'_>, exposure: Exposure) -> bool {
        let local = || Principal::parse(request.principal()).is_of(self.config.realms.local());
        match exposure {
            Exposure::NetVisible | Exposure::NetAnnounced => true,
            Exposure::RealmVisible | Exposure::RealmAnnounced => self.is_believed(request) && local(),
            Exposure::OpStaff | Exposure::None => self.is_operator(request) && local(),
        }
    }
}
