//! What gives a value: `!` binds closest, then `+`, the comparisons, `&`, and `|`; all are left associative.

use super::{Parsed, Parser, Reported};
use crate::language::{Expression, token::TokenKind};
use std::mem;

/// An expression, and how many levels it has.
struct Part {
    expression: Expression,
    height: usize,
}

impl Part {
    fn leaf(expression: Expression) -> Self {
        Self { expression, height: 1 }
    }
}

impl<'t> Parser<'t> {
    /// A value, as long as possible.
    pub(super) fn value(&mut self) -> Parsed<Expression> {
        Ok(self.disjunction()?.expression)
    }

    fn disjunction(&mut self) -> Parsed<Part> {
        self.chain(&TokenKind::Or, Expression::Or, |parser| {
            parser.chain(&TokenKind::And, Expression::And, Self::comparison)
        })
    }

    fn comparison(&mut self) -> Parsed<Part> {
        let mut left = self.concatenation()?;
        loop {
            let make = match self.token.kind {
                TokenKind::Equal => Expression::Equal,
                TokenKind::NotEqual => Expression::NotEqual,
                TokenKind::Matches => Expression::Matches,
                TokenKind::MatchesNot => Expression::MatchesNot,
                _ => return Ok(left),
            };
            self.limit(self.depth + left.height + 1)?;
            self.advance();
            let right = self.concatenation()?;
            let height = left.height.max(right.height);
            left = self.above(height, make(Box::new(left.expression), Box::new(right.expression)))?;
        }
    }

    fn concatenation(&mut self) -> Parsed<Part> {
        self.chain(&TokenKind::Plus, Expression::Concatenation, Self::negation)
    }

    /// Operands with the same operator between them: one level, however many they are.
    fn chain(
        &mut self,
        operator: &TokenKind<'_>,
        make: fn(Vec<Expression>) -> Expression,
        operand: impl Fn(&mut Self) -> Parsed<Part>,
    ) -> Parsed<Part> {
        let first = operand(self)?;
        if self.token.kind != *operator {
            return Ok(first);
        }
        let mut height = first.height;
        let mut operands = vec![first.expression];
        while self.token.kind == *operator {
            self.advance();
            let next = operand(self)?;
            height = height.max(next.height);
            operands.push(next.expression);
        }
        self.above(height, make(operands))
    }

    /// An expression above others of this height.
    fn above(&mut self, height: usize, expression: Expression) -> Parsed<Part> {
        let height = height + 1;
        self.limit(self.depth + height)?;
        Ok(Part { expression, height })
    }

    fn negation(&mut self) -> Parsed<Part> {
        if self.token.kind != TokenKind::Not {
            return self.operand();
        }
        let Part { expression, height } = self.nested(|parser| {
            parser.advance();
            parser.negation()
        })?;
        self.above(height, Expression::Not(Box::new(expression)))
    }

    fn operand(&mut self) -> Parsed<Part> {
        match &mut self.token.kind {
            TokenKind::Text(text) => {
                let text = mem::take(text);
                self.advance();
                Ok(Part::leaf(Expression::Text(text)))
            }
            TokenKind::Variable(name) => {
                let name = name.to_vec();
                self.advance();
                Ok(Part::leaf(Expression::Variable(name)))
            }
            TokenKind::Open => self.nested(|parser| {
                parser.advance();
                let part = parser.disjunction()?;
                parser.expect(&TokenKind::Close, "`)`")?;
                Ok(part)
            }),
            TokenKind::Buffer => {
                self.advance();
                self.expect(&TokenKind::Open, "`(`")?;
                self.expect(&TokenKind::Close, "`)`")?;
                Ok(Part::leaf(Expression::Buffer))
            }
            &mut TokenKind::Function(function) => {
                let [Part { expression, height }] = self.arguments()?;
                self.above(height, Expression::Call(function, Box::new(expression)))
            }
            &mut TokenKind::SetFunction(function) => {
                let [text, set] = self.arguments()?;
                let height = text.height.max(set.height);
                self.above(height, Expression::Cut(function, Box::new(text.expression), Box::new(set.expression)))
            }
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Values in brackets.
    fn arguments<const N: usize>(&mut self) -> Parsed<[Part; N]> {
        self.nested(|parser| {
            parser.advance();
            parser.expect(&TokenKind::Open, "`(`")?;
            let mut parts = Vec::with_capacity(N);
            for index in 0..N {
                if index > 0 {
                    parser.expect(&TokenKind::Comma, "`,` and another value")?;
                }
                parts.push(parser.disjunction()?);
            }
            parser.expect(&TokenKind::Close, "`)`")?;
            parts.try_into().map_err(|_| Reported)
        })
    }
}
