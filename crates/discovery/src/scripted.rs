//! A name server of tests, which answers as it is told, over UDP and TCP at one port.

use hickory_proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{CNAME, SRV, TXT},
    },
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};
use zephyr_testkit::loopback::Network;

/// A name server. Its threads end with the process.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    /// The questions that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// One that answers with these datagrams.
    pub(crate) fn new(network: &Network, answers: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        Self::beside(network, |_| vec![], answers)
    }

    /// One before which somebody else at another address answers, who sees the questions.
    pub(crate) fn beside(
        network: &Network,
        others: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static,
        answers: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let other = UdpSocket::bind((network.host(2), 0)).unwrap();
        let socket = UdpSocket::bind((network.here(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((octets, from)) = socket.recv_from(&mut buffer) {
                let query = Message::from_vec(&buffer[..octets]).unwrap();
                let Query { name, query_type, query_class, .. } = &query.queries[0];
                noted.lock().unwrap().push(format!("{name} {query_class} {query_type}"));
                for forged in others(&query) {
                    other.send_to(&forged, from).unwrap();
                }
                for answer in answers(&query) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, asked }
    }

    /// Answers over TCP as well, with octets that begin with their length as they should, or not.
    pub(crate) fn over_tcp(self, answer: impl Fn(&Message) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind(self.address).unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut query).unwrap();
                let _ = stream.write_all(&answer(&Message::from_vec(&query).unwrap()));
            }
        });
        self
    }

    /// The questions that came, each as `NAME CLASS TYPE`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// An answer with these records and this code.
pub(crate) fn response(query: &Message, code: ResponseCode, records: Vec<Record>) -> Message {
    let mut message = query.clone();
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = code;
    message.answers = records;
    message
}

/// A message with its length before it.
pub(crate) fn framed(message: &Message) -> Vec<u8> {
    let octets = message.to_vec().unwrap();
    [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], &octets].concat()
}

/// Answers from these records, written as in a zone: `NAME [TTL] CLASS TYPE DATA`. What is not among them does not exist.
pub(crate) fn zone(lines: &'static [&'static str]) -> impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static {
    let records: Vec<Record> = lines.iter().map(|line| record(line)).collect();
    move |query| {
        let asked = &query.queries[0];
        let is_asked = |record: &&Record| {
            record.name == asked.name
                && record.dns_class == asked.query_class
                && [asked.query_type, RecordType::CNAME].contains(&record.record_type())
        };
        let found: Vec<Record> = records.iter().filter(is_asked).cloned().collect();
        let code = if found.is_empty() { ResponseCode::NXDomain } else { ResponseCode::NoError };
        vec![response(query, code, found).to_vec().unwrap()]
    }
}

/// A record, written as in a zone.
pub(crate) fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = |word: &str| Name::from_ascii(word).unwrap();
    let number = |word: &str| word.parse().unwrap();
    let data = match (words[3], &words[4..]) {
        ("SRV", [priority, weight, port, target]) => {
            RData::SRV(SRV::new(number(priority), number(weight), number(port), name(target)))
        }
        ("CNAME", [target]) => RData::CNAME(CNAME(name(target))),
        ("TXT", words) => RData::TXT(TXT::new(vec![words.join(" ")])),
        _ => panic!("{line}"),
    };
    let mut record = Record::from_rdata(name(words[0]), words[1].parse().unwrap(), data);
    record.dns_class = if words[2] == "HS" { DNSClass::HS } else { DNSClass::IN };
    record
}
