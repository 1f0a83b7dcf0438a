//! Messages of DNS (RFC 1035), as far as Hesiod needs them: a question for texts, and the answer to it.
//!
//! Everything in an answer is hostile: lengths and counts say nothing about how much there is, and names may point into
//! each other.

/// Octets of a name at most.
const MAX_NAME: usize = 255;
/// Octets of a label at most.
const MAX_LABEL: usize = 63;
/// Octets of a header.
const HEADER: usize = 12;
/// Names that stand for others, followed at most.
const MAX_ALIASES: usize = 8;
/// Texts taken from one answer, and their octets, at most.
const MAX_TEXTS: usize = 256;
const MAX_OCTETS: usize = 16 << 10;

/// Types of records.
const CNAME: u16 = 5;
const TXT: u16 = 16;
/// Flags of a header: an answer; cut off; the kind of question; recursion, which is asked for; the result.
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RESULT: u16 = 0x000f;
/// The result that there is no such name.
const NO_SUCH_NAME: u16 = 3;

/// A class of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// IN.
    Internet,
    /// HS.
    Hesiod,
}

impl Class {
    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        let is = |class: &str| name.eq_ignore_ascii_case(class);
        if is("IN") { Some(Self::Internet) } else { is("HS").then_some(Self::Hesiod) }
    }

    const fn number(self) -> u16 {
        match self {
            Self::Internet => 1,
            Self::Hesiod => 4,
        }
    }
}

/// A name in the form in which messages have it, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// The name of a text with dots; `None` when it is none.
    pub fn new(text: &str) -> Option<Self> {
        let mut octets = Vec::new();
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if !(1..=MAX_LABEL).contains(&label.len()) {
                return None;
            }
            octets.push(u8::try_from(label.len()).ok()?);
            octets.extend(label.bytes().map(|octet| octet.to_ascii_lowercase()));
        }
        octets.push(0);
        (octets.len() <= MAX_NAME).then_some(Self(octets))
    }

    /// Its octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These texts, each put together of its parts.
    Texts(Vec<Vec<u8>>),
    /// There is nothing.
    None,
    /// There is more than fits.
    Truncated,
}

/// Why a message is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is the answer to another question.
    #[error("an answer to another question")]
    Another,
    /// It ends too early, or contradicts itself.
    #[error("a malformed answer")]
    Malformed,
    /// The name server does not want to, or cannot.
    #[error("the name server refuses it (code {0})")]
    Refused(u16),
}

/// A question for the texts of a name.
pub fn query(id: u16, name: &Name, class: Class) -> Vec<u8> {
    let header = [id, RECURSION_DESIRED, 1, 0, 0, 0];
    let question = [TXT, class.number()];
    let octets = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    [octets(&header), name.0.clone(), octets(&question)].concat()
}

/// What a message answers to the question of this id for the texts of a name.
///
/// # Errors
///
/// When it is no answer to that.
pub fn answer(message: &[u8], id: u16, name: &Name, class: Class) -> Result<Answer, MessageError> {
    let mut reader = Reader { message, at: 0 };
    let (own_id, flags, questions, answers) = (reader.word()?, reader.word()?, reader.word()?, reader.word()?);
    let is_answer = flags & RESPONSE != 0 && flags & OPCODE == 0;
    if own_id != id || !is_answer || questions != 1 {
        return Err(MessageError::Another);
    }
    reader.at = HEADER;
    let asked = (reader.name()?, reader.word()?, reader.word()?);
    if asked != (name.clone(), TXT, class.number()) {
        return Err(MessageError::Another);
    }
    match flags & RESULT {
        0 => {}
        NO_SUCH_NAME => return Ok(Answer::None),
        result => return Err(MessageError::Refused(result)),
    }
    if flags & TRUNCATED != 0 {
        return Ok(Answer::Truncated);
    }
    let texts = reader.texts(answers, name, class)?;
    Ok(if texts.is_empty() { Answer::None } else { Answer::Texts(texts) })
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, octets: usize) -> Result<&'a [u8], MessageError> {
        let end = self.at.checked_add(octets).ok_or(MessageError::Malformed)?;
        let taken = self.message.get(self.at..end).ok_or(MessageError::Malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u16, MessageError> {
        let octets = self.take(2)?.first_chunk().ok_or(MessageError::Malformed)?;
        Ok(u16::from_be_bytes(*octets))
    }

    /// A name. A pointer leads only to what is before it, so that no name is without an end.
    fn name(&mut self) -> Result<Name, MessageError> {
        let mut name = Vec::new();
        let (mut at, mut end) = (self.at, None);
        loop {
            let length = usize::from(*self.message.get(at).ok_or(MessageError::Malformed)?);
            match length {
                0 => {
                    name.push(0);
                    self.at = end.unwrap_or(at + 1);
                    return Ok(Name(name));
                }
                1..=MAX_LABEL => {
                    let label = self.message.get(at + 1..at + 1 + length).ok_or(MessageError::Malformed)?;
                    // With the length before it, and the end that is still to come.
                    if name.len() + label.len() + 2 > MAX_NAME {
                        return Err(MessageError::Malformed);
                    }
                    name.push(u8::try_from(length).map_err(|_| MessageError::Malformed)?);
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += 1 + length;
                }
                0xc0.. => {
                    let low = usize::from(*self.message.get(at + 1).ok_or(MessageError::Malformed)?);
                    let target = (length & 0x3f) << 8 | low;
                    end.get_or_insert(at + 2);
                    if target >= at || target < HEADER {
                        return Err(MessageError::Malformed);
                    }
                    at = target;
                }
                _ => return Err(MessageError::Malformed),
            }
        }
    }

    /// The texts of a name, or of what it stands for, among so many records.
    fn texts(&mut self, records: u16, name: &Name, class: Class) -> Result<Vec<Vec<u8>>, MessageError> {
        let (mut owner, mut aliases) = (name.clone(), 0);
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut octets = 0;
        for _ in 0..records {
            let (of, kind, of_class) = (self.name()?, self.word()?, self.word()?);
            let _time_to_live = self.take(4)?;
            let length = usize::from(self.word()?);
            let data_at = self.at;
            let data = self.take(length)?;
            if of != owner || of_class != class.number() {
                continue;
            }
            match kind {
                CNAME => {
                    aliases += 1;
                    let mut target = Reader { message: self.message, at: data_at };
                    owner = target.name()?;
                    if target.at != self.at || aliases > MAX_ALIASES {
                        return Err(MessageError::Malformed);
                    }
                }
                TXT => {
                    let text = strings(data)?;
                    octets += text.len();
                    if texts.len() == MAX_TEXTS || octets > MAX_OCTETS {
                        return Err(MessageError::Malformed);
                    }
                    texts.push(text);
                }
                _ => {}
            }
        }
        Ok(texts)
    }
}

/// The strings of a record, put together.
fn strings(mut data: &[u8]) -> Result<Vec<u8>, MessageError> {
    let mut text = Vec::new();
    while let Some((&length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked(length.into()).ok_or(MessageError::Malformed)?;
        text.extend_from_slice(string);
        data = rest;
    }
    Ok(text)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The answer to a question, with these texts.
    pub(in crate::hesiod) fn answer_with(query: &[u8], texts: &[&str]) -> Vec<u8> {
        let mut answer = query.to_vec();
        answer[2] |= 0x80;
        answer[6..8].copy_from_slice(&u16::try_from(texts.len()).unwrap().to_be_bytes());
        for text in texts {
            // The name is that of the question.
            answer.extend([0xc0, 12, 0, 16]);
            answer.extend(&query[query.len() - 2..]);
            answer.extend([0, 0, 1, 0]);
            answer.extend(u16::try_from(text.len() + 1).unwrap().to_be_bytes());
            answer.push(u8::try_from(text.len()).unwrap());
            answer.extend(text.as_bytes());
        }
        answer
    }

    fn name() -> Name {
        Name::new("zephyr.sloc.ns.Example.edu").unwrap()
    }

    fn read(message: &[u8]) -> Result<Answer, MessageError> {
        answer(message, 0x1234, &name(), Class::Hesiod)
    }

    fn asked() -> Vec<u8> {
        query(0x1234, &name(), Class::Hesiod)
    }

    #[test]
    fn a_question_is_as_in_the_rfc() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
            \x06zephyr\x04sloc\x02ns\x07example\x03edu\x00\x00\x10\x00\x04";
        assert_eq!(asked(), expected);
        let label = "a".repeat(64);
        for wrong in ["", ".", "a..b", label.as_str(), &["abc"; 64].join(".")] {
            assert_eq!(Name::new(wrong), None, "{wrong}");
        }
        assert_eq!(Name::new("a.b."), Name::new("A.B"));
    }

    #[test]
    fn texts_are_read() {
        let texts = |texts: &[&str]| Ok(Answer::Texts(texts.iter().map(|text| text.as_bytes().to_vec()).collect()));
        assert_eq!(read(&answer_with(&asked(), &["one.test", "two.test"])), texts(&["one.test", "two.test"]));
        assert_eq!(read(&answer_with(&asked(), &[])), Ok(Answer::None));
        // Another name stands for it, and its text is in two parts.
        let mut aliased = answer_with(&asked(), &[]);
        aliased[7] = 2;
        aliased.extend(b"\xc0\x0c\x00\x05\x00\x04\x00\x00\x00\x00\x00\x04\x01z\xc0\x13");
        aliased.extend(b"\x01Z\xc0\x13\x00\x10\x00\x04\x00\x00\x00\x00\x00\x06\x02on\x02e.");
        assert_eq!(read(&aliased), texts(&["one."]));
    }

    #[test]
    fn what_was_not_asked_is_no_answer() {
        let good = answer_with(&asked(), &["one.test"]);
        for (at, octet) in [(0, 0x13), (2, 0x01), (2, 0x89), (5, 2), (5, 0), (13, b'x'), (good.len() - 16, 1)] {
            let mut other = good.clone();
            assert_ne!(other[at], octet);
            other[at] = octet;
            let expected = if at > 43 { Ok(Answer::None) } else { Err(MessageError::Another) };
            assert_eq!(read(&other), expected, "octet {at}");
        }
        assert_eq!(answer(&good, 0x1234, &name(), Class::Internet), Err(MessageError::Another));
        assert_eq!(answer(&good, 0x1234, &Name::new("other.test").unwrap(), Class::Hesiod), Err(MessageError::Another));
        let mut none = answer_with(&asked(), &[]);
        none[3] = 3;
        assert_eq!(read(&none), Ok(Answer::None), "no such name");
        none[3] = 5;
        assert_eq!(read(&none), Err(MessageError::Refused(5)));
    }

    #[test]
    fn names_that_point_at_themselves_have_an_end() {
        let pointing = |pointer: [u8; 2]| {
            let mut message = answer_with(&asked(), &[]);
            message[7] = 1;
            message.extend(pointer);
            message.extend(b"\x00\x10\x00\x04\x00\x00\x00\x00\x00\x00");
            read(&message)
        };
        let at = u8::try_from(asked().len()).unwrap();
        for target in [at, at + 1, 0, 11, 0xff] {
            assert_eq!(pointing([0xc0, target]), Err(MessageError::Malformed), "{target}");
        }
        assert_eq!(pointing([0xff, 0xff]), Err(MessageError::Malformed));
        assert_eq!(pointing([0x80, 12]), Err(MessageError::Malformed), "no such kind of label");
    }

    #[test]
    fn whatever_is_cut_off_is_malformed_and_nothing_is_allocated_for_what_is_claimed() {
        let good = answer_with(&asked(), &["one.test", "two.test"]);
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_err(), "{end} octets");
        }
        let mut many = answer_with(&asked(), &["one.test"]);
        many[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(read(&many), Err(MessageError::Malformed));
        assert_eq!(read(&answer_with(&asked(), &["x"; 257])), Err(MessageError::Malformed), "too many");
    }
}
