use super::{
    DEFAULT, Expression, MAX_DEPTH, MAX_PROBLEMS, Problem,
    ProblemKind::{self, LineEndInString, Syntax, UnterminatedComment, UnterminatedShow, UnterminatedString},
    Program, Statement, parse,
};

/// What the C program says of descriptions, and of which line.
#[test]
fn the_first_problem_is_that_of_the_c_program() {
    let rows: [(&[u8], ProblemKind, usize); 27] = [
        (b"put \"stdout\" \"abc\nput \"stdout\" \"x\"\n", LineEndInString, 1),
        (b"set a = \"1\\\n2\nput", LineEndInString, 2),
        (b"set a = \"1\"\n\nset b = \"x", UnterminatedString, 3),
        (b"set a = \"1\\\n2\\\n", UnterminatedString, 1),
        (b"set a = \"1\0\"", UnterminatedString, 1),
        (b"set a = \"1\"\nshow\nabc\n", UnterminatedShow, 2),
        (b"noop\n/* a\nb *\n", UnterminatedComment, 2),
        (b"if \"true\" then\nput \"stdout\" \"x\"\n", Syntax, 3),
        (b"\nif \"true\"\nput \"stdout\" \"x\" endif\n", Syntax, 3),
        (b"set a = \"1\"\nset b = 1\n@\n", Syntax, 2),
        (b"set a = $\n", Syntax, 2),
        (b"set a = $ \n", Syntax, 1),
        (b"set a = \"x\" /\n", Syntax, 2),
        (b"set if = \"x\"\n", Syntax, 1),
        (b"put \"stdout\" lany(\"a\")\n", Syntax, 1),
        (b"put \"stdout\" foo\n", Syntax, 1),
        (b"if (\"a\" == \"b\" then\nnoop endif\n", Syntax, 1),
        (b"case \"a\" match put \"stdout\" \"x\" endcase\n", Syntax, 1),
        (b"\n\n\nset a \"b\"\n\n", Syntax, 4),
        // A text that cannot stand there is read to its end before.
        (b"set\n\"a\\\nb\"\n", Syntax, 3),
        (b"set\nshow\nx\nendshow\n", Syntax, 4),
        (b"noop\r\nnoop\r\n", Syntax, 1),
        (b"noop\n\x0cnoop\n", Syntax, 2),
        (b"set a = ${b}", Syntax, 1),
        (b"print $a . $b", Syntax, 1),
        (b"Noop", Syntax, 1),
        (b"noop endif", Syntax, 1),
    ];
    for (text, kind, line) in rows {
        let problems = parse(text).expect_err("it is wrong");
        let Problem { kind: found, .. } = problems[0];
        assert_eq!((found, problems[0].c_line()), (kind, line), "{}", text.escape_ascii());
        assert_eq!(problems.len(), 1, "{}: {problems:?}", text.escape_ascii());
    }
}

#[test]
fn kinds_are_displayed_as_scripts_know_them() {
    let kinds = [Syntax, UnterminatedString, LineEndInString, UnterminatedShow, UnterminatedComment];
    assert_eq!(
        kinds.map(|kind| kind.to_string()),
        [
            "syntax error",
            "unterminated string found beginning",
            "carriage return found in string",
            "unterminated show beginning",
            "unterminated c style comment found beginning",
        ]
    );
}

/// Each problem once, with its place, and none that only follows from another one.
#[test]
fn all_problems_are_found_at_once() {
    let rows: [(&str, &[&str]); 21] = [
        (
            "if $a = \"b\" then put \"x\" endif\nput foo bar baz\nset x = \"ok\"\nset = \"y\"",
            &[
                "1:7: expected `then`, not `=`; values are compared with `==`",
                "2:5: expected a value or a statement, not `foo`; a variable has `$` before its name, a text is in `\"`",
                "4:5: expected a variable's name, not `=`",
            ],
        ),
        ("if \"a\" put \"x\" else put \"y\" endif noop", &["1:8: expected `then`, not `put`"]),
        ("if @ then noop endif foo", &["1:4: unexpected `@`", "1:22: expected a statement, not `foo`"]),
        ("set a = \"b\";\nset c = \"d\";\n", &["1:12: unexpected `;`", "2:12: unexpected `;`"]),
        ("set a = “b”\nset c = \"\"", &["1:9: unexpected `“`"]),
        (
            "print \"a\nprint \"b\nprint \"c\"",
            &[
                "1:9: expected `\"`, which ends the string; `\\` before the line's end continues it",
                "2:9: expected `\"`, which ends the string; `\\` before the line's end continues it",
            ],
        ),
        (
            "if \"a\" then\nwhile \"b\" do\n  case \"c\" match \"d\"\n endif\nendwhile",
            &["4:2: expected `endcase` (of line 3), not `endif`"],
        ),
        ("if \"a\" then\n  while \"b\" do\n", &["2:3: its `endwhile` is missing", "1:1: its `endif` is missing"]),
        (
            "If \"a\" THEN put \"x\" Else put \"y\" ENDIF noop",
            &[
                "1:1: expected a statement, not `If`; the words of the language are in lower case",
                "1:8: expected `then`, not `THEN`; the words of the language are in lower case",
                "1:21: expected a statement, not `Else`; the words of the language are in lower case",
                "1:34: expected a statement, not `ENDIF`; the words of the language are in lower case",
            ],
        ),
        (
            "if \"a\" then else noop else noop elseif \"b\" then noop endif",
            &["1:23: expected `endif` after `else`, not `else`", "1:33: expected `endif` after `else`, not `elseif`"],
        ),
        (
            "case \"a\" put \"x\" match \"b\" noop endcase",
            &["1:10: expected `match`, `default` or `endcase`, not `put`"],
        ),
        (
            "case a match b, \"c\" noop match noop default noop endcase",
            &[
                "1:6: expected a value, not `a`; a variable has `$` before its name, a text is in `\"`",
                "1:14: expected a value, not `b`; a variable has `$` before its name, a text is in `\"`",
                "1:32: expected a value, not `noop`",
            ],
        ),
        ("case \"a\" then noop endcase", &["1:10: expected `match`, `default` or `endcase`, not `then`"]),
        ("set a =\n\n", &["1:8: expected a value, not the file's end"]),
        (
            "set if = foo\nset get \"x\"",
            &["1:5: expected a variable's name, not `if`", "2:5: expected a variable's name, not `get`"],
        ),
        ("noop\r\nnoop\r\nput \"a\r\"\r\n", &["1:5: a carriage return: lines end with a newline alone"]),
        (
            "print lany(\"a\")\nprint buffer\nclosePort \"x\"",
            &[
                "1:15: expected `,` and another value, not `)`",
                "3:1: expected `(`, not `closePort`; the words of the language are in lower case",
            ],
        ),
        ("noop / noop", &["1:6: expected `/*`, which begins a comment, not `/` alone"]),
        ("while \"a\" { noop } endwhile", &["1:11: unexpected `{`", "1:18: unexpected `}`"]),
        (
            "endshow then do match noop else noop",
            &[
                "1:1: expected a statement, not `endshow`",
                "1:17: expected a statement, not `match`",
                "1:28: expected a statement, not `else`",
            ],
        ),
        (
            "set show\nx\nendshow = \"a\"\nbreak it",
            &[
                "1:5: expected a variable's name, not `show`",
                "3:9: expected a statement, not `=`",
                "4:7: expected a statement, not `it`",
            ],
        ),
    ];
    for (text, expected) in rows {
        let problems = parse(text.as_bytes()).expect_err("it is wrong");
        let shown = problems.iter().map(|Problem { line, column, detail, .. }| format!("{line}:{column}: {detail}"));
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn problems_are_no_more_than_enough() {
    assert_eq!(parse("noop foo\n".repeat(100).as_bytes()).expect_err("wrong").len(), MAX_PROBLEMS);
    assert_eq!(parse("if ".repeat(100).as_bytes()).expect_err("wrong").len(), MAX_PROBLEMS);
}

#[test]
fn excerpts_show_the_place() {
    let text = "noop\n\tset \u{e9}tude \u{1b}[1m\u{202e} = \"b\"\n".as_bytes();
    let problems = parse(text).expect_err("it is wrong");
    assert_eq!(
        problems[0].excerpt(text, "a\nfile"),
        "a\\u{a}file:2:6: expected a variable's name, not `étude`\n  |  set étude \\u{1b}[1m\\u{202e} = \"b\"\n  |      ^\n"
            .replace("expected a variable's name, not `étude`", "unexpected `é`")
    );
    let long = format!("set a = \"{}\" + foo{}", "x".repeat(1000), " ".repeat(1000));
    let excerpt = parse(long.as_bytes()).expect_err("it is wrong")[0].excerpt(long.as_bytes(), "f");
    let lines: Vec<&str> = excerpt.lines().collect();
    assert_eq!(lines[1], format!("  | {}\" + foo", "x".repeat(56)));
    assert_eq!(lines[2], format!("  | {}^", " ".repeat(60)));
    // A place at the file's end, and a text that is not the one which was parsed.
    let end = parse(b"set a").expect_err("it is wrong");
    assert_eq!(end[0].excerpt(b"set a", "f"), "f:1:6: expected `=`, not the file's end\n  | set a\n  |      ^\n");
    assert_eq!(end[0].excerpt(b"", "f"), "f:1:6: expected `=`, not the file's end\n  |\n  | ^\n");
}

fn printed(text: &str) -> Vec<Vec<u8>> {
    let program = parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let texts = program.statements.into_iter().map(|statement| match statement {
        Statement::Show(text) => vec![text],
        Statement::Print(values) => values
            .into_iter()
            .map(|value| match value {
                Expression::Text(text) | Expression::Variable(text) => text,
                value => panic!("{value:?}"),
            })
            .collect(),
        Statement::Fields(names) => names,
        _ => Vec::new(),
    });
    texts.flatten().collect()
}

#[test]
fn texts_names_and_comments() {
    let long = "a".repeat(128);
    let rows: [(&str, &[&[u8]]); 19] = [
        (r#"print "\n\t\b\r\a\x41\"\\""#, &[b"\n\t\x08rax41\"\\"]),
        (r#"print "\101\1012\60\7\08\0|\000|\1\12|\377|\8\9""#, &[b"AA20\x078||\x01\n|\xff|89"]),
        (r#"print "\400\777""#, &[b"\xff"]),
        ("print \"line\\\ncontinued\"", &[b"linecontinued"]),
        ("print \"# no comment /* nor this */\" # one\n\"b\"", &[b"# no comment /* nor this */", b"b"]),
        ("/**/print \"1\"/***/\"2\"/* / * **/\"3\"/*/ x */\"4\"\n##", &[b"1", b"2", b"3", b"4"]),
        ("print$if$1a\"\"$_", &[b"if", b"1a", b"", b"_"]),
        ("fields a 1 b_2 If noop fields", &[b"a", b"1", b"b_2", b"If"]),
        (&format!("fields {long}aaa print ${long}bbb"), &[long.as_bytes(), long.as_bytes()]),
        ("show endshow", &[b""]),
        ("show\nx\nendshow#c", &[b"x\n"]),
        ("show \t \n\n x\n\ty \n \tendshow print \"z\"", &[b"\nx\ny \n", b"z"]),
        ("show x\nendshow", &[b"x\n"]),
        ("show\n#no comment\n/*nor this*/\n\"\nendshow", &[b"#no comment\n/*nor this*/\n\"\n"]),
        (
            "show\n a\\tb\\\\c\\101 \"q\" \\\"\n endsho\\w\n endshows endshow\n   endshow_\n \\  keep\n x\\\n   y\n endshow",
            &[b"a\tb\\cA \"q\" \"\nendshow\nendshows endshow\nendshow_\n  keep\nxy\n"],
        ),
        ("show\n\\000\\n x\nendshow", &[b"\n x\n"]),
        ("show\nx\\\nendshow", &[b"x"]),
        ("print \"a\"\0 nothing of this is read", &[b"a"]),
        ("", &[]),
    ];
    for (text, expected) in rows {
        assert_eq!(printed(text), expected, "{text}");
    }
}

/// The same description with brackets that say what belongs together.
#[test]
fn operators_bind_as_they_should() {
    let rows = [
        (r#"!"a"=="a""#, r#"(!"a")=="a""#),
        (r#"!"a"+"b""#, r#"(!"a")+"b""#),
        (r#"not not"a""#, r#"!(!("a"))"#),
        (r#""a"+"b"=="c""#, r#"("a"+"b")=="c""#),
        (r#""a"!="b"!="c""#, r#"("a"!="b")!="c""#),
        (r#""a"=~"b"=="c"!~"d""#, r#"(("a"=~"b")=="c")!~"d""#),
        (r#""a"&"b"=="c""#, r#""a"&("b"=="c")"#),
        (r#""a"|"b"and"c"or"d""#, r#""a"|("b"&"c")|"d""#),
        ("$a", "(($a))"),
        ("buffer()", "(buffer ( ))"),
        ("lany($a,\"b\"+\"c\")", "lany(($a),(\"b\"+\"c\"))"),
    ];
    for (text, bracketed) in rows {
        let [plain, bracketed] = [text, bracketed].map(|value| parse(format!("set x={value}").as_bytes()));
        assert!(plain.is_ok() && plain == bracketed, "{text}: {plain:?}");
    }
    // Values are as long as possible.
    let count = |text: &str| match parse(text.as_bytes()).map(|program| program.statements) {
        Ok(statements) => match &statements[..] {
            [Statement::Print(values)] => values.len(),
            other => panic!("{other:?}"),
        },
        Err(problems) => panic!("{problems:?}"),
    };
    assert_eq!(count(r#"print $a + "x" "y" !"z" ("a") lany($b,"c")buffer()"#), 6);
    assert_eq!(count(r#"print"a"!="b""c"!"d"=~"e"$f"#), 4);
}

#[test]
fn depth_is_limited() {
    let in_brackets = |depth: usize| format!("print {}\"a\"{}", "(".repeat(depth), ")".repeat(depth));
    let negated = |depth: usize| format!("print {}\"a\"", "!".repeat(depth));
    let called = |depth: usize| format!("print {}\"a\"{}", "get(".repeat(depth), ")".repeat(depth));
    let compared = |depth: usize| format!("print \"a\"{}", "==\"a\"".repeat(depth));
    let conditional = |depth: usize| format!("{} noop {}", "if $a then ".repeat(depth), "endif ".repeat(depth));
    // Levels of different kinds add up: each pair of brackets has three of them within.
    let mixed = |depth: usize| format!("print {}\"a\"{}", "(\"a\"|\"b\"==\"c\"+".repeat(depth), ")".repeat(depth));
    type Text<'a> = &'a dyn Fn(usize) -> String;
    let rows: [(Text<'_>, usize); 6] = [
        (&in_brackets, MAX_DEPTH - 2),
        (&negated, MAX_DEPTH - 2),
        (&called, MAX_DEPTH - 2),
        (&compared, MAX_DEPTH - 2),
        (&conditional, MAX_DEPTH - 1),
        (&mixed, (MAX_DEPTH - 3) / 3),
    ];
    for (text, most) in rows {
        assert!(parse(text(most).as_bytes()).is_ok(), "{}", text(most));
        for depth in [most + 2, 1_000_000] {
            let problems = parse(text(depth).as_bytes()).expect_err("it is too deep");
            assert_eq!(problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::TooDeep]);
        }
    }
    // Operands beside each other are not deep.
    for operator in ["+", "&", "|", " "] {
        assert!(parse(format!("print \"a\"{}", format!("{operator}\"a\"").repeat(100_000)).as_bytes()).is_ok());
    }
}

#[test]
fn the_default_description_is_valid() {
    let Program { statements } = parse(DEFAULT).expect("it is ours");
    assert!(!statements.is_empty());
}

/// A misspelt word that is the last problem that is told stays the end of the parse, whatever it would have begun.
#[test]
fn the_parse_ends_with_the_last_problem_that_is_told() {
    for word in ["matCh", "Default", "If", "ELSE", "While"] {
        for before in ["case $e ", "if $e then ", "while $e do case $e match $e "] {
            let text = "set 1\n".repeat(MAX_PROBLEMS - 1) + before + word + " \"\"";
            let problems = parse(text.as_bytes()).expect_err("it is wrong");
            assert_eq!(problems.len(), MAX_PROBLEMS, "{before}{word}: {problems:?}");
        }
    }
}
