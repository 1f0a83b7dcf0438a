//! The names of interesting people: one on each line of a file (clients, section 4).

use zephyr_core::{
    principal::Principal,
    text_file::{self, Oddity},
};

/// A line that is passed over, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub oddity: Oddity,
}

/// The names in a file's text, in their order, and the lines that are passed over. A line may end in a comment after `#`; white space
/// around a name means nothing; lines that begin with `@` are not for znol.
pub fn read(text: &[u8]) -> (Vec<Vec<u8>>, Vec<Problem>) {
    let (mut names, mut problems) = (Vec::new(), Vec::new());
    for line in text_file::lines(text) {
        let name = line.text.split(|&octet| octet == b'#').next().unwrap_or_default().trim_ascii_end();
        let odd = line.oddity().or_else(|| text_file::oddity(name));
        match odd {
            Some((_, oddity)) => problems.push(Problem { line: line.number, oddity }),
            None if name.is_empty() || name.starts_with(b"@") => {}
            None => names.push(name.to_vec()),
        }
    }
    (names, problems)
}

/// The recipient of what is told when a user logs in or out, as subscriptions have it: everybody of the user's realm, `local` being ours.
pub fn recipient(user: &[u8], local: &str) -> Vec<u8> {
    match Principal::parse(user).realm {
        Some(realm) if realm != local.as_bytes() => [b"*@", realm].concat(),
        _ => b"*".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let (names, problems) = read(text.as_bytes());
        assert_eq!(problems, [], "{text:?}");
        names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn each_line_has_a_name() {
        assert_eq!(names("bob\ncarol@ELSEWHERE\n"), ["bob", "carol@ELSEWHERE"]);
        assert_eq!(names("bob  \r\n\t carol\n\n@later\n \n"), ["bob", "carol"]);
        assert_eq!(names("# all\nbob # friend\ncarol#\n #\n"), ["bob", "carol"]);
    }

    /// Where C loses a letter.
    #[test]
    fn no_letter_is_lost_at_the_end_of_a_file_and_before_a_comment() {
        assert_eq!(names("bob\ncarol"), ["bob", "carol"]);
        assert_eq!(names("bob#x\ncarol#y"), ["bob", "carol"]);
        assert_eq!(names("b"), ["b"]);
        assert!(names("").is_empty());
    }

    #[test]
    fn what_is_not_what_it_looks_like_is_no_name() {
        let (names, problems) =
            read("bob\u{200b}\nca\0rol\ndave\ne\x1bve # x\nfr\rank\n# caf\u{e9}\u{feff}\n".as_bytes());
        assert_eq!(names, [b"dave"]);
        let lines: Vec<(usize, Oddity)> = problems.into_iter().map(|problem| (problem.line, problem.oddity)).collect();
        let expected =
            [(1, Oddity::Invisible('\u{200b}')), (2, Oddity::Nul), (4, Oddity::Control), (5, Oddity::CarriageReturn)];
        assert_eq!(lines, expected);
        let (names, problems) = read(b"caf\xe9\n");
        assert_eq!((names.len(), problems[0].oddity), (0, Oddity::NotUtf8(0xe9)));
    }

    #[test]
    fn recipients() {
        for (user, expected) in [("bob@R", "*"), ("bob@S", "*@S"), ("bob", "*"), (r"b\@S@R", "*")] {
            assert_eq!(recipient(user.as_bytes(), "R"), expected.as_bytes(), "{user}");
        }
    }
}
