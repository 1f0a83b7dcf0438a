//! Classes LOGIN and USER_LOCATE: telling and asking where users are (server behaviour, sections 6 and 7).

use super::{
    engine::{Engine, Outbox},
    event::Event,
    locations::{Exposure, Location, Place, Stored},
    reply::{Answer, Request},
};
use zephyr_core::realm::realm_of;

const USER_LOGIN: &[u8] = b"USER_LOGIN";
const USER_LOGOUT: &[u8] = b"USER_LOGOUT";
const USER_FLUSH: &[u8] = b"USER_FLUSH";
const NONE: &[u8] = b"NONE";
const LOCATE: &[u8] = b"LOCATE";

impl Engine {
    /// A notice of class LOGIN; its instance is the user whom it is about.
    pub(super) fn login(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        let answer = match request.notice.opcode {
            USER_LOGOUT => self.logout(request, out),
            _ if !self.is_trusted(request) => {
                self.refuse_unproven(request, out);
                return;
            }
            _ if request.principal() != request.notice.instance => {
                out.report(Event::LoginRefused {
                    sender: request.principal().into(),
                    user: request.notice.instance.into(),
                });
                Answer::Denied
            }
            opcode => self.change_location(request, opcode, out),
        };
        self.reply(request, answer, out);
    }

    /// A logout is believed for the address and port that it comes from, whoever it says it is from; it is shown to others
    /// as what it is, proven or not.
    fn logout(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> Answer {
        match self.locations.remove(request.notice.instance, request.client_address()) {
            None => Answer::NotFound,
            Some(exposure) if exposure.is_announced() => self.publish(request, out),
            Some(_) => Answer::Sent,
        }
    }

    fn change_location(&mut self, request: &mut Request<'_>, opcode: &[u8], out: &mut Outbox) -> Answer {
        let (user, address) = (request.notice.instance, request.client_address());
        let Some(exposure) = Exposure::from_opcode(opcode) else {
            return match opcode {
                USER_FLUSH => {
                    self.locations.remove_user(user);
                    Answer::Sent
                }
                NONE if self.locations.remove(user, address).is_some() => Answer::Sent,
                NONE => Answer::NotFound,
                USER_LOGIN => Answer::Lost,
                _ => {
                    out.report(Event::UnknownOpcode { class: "ulog", opcode: opcode.into(), from: request.from });
                    Answer::Lost
                }
            };
        };
        let place = Place::read(request.notice.body);
        match self.locations.set(user, address, exposure, place, self.config.bounds.locations) {
            Stored::Yes if exposure.is_announced() => {
                request.notice.opcode = USER_LOGIN;
                self.publish(request, out)
            }
            Stored::Yes => Answer::Sent,
            Stored::Malformed => {
                out.report(Event::MalformedLocation { sender: request.principal().into() });
                Answer::Lost
            }
            Stored::Full => {
                self.counters.full += 1;
                out.report(Event::Full { what: "locations", from: request.from });
                Answer::Lost
            }
        }
    }

    /// A notice of class USER_LOCATE; its instance is the user whom it asks about.
    pub(super) fn locate(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        let opcode = request.notice.opcode;
        if opcode != LOCATE {
            out.report(Event::UnknownOpcode { class: "uloc", opcode: opcode.into(), from: request.from });
            self.reply(request, Answer::Lost, out);
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
        match exposure {
            Exposure::NetVisible | Exposure::NetAnnounced => true,
            Exposure::RealmVisible | Exposure::RealmAnnounced => {
                let local = realm_of(request.principal()).is_none_or(|realm| realm == self.config.realms.local());
                self.is_trusted(request) && local
            }
            // Nobody is an operator until there is a list of operators.
            Exposure::Opstaff => false,
        }
    }
}
