//! zlocate's output (clients, section 3).

use super::options::Options;
use std::io::Write;
use zephyr_client::UserLocation;
use zephyr_core::{sanitize, screen::Screen};

/// The writer of zlocate's output.
pub struct Report<'a> {
    /// The options.
    pub options: &'a Options,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// The screen that it is shown on.
    pub screen: Screen,
    /// Whether something was written of another user.
    pub has_begun: bool,
}

// What cannot be written stops nothing: who gives the output looks at that in the end.
impl Report<'_> {
    /// Reports where a user is; `user` with his realm.
    pub fn located(&mut self, user: &[u8], locations: &[UserLocation]) {
        let user = sanitize::name(user);
        if self.options.one_line {
            for UserLocation { host, time, tty } in locations {
                let [host, tty, time] = [host, tty, time].map(|text| sanitize::name(text));
                self.line(&format!("{user}:\t{host}\t{tty}\t{time}"));
            }
            return;
        }
        let is_one_of_several = self.options.users.len() > 1;
        if is_one_of_several {
            // With -p the empty line is between two users.
            if self.options.parallel && self.has_begun {
                self.line("");
            }
            self.line(&format!("\t{user}:"));
        }
        if locations.is_empty() {
            self.line("Hidden or not logged-in");
        }
        for UserLocation { host, time, tty } in locations {
            let [host, tty, time] = [host, tty, time].map(|text| sanitize::name(text));
            self.line(&format!("{host:<42} {tty:<7} {time}"));
        }
        if is_one_of_several && !self.options.parallel {
            self.line("");
        }
        self.has_begun = true;
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{}", self.screen.line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zlocate::options::{Parsed, parse};

    fn place(host: &str, tty: &str, time: &str) -> UserLocation {
        UserLocation { host: host.into(), tty: tty.into(), time: time.into() }
    }

    fn shown(line: &str, screen: Screen, found: &[&[UserLocation]]) -> String {
        let arguments = line.split_whitespace().map(|argument| argument.as_bytes().to_vec()).collect();
        let Ok(Parsed::Locate(options)) = parse(arguments) else { panic!("{line}") };
        let mut out = Vec::new();
        let mut report = Report { options: &options, out: &mut out, screen, has_begun: false };
        for (user, locations) in options.users.iter().zip(found) {
            report.located(user, locations);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn users_and_their_locations() {
        let bob =
            [place("zsrv.example", "pts/1", "Sun Nov 22 11:01:03 2026"), place("b.example", "a longer one", "now")];
        let bobs = "zsrv.example                               pts/1   Sun Nov 22 11:01:03 2026\n\
                    b.example                                  a longer one now\n";
        let on_one_line = "bob:\tzsrv.example\tpts/1\tSun Nov 22 11:01:03 2026\nbob:\tb.example\ta longer one\tnow\n";
        let none = "Hidden or not logged-in\n";
        for (line, found, text) in [
            ("bob", &[&bob[..]][..], bobs.to_owned()),
            ("al", &[&[]], none.to_owned()),
            ("al bob", &[&[], &bob], format!("\tal:\n{none}\n\tbob:\n{bobs}\n")),
            ("-p al bob", &[&[], &bob], format!("\tal:\n{none}\n\tbob:\n{bobs}")),
            ("-1 al bob", &[&[], &bob], on_one_line.to_owned()),
            ("-p -1 bob", &[&bob], on_one_line.to_owned()),
        ] {
            assert_eq!(shown(line, Screen::None, found), text, "{line}");
        }
    }

    #[test]
    fn what_others_say_begins_no_line_and_no_row() {
        let hostile = [place("h\n\x1b[2J\tx", "t\ty", "\u{202e}now\r")];
        let text = "h\\u{a}\\u{1b}[2J\\u{9}x                      t\\u{9}y \\u{202e}now\\u{d}\n";
        assert_eq!(shown("bob", Screen::None, &[&hostile]), text);
        assert_eq!(shown("-1 bob", Screen::None, &[&hostile]).matches('\t').count(), 3);
        let long = [place(&"h".repeat(200), "t", "now")];
        let shown = shown("bob", Screen::Columns(40), &[&long]);
        assert!(shown.lines().count() > 4 && shown.lines().skip(1).all(|row| row.starts_with("    ")), "{shown}");
    }
}
