//! A question of DNS and what a message answers to it (RFC 1035, RFC 2782).

use hickory_proto::{
    op::{Header, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
    serialize::binary::{BinDecodable as _, BinDecoder},
};
use std::time::Duration;

/// Records of an answer that are looked at.
const MAX_RECORDS: u16 = 1024;
/// Names that stand for each other in one answer at most.
const MAX_ALIASES: usize = 8;

/// The class of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// HS: Hesiod.
    Hesiod,
    /// IN: the Internet.
    Internet,
}

/// The type of the records that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TXT.
    Text,
    /// SRV.
    Service,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    name: Name,
    class: Class,
    kind: Kind,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A text, put together of its strings.
    Text(Vec<u8>),
    /// Where a service is; `None` as target says that it is not there at all.
    Service {
        /// The rank: lower ones are tried first.
        priority: u16,
        /// The share among those of one priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host's name, without a dot at its end and not yet checked.
        target: Option<String>,
    },
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These records, none if there is nothing; and how long that holds.
    Records(Vec<Data>, Duration),
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

impl Class {
    /// The class of this name, as configurations have it.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "HS" => Some(Self::Hesiod),
            "IN" => Some(Self::Internet),
            _ => None,
        }
    }

    const fn of_dns(self) -> DNSClass {
        match self {
            Self::Hesiod => DNSClass::HS,
            Self::Internet => DNSClass::IN,
        }
    }
}

impl Question {
    /// What to ask for; `None` when that is no name of DNS.
    pub fn new(name: &str, class: Class, kind: Kind) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if !name.bytes().all(|octet| octet.is_ascii_graphic()) {
            return None;
        }
        let mut name = Name::from_labels(name.split('.').map(str::as_bytes)).ok()?;
        name.set_fqdn(true);
        Some(Self { name, class, kind })
    }

    /// The class in which is asked.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// A number for a message, which nobody can know.
    pub fn random_id() -> u16 {
        Message::query().metadata.id
    }

    /// The message that asks, with this number; `None` when there cannot be one.
    pub fn message(&self, id: u16) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.query());
        message.to_vec().ok()
    }

    /// What a message answers to this question with this number.
    ///
    /// # Errors
    ///
    /// When it is no answer to that.
    pub fn reply(&self, id: u16, message: &[u8]) -> Result<Reply, MessageError> {
        let mut decoder = BinDecoder::new(message);
        let Header { metadata, counts } = Header::read(&mut decoder).map_err(|_| MessageError::Malformed)?;
        let is_answer = metadata.message_type == MessageType::Response && metadata.op_code == OpCode::Query;
        if metadata.id != id || !is_answer || counts.queries != 1 {
            return Err(MessageError::Another);
        }
        let asked = Message::read_queries(&mut decoder, 1).map_err(|_| MessageError::Malformed)?;
        if asked != [self.query()] {
            return Err(MessageError::Another);
        }
        match metadata.response_code {
            ResponseCode::NoError => {}
            ResponseCode::NXDomain => return Ok(Reply::Records(Vec::new(), Duration::ZERO)),
            code => return Err(MessageError::Refused(code.into())),
        }
        if metadata.truncation {
            return Ok(Reply::Truncated);
        }
        let count = usize::from(counts.answers.min(MAX_RECORDS));
        let (records, ..) =
            Message::read_records(&mut decoder, count, false, OpCode::Query).map_err(|_| MessageError::Malformed)?;
        self.select(records)
    }

    /// The records of the name that was asked for, or of what it stands for.
    fn select(&self, records: Vec<Record>) -> Result<Reply, MessageError> {
        let (mut owner, mut aliases) = (self.name.clone(), 0);
        let (mut found, mut seconds) = (Vec::new(), u32::MAX);
        for record in records {
            if record.name != owner || record.dns_class != self.class.of_dns() {
                continue;
            }
            let data = match (record.data, self.kind) {
                (RData::CNAME(alias), _) => {
                    aliases += 1;
                    if aliases > MAX_ALIASES {
                        return Err(MessageError::Malformed);
                    }
                    owner = alias.0;
                    None
                }
                (RData::TXT(text), Kind::Text) => Some(Data::Text(text.txt_data.concat())),
                (RData::SRV(service), Kind::Service) => Some(Data::Service {
                    priority: service.priority,
                    weight: service.weight,
                    port: service.port,
                    target: (!service.target.is_root()).then(|| without_dot(&service.target)),
                }),
                _ => continue,
            };
            seconds = seconds.min(record.ttl);
            found.extend(data);
        }
        if found.is_empty() {
            seconds = 0;
        }
        Ok(Reply::Records(found, Duration::from_secs(seconds.into())))
    }

    fn query(&self) -> Query {
        let kind = match self.kind {
            Kind::Text => RecordType::TXT,
            Kind::Service => RecordType::SRV,
        };
        let mut query = Query::query(self.name.clone(), kind);
        query.set_query_class(self.class.of_dns());
        query
    }
}

fn without_dot(name: &Name) -> String {
    let mut text = name.to_ascii();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{record, response};

    const ID: u16 = 0x1234;

    fn question() -> Question {
        Question::new("zephyr.sloc.ns.Example.edu", Class::Hesiod, Kind::Text).unwrap()
    }

    fn query() -> Message {
        Message::from_vec(&question().message(ID).unwrap()).unwrap()
    }

    fn answer(code: ResponseCode, records: &[&str]) -> Vec<u8> {
        response(&query(), code, records.iter().map(|line| record(line)).collect()).to_vec().unwrap()
    }

    fn texts(octets: &[u8]) -> Result<(Vec<String>, u64), MessageError> {
        match question().reply(ID, octets)? {
            Reply::Records(records, valid_for) => {
                let text = |record| match record {
                    Data::Text(text) => String::from_utf8(text).unwrap(),
                    other @ Data::Service { .. } => panic!("{other:?}"),
                };
                Ok((records.into_iter().map(text).collect(), valid_for.as_secs()))
            }
            Reply::Truncated => panic!("truncated"),
        }
    }

    #[test]
    fn a_question_is_as_in_the_rfc() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\
            \x06zephyr\x04sloc\x02ns\x07Example\x03edu\x00\x00\x10\x00\x04";
        assert_eq!(question().message(ID).unwrap(), expected);
        let label = "a".repeat(64);
        for wrong in ["", ".", "a..b", "a b", "a\u{e4}", "a\0b", label.as_str(), &["abc"; 64].join(".")] {
            assert_eq!(Question::new(wrong, Class::Internet, Kind::Service), None, "{wrong}");
        }
        let same = |name| Question::new(name, Class::Internet, Kind::Service).unwrap();
        assert_eq!(same("_a._udp.B."), same("_a._udp.b"));
    }

    #[test]
    fn texts_are_those_of_the_name_or_of_what_it_stands_for() {
        let one =
            ["zephyr.sloc.ns.example.edu. 300 HS TXT one.test", "ZEPHYR.sloc.ns.example.edu. 200 HS TXT two.test"];
        assert_eq!(texts(&answer(ResponseCode::NoError, &one)), Ok((vec!["one.test".into(), "two.test".into()], 200)));
        let aliased = [
            "zephyr.sloc.ns.example.edu. 60 HS CNAME z.test.",
            "other.test. 10 HS TXT not.this",
            "z.test. 10 IN TXT not.this",
            "z.test. 300 HS TXT one.test",
        ];
        assert_eq!(texts(&answer(ResponseCode::NoError, &aliased)), Ok((vec!["one.test".into()], 60)));
        let alone = &aliased[..1];
        for none in [answer(ResponseCode::NXDomain, &[]), answer(ResponseCode::NoError, &[])] {
            assert_eq!(texts(&none), Ok((vec![], 0)));
        }
        assert_eq!(texts(&answer(ResponseCode::NoError, alone)), Ok((vec![], 0)), "nobody knows what it stands for");
        assert_eq!(texts(&answer(ResponseCode::ServFail, &one)), Err(MessageError::Refused(2)));
    }

    #[test]
    fn services_are_read() {
        let question = Question::new("_zephyr-clt._udp.x.test", Class::Internet, Kind::Service).unwrap();
        let query = Message::from_vec(&question.message(ID).unwrap()).unwrap();
        let records =
            ["_zephyr-clt._udp.x.test. 300 IN SRV 10 60 2103 a.x.test.", "_zephyr-clt._udp.x.test. 60 IN SRV 0 0 0 ."];
        let octets = response(&query, ResponseCode::NoError, records.map(record).into()).to_vec().unwrap();
        let service = |priority, weight, port, target: Option<&str>| Data::Service {
            priority,
            weight,
            port,
            target: target.map(str::to_owned),
        };
        let expected = vec![service(10, 60, 2103, Some("a.x.test")), service(0, 0, 0, None)];
        assert_eq!(question.reply(ID, &octets), Ok(Reply::Records(expected, Duration::from_secs(60))));
        let text = ["_zephyr-clt._udp.x.test. 300 IN TXT one.test"].map(record).into();
        let octets = response(&query, ResponseCode::NoError, text).to_vec().unwrap();
        assert_eq!(question.reply(ID, &octets), Ok(Reply::Records(vec![], Duration::ZERO)), "of another type");
    }

    #[test]
    fn what_was_not_asked_is_no_answer() {
        let good = answer(ResponseCode::NoError, &["zephyr.sloc.ns.example.edu. 300 HS TXT one.test"]);
        for (at, octet) in [(0, 0x13), (2, 0x01), (2, 0x89), (5, 2), (5, 0), (13, b'x'), (41, 16 + 17), (43, 1)] {
            let mut other = good.clone();
            assert_ne!(other[at], octet);
            other[at] = octet;
            assert_eq!(texts(&other), Err(MessageError::Another), "octet {at}");
        }
        let other = Question::new("other.test", Class::Hesiod, Kind::Text).unwrap();
        assert_eq!(other.reply(ID, &good), Err(MessageError::Another));
        let mut truncated = good;
        truncated[2] |= 2;
        assert_eq!(question().reply(ID, &truncated), Ok(Reply::Truncated));
    }

    /// Names and records that have no end are those of others' parser; that we use it so that they have one is ours.
    #[test]
    fn names_that_point_at_themselves_have_an_end() {
        let pointing = |pointer: [u8; 2]| {
            let mut message = answer(ResponseCode::NoError, &[]);
            message[7] = 1;
            message.extend(pointer);
            message.extend(b"\x00\x10\x00\x04\x00\x00\x00\x00\x00\x02\x01x");
            texts(&message)
        };
        let at = u8::try_from(answer(ResponseCode::NoError, &[]).len()).unwrap();
        for target in [at, at + 1, 0xff] {
            assert_eq!(pointing([0xc0, target]), Err(MessageError::Malformed), "{target}");
        }
        assert_eq!(pointing([0xff, 0xff]), Err(MessageError::Malformed));
        assert_eq!(pointing([0x80, 12]), Err(MessageError::Malformed), "no such kind of label");
        assert_eq!(pointing([0xc0, 12]), Ok((vec!["x".into()], 0)), "to the question, as it should be");
    }

    #[test]
    fn names_that_stand_for_each_other_have_an_end() {
        let name = "zephyr.sloc.ns.example.edu.";
        let in_circles: Vec<String> = (0..20)
            .map(|turn| if turn % 2 == 0 { format!("{name} 9 HS CNAME b.") } else { format!("b. 9 HS CNAME {name}") })
            .collect();
        let records: Vec<&str> = in_circles.iter().map(String::as_str).collect();
        assert_eq!(texts(&answer(ResponseCode::NoError, &records)), Err(MessageError::Malformed));
    }

    #[test]
    fn whatever_is_cut_off_is_malformed_and_nothing_is_allocated_for_what_is_claimed() {
        let line = "zephyr.sloc.ns.example.edu. 300 HS TXT one.test";
        let good = answer(ResponseCode::NoError, &[line, line]);
        for end in 0..good.len() {
            assert!(texts(&good[..end]).is_err(), "{end} octets");
        }
        let mut many = good.clone();
        many[6..8].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(texts(&many), Err(MessageError::Malformed));
        assert_eq!(texts(&answer(ResponseCode::NoError, &[line; 1100])).unwrap().0.len(), usize::from(MAX_RECORDS));
    }
}
