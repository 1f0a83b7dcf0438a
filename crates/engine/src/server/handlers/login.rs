//! Class LOGIN: login and logout, which set locations (server behaviour, section 6).

use crate::server::{
    Bounds, Change, Server,
    acl::Who,
    log_event::LogEvent,
    reply::Reply,
    request::{Reach, Request},
    stamp::Stamp,
    state::{
        locations::{Kept, Stored, Told},
        standing::Standing,
    },
};
use zephyr_core::{body::Place, exposure::Exposure, names, policy::Action};

/// What is told to whoever changes without proof what was set with it.
const SET_WITH_PROOF: &str = "this location was set with proof, and is changed with proof only";

impl Server {
    /// Handles a notice of class LOGIN; its instance is the user whom it is about.
    pub(crate) fn login(&mut self, request: &mut Request<'_>) {
        let opcode = request.notice.opcode;
        let action = if opcode == names::USER_LOGOUT { Action::Logout } else { Action::Login };
        if !self.allowed(request, action) {
            return;
        }
        // What is announced is a notice to many, and counts as one.
        let announced = action == Action::Logout || Exposure::from_opcode(opcode).is_some_and(Exposure::is_announced);
        if announced && !self.is_of_c_peer(request) && !self.within_measure(request) {
            return;
        }
        // Without proof a logout may be from anybody: it is believed for the place that it comes from.
        let anybody = action == Action::Logout && !request.verdict.is_authentic();
        let concerns_other = request.principal() != request.notice.instance;
        let answer = if concerns_other && !anybody && !self.is_operator(request) {
            self.counters.operator_refused += 1;
            self.refuse_change(request, "only operators may change another user's location")
        } else if action == Action::Logout {
            self.logout(request)
        } else {
            self.change_location(request, opcode)
        };
        self.reply(request, answer);
    }

    /// Refuses to change a location; `reason` is for whoever asks.
    fn refuse_change(&mut self, request: &mut Request<'_>, reason: &str) -> Reply {
        request.message = Some(reason.to_owned());
        let (sender, user) = (request.principal().into(), request.notice.instance.into());
        self.report(LogEvent::LoginRefused { sender, user });
        Reply::Denied
    }

    /// A logout, proven or of a domain that believes it unproven, ends the location of the address and port that it
    /// comes from. Others see it as what it is, proven or not.
    fn logout(&mut self, request: &mut Request<'_>) -> Reply {
        let (user, address) = (request.notice.instance, request.client_address());
        let Ok(gone) = self.locations.remove(user, address, true) else { return Reply::NotFound };
        let exposure = gone.exposure;
        self.locations_gone(vec![gone]);
        request.reach = reach_of(exposure);
        if exposure.is_announced() { self.announce(request) } else { Reply::Sent }
    }

    /// Announces a login or logout to subscribers, as far as the lists of class LOGIN allow.
    fn announce(&mut self, request: &mut Request<'_>) -> Reply {
        let authentic = request.verdict.is_authentic();
        // The server that was told of it announces it.
        if self.is_of_c_peer(request) || !self.is_allowed_in_class(request, Action::Send) {
            return Reply::Sent;
        }
        // Unproven logouts come this far only where the domain believes them, from the very place that is left. The
        // lists take them as from who they say; to the subscribers they prove nothing.
        let sender = request.notice.sender;
        let mut who = request.who();
        if !authentic && request.notice.opcode == names::USER_LOGOUT {
            who = Who { principal: Some(sender), ..who };
        }
        match self.forbidden_to_send(request, who) {
            None => self.publish(request),
            forbidden => {
                request.message = forbidden;
                Reply::Denied
            }
        }
    }

    fn change_location(&mut self, request: &mut Request<'_>, opcode: &[u8]) -> Reply {
        match Exposure::from_opcode(opcode) {
            Some(Exposure::None) => self.hide(request),
            Some(exposure) => self.set_location(request, exposure),
            None if opcode == names::USER_FLUSH => {
                let host = (!request.verdict.is_authentic()).then(|| request.from.ip());
                let gone = self.locations.remove_user(request.notice.instance, host);
                self.locations_gone(gone);
                Reply::Sent
            }
            // What only servers announce.
            None if opcode == names::USER_LOGIN => Reply::Lost,
            None => {
                self.report(LogEvent::UnknownOpcode { class: "ulog", opcode: opcode.into(), from: request.from });
                Reply::Lost
            }
        }
    }

    fn hide(&mut self, request: &mut Request<'_>) -> Reply {
        let (user, proven) = (request.notice.instance, request.verdict.is_authentic());
        match self.locations.remove(user, request.client_address(), proven) {
            Ok(gone) => {
                self.locations_gone(vec![gone]);
                Reply::Sent
            }
            Err(Kept::Unknown) => Reply::NotFound,
            Err(Kept::Proven) => self.refuse_change(request, SET_WITH_PROOF),
        }
    }

    fn set_location(&mut self, request: &mut Request<'_>, exposure: Exposure) -> Reply {
        let Some(place) = Place::read(request.notice.body) else {
            self.report(LogEvent::MalformedLocation { sender: request.principal().into() });
            return Reply::Lost;
        };
        let told = Told {
            user: request.notice.instance,
            address: request.client_address(),
            proven: request.verdict.is_authentic(),
            exposure,
            place,
        };
        let (bounds, standing) = (self.config.bounds, Standing::of(told.proven));
        let shares = Bounds {
            locations: self.share(bounds.locations, standing),
            locations_per_host: self.share(bounds.locations_per_host, standing),
            ..bounds
        };
        let stored = self.locations.set(&told, Stamp::default(), &shares);
        if stored == Stored::Yes {
            let stamp = self.changed(Change::Located(told.located()));
            self.locations.set_stamp(told.user, told.address, stamp);
        }
        match stored {
            Stored::Yes if exposure.is_announced() => {
                request.notice.opcode = names::USER_LOGIN;
                request.announced = true;
                request.reach = reach_of(exposure);
                self.announce(request)
            }
            Stored::Yes => Reply::Sent,
            Stored::Proven => self.refuse_change(request, SET_WITH_PROOF),
            Stored::Full => {
                self.counters.locations_full += 1;
                self.report(LogEvent::Full { what: "locations", from: request.from });
                Reply::Lost
            }
        }
    }
}

/// How far a login or logout is announced.
const fn reach_of(exposure: Exposure) -> Reach {
    match exposure {
        Exposure::NetAnnounced => Reach::Realms,
        Exposure::None
        | Exposure::OpStaff
        | Exposure::RealmVisible
        | Exposure::RealmAnnounced
        | Exposure::NetVisible => Reach::Here,
    }
}
