//! The values of expressions (zwgc, sections 7.6 and 7.8).

use super::{Exhausted, MAX_VALUE, Run, functions, value::Value};
use crate::{
    language::{Expression, Function, SetFunction},
    markup, regular_expression,
};

/// What it costs to compile a pattern.
const STEPS_TO_MATCH: usize = 100;

impl Run<'_> {
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value, Exhausted> {
        self.budget.take(1)?;
        let value = match expression {
            Expression::Text(text) => Value::own(text.clone()),
            Expression::Variable(name) => self.variables.get(name).clone(),
            Expression::Not(operand) => Value::truth(!self.holds(operand)?),
            Expression::Concatenation(operands) => {
                let mut sum = Value::default();
                for operand in operands {
                    self.extend(&mut sum, operand)?;
                }
                sum
            }
            Expression::Equal(left, right) => Value::truth(self.octets(left)? == self.octets(right)?),
            Expression::NotEqual(left, right) => Value::truth(self.octets(left)? != self.octets(right)?),
            Expression::Matches(left, right) => Value::truth(self.matches(left, right)?),
            Expression::MatchesNot(left, right) => Value::truth(!self.matches(left, right)?),
            // All are evaluated, as they may do something.
            Expression::And(operands) => {
                Value::truth(operands.iter().try_fold(true, |all, operand| Ok(self.holds(operand)? && all))?)
            }
            Expression::Or(operands) => {
                Value::truth(operands.iter().try_fold(false, |any, operand| Ok(self.holds(operand)? || any))?)
            }
            Expression::Buffer => self.buffer.clone(),
            Expression::Call(function, argument) => self.call(*function, argument)?,
            Expression::Cut(function, text, operand) => self.cut(*function, text, operand)?,
        };
        self.budget.take_value(&value.octets)?;
        Ok(value)
    }

    /// A value, wherever it is from.
    pub(super) fn octets(&mut self, expression: &Expression) -> Result<Vec<u8>, Exhausted> {
        Ok(self.value(expression)?.octets)
    }

    /// Whether a condition holds.
    pub(super) fn holds(&mut self, condition: &Expression) -> Result<bool, Exhausted> {
        Ok(self.value(condition)?.is_true())
    }

    pub(super) fn values(&mut self, expressions: &[Expression]) -> Result<Vec<Value>, Exhausted> {
        expressions.iter().map(|expression| self.value(expression)).collect()
    }

    /// Values with a blank between each two.
    pub(super) fn joined(&mut self, expressions: &[Expression]) -> Result<Value, Exhausted> {
        let mut joined = Value::default();
        for (index, expression) in expressions.iter().enumerate() {
            if index > 0 {
                joined.push_own(b" ");
            }
            self.extend(&mut joined, expression)?;
        }
        Ok(joined)
    }

    fn extend(&mut self, text: &mut Value, expression: &Expression) -> Result<(), Exhausted> {
        let value = self.value(expression)?;
        if text.octets.len() + value.octets.len() > MAX_VALUE {
            return Err(Exhausted::Value);
        }
        text.push(&value);
        Ok(())
    }

    /// Whether a text has a part that matches a pattern. None matches a pattern that is wrong.
    fn matches(&mut self, text: &Expression, pattern: &Expression) -> Result<bool, Exhausted> {
        let (text, pattern) = (self.octets(text)?, self.octets(pattern)?);
        self.budget.take(STEPS_TO_MATCH)?;
        // The worst that a pattern can do without going back; how often it does that is limited where it is matched.
        self.budget.take_octets(text.len().saturating_mul(1 + pattern.len() / 8))?;
        regular_expression::matches(&pattern, &text).or_else(|reason| {
            self.host.complain(&[reason.to_string().as_bytes(), b" in regcomp ", &pattern].concat());
            Ok(false)
        })
    }

    fn call(&mut self, function: Function, argument: &Expression) -> Result<Value, Exhausted> {
        let argument = self.value(argument)?;
        Ok(match function {
            Function::Substitute => {
                let mut result = Value::default();
                functions::substitute(&argument, self.variables, &mut result, MAX_VALUE);
                result
            }
            Function::Protect => argument.map(markup::protect),
            Function::Verbatim => argument.map(markup::verbatim),
            Function::StyleStrip => argument.map(markup::strip_styles),
            Function::GetEnv => Value::own(self.host.environment(&argument.octets).unwrap_or_default()),
            Function::ZephyrVariable => Value::own(self.host.zephyr_variable(&argument.octets).unwrap_or_default()),
            Function::UpCase => argument.map(<[u8]>::to_ascii_uppercase),
            Function::DownCase => argument.map(<[u8]>::to_ascii_lowercase),
            // Who has written that is not known.
            Function::Get => Value::foreign(self.host.get(&argument.octets).unwrap_or_else(|error| {
                self.note(error);
                Vec::new()
            })),
        })
    }

    /// Takes a part off a text, and off the variable if the text is one's.
    fn cut(&mut self, function: SetFunction, text: &Expression, operand: &Expression) -> Result<Value, Exhausted> {
        let (value, operand) = (self.value(text)?, self.octets(operand)?);
        let (part, left) = functions::cut(function, &value, &operand);
        if let Expression::Variable(name) = text {
            self.variables.set(name, left);
        }
        Ok(part)
    }
}
