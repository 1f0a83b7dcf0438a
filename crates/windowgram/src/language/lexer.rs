//! From octets to words and signs (zwgc, section 7.4).
//!
//! What is wrong within a token is kept beside it, and the token is what was probably meant, so that the parser can go on.

use super::{
    problem::ProblemKind,
    token::{Place, Token, TokenKind},
};

/// How many octets of a name count.
const MAX_NAME: usize = 128;

pub(super) struct Lexer<'t> {
    /// Up to the first NUL, which ends a file.
    text: &'t [u8],
    at: usize,
    line: usize,
    line_start: usize,
    /// Just after the last token.
    after: Place,
    /// Whether lines with carriage returns were complained of: once is enough.
    knows_carriage_returns: bool,
    /// What was wrong since they were taken the last time.
    pub(super) findings: Vec<Finding>,
}

/// Something that is wrong within a token, or between tokens.
pub(super) struct Finding {
    pub(super) kind: ProblemKind,
    pub(super) place: Place,
    pub(super) c_line: usize,
    pub(super) detail: Detail,
}

pub(super) enum Detail {
    Text(&'static str),
    /// Octets, from the place to this one, that begin no token.
    Unexpected(usize),
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        let text = text.split(|&octet| octet == 0).next().unwrap_or_default();
        let start = Place { line: 1, line_start: 0, at: 0 };
        let findings = Vec::new();
        Self { text, at: 0, line: 1, line_start: 0, after: start, knows_carriage_returns: false, findings }
    }

    /// The next token; at the end, the end again and again.
    pub(super) fn next(&mut self) -> Token<'t> {
        self.skip_between_tokens();
        let place = self.place();
        let (place, kind) = match self.take() {
            None => (self.after, TokenKind::End),
            Some(first) => (place, self.token(first, place)),
        };
        self.after = self.place();
        Token { kind, place, end: self.at, c_line: self.line }
    }

    /// What there is between two octets.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t [u8] {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Blanks, comments and what begins no token.
    fn skip_between_tokens(&mut self) {
        while let Some(octet) = self.peek() {
            let place = self.place();
            match octet {
                b' ' | b'\t' | b'\n' => {
                    self.take();
                }
                b'#' => self.take_while(|octet| octet != b'\n'),
                b'/' if self.peek_after(1) == Some(b'*') => self.comment(place),
                b'\r' if self.knows_carriage_returns => {
                    self.take();
                }
                b'\r' => {
                    self.take();
                    self.knows_carriage_returns = true;
                    self.invalid(place, Detail::Text("a carriage return: lines end with a newline alone"));
                }
                b'$' if !self.peek_after(1).is_some_and(is_of_name) => {
                    self.take();
                    self.invalid_pair(place, Detail::Text("expected a variable's name after `$`"));
                }
                b'/' => {
                    self.take();
                    self.invalid_pair(place, Detail::Text("expected `/*`, which begins a comment, not `/` alone"));
                }
                _ if begins_token(octet) => return,
                _ => {
                    self.take();
                    if !octet.is_ascii() {
                        self.take_while(|octet| !octet.is_ascii());
                    }
                    self.invalid(place, Detail::Unexpected(self.at));
                }
            }
        }
    }

    fn invalid(&mut self, place: Place, detail: Detail) {
        self.findings.push(Finding { kind: ProblemKind::Syntax, place, c_line: self.line, detail });
    }

    /// After a sign that wants another one, the C program takes the next octet away before it says the line.
    fn invalid_pair(&mut self, place: Place, detail: Detail) {
        let c_line = self.line + usize::from(self.peek() == Some(b'\n'));
        self.findings.push(Finding { kind: ProblemKind::Syntax, place, c_line, detail });
    }

    fn comment(&mut self, place: Place) {
        self.take();
        self.take();
        while let Some(octet) = self.take() {
            if octet == b'*' && self.peek() == Some(b'/') {
                self.take();
                return;
            }
        }
        self.unterminated(ProblemKind::UnterminatedComment, place, "a comment without its end `*/`");
    }

    fn unterminated(&mut self, kind: ProblemKind, place: Place, detail: &'static str) {
        self.findings.push(Finding { kind, place, c_line: place.line, detail: Detail::Text(detail) });
    }

    fn token(&mut self, first: u8, place: Place) -> TokenKind<'t> {
        match first {
            b'(' => TokenKind::Open,
            b')' => TokenKind::Close,
            b',' => TokenKind::Comma,
            b'+' => TokenKind::Plus,
            b'&' => TokenKind::And,
            b'|' => TokenKind::Or,
            b'=' if self.take_if(b'=') => TokenKind::Equal,
            b'=' if self.take_if(b'~') => TokenKind::Matches,
            b'=' => TokenKind::Assign,
            b'!' if self.take_if(b'=') => TokenKind::NotEqual,
            b'!' if self.take_if(b'~') => TokenKind::MatchesNot,
            b'!' => TokenKind::Not,
            b'"' => TokenKind::Text(self.string(place)),
            b'$' => TokenKind::Variable(self.name()),
            _ => {
                self.at = place.at;
                let name = self.name();
                match name {
                    b"show" => TokenKind::Show(self.show(place)),
                    _ => TokenKind::of_word(name).unwrap_or(TokenKind::Name(name)),
                }
            }
        }
    }

    fn name(&mut self) -> &'t [u8] {
        let start = self.at;
        self.take_while(is_of_name);
        self.slice(start, self.at.min(start + MAX_NAME))
    }

    fn string(&mut self, beginning: Place) -> Vec<u8> {
        let mut value = Vec::new();
        loop {
            let place = self.place();
            match self.take() {
                Some(b'"') => return value,
                Some(b'\n') => {
                    self.findings.push(Finding {
                        kind: ProblemKind::LineEndInString,
                        place,
                        c_line: place.line,
                        detail: Detail::Text(
                            "expected `\"`, which ends the string; `\\` before the line's end continues it",
                        ),
                    });
                    return value;
                }
                Some(b'\\') if self.peek().is_some() => value.extend(self.escape()),
                Some(b'\\') | None => break,
                Some(octet) => value.push(octet),
            }
        }
        self.unterminated(ProblemKind::UnterminatedString, beginning, "a string without its end `\"`");
        value
    }

    /// What a backslash and what follows it stand for.
    fn escape(&mut self) -> Option<u8> {
        match self.take()? {
            b'\n' => None,
            b'n' => Some(b'\n'),
            b't' => Some(b'\t'),
            b'b' => Some(0x08),
            first @ b'0'..=b'7' => {
                let mut value = first - b'0';
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    self.take();
                    // Larger numbers lose their first bit, as in C.
                    value = value.wrapping_mul(8).wrapping_add(digit - b'0');
                }
                Some(value).filter(|&octet| octet != 0)
            }
            octet => Some(octet),
        }
    }

    /// The text after the word `show`, with `endshow`.
    fn show(&mut self, beginning: Place) -> Vec<u8> {
        self.take_while(is_blank);
        self.take_if(b'\n');
        let mut text = Vec::new();
        let mut is_line_start = true;
        while self.peek().is_some() {
            if is_line_start {
                self.take_while(is_blank);
                if self.takes_endshow() {
                    return text;
                }
            }
            match self.take() {
                Some(b'\\') => {
                    is_line_start = self.peek() == Some(b'\n');
                    text.extend(self.escape());
                }
                Some(octet) => {
                    is_line_start = octet == b'\n';
                    text.push(octet);
                }
                None => {}
            }
        }
        self.unterminated(
            ProblemKind::UnterminatedShow,
            beginning,
            "`show` without its `endshow`, which begins a line of its own",
        );
        text
    }

    fn takes_endshow(&mut self) -> bool {
        const END: &[u8] = b"endshow";
        let is_end = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(END))
            && !self.peek_after(END.len()).is_some_and(is_of_name);
        if is_end {
            self.at += END.len();
        }
        is_end
    }

    fn place(&self) -> Place {
        Place { line: self.line, line_start: self.line_start, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.peek_after(0)
    }

    fn peek_after(&self, octets: usize) -> Option<u8> {
        self.text.get(self.at + octets).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        if octet == b'\n' {
            self.line += 1;
            self.line_start = self.at;
        }
        Some(octet)
    }

    fn take_if(&mut self, octet: u8) -> bool {
        let is_next = self.peek() == Some(octet);
        if is_next {
            self.take();
        }
        is_next
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&belongs) {
            self.take();
        }
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}

fn begins_token(octet: u8) -> bool {
    is_of_name(octet) || b"\"$(),+|&!=".contains(&octet)
}
