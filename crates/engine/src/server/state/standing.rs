//! Standing: whether what is kept was proven. What proves nothing has room of its own, and never uses up any of the
//! proven.

/// Whether somebody is proven to be who he says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// He only says so.
    Unproven,
    /// He has proven it.
    Proven,
}

impl Standing {
    pub(crate) const fn of(proven: bool) -> Self {
        if proven { Self::Proven } else { Self::Unproven }
    }

    pub(crate) const fn is_proven(self) -> bool {
        matches!(self, Self::Proven)
    }
}

/// One thing for each standing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByStanding<T> {
    unproven: T,
    proven: T,
}

impl<T> ByStanding<T> {
    pub(crate) const fn of(&self, standing: Standing) -> &T {
        match standing {
            Standing::Unproven => &self.unproven,
            Standing::Proven => &self.proven,
        }
    }

    pub(crate) const fn of_mut(&mut self, standing: Standing) -> &mut T {
        match standing {
            Standing::Unproven => &mut self.unproven,
            Standing::Proven => &mut self.proven,
        }
    }
}
