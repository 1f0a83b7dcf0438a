//! What zleave tells the process that reminds in the background, by that one's standard input: nobody else sees it there.

use std::{
    io::{self, Read},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zephyr_core::{body, limits::MAX_NOTICE};

/// The way of the reminders to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As notices to the zwgc that has subscribed to them.
    Notices,
    /// Written to the terminal that is standard error.
    Terminal,
}

/// What to remind of, when, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// When zleave was started, in whole seconds: reminders before are left out.
    pub begin: SystemTime,
    /// When to leave, in whole seconds.
    pub leave: SystemTime,
    /// How the reminders go.
    pub way: Way,
    /// To whom: the user's name, with the realm.
    pub user: Vec<u8>,
    /// A text in every reminder. Without NULs, as no argument has any.
    pub text: Option<Vec<u8>>,
}

impl State {
    /// The octets that [`State::read`] reads.
    pub fn to_octets(&self) -> Vec<u8> {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let (begin, leave) = (seconds(self.begin), seconds(self.leave));
        let way = match self.way {
            Way::Notices => &b"notices"[..],
            Way::Terminal => b"terminal",
        };
        body::of_texts([begin.as_bytes(), leave.as_bytes(), way, &self.user].into_iter().chain(self.text.as_deref()))
    }

    /// Reads it to the input's end.
    ///
    /// # Errors
    ///
    /// When reading fails, or what was read is something else.
    pub fn read(input: impl Read) -> io::Result<Self> {
        let mut octets = Vec::new();
        // A text that is longer goes into no notice.
        input.take(2 * MAX_NOTICE as u64).read_to_end(&mut octets)?;
        Self::parse(&octets).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn parse(octets: &[u8]) -> Option<Self> {
        let mut texts = body::texts(octets);
        let time = |text: &[u8]| {
            let seconds = str::from_utf8(text).ok()?.parse().ok()?;
            UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        };
        let (begin, leave) = (time(texts.next()?)?, time(texts.next()?)?);
        let way = match texts.next()? {
            b"notices" => Way::Notices,
            b"terminal" => Way::Terminal,
            _ => return None,
        };
        Some(Self { begin, leave, way, user: texts.next()?.to_vec(), text: texts.next().map(<[u8]>::to_vec) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let begin = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        for text in [None, Some(&b""[..]), Some(b"take\nthe \xff bins")] {
            for way in [Way::Notices, Way::Terminal] {
                let state = State {
                    begin,
                    leave: begin + Duration::from_secs(60),
                    way,
                    user: b"alice@R".to_vec(),
                    text: text.map(<[u8]>::to_vec),
                };
                assert_eq!(State::read(state.to_octets().as_slice()).unwrap(), state);
            }
        }
        for wrong in [
            &b""[..],
            b"1\0x\0notices\0a\0",
            b"1\x005\0smoke\0a\0",
            b"1\x005\0notices",
            b"1\x0099999999999999999999\0notices\0a\0",
        ] {
            assert!(State::read(wrong).is_err(), "{}", wrong.escape_ascii());
        }
        assert!(State::read(io::repeat(b'1')).is_err());
    }
}
