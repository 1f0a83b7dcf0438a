//! Hesiod: names of a site's services in TXT records of DNS, of class HS.
//!
//! Asked are the name servers of `/etc/resolv.conf`, and only where the machine uses Hesiod at all: where `HESIOD_DOMAIN` is set,
//! or `/etc/hesiod.conf` names a domain. That of the site where Hesiod was made is none: packages ship the file with it, and
//! machines that have them would ask that site for their servers.

pub mod message;

use message::{Answer, Class, MessageError, Name};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

/// The configuration of Hesiod.
const CONFIGURATION: &str = "/etc/hesiod.conf";
/// The domain, where it is not that of the configuration.
const DOMAIN_VARIABLE: &str = "HESIOD_DOMAIN";
/// The name servers.
const RESOLVER: &str = "/etc/resolv.conf";
/// The domain that a configuration has that nobody has changed.
const SHIPPED_DOMAIN: &str = ".athena.mit.edu";
/// Zephyr's servers in Hesiod.
const SERVERS: &str = "zephyr.sloc";

/// Name servers asked at most.
const MAX_NAME_SERVERS: usize = 3;
/// The port of name servers.
const DNS_PORT: u16 = 53;
/// How long one name server may take for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all of them may take together.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often each is asked.
const ROUNDS: usize = 2;
/// Datagrams looked at for one answer, so that somebody who forges many gets no more tries.
const MAX_DATAGRAMS: usize = 16;
/// Octets of an answer over UDP, without extensions of DNS.
const MAX_UDP: usize = 512;

/// Hesiod as this machine is configured to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hesiod {
    /// What is put behind a name.
    suffix: String,
    /// The classes to ask for, in this order.
    classes: Vec<Class>,
    name_servers: Vec<SocketAddr>,
}

/// Why Hesiod does not say anything.
#[derive(Debug, thiserror::Error)]
pub enum HesiodError {
    /// The name, with what is put behind it, is none.
    #[error("{0:?} is no name of DNS")]
    Name(String),
    /// No name server has answered.
    #[error("no name server answers: {0}")]
    Silent(#[source] io::Error),
    /// A name server has answered that there is no such name, or nothing of use.
    #[error("{0}")]
    Message(#[from] MessageError),
    /// There is nothing of the kind.
    #[error("it has no record of that name")]
    Nothing,
}

impl Hesiod {
    /// Hesiod as the system's files have it; `None` where this machine does not use it.
    pub fn of_system() -> Option<Self> {
        let domain = std::env::var(DOMAIN_VARIABLE).ok().filter(|domain| !domain.is_empty());
        let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let configuration = text(CONFIGURATION);
        uses_hesiod(&configuration, domain.as_deref())
            .then(|| Self::new(&configuration, domain.as_deref(), &text(RESOLVER)))
    }

    /// Hesiod by the text of its configuration and of that of the resolver, perhaps with another domain.
    pub fn new(configuration: &str, domain: Option<&str>, resolver: &str) -> Self {
        let (mut left, mut right) = (".ns".to_owned(), SHIPPED_DOMAIN.to_owned());
        let mut classes = vec![Class::Hesiod, Class::Internet];
        for setting in settings(configuration) {
            match setting {
                ("lhs", value) => value.clone_into(&mut left),
                ("rhs", value) => value.clone_into(&mut right),
                ("classes", value) => {
                    let named: Vec<Class> = value.split(',').filter_map(|word| Class::named(word.trim())).collect();
                    if !named.is_empty() {
                        classes = named;
                    }
                }
                _ => {}
            }
        }
        if let Some(domain) = domain {
            domain.clone_into(&mut right);
        }
        let suffix = [left, right].iter().filter(|part| !part.is_empty()).fold(String::new(), |suffix, part| {
            let dot = if part.starts_with('.') { "" } else { "." };
            suffix + dot + part
        });
        Self { suffix, classes, name_servers: name_servers(resolver) }
    }

    /// The full name under which Zephyr's servers are.
    pub fn servers_name(&self) -> String {
        format!("{SERVERS}{}", self.suffix)
    }

    /// The names of Zephyr's servers. May wait for name servers, but not for long.
    ///
    /// # Errors
    ///
    /// When no name server answers, or none that is of use.
    pub fn servers(&self) -> Result<Vec<String>, HesiodError> {
        let full = self.servers_name();
        let name = Name::new(&full).ok_or(HesiodError::Name(full))?;
        let deadline = Instant::now() + TIMEOUT;
        let mut last = Err(HesiodError::Nothing);
        for &class in &self.classes {
            last = self.ask(&name, class, deadline);
            if let Ok(texts) = &last
                && !texts.is_empty()
            {
                break;
            }
        }
        let texts = last?;
        if texts.is_empty() {
            return Err(HesiodError::Nothing);
        }
        Ok(texts.iter().map(|text| String::from_utf8_lossy(text).trim().to_owned()).collect())
    }

    /// The texts of a name of this class, of the first name server that answers with any or says that there are none.
    fn ask(&self, name: &Name, class: Class, deadline: Instant) -> Result<Vec<Vec<u8>>, HesiodError> {
        let mut last = HesiodError::Nothing;
        for server in (0..ROUNDS).flat_map(|_| &self.name_servers) {
            let left = deadline.saturating_duration_since(Instant::now()).min(ANSWER_TIMEOUT);
            if left.is_zero() {
                break;
            }
            match ask_one(*server, name, class, left) {
                Ok(texts) => return Ok(texts),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Whether a machine with this configuration, and perhaps another domain, uses Hesiod.
fn uses_hesiod(configuration: &str, domain: Option<&str>) -> bool {
    let names_domain = |(key, value): (&str, &str)| key == "rhs" && !value.is_empty() && value != SHIPPED_DOMAIN;
    domain.is_some() || settings(configuration).any(names_domain)
}

/// The settings of a configuration.
fn settings(configuration: &str) -> impl Iterator<Item = (&str, &str)> {
    configuration.lines().filter_map(|line| {
        let (key, value) = line.split('#').next().unwrap_or_default().split_once('=')?;
        Some((key.trim(), value.trim()))
    })
}

/// Asks one name server: over UDP, and over TCP what does not fit there.
fn ask_one(server: SocketAddr, name: &Name, class: Class, time: Duration) -> Result<Vec<Vec<u8>>, HesiodError> {
    let id = random_id().map_err(HesiodError::Silent)?;
    let query = message::query(id, name, class);
    let deadline = Instant::now() + time;
    match over_udp(server, &query, id, name, class, deadline)? {
        Answer::Texts(texts) => Ok(texts),
        Answer::None => Ok(Vec::new()),
        Answer::Truncated => {
            let octets = over_tcp(server, &query, deadline).map_err(HesiodError::Silent)?;
            match message::answer(&octets, id, name, class)? {
                Answer::Texts(texts) => Ok(texts),
                Answer::None | Answer::Truncated => Ok(Vec::new()),
            }
        }
    }
}

fn over_udp(
    server: SocketAddr,
    query: &[u8],
    id: u16,
    name: &Name,
    class: Class,
    deadline: Instant,
) -> Result<Answer, HesiodError> {
    let asked = || -> io::Result<UdpSocket> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { [0u16; 8].into() };
        // A port that nobody can know, and nothing from anybody else.
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.send(query)?;
        Ok(socket)
    };
    let socket = asked().map_err(HesiodError::Silent)?;
    let mut buffer = [0; MAX_UDP];
    let mut odd = None;
    for _ in 0..MAX_DATAGRAMS {
        let received = left(deadline).and_then(|left| {
            socket.set_read_timeout(Some(left))?;
            socket.recv(&mut buffer)
        });
        let octets = match received {
            Ok(octets) => buffer.get(..octets).unwrap_or_default(),
            Err(error) => return Err(odd.unwrap_or_else(|| HesiodError::Silent(without_kind(error)))),
        };
        match message::answer(octets, id, name, class) {
            Ok(answer) => return Ok(answer),
            // A server that answers so does not answer otherwise later.
            Err(error @ MessageError::Refused(_)) => return Err(error.into()),
            // Perhaps somebody else's: the answer may still come.
            Err(error) => odd = Some(error.into()),
        }
    }
    Err(odd.unwrap_or(HesiodError::Nothing))
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
            if octets.len() >= length {
                return Ok(octets.iter().copied().take(length).collect());
            }
        }
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer)? {
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

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    SystemRandom::new().fill(&mut id).map_err(|_| io::Error::other("the system has no random octets"))?;
    Ok(u16::from_be_bytes(id))
}

/// The name servers of a resolver's configuration; the one of this machine where it names none.
fn name_servers(resolver: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|&word| word == "nameserver").and_then(|_| words.next())?;
        Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, DNS_PORT))
    };
    let found: Vec<SocketAddr> = resolver.lines().filter_map(address).take(MAX_NAME_SERVERS).collect();
    if found.is_empty() { vec![SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT))] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};
    use zephyr_testkit::loopback::Network;

    /// Makes of a query what somebody forges as its answer.
    type Forgery = fn(&[u8]) -> Vec<u8>;

    #[test]
    fn the_name_is_made_of_the_configuration() {
        let name = |configuration, domain| Hesiod::new(configuration, domain, "").servers_name();
        assert_eq!(name("", None), "zephyr.sloc.ns.athena.mit.edu");
        assert_eq!(name("# x\nrhs=.example.edu\nlhs = .hes # y\n", None), "zephyr.sloc.hes.example.edu");
        assert_eq!(name("lhs=\nrhs=x.test", None), "zephyr.sloc.x.test");
        assert_eq!(name("rhs=.example.edu", Some("other.edu")), "zephyr.sloc.ns.other.edu");
        assert_eq!(Hesiod::new("classes=in, CH,HS", None, "").classes, [Class::Internet, Class::Hesiod]);
        assert_eq!(Hesiod::new("classes=none", None, "").classes, [Class::Hesiod, Class::Internet]);
    }

    #[test]
    fn a_configuration_as_shipped_names_no_domain() {
        let shipped = "# x\nlhs=.ns\nrhs=.athena.mit.edu\nclasses=IN,HS\n";
        for (configuration, domain, uses) in [
            ("", None, false),
            (shipped, None, false),
            (shipped, Some("athena.mit.edu"), true),
            ("rhs=\n", None, false),
            ("rhs=.example.edu\n", None, true),
            ("", Some("example.edu"), true),
        ] {
            assert_eq!(uses_hesiod(configuration, domain), uses, "{configuration}");
        }
    }

    #[test]
    fn the_name_servers_are_the_resolver_s() {
        let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 53);
        let resolver = "search x\nnameserver 10.0.0.1\n nameserver ::1 \nnameserver x\n#nameserver 1.1.1.1\n";
        assert_eq!(name_servers(resolver), [at("10.0.0.1"), at("::1")]);
        assert_eq!(name_servers(""), [at("127.0.0.1")]);
    }

    /// A name server that answers every question so, after what somebody else may have forged.
    fn name_server(
        network: &Network,
        forged: Vec<Forgery>,
        answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> SocketAddr {
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((octets, from)) = socket.recv_from(&mut buffer) {
                for forge in &forged {
                    socket.send_to(&forge(&buffer[..octets]), from).unwrap();
                }
                socket.send_to(&answer(&buffer[..octets]), from).unwrap();
            }
        });
        address
    }

    fn hesiod(server: SocketAddr) -> Hesiod {
        Hesiod { suffix: ".ns.example.edu".to_owned(), classes: vec![Class::Hesiod], name_servers: vec![server] }
    }

    #[test]
    fn servers_are_those_of_the_answer_to_what_was_asked() {
        let network = Network::claim().unwrap();
        let forged: Vec<Forgery> = vec![|_| b"junk".to_vec(), |query| {
            let mut forged = message::tests::answer_with(query, &["spy.test"]);
            forged[1] ^= 1;
            forged
        }];
        let server =
            name_server(&network, forged, |query| message::tests::answer_with(query, &["one.test", "two.test"]));
        assert_eq!(hesiod(server).servers().unwrap(), ["one.test", "two.test"]);
    }

    #[test]
    fn what_does_not_fit_is_asked_for_again() {
        let network = Network::claim().unwrap();
        let server = name_server(&network, vec![], |query| {
            let mut answer = message::tests::answer_with(query, &[]);
            answer[2] |= 2;
            answer
        });
        let listener = TcpListener::bind(server).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut query).unwrap();
            let answer = message::tests::answer_with(&query, &["one.test"; 40]);
            stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        });
        assert_eq!(hesiod(server).servers().unwrap().len(), 40);
    }

    #[test]
    fn no_answer_is_an_error_that_says_so() {
        let network = Network::claim().unwrap();
        let refusing = name_server(&network, vec![], |query| {
            let mut answer = message::tests::answer_with(query, &[]);
            answer[3] |= 5;
            answer
        });
        assert_eq!(hesiod(refusing).servers().unwrap_err().to_string(), "the name server refuses it (code 5)");
        let empty = name_server(&network, vec![], |query| message::tests::answer_with(query, &[]));
        assert_eq!(hesiod(empty).servers().unwrap_err().to_string(), "it has no record of that name");
        let closed = UdpSocket::bind((network.here(), 0)).unwrap().local_addr().unwrap();
        let error = hesiod(closed).servers().unwrap_err().to_string();
        assert!(error.starts_with("no name server answers: "), "{error}");
    }
}
