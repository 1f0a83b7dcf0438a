//! Asking name servers, within a time: over UDP, and over TCP what does not fit there.
//!
//! It blocks, and asks each server itself. hickory's own resolver wants a tokio runtime, which clients without one lack, and knows
//! no class but IN.

use super::message::{Class, Data, MessageError, Question, Reply};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// How long one name server may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often each is asked.
const ROUNDS: usize = 2;
/// Datagrams looked at for one answer, so that somebody who forges many gets no more tries.
const MAX_DATAGRAMS: usize = 16;
/// Octets of an answer over UDP, without extensions of DNS.
const MAX_UDP: usize = 512;

/// Name servers, and what was learned about them while they were asked.
#[derive(Debug)]
pub struct Resolver {
    name_servers: Vec<SocketAddr>,
    deadline: Instant,
    /// The classes of questions that nobody has answered. Nobody is asked the like again.
    silent: Vec<Class>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name is none.
    #[error("{0:?} is no name of DNS")]
    Name(String),
    /// No name server has answered.
    #[error("no name server answers: {}", zephyr_config::system_text(.0))]
    Silent(#[source] io::Error),
    /// What a name server has answered is of no use.
    #[error("{0}")]
    Message(#[from] MessageError),
}

impl Resolver {
    /// Asks these name servers, until this moment.
    pub const fn new(name_servers: Vec<SocketAddr>, deadline: Instant) -> Self {
        Self { name_servers, deadline, silent: Vec::new() }
    }

    /// What the first name server says that answers, and how long that holds; nothing if there is nothing of the kind.
    ///
    /// # Errors
    ///
    /// When none answers, or none with something of use.
    pub fn ask(&mut self, question: &Question) -> Result<(Vec<Data>, Duration), ResolveError> {
        let is_hopeless = |class: &Class| *class == question.class() || *class == Class::Internet;
        if self.silent.iter().any(is_hopeless) {
            return Err(ResolveError::Silent(io::ErrorKind::TimedOut.into()));
        }
        let mut last = ResolveError::Silent(io::ErrorKind::TimedOut.into());
        for server in (0..ROUNDS).flat_map(|_| &self.name_servers) {
            if self.deadline <= Instant::now() {
                break;
            }
            match ask_one(*server, question, self.deadline.min(Instant::now() + ANSWER_TIMEOUT)) {
                Ok(found) => return Ok(found),
                // One that answers wrongly says more than one that does not answer.
                Err(ResolveError::Silent(_)) if matches!(last, ResolveError::Message(_)) => {}
                Err(error) => last = error,
            }
        }
        if let ResolveError::Silent(_) = last {
            self.silent.push(question.class());
        }
        Err(last)
    }
}

fn ask_one(server: SocketAddr, question: &Question, deadline: Instant) -> Result<(Vec<Data>, Duration), ResolveError> {
    let id = Question::random_id();
    let query = question.message(id).ok_or(MessageError::Malformed)?;
    let reply = match over_udp(server, &query, id, question, deadline)? {
        Reply::Truncated => {
            let octets = over_tcp(server, &query, deadline).map_err(ResolveError::Silent)?;
            question.reply(id, &octets)?
        }
        reply @ Reply::Records(..) => reply,
    };
    match reply {
        Reply::Records(records, valid_for) => Ok((records, valid_for)),
        // Over TCP everything fits.
        Reply::Truncated => Err(MessageError::Malformed.into()),
    }
}

fn over_udp(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    question: &Question,
    deadline: Instant,
) -> Result<Reply, ResolveError> {
    let asked = || -> io::Result<UdpSocket> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // A port that nobody can know, and nothing from anybody else.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.send(query)?;
        Ok(socket)
    };
    let socket = asked().map_err(ResolveError::Silent)?;
    let mut buffer = [0; MAX_UDP];
    let mut odd = None;
    for _ in 0..MAX_DATAGRAMS {
        let received = left(deadline).and_then(|left| {
            socket.set_read_timeout(Some(left))?;
            socket.recv(&mut buffer)
        });
        let octets = match received {
            Ok(octets) => buffer.get(..octets).unwrap_or_default(),
            Err(error) => return Err(odd.map_or_else(|| ResolveError::Silent(without_kind(error)), Into::into)),
        };
        match question.reply(id, octets) {
            Ok(reply) => return Ok(reply),
            // A server that answers so does not answer otherwise later.
            Err(error @ MessageError::Refused(_)) => return Err(error.into()),
            // Perhaps somebody else's: the answer may still come.
            Err(error) => odd = Some(error),
        }
    }
    Err(odd.unwrap_or(MessageError::Another).into())
}

fn over_tcp(server: SocketAddr, query: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat())?;
    let mut answer = Vec::new();
    let mut buffer = [0; MAX_UDP];
    loop {
        if let Some((length, octets)) = answer.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if let Some(octets) = octets.get(..length) {
                return Ok(octets.to_vec());
            }
        }
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer).map_err(without_kind)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            octets => answer.extend_from_slice(buffer.get(..octets).unwrap_or_default()),
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The time that a socket waits is over, which the system tells as if it had never waited.
fn without_kind(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::message::Kind,
        scripted::{NameServer, framed, record, response, zone},
    };
    use hickory_proto::op::{Message, ResponseCode};
    use zephyr_testkit::loopback::Network;

    const LINES: &[&str] = &["x.test. 300 IN TXT one.test", "x.test. 300 HS TXT of.hesiod"];
    /// Long enough for what is answered; what is not answered takes as long.
    const WITHIN: Duration = Duration::from_secs(20);

    fn ask_in(servers: &[&NameServer], class: Class) -> Result<Vec<String>, String> {
        let mut resolver =
            Resolver::new(servers.iter().map(|server| server.address).collect(), Instant::now() + WITHIN);
        let question = Question::new("x.test", class, Kind::Text).unwrap();
        let text = |record| match record {
            Data::Text(text) => String::from_utf8(text).unwrap(),
            other @ Data::Service { .. } => panic!("{other:?}"),
        };
        let found = resolver.ask(&question).map_err(|error| error.to_string())?;
        Ok(found.0.into_iter().map(text).collect())
    }

    fn ask(servers: &[&NameServer]) -> Result<Vec<String>, String> {
        ask_in(servers, Class::Internet)
    }

    fn forged(query: &Message) -> Message {
        response(query, ResponseCode::NoError, vec![record("x.test. 300 IN TXT spy.test")])
    }

    #[test]
    fn only_what_was_asked_counts_in_either_class() {
        let network = Network::claim().unwrap();
        let server = NameServer::new(&network, |query| {
            let mut of_other_number = forged(query);
            of_other_number.metadata.id ^= 1;
            let mut of_other_name = forged(query);
            of_other_name.queries[0].set_name("y.test.".parse().unwrap());
            let mut answers =
                vec![b"junk".to_vec(), of_other_number.to_vec().unwrap(), of_other_name.to_vec().unwrap()];
            answers.extend(zone(LINES)(query));
            answers
        });
        assert_eq!(ask(&[&server]).unwrap(), ["one.test"]);
        assert_eq!(ask_in(&[&server], Class::Hesiod).unwrap(), ["of.hesiod"]);
        assert_eq!(server.asked(), ["x.test. IN TXT", "x.test. HS TXT"]);
    }

    #[test]
    fn only_who_was_asked_counts() {
        let network = Network::claim().unwrap();
        let others = |query: &Message| vec![forged(query).to_vec().unwrap()];
        let server = NameServer::beside(&network, others, zone(LINES));
        assert_eq!(ask(&[&server]).unwrap(), ["one.test"]);
    }

    #[test]
    fn who_forges_many_gets_no_more_tries() {
        let network = Network::claim().unwrap();
        let server = NameServer::new(&network, |query| {
            let wrong = |number: u16| {
                let mut wrong = forged(query);
                wrong.metadata.id = query.metadata.id.wrapping_add(number);
                wrong.to_vec().unwrap()
            };
            let mut answers: Vec<Vec<u8>> = (1..=20).map(wrong).collect();
            answers.extend(zone(LINES)(query));
            answers
        });
        assert_eq!(ask(&[&server]).unwrap_err(), "an answer to another question");
    }

    #[test]
    fn what_does_not_fit_is_asked_for_again() {
        let network = Network::claim().unwrap();
        let truncated = |query: &Message| {
            let mut answer = forged(query);
            answer.metadata.truncation = true;
            vec![answer.to_vec().unwrap()]
        };
        let many = |query: &Message| response(query, ResponseCode::NoError, vec![record(LINES[0]); 900]);
        let honest = NameServer::new(&network, truncated).over_tcp(move |query| framed(&many(query)));
        assert_eq!(ask(&[&honest]).unwrap().len(), 900);
        // Cut off, of another number, truncated there as well, and one that promises more than it sends.
        let cut = NameServer::new(&network, truncated).over_tcp(move |query| framed(&many(query))[..700].to_vec());
        let other = NameServer::new(&network, truncated).over_tcp(move |query| {
            let mut other = many(query);
            other.metadata.id ^= 1;
            framed(&other)
        });
        let again = NameServer::new(&network, truncated).over_tcp(|query| {
            let mut answer = forged(query);
            answer.metadata.truncation = true;
            framed(&answer)
        });
        let empty = NameServer::new(&network, truncated).over_tcp(|_| vec![0xff, 0xff]);
        for lying in [&cut, &other, &again, &empty] {
            assert_eq!(ask(&[lying, &honest]).unwrap().len(), 900);
            assert!(ask(&[lying]).is_err());
        }
    }

    #[test]
    fn the_next_one_is_asked_where_one_refuses_or_is_not_there() {
        let network = Network::claim().unwrap();
        let code = |code| move |query: &Message| vec![response(query, code, vec![]).to_vec().unwrap()];
        let refusing = NameServer::new(&network, code(ResponseCode::Refused));
        let failing = NameServer::new(&network, code(ResponseCode::ServFail));
        let good = NameServer::new(&network, zone(LINES));
        let empty = NameServer::new(&network, zone(&[]));
        assert_eq!(ask(&[&refusing, &failing, &good]).unwrap(), ["one.test"]);
        assert_eq!(ask(&[&empty, &good]).unwrap(), Vec::<String>::new(), "an answer is an answer");
        assert_eq!(ask(&[&refusing]).unwrap_err(), "the name server refuses it (code 5)");
        let closed = UdpSocket::bind((network.here(), 0)).unwrap().local_addr().unwrap();
        let mut resolver = Resolver::new(vec![closed], Instant::now() + WITHIN);
        let question = Question::new("x.test", Class::Internet, Kind::Text).unwrap();
        let error = resolver.ask(&question).unwrap_err().to_string();
        assert_eq!(error, "no name server answers: Connection refused");
    }

    #[test]
    fn nobody_is_asked_again_who_does_not_answer() {
        let network = Network::claim().unwrap();
        let silent = NameServer::new(&network, |_| vec![]);
        let mut resolver = Resolver::new(vec![silent.address], Instant::now() + Duration::from_millis(100));
        let question = |class| Question::new("x.test", class, Kind::Text).unwrap();
        assert!(matches!(resolver.ask(&question(Class::Hesiod)), Err(ResolveError::Silent(_))));
        resolver.deadline = Instant::now() + Duration::from_millis(100);
        assert!(matches!(resolver.ask(&question(Class::Internet)), Err(ResolveError::Silent(_))));
        let asked = silent.asked();
        assert_eq!(asked, ["x.test. HS TXT", "x.test. IN TXT"], "one that knows no HS may know IN");
        resolver.deadline = Instant::now() + WITHIN;
        for class in [Class::Hesiod, Class::Internet] {
            let error = resolver.ask(&question(class)).unwrap_err().to_string();
            assert_eq!(error, "no name server answers: timed out");
        }
        assert_eq!(silent.asked(), asked);
        let mut hurried = Resolver::new(vec![silent.address], Instant::now());
        assert!(matches!(hurried.ask(&question(Class::Internet)), Err(ResolveError::Silent(_))));
        assert_eq!(silent.asked(), asked, "within no time nobody is asked");
    }
}
