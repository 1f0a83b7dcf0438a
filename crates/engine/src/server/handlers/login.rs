//! Class LOGIN: telling where users are (server behaviour, section 6).

use crate::server::{
    Outbox, Server,
    acl::Who,
    event::Event,
    reply::{Answer, Request},
    state::locations::{Kept, Stored, Told},
};
use zephyr_core::{body::Place, exposure::Exposure, names, policy::Action};

impl Server {
    /// A notice of class LOGIN; its instance is the user whom it is about.
    pub(crate) fn login(&mut self, request: &mut Request<'_>, out: &mut Outbox) {
        let opcode = request.notice.opcode;
        let action = if opcode == names::USER_LOGOUT { Action::Logout } else { Action::Login };
        if !self.allowed(request, action, None, out) {
            return;
        }
        // What is announced is a notice to many, and counts as one.
        let announced = action == Action::Logout || Exposure::from_opcode(opcode).is_some_and(Exposure::is_announced);
        if announced && !self.within_measure(request, out) {
            return;
        }
        // Without proof a logout may be from anybody: it is believed for the place that it comes from.
        let anybody = action == Action::Logout && !request.verdict.is_authentic();
        let concerns_other = request.principal() != request.notice.instance;
        let answer = if concerns_other && !anybody && !self.is_operator(request) {
            self.counters.operator_refused += 1;
            self.refuse_change(request, out)
        } else if action == Action::Logout {
            self.logout(request, out)
        } else {
            self.change_location(request, opcode, out)
        };
        self.reply(request, answer, out);
    }

    fn refuse_change(&self, request: &Request<'_>, out: &mut Outbox) -> Answer {
        let (sender, user) = (request.principal().into(), request.notice.instance.into());
        out.report(Event::LoginRefused { sender, user });
        Answer::Denied
    }

    /// A logout, proven or of a domain that believes it unproven, ends the location of the address and port that it comes
    /// from. Others see it as what it is, proven or not.
    fn logout(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> Answer {
        match self.locations.remove(request.notice.instance, request.client_address(), true) {
            Err(_) => Answer::NotFound,
            Ok(exposure) if exposure.is_announced() => self.announce(request, out),
            Ok(_) => Answer::Sent,
        }
    }

    /// Tells who subscribed that somebody came or went, as far as the lists of class LOGIN allow.
    fn announce(&mut self, request: &mut Request<'_>, out: &mut Outbox) -> Answer {
        let authentic = request.verdict.is_authentic();
        if !self.decision(request, Action::Send, Some(names::LOGIN)).allows() {
            return Answer::Sent;
        }
        // Unproven logouts come this far only where the domain believes them, from the very place that is left. The lists
        // take them as from who they say; to the subscribers they prove nothing.
        let sender = request.notice.sender;
        let mut who = request.who();
        if !authentic && request.notice.opcode == names::USER_LOGOUT {
            who = Who { principal: Some(sender), ..who };
        }
        if self.may_send(request, who, out) { self.publish(request, out) } else { Answer::Denied }
    }

    fn change_location(&mut self, request: &mut Request<'_>, opcode: &[u8], out: &mut Outbox) -> Answer {
        match Exposure::from_opcode(opcode) {
            Some(Exposure::None) => self.hide(request, out),
            Some(exposure) => self.set_location(request, exposure, out),
            None if opcode == names::USER_FLUSH => {
                self.locations.remove_user(request.notice.instance, request.verdict.is_authentic());
                Answer::Sent
            }
            // What only servers announce.
            None if opcode == names::USER_LOGIN => Answer::Lost,
            None => {
                out.report(Event::UnknownOpcode { class: "ulog", opcode: opcode.into(), from: request.from });
                Answer::Lost
            }
        }
    }

    fn hide(&mut self, request: &Request<'_>, out: &mut Outbox) -> Answer {
        let (user, proven) = (request.notice.instance, request.verdict.is_authentic());
        match self.locations.remove(user, request.client_address(), proven) {
            Ok(_) => Answer::Sent,
            Err(Kept::Unknown) => Answer::NotFound,
            Err(Kept::Proven) => self.refuse_change(request, out),
        }
    }

    fn set_location(&mut self, request: &mut Request<'_>, exposure: Exposure, out: &mut Outbox) -> Answer {
        let Some(place) = Place::read(request.notice.body) else {
            out.report(Event::MalformedLocation { sender: request.principal().into() });
            return Answer::Lost;
        };
        let told = Told {
            user: request.notice.instance,
            address: request.client_address(),
            proven: request.verdict.is_authentic(),
            exposure,
            place,
        };
        match self.locations.set(&told, &self.config.bounds) {
            Stored::Yes if exposure.is_announced() => {
                request.notice.opcode = names::USER_LOGIN;
                self.announce(request, out)
            }
            Stored::Yes => Answer::Sent,
            Stored::Proven => self.refuse_change(request, out),
            Stored::Full => {
                self.counters.locations_full += 1;
                out.report(Event::Full { what: "locations", from: request.from });
                Answer::Lost
            }
        }
    }
}
