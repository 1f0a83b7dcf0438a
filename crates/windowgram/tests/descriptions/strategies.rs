//! Syntax trees of all kinds.

use proptest::{collection::vec, option, prelude::*, sample::select};
use zephyr_windowgram::language::{Arm, Branch, Directions, Expression, FileMode, Function, SetFunction, Statement};

const FUNCTIONS: [Function; 9] = [
    Function::Substitute,
    Function::Protect,
    Function::Verbatim,
    Function::StyleStrip,
    Function::GetEnv,
    Function::UpCase,
    Function::DownCase,
    Function::ZephyrVariable,
    Function::Get,
];

const SET_FUNCTIONS: [SetFunction; 6] = [
    SetFunction::LeftAny,
    SetFunction::RightAny,
    SetFunction::LeftBreak,
    SetFunction::RightBreak,
    SetFunction::LeftSpan,
    SetFunction::RightSpan,
];

/// Descriptions.
pub(crate) fn statements() -> impl Strategy<Value = Vec<Statement>> {
    vec(statement(), 0..8)
}

/// Any octets but NUL, which no value holds.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![1..=255_u8, select(b" \t\n\"\\e07".to_vec())];
    prop_oneof![vec(octet, 0..12), Just(b"endshow\nendshow".to_vec())]
}

/// Names that are no words of the language.
fn name() -> impl Strategy<Value = Vec<u8>> {
    "[0-9]{1,3}|[A-Z_][A-Za-z0-9_]{0,9}".prop_map(String::into_bytes)
}

/// Names of variables, which may be such words.
fn variable() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![name(), select(vec!["if", "show", "endshow", "not"]).prop_map(|name| name.as_bytes().to_vec())]
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        text().prop_map(Expression::Text),
        variable().prop_map(Expression::Variable),
        Just(Expression::Buffer)
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        let pair = (inner.clone().prop_map(Box::new), inner.clone().prop_map(Box::new));
        let several = vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|value| Expression::Not(Box::new(value))),
            several.clone().prop_map(Expression::Concatenation),
            several.clone().prop_map(Expression::And),
            several.prop_map(Expression::Or),
            pair.clone().prop_map(|(left, right)| Expression::Equal(left, right)),
            pair.clone().prop_map(|(left, right)| Expression::NotEqual(left, right)),
            pair.clone().prop_map(|(left, right)| Expression::Matches(left, right)),
            pair.clone().prop_map(|(left, right)| Expression::MatchesNot(left, right)),
            (select(&FUNCTIONS[..]), inner).prop_map(|(function, value)| Expression::Call(function, Box::new(value))),
            (select(&SET_FUNCTIONS[..]), pair).prop_map(|(function, (text, set))| Expression::Cut(function, text, set)),
        ]
    })
}

fn simple_statement() -> impl Strategy<Value = Statement> {
    let modes = select(vec![FileMode::Append, FileMode::Input, FileMode::Output]);
    let directions = select(vec![Directions::Input, Directions::Output, Directions::Both]);
    prop_oneof![
        select(vec![Statement::Noop, Statement::ClearBuffer, Statement::Break, Statement::Exit]),
        (name(), expression()).prop_map(|(name, value)| Statement::Set { name, value }),
        vec(name(), 0..4).prop_map(Statement::Fields),
        vec(expression(), 0..4).prop_map(Statement::Print),
        text().prop_map(Statement::Show),
        (modes, expression(), expression()).prop_map(|(mode, port, file)| Statement::FilePort { mode, port, file }),
        (expression(), vec(expression(), 1..4)).prop_map(|(port, command)| Statement::ProcessPort { port, command }),
        option::of((expression(), vec(expression(), 0..3))).prop_map(|put| {
            let (port, values) = put.unzip();
            Statement::Put { port, values: values.unwrap_or_default() }
        }),
        (directions, expression()).prop_map(|(directions, port)| Statement::Close { directions, port }),
        vec(expression(), 1..4).prop_map(Statement::Execute),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    simple_statement().prop_recursive(4, 16, 3, |inner| {
        let body = vec(inner, 0..3);
        let branch = (expression(), body.clone()).prop_map(|(condition, body)| Branch { condition, body }).boxed();
        let arm = (option::of(vec(expression(), 1..3)), body.clone()).prop_map(|(values, body)| Arm { values, body });
        prop_oneof![
            (vec(branch.clone(), 1..3), body).prop_map(|(branches, otherwise)| Statement::If { branches, otherwise }),
            branch.prop_map(|branch| Statement::While { branch }),
            (expression(), vec(arm, 0..3)).prop_map(|(subject, arms)| Statement::Case { subject, arms }),
        ]
    })
}
