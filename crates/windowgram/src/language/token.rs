//! The words and signs of descriptions (zwgc, section 7.4).

use super::{
    Directions, FileMode,
    Function::{self, DownCase, Get, GetEnv, Protect, StyleStrip, Substitute, UpCase, Verbatim, ZephyrVariable},
    SetFunction::{self, LeftAny, LeftBreak, LeftSpan, RightAny, RightBreak, RightSpan},
};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) place: Place,
    /// Where the octets of the token end.
    pub(super) end: usize,
    /// The line that the lexer had reached when it had read the token.
    pub(super) c_line: usize,
}

/// A place in a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    /// The octet that the line begins with.
    pub(super) line_start: usize,
    /// The octet.
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'t> {
    End,
    /// A word that is no keyword.
    Name(&'t [u8]),
    Text(Vec<u8>),
    Variable(&'t [u8]),
    Show(Vec<u8>),
    Keyword(Keyword),
    Function(Function),
    SetFunction(SetFunction),
    Buffer,
    Open,
    Close,
    Comma,
    Plus,
    And,
    Or,
    Not,
    Assign,
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
}

/// Words that are a part of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Noop,
    Set,
    Fields,
    Print,
    ClearBuffer,
    FilePort(FileMode),
    ProcessPort,
    Put,
    Close(Directions),
    Execute,
    Break,
    Exit,
    If,
    Case,
    While,
    Then,
    Do,
    ElseIf,
    Else,
    EndIf,
    Match,
    Default,
    EndCase,
    EndWhile,
}

/// The statements that have statements within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Construct {
    If,
    Case,
    While,
}

impl Keyword {
    /// The construct of which this word ends a part.
    pub(super) fn ends_part_of(self) -> Option<Construct> {
        match self {
            Self::ElseIf | Self::Else | Self::EndIf => Some(Construct::If),
            Self::Match | Self::Default | Self::EndCase => Some(Construct::Case),
            Self::EndWhile => Some(Construct::While),
            _ => None,
        }
    }

    /// Whether it ends a whole construct.
    pub(super) fn ends_construct(self) -> bool {
        matches!(self, Self::EndIf | Self::EndCase | Self::EndWhile)
    }

    /// Whether a statement begins with it.
    pub(super) fn begins_statement(self) -> bool {
        self.ends_part_of().is_none() && !matches!(self, Self::Then | Self::Do)
    }
}

impl Construct {
    /// The word that ends it.
    pub(super) fn end(self) -> &'static str {
        match self {
            Self::If => "`endif`",
            Self::Case => "`endcase`",
            Self::While => "`endwhile`",
        }
    }
}

impl TokenKind<'_> {
    /// What a word is; none for `show`, whose text belongs to it.
    pub(super) fn of_word(word: &[u8]) -> Option<TokenKind<'static>> {
        let keyword = match word {
            b"and" => return Some(TokenKind::And),
            b"or" => return Some(TokenKind::Or),
            b"not" => return Some(TokenKind::Not),
            b"buffer" => return Some(TokenKind::Buffer),
            b"noop" => Keyword::Noop,
            b"set" => Keyword::Set,
            b"fields" => Keyword::Fields,
            b"print" => Keyword::Print,
            b"clearbuf" => Keyword::ClearBuffer,
            b"appendport" => Keyword::FilePort(FileMode::Append),
            b"inputport" => Keyword::FilePort(FileMode::Input),
            b"outputport" => Keyword::FilePort(FileMode::Output),
            b"execport" => Keyword::ProcessPort,
            b"put" => Keyword::Put,
            b"closeinput" => Keyword::Close(Directions::Input),
            b"closeoutput" => Keyword::Close(Directions::Output),
            b"closeport" => Keyword::Close(Directions::Both),
            b"exec" => Keyword::Execute,
            b"break" => Keyword::Break,
            b"exit" => Keyword::Exit,
            b"if" => Keyword::If,
            b"case" => Keyword::Case,
            b"while" => Keyword::While,
            b"then" => Keyword::Then,
            b"do" => Keyword::Do,
            b"elseif" => Keyword::ElseIf,
            b"else" => Keyword::Else,
            b"endif" => Keyword::EndIf,
            b"match" => Keyword::Match,
            b"default" => Keyword::Default,
            b"endcase" => Keyword::EndCase,
            b"endwhile" => Keyword::EndWhile,
            _ => return function(word),
        };
        Some(TokenKind::Keyword(keyword))
    }

    /// Whether it is a word of the language.
    pub(super) fn is_reserved(&self) -> bool {
        use TokenKind::{And, Buffer, Function, Keyword, Not, Or, SetFunction, Show};
        matches!(self, And | Or | Not | Buffer | Keyword(_) | Function(_) | SetFunction(_) | Show(_))
    }

    /// Whether a value can begin with it.
    pub(super) fn begins_value(&self) -> bool {
        use TokenKind::{Buffer, Function, Not, Open, SetFunction, Text, Variable};
        matches!(self, Open | Text(_) | Variable(_) | Not | Buffer | Function(_) | SetFunction(_))
    }

    /// Whether a statement, or another part of the one around it, can begin with it; the end of the file, too.
    pub(super) fn is_between_statements(&self) -> bool {
        match self {
            Self::End | Self::Show(_) => true,
            Self::Keyword(keyword) => keyword.begins_statement() || keyword.ends_part_of().is_some(),
            _ => false,
        }
    }
}

fn function(word: &[u8]) -> Option<TokenKind<'static>> {
    Some(match word {
        b"substitute" => TokenKind::Function(Substitute),
        b"protect" => TokenKind::Function(Protect),
        b"verbatim" => TokenKind::Function(Verbatim),
        b"stylestrip" => TokenKind::Function(StyleStrip),
        b"getenv" => TokenKind::Function(GetEnv),
        b"upcase" => TokenKind::Function(UpCase),
        b"downcase" => TokenKind::Function(DownCase),
        b"zvar" => TokenKind::Function(ZephyrVariable),
        b"get" => TokenKind::Function(Get),
        b"lany" => TokenKind::SetFunction(LeftAny),
        b"rany" => TokenKind::SetFunction(RightAny),
        b"lbreak" => TokenKind::SetFunction(LeftBreak),
        b"rbreak" => TokenKind::SetFunction(RightBreak),
        b"lspan" => TokenKind::SetFunction(LeftSpan),
        b"rspan" => TokenKind::SetFunction(RightSpan),
        _ => return None,
    })
}
