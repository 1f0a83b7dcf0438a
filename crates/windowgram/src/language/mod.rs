//! The language of descriptions (zwgc, section 7).

mod syntax;

pub use syntax::{Arm, Branch, Directions, Expression, FileMode, Function, Program, SetFunction, Statement};
