use super::*;

fn read(content: &str) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let mut reader = Reader::new(Path::new("f"), content);
    let mut top = reader.parse();
    let mut found = Vec::new();
    for named in top.named("thing") {
        let name = named.name.clone();
        let mut section = top.enter(named);
        let mut words = Vec::new();
        section.read_list("words", &mut words, |word| match word {
            "bad" => Err("not that"),
            word => Ok(word.to_owned()),
        });
        section.finish();
        found.push((name, words));
    }
    top.finish();
    (found, reader.finish().findings.problems.iter().map(Problem::to_string).collect())
}

#[test]
fn sections_of_any_name_come_in_the_files_order() {
    let (found, problems) = read("[thing.z]\nwords = [\"a\"]\n[thing.\"a.b\"]\n[thing.c]\n");
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, problems), (vec!["z", "a.b", "c"], Vec::new()));
    assert_eq!(found[0].1, ["a"]);
}

#[test]
fn problems_in_them_have_places() {
    let (_, problems) = read("thing.y = 3\n[thing.x]\nword = 1\nwords = [\"ok\",\n  \"bad\"]\n");
    assert_eq!(
        problems,
        [
            "f:1:11: expected a section, [thing.y], not an integer",
            "f:3:1: unknown setting word in section thing.x, did you mean words?",
            "f:5:3: words: not that",
        ]
    );
    let (_, problems) = read("[thing.x]\nwords = [\"ok\", 7]");
    assert_eq!(problems, ["f:2:16: words: expected a text in quotes, not 7"]);
}

/// What is read of section `s` that has `new`, once called `old`; then the problems, and the warnings.
fn renamed(content: &str) -> (usize, [Vec<String>; 2]) {
    let mut reader = Reader::new(Path::new("f"), content);
    let mut top = reader.parse();
    let mut section = top.section("s");
    let mut new = 0;
    section.renamed("old", "new");
    section.read("new", &mut new);
    section.finish();
    top.finish();
    let Report { findings: Findings { problems, warnings }, settings } = reader.finish();
    assert_eq!(settings, ["s.new"]);
    (new, [problems, warnings].map(|found| found.iter().map(Problem::to_string).collect()))
}

#[test]
fn a_renamed_setting_is_still_read() {
    let warning = "f:2:1: setting old is now called new".to_owned();
    assert_eq!(renamed("[s]\nnew = 7\n"), (7, [vec![], vec![]]));
    assert_eq!(renamed("[s]\nold = 7\n"), (7, [vec![], vec![warning.clone()]]));
    let wrong = "f:2:7: new: expected a whole number from 0, not true".to_owned();
    assert_eq!(renamed("[s]\nold = true\n"), (0, [vec![wrong], vec![warning]]));
    let both = "f:3:1: setting old is now called new, and both are given".to_owned();
    assert_eq!(renamed("[s]\nnew = 7\nold = 8\n"), (7, [vec![both], vec![]]));
    let unknown = "f:2:1: unknown setting olds in section s; there are new".to_owned();
    assert_eq!(renamed("[s]\nolds = 7\n"), (0, [vec![unknown], vec![]]));
}

#[test]
fn what_is_passed_over_is_known_and_not_looked_at() {
    for section in ["[s]\nx = 1", "s = 3", "[s.t]", "[[s]]", ""] {
        let mut reader = Reader::new(Path::new("f"), section);
        let mut top = reader.parse();
        top.skip("s");
        top.finish();
        assert_eq!(reader.finish().findings, Findings::default(), "{section}");
    }
    let mut reader = Reader::new(Path::new("f"), "[other]");
    let mut top = reader.parse();
    top.skip("others");
    top.finish();
    let problems = reader.finish().findings.problems;
    assert_eq!(problems[0].to_string(), "f:1:2: unknown section other, did you mean others?");
}

#[test]
fn what_cannot_be_seen_is_named() {
    for (content, expected) in [
        ("[thing.x]\n\u{200b}words = []\n", "f:2:1: a character that cannot be seen: \\u{200b}"),
        ("[thing.x]\r\nwor\u{200b}ds = []\r\n", "f:2:4: a character that cannot be seen: \\u{200b}"),
        ("[thing.x]\nwords =\u{a0}[]\n", "f:2:8: a blank that is not the usual one: \\u{a0}"),
        ("\n\u{feff}[thing.x]\n", "f:2:1: a character that cannot be seen: \\u{feff}"),
        ("[thing.x]\nwords = [] \0\n", "f:2:12: a NUL octet"),
    ] {
        assert_eq!(read(content).1, [expected], "{content:?}");
    }
    // What is only written about is not what is wrong.
    for content in ["[thing.x]\nwords = [\"\u{200b}\"\n", "[thing.x]\nwords = [ # \u{200b}\n"] {
        let problems = read(content).1;
        assert!(!problems.is_empty() && problems.iter().all(|problem| !problem.contains("seen")), "{problems:?}");
    }
}
