//! The cases: each gives packets of one kind to one decoder or machine.

mod client;
mod decoders;
mod host_manager;
mod names;
mod proofs;
mod realms;
mod server;
mod server_state;

/// Gives the packet of this number.
pub(crate) type Step = Box<dyn FnMut(usize)>;

/// One kind of packet.
pub(crate) struct Case {
    /// The decoder or machine that it is given to.
    pub(crate) of: &'static str,
    what: &'static str,
    /// The usual packet that others are compared with.
    pub(crate) is_plain: bool,
    /// What it is counted by.
    pub(crate) per: &'static str,
    /// How many of those there are for each packet.
    pub(crate) units: usize,
    /// Makes the state and the packets.
    pub(crate) prepare: fn() -> Step,
}

impl Case {
    /// The usual packet of a decoder or machine.
    const fn plain(of: &'static str, what: &'static str, prepare: fn() -> Step) -> Self {
        Self { of, what, is_plain: true, per: "packet", units: 1, prepare }
    }

    /// Another packet.
    const fn odd(of: &'static str, what: &'static str, prepare: fn() -> Step) -> Self {
        Self { is_plain: false, ..Self::plain(of, what, prepare) }
    }

    /// Counted by what somebody had to make before, or makes with it and has to be granted room for.
    const fn per(self, per: &'static str, units: usize) -> Self {
        Self { per, units, ..self }
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.of, self.what)
    }
}

/// All cases, those of one decoder or machine together.
pub(crate) fn all() -> Vec<Case> {
    let groups = [
        decoders::cases(),
        names::cases(),
        proofs::cases(),
        server::cases(),
        server_state::cases(),
        realms::cases(),
        host_manager::cases(),
        client::cases(),
    ];
    groups.into_iter().flatten().collect()
}
