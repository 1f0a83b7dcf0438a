//! The language of descriptions (zwgc, section 7).

mod default;
mod lexer;
mod parser;
mod problem;
mod syntax;
mod token;

pub use default::DEFAULT;
pub use problem::{Problem, ProblemKind};
pub use syntax::{Arm, Branch, Directions, Expression, FileMode, Function, Program, SetFunction, Statement};

/// Maximum number of levels of statements and expressions within each other. Operands of `+`, `&` and `|` are beside each other,
/// those of a comparison within it.
pub const MAX_DEPTH: usize = 200;

/// Maximum number of problems that are told.
pub const MAX_PROBLEMS: usize = 20;

/// Parses a description.
///
/// # Errors
///
/// All that is wrong, as it was found: at least one [`Problem`], at most [`MAX_PROBLEMS`]. The first one is what the C program says.
pub fn parse(text: &[u8]) -> Result<Program, Vec<Problem>> {
    parser::Parser::new(text).program()
}

#[cfg(test)]
mod tests;
