//! From words and signs to statements (zwgc, section 7.5), with all that is wrong.
//!
//! After a problem it goes on at the next word that begins or ends a statement. Until a statement begins, nothing else is said of
//! what the parser meets, as it is most often a consequence.

mod expressions;

use super::{
    Arm, Branch, Expression, MAX_DEPTH, MAX_PROBLEMS, Problem, ProblemKind, Program, Statement,
    lexer::{Detail, Finding, Lexer},
    problem::quoted,
    token::{Construct, Keyword, Place, Token, TokenKind},
};
use std::mem;

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token<'t>,
    problems: Vec<Problem>,
    /// Whether something was already said of this statement.
    is_quiet: bool,
    /// After too many problems, or one that what follows depends on.
    is_stopped: bool,
    /// How many statements and brackets are around the token.
    depth: usize,
    /// The constructs around the token.
    constructs: Vec<Construct>,
    /// Those that were taken to end where the word for it was missing: it may come later, and was told already.
    unended: Vec<Construct>,
    /// Where the last of them was taken to end.
    unended_at: Option<Place>,
}

/// Something cannot be parsed, and it was said.
struct Reported;

type Parsed<T> = Result<T, Reported>;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        let token = Token { kind: TokenKind::End, place: Place { line: 1, line_start: 0, at: 0 }, end: 0, c_line: 1 };
        Self {
            lexer: Lexer::new(text),
            token,
            problems: Vec::new(),
            is_quiet: false,
            is_stopped: false,
            depth: 0,
            constructs: Vec::new(),
            unended: Vec::new(),
            unended_at: None,
        }
    }

    pub(super) fn program(mut self) -> Result<Program, Vec<Problem>> {
        self.advance();
        let statements = self.block();
        if self.problems.is_empty() { Ok(Program { statements }) } else { Err(self.problems) }
    }

    /// Statements, up to the end or to a word that belongs to a construct around them.
    fn block(&mut self) -> Vec<Statement> {
        let mut statements = Vec::new();
        loop {
            self.accept_misspelt_keyword();
            if self.token.kind.is_between_statements() {
                self.is_quiet = false;
            }
            match self.token.kind {
                TokenKind::End => return statements,
                TokenKind::Keyword(keyword) => match keyword.ends_part_of() {
                    Some(construct) if self.constructs.contains(&construct) => return statements,
                    Some(construct) => {
                        self.skip_stray(keyword, construct);
                        continue;
                    }
                    None => {}
                },
                _ => {}
            }
            match self.nested(Self::statement) {
                Ok(statement) => statements.push(statement),
                Err(Reported) => self.synchronize(),
            }
        }
    }

    /// A word that belongs to no construct around it.
    fn skip_stray(&mut self, keyword: Keyword, construct: Construct) {
        match self.unended.iter().rposition(|&unended| unended == construct) {
            None => {
                self.unexpected("a statement");
            }
            Some(index) if keyword.ends_construct() => {
                self.unended.remove(index);
                self.is_quiet = true;
            }
            Some(_) => self.is_quiet = true,
        }
        self.advance();
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if let TokenKind::Show(text) = &mut self.token.kind {
            let text = mem::take(text);
            self.advance();
            return Ok(Statement::Show(text));
        }
        let TokenKind::Keyword(keyword) = self.token.kind else {
            return Err(self.unexpected("a statement"));
        };
        if !keyword.begins_statement() {
            return Err(self.unexpected("a statement"));
        }
        let beginning = self.token.place;
        self.advance();
        Ok(match keyword {
            Keyword::Set => {
                let name = self.assigned_name()?;
                self.expect(&TokenKind::Assign, "`=`")?;
                Statement::Set { name, value: self.value()? }
            }
            Keyword::Fields => Statement::Fields(self.names()),
            Keyword::Print => Statement::Print(self.values()?),
            Keyword::ClearBuffer => Statement::ClearBuffer,
            Keyword::FilePort(mode) => Statement::FilePort { mode, port: self.value()?, file: self.value()? },
            Keyword::ProcessPort => Statement::ProcessPort { port: self.value()?, command: self.command()? },
            Keyword::Put => {
                let mut values = self.values()?.into_iter();
                Statement::Put { port: values.next(), values: values.collect() }
            }
            Keyword::Close(directions) => Statement::Close { directions, port: self.value()? },
            Keyword::Execute => Statement::Execute(self.command()?),
            Keyword::Break => Statement::Break,
            Keyword::Exit => Statement::Exit,
            Keyword::If => self.construct(Construct::If, beginning, Self::if_statement),
            Keyword::Case => self.construct(Construct::Case, beginning, Self::case_statement),
            Keyword::While => self.construct(Construct::While, beginning, Self::while_statement),
            // The others begin no statement.
            _ => Statement::Noop,
        })
    }

    /// The name after `set`. A word of the language is no name, but was meant as one where `=` follows.
    fn assigned_name(&mut self) -> Parsed<Vec<u8>> {
        if let TokenKind::Name(name) = self.token.kind {
            self.advance();
            return Ok(name.to_vec());
        }
        let problem = self.unexpected("a variable's name");
        // The text of `show` was read with it: what follows is not what follows the name.
        if self.token.kind.is_reserved() && !matches!(self.token.kind, TokenKind::Show(_)) {
            self.advance();
            if self.token.kind == TokenKind::Assign {
                return Ok(Vec::new());
            }
        }
        Err(problem)
    }

    fn names(&mut self) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        while let TokenKind::Name(name) = self.token.kind {
            names.push(name.to_vec());
            self.advance();
        }
        names
    }

    /// As many values as there are, and then a statement.
    fn values(&mut self) -> Parsed<Vec<Expression>> {
        let mut values = Vec::new();
        while self.token.kind.begins_value() {
            values.push(self.value()?);
        }
        if self.token.kind.is_between_statements() || self.is_misspelt_keyword() {
            Ok(values)
        } else {
            Err(self.unexpected("a value or a statement"))
        }
    }

    /// A program and its arguments.
    fn command(&mut self) -> Parsed<Vec<Expression>> {
        let mut command = vec![self.value()?];
        command.extend(self.values()?);
        Ok(command)
    }

    /// A statement with statements within, up to the word that ends it.
    fn construct(
        &mut self,
        construct: Construct,
        beginning: Place,
        parse: impl FnOnce(&mut Self) -> Statement,
    ) -> Statement {
        self.constructs.push(construct);
        let statement = parse(self);
        self.constructs.pop();
        self.is_quiet = false;
        match self.token.kind {
            TokenKind::Keyword(keyword) if keyword.ends_construct() && keyword.ends_part_of() == Some(construct) => {
                self.advance();
            }
            TokenKind::End => {
                let detail = format!("its {} is missing", construct.end());
                self.report(ProblemKind::Syntax, beginning, self.token.c_line, detail);
            }
            _ => {
                // Of several that end here, the innermost one is told.
                if self.unended_at != Some(self.token.place) {
                    self.unexpected(&format!("{} (of line {})", construct.end(), beginning.line));
                    self.unended_at = Some(self.token.place);
                }
                if self.unended.len() < MAX_DEPTH {
                    self.unended.push(construct);
                }
            }
        }
        statement
    }

    fn if_statement(&mut self) -> Statement {
        let mut branches = vec![self.branch(Keyword::Then, "`then`")];
        let mut otherwise = None;
        loop {
            match self.token.kind {
                TokenKind::Keyword(Keyword::ElseIf) => {
                    self.forbid_after_else(otherwise.is_some());
                    self.advance();
                    branches.push(self.branch(Keyword::Then, "`then`"));
                }
                TokenKind::Keyword(Keyword::Else) => {
                    self.forbid_after_else(otherwise.is_some());
                    self.advance();
                    otherwise = Some(self.block());
                }
                _ => return Statement::If { branches, otherwise: otherwise.unwrap_or_default() },
            }
        }
    }

    fn forbid_after_else(&mut self, is_after_else: bool) {
        self.is_quiet = false;
        if is_after_else {
            self.unexpected("`endif` after `else`");
        }
    }

    fn while_statement(&mut self) -> Statement {
        Statement::While { branch: self.branch(Keyword::Do, "`do`") }
    }

    /// A condition, the word after it, and statements.
    fn branch(&mut self, word: Keyword, word_text: &str) -> Branch {
        let word = TokenKind::Keyword(word);
        let condition = self.value().and_then(|condition| {
            self.expect(&word, word_text)?;
            Ok(condition)
        });
        let condition = condition.unwrap_or_else(|Reported| {
            while !self.token.kind.is_between_statements() && self.token.kind != word {
                self.advance();
            }
            if self.token.kind == word {
                self.advance();
            }
            Expression::Buffer
        });
        Branch { condition, body: self.block() }
    }

    fn case_statement(&mut self) -> Statement {
        let subject = self.value().unwrap_or_else(|Reported| self.recovered());
        let mut arms = Vec::new();
        loop {
            self.accept_misspelt_keyword();
            let values = match self.token.kind {
                TokenKind::Keyword(Keyword::Match) => {
                    self.is_quiet = false;
                    self.advance();
                    Some(self.match_values())
                }
                TokenKind::Keyword(Keyword::Default) => {
                    self.is_quiet = false;
                    self.advance();
                    None
                }
                TokenKind::End => break,
                _ if self.ends_part_of().is_some_and(|construct| self.constructs.contains(&construct)) => break,
                _ if arms.is_empty() => {
                    self.unexpected("`match`, `default` or `endcase`");
                    self.synchronize();
                    None
                }
                _ => break,
            };
            arms.push(Arm { values, body: self.block() });
        }
        Statement::Case { subject, arms }
    }

    fn match_values(&mut self) -> Vec<Expression> {
        let mut values = Vec::new();
        loop {
            match self.value() {
                Ok(value) => values.push(value),
                Err(Reported) => values.push(self.recovered()),
            }
            if self.token.kind != TokenKind::Comma {
                return values;
            }
            self.advance();
        }
    }

    /// Goes on after a value that cannot be parsed.
    fn recovered(&mut self) -> Expression {
        self.synchronize();
        Expression::Buffer
    }

    fn ends_part_of(&self) -> Option<Construct> {
        match self.token.kind {
            TokenKind::Keyword(keyword) => keyword.ends_part_of(),
            _ => None,
        }
    }

    fn synchronize(&mut self) {
        while !self.token.kind.is_between_statements() {
            self.advance();
        }
    }

    /// Parses something that is one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.limit(self.depth + 1)?;
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// What would be deeper ends the parse: of what follows, nothing could be said that is sure.
    fn limit(&mut self, depth: usize) -> Parsed<()> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        let Token { place, c_line, .. } = self.token;
        self.report(ProblemKind::TooDeep, place, c_line, format!("nesting deeper than {MAX_DEPTH} levels"));
        self.stop();
        Err(Reported)
    }

    fn expect(&mut self, kind: &TokenKind<'_>, text: &str) -> Parsed<()> {
        if self.token.kind == *kind {
            self.advance();
            return Ok(());
        }
        let problem = self.unexpected(text);
        if self.meant().as_ref() == Some(kind) {
            self.advance();
            return Ok(());
        }
        Err(problem)
    }

    /// The word of the language that a name would be in lower case.
    fn meant(&self) -> Option<TokenKind<'static>> {
        match self.token.kind {
            TokenKind::Name(name) => TokenKind::of_word(&name.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn is_misspelt_keyword(&self) -> bool {
        self.meant().is_some_and(|kind| kind.is_between_statements())
    }

    /// Where a statement can begin, `If` is said to be wrong and taken for `if`.
    fn accept_misspelt_keyword(&mut self) {
        if let Some(kind) = self.meant().filter(TokenKind::is_between_statements) {
            self.unexpected("a statement");
            // Unless that was the last one that is told.
            if !self.is_stopped {
                self.token.kind = kind;
            }
        }
    }

    fn advance(&mut self) {
        if self.is_stopped {
            return;
        }
        self.token = self.lexer.next();
        for Finding { kind, place, c_line, detail } in mem::take(&mut self.lexer.findings) {
            let is_syntax = kind == ProblemKind::Syntax;
            if !(is_syntax && self.is_quiet) {
                let detail = match detail {
                    Detail::Text(text) => text.to_owned(),
                    Detail::Unexpected(end) => format!("unexpected {}", quoted(self.lexer.slice(place.at, end))),
                };
                self.report(kind, place, c_line, detail);
            }
            self.is_quiet = true;
            if !is_syntax && kind != ProblemKind::LineEndInString {
                self.stop();
            }
        }
    }

    /// Says that the token is not what was expected, unless something was said already.
    fn unexpected(&mut self, expected: &str) -> Reported {
        if !self.is_quiet {
            let Token { place, end, c_line, ref kind } = self.token;
            let found = match kind {
                TokenKind::End => "the file's end".to_owned(),
                TokenKind::Show(_) => "`show`".to_owned(),
                _ => quoted(self.lexer.slice(place.at, end)),
            };
            let advice = match kind {
                TokenKind::Assign if ["`then`", "`do`", "`)`"].contains(&expected) => "; values are compared with `==`",
                _ if self.meant().is_some() => "; the words of the language are in lower case",
                TokenKind::Name(_) if expected.contains("value") => {
                    "; a variable has `$` before its name, a text is in `\"`"
                }
                _ => "",
            };
            self.report(ProblemKind::Syntax, place, c_line, format!("expected {expected}, not {found}{advice}"));
        }
        Reported
    }

    fn report(&mut self, kind: ProblemKind, place: Place, c_line: usize, detail: String) {
        if self.is_stopped {
            return;
        }
        let before = self.lexer.slice(place.line_start, place.at);
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        self.problems.push(Problem { line: place.line, column, kind, detail, c_line });
        self.is_quiet = true;
        if self.problems.len() >= MAX_PROBLEMS {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.is_stopped = true;
        self.token.kind = TokenKind::End;
    }
}
