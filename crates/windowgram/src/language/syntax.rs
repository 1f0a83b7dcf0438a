//! What a description consists of (zwgc, section 7.5).

/// A description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Run in this order for each notice.
    pub statements: Vec<Statement>,
}

/// What a description does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `noop`
    Noop,
    /// `set NAME = VALUE`
    Set {
        /// The variable's name.
        name: Vec<u8>,
        /// Its new value.
        value: Expression,
    },
    /// `fields NAME …`
    Fields(Vec<Vec<u8>>),
    /// `print VALUE …`
    Print(Vec<Expression>),
    /// `show TEXT endshow`: the text, in which variables are not yet substituted.
    Show(Vec<u8>),
    /// `clearbuf`
    ClearBuffer,
    /// `appendport`, `inputport`, `outputport`
    FilePort {
        /// How the file is opened.
        mode: FileMode,
        /// The port's name.
        port: Expression,
        /// The file's name.
        file: Expression,
    },
    /// `execport PORT PROGRAM ARGUMENT …`
    ProcessPort {
        /// The port's name.
        port: Expression,
        /// The program and its arguments: at least one.
        command: Vec<Expression>,
    },
    /// `put`, `put PORT VALUE …`
    Put {
        /// The port's name; the default port without.
        port: Option<Expression>,
        /// What is put; the buffer without.
        values: Vec<Expression>,
    },
    /// `closeinput`, `closeoutput`, `closeport`
    Close {
        /// What is closed.
        directions: Directions,
        /// The port's name.
        port: Expression,
    },
    /// `exec PROGRAM ARGUMENT …`
    Execute(Vec<Expression>),
    /// `if … then … elseif … else … endif`
    If {
        /// The first one whose condition holds is run.
        branches: Vec<Branch>,
        /// Run when none holds.
        otherwise: Vec<Statement>,
    },
    /// `case SUBJECT match … default … endcase`
    Case {
        /// What is compared.
        subject: Expression,
        /// The first one that matches is run.
        arms: Vec<Arm>,
    },
    /// `while … do … endwhile`
    While {
        /// The condition, and what is repeated.
        branch: Branch,
    },
    /// `break`
    Break,
    /// `exit`
    Exit,
}

/// Statements with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The condition.
    pub condition: Expression,
    /// What is done when it holds.
    pub body: Vec<Statement>,
}

/// A part of a `case`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// `match VALUE, …`; none for `default`, which always matches.
    pub values: Option<Vec<Expression>>,
    /// What is done.
    pub body: Vec<Statement>,
}

/// How a port's file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// `appendport`
    Append,
    /// `inputport`
    Input,
    /// `outputport`
    Output,
}

/// The directions of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// `closeinput`
    Input,
    /// `closeoutput`
    Output,
    /// `closeport`
    Both,
}

/// What gives a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A string.
    Text(Vec<u8>),
    /// `$NAME`, in brackets or not.
    Variable(Vec<u8>),
    /// `!`
    Not(Box<Expression>),
    /// `a + b + …`: at least two, so that a long sum is not deep.
    Concatenation(Vec<Expression>),
    /// `==`
    Equal(Box<Expression>, Box<Expression>),
    /// `!=`
    NotEqual(Box<Expression>, Box<Expression>),
    /// `=~`
    Matches(Box<Expression>, Box<Expression>),
    /// `!~`
    MatchesNot(Box<Expression>, Box<Expression>),
    /// `a & b & …`: at least two, all of which are evaluated.
    And(Vec<Expression>),
    /// `a | b | …`: at least two, all of which are evaluated.
    Or(Vec<Expression>),
    /// `buffer()`
    Buffer,
    /// A function of one value.
    Call(Function, Box<Expression>),
    /// A function of a text and a set or a length; the text is cut where it is a variable.
    Cut(SetFunction, Box<Expression>, Box<Expression>),
}

/// Functions of one value (zwgc, section 7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `substitute`
    Substitute,
    /// `protect`
    Protect,
    /// `verbatim`
    Verbatim,
    /// `stylestrip`
    StyleStrip,
    /// `getenv`
    GetEnv,
    /// `upcase`
    UpCase,
    /// `downcase`
    DownCase,
    /// `zvar`
    ZephyrVariable,
    /// `get`
    Get,
}

/// Functions that take a part off a text (zwgc, section 7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetFunction {
    /// `lany`
    LeftAny,
    /// `rany`
    RightAny,
    /// `lbreak`
    LeftBreak,
    /// `rbreak`
    RightBreak,
    /// `lspan`
    LeftSpan,
    /// `rspan`
    RightSpan,
}
