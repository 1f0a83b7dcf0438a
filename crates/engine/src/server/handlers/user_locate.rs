//! Class USER_LOCATE: queries for the locations of users (server behaviour, section 7).

use crate::server::{Server, log_event::LogEvent, reply::Reply, request::Request, state::locations::Location};
use zephyr_core::{exposure::Exposure, names, policy::Action, principal::Principal};

impl Server {
    /// Handles a notice of class USER_LOCATE; its instance is the user whom it asks about.
    pub(crate) fn user_locate(&mut self, request: &mut Request<'_>) {
        let opcode = request.notice.opcode;
        if opcode != names::LOCATE {
            self.report(LogEvent::UnknownOpcode { class: "uloc", opcode: opcode.into(), from: request.from });
            self.reply(request, Reply::Lost);
            return;
        }
        if !self.allowed(request, Action::Locate) {
            return;
        }
        let user = self.config.realms.matched_recipient(request.notice.instance).into_owned();
        if let Some(realm) = self.realm_of(&user) {
            let answer = self.ask_realm_for_user(request, realm, &user);
            return self.reply(request, answer);
        }
        self.reply(request, Reply::Sent);
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
        self.answer_with_list(request, &entries);
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
