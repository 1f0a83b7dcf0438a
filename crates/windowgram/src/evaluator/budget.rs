//! What a description may take for one notice.

use std::fmt::{self, Display, Formatter};

/// Maximum number of steps that a description takes for a notice. A statement, an expression and 64 octets of a value are one each.
pub const MAX_STEPS: usize = 1_000_000;

/// Maximum size of a value and of the buffer, in octets.
pub const MAX_VALUE: usize = 4 << 20;

/// The octets that are a step.
const OCTETS_A_STEP: usize = 64;

/// A description was stopped while it ran for a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// It took [`MAX_STEPS`].
    Steps,
    /// A value grew beyond [`MAX_VALUE`].
    Value,
}

impl Display for Exhausted {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps => write!(f, "stopped after {MAX_STEPS} steps: does a `while` of it never end?"),
            Self::Value => write!(f, "stopped at a text of more than {MAX_VALUE} octets"),
        }
    }
}

impl std::error::Error for Exhausted {}

/// What is left of [`MAX_STEPS`].
pub(super) struct Budget {
    steps: usize,
}

impl Budget {
    pub(super) const fn new() -> Self {
        Self { steps: MAX_STEPS }
    }

    pub(super) fn take(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.steps = self.steps.checked_sub(steps).ok_or(Exhausted::Steps)?;
        Ok(())
    }

    /// Takes what work on so many octets costs.
    pub(super) fn take_octets(&mut self, octets: usize) -> Result<(), Exhausted> {
        self.take(octets / OCTETS_A_STEP)
    }

    /// Takes what a value costs that was made.
    pub(super) fn take_value(&mut self, value: &[u8]) -> Result<(), Exhausted> {
        if value.len() > MAX_VALUE {
            return Err(Exhausted::Value);
        }
        self.take_octets(value.len())
    }
}
