//! The complete access control rules of a server.

use super::default_subscriptions::Defaults;
use super::list::{Acl, ListDecision, Who};
use std::collections::HashMap;

/// An action on a class; each has a list of its own (server behaviour, section 11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Send to it: `xmt`.
    Send,
    /// Subscribe to it: `sub`.
    Subscribe,
    /// Subscribe to all its instances, besides [`Act::Subscribe`]: `iws`.
    AnyInstance,
    /// Send to an instance that is not the sender's own name, besides [`Act::Send`]: `iui`.
    OtherInstance,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Send, Self::Subscribe, Self::AnyInstance, Self::OtherInstance];

    /// The action that must be admitted as well, before this one.
    const fn needs(self) -> Option<Self> {
        match self {
            Self::Send | Self::Subscribe => None,
            Self::AnyInstance => Some(Self::Subscribe),
            Self::OtherInstance => Some(Self::Send),
        }
    }

    /// The prefix of the names of its lists' files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "xmt",
            Self::Subscribe => "sub",
            Self::AnyInstance => "iws",
            Self::OtherInstance => "iui",
        }
    }
}

/// The lists of one class. Where there is no list there is no restriction.
#[derive(Clone, Debug, Default)]
pub struct ClassAcls {
    /// Who may send.
    pub xmt: Option<Acl>,
    /// Who may subscribe.
    pub sub: Option<Acl>,
    /// Who may subscribe to all instances.
    pub iws: Option<Acl>,
    /// Who may send to an instance that is not his name.
    pub iui: Option<Acl>,
}

impl ClassAcls {
    /// The list for this act.
    pub const fn list(&self, act: Act) -> Option<&Acl> {
        match act {
            Act::Send => self.xmt.as_ref(),
            Act::Subscribe => self.sub.as_ref(),
            Act::AnyInstance => self.iws.as_ref(),
            Act::OtherInstance => self.iui.as_ref(),
        }
    }
}

/// The decision of the rules on an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclDecision {
    /// The class is not registered: everybody may.
    Free,
    /// It is, but has no list for this act: everybody may.
    NoList,
    /// It has a list.
    List(ListDecision),
}

impl AclDecision {
    /// Whether it admits.
    pub const fn admits(self) -> bool {
        match self {
            Self::Free | Self::NoList => true,
            Self::List(ruling) => ruling.admits(),
        }
    }
}

/// The decision on an action together with what it needs, and on which of them it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The action that is asked about; or what it needs, when that is refused already.
    pub act: Act,
    /// The decision on that.
    pub decision: AclDecision,
}

/// The rules of a server. Without any, all classes are free, and nobody is an operator.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    classes: HashMap<Box<[u8]>, ClassAcls>,
    operators: Acl,
    /// The default subscriptions.
    pub defaults: Defaults,
}

impl Rules {
    /// Rules without registered classes.
    pub fn new(operators: Acl, defaults: Defaults) -> Self {
        Self { classes: HashMap::new(), operators, defaults }
    }

    /// Registers a class, whose name is given in folded form.
    pub fn register(&mut self, folded: &[u8], rules: ClassAcls) {
        self.classes.insert(folded.into(), rules);
    }

    /// The registered classes, folded, in no order.
    pub fn classes(&self) -> impl Iterator<Item = &[u8]> {
        self.classes.keys().map(|class| &**class)
    }

    /// The number of registered classes.
    pub fn registered(&self) -> usize {
        self.classes.len()
    }

    /// Whether a class, whose name is given in folded form, is registered.
    pub fn is_registered(&self, folded: &[u8]) -> bool {
        self.classes.contains_key(folded)
    }

    /// Decides on an action on a class, whose name is given in folded form, and on what that action needs.
    pub fn ruling(&self, folded: &[u8], act: Act, who: Who<'_>) -> Ruling {
        if let Some(needed) = act.needs() {
            let decision = self.decide(folded, needed, who);
            if !decision.admits() {
                return Ruling { act: needed, decision };
            }
        }
        Ruling { act, decision: self.decide(folded, act, who) }
    }

    /// Decides on an action on a class by its own list alone. The class is given in folded form.
    pub fn decide(&self, folded: &[u8], act: Act, who: Who<'_>) -> AclDecision {
        match self.classes.get(folded) {
            None => AclDecision::Free,
            Some(rules) => rules.list(act).map_or(AclDecision::NoList, |list| AclDecision::List(list.decide(who))),
        }
    }

    /// Whether a proven principal is an operator.
    pub fn is_operator(&self, principal: &[u8]) -> bool {
        self.operators.decide(Who { principal: Some(principal), address: None }).admits()
    }
}
