//! Tests with a host manager or a server that answers as it likes.

use super::*;
use std::thread;
use zephyr_core::{notice::Packet, uid::Uid};
use zephyr_testkit::loopback::Network;

/// Longer than anything takes that happens.
const LONG: Duration = Duration::from_secs(20);
const ATONCE: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(2)];

/// Somebody who gets so many packets, and sends those that `answers` makes of each; gives what was sent to him.
fn asked(
    asked: Asked,
    attempts: &[Duration],
    packets: usize,
    answers: impl Fn(usize, &Notice<'_>) -> Vec<Vec<u8>> + Send + 'static,
) -> (Result<Status, StatusError>, Vec<Vec<u8>>) {
    let network = Network::claim().unwrap();
    let socket = UdpSocket::bind((network.here(), 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let at = socket.local_addr().unwrap();
    let program = thread::spawn(move || {
        let mut got = Vec::new();
        let mut octets = [0; MAX_DATAGRAM];
        for number in 0..packets {
            let (len, from) = socket.recv_from(&mut octets).unwrap();
            got.push(octets[..len].to_vec());
            for answer in answers(number, &Packet::parse(&octets[..len]).unwrap().notice) {
                socket.send_to(&answer, from).unwrap();
            }
        }
        (got, socket)
    });
    let status = Asking::begin(at, asked).unwrap().answer(attempts, LONG);
    // Until now somebody listens.
    let (got, _socket) = program.join().unwrap();
    (status, got)
}

fn written(notice: &Notice<'_>) -> Vec<u8> {
    notice.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap().to_vec()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn a_host_manager_answers_with_the_same_header() {
    let (status, got) = asked(Asked::HostManager, &ATONCE, 2, |number, question| {
        let other = Notice { kind: Kind::HmAck, uid: Uid { micros: 1, ..question.uid }, body: b"other\0", ..*question };
        let unasked = Notice { class: b"ZEPHYR_ADMIN", opcode: b"STATUS", kind: Kind::Unsafe, ..*question };
        let answer = Notice { kind: Kind::HmAck, body: b"zsrv\x000\0\0x", ..*question };
        // The first packet is lost.
        if number == 0 { vec![] } else { vec![b"what?".to_vec(), written(&other), written(&unasked), written(&answer)] }
    });
    let status = status.unwrap();
    assert_eq!((status.protocol.as_slice(), status.texts), (&b"ZEPH0.2"[..], texts(&["zsrv", "0", "", "x"])));
    let question = Packet::parse(&got[1]).unwrap().notice;
    assert_eq!((question.class, question.opcode, question.kind), (&b"HM_STAT"[..], &b"GIMMESTATS"[..], Kind::Stat));
    assert_eq!(got[0], got[1]);
}

#[test]
fn a_server_answers_with_a_notice_of_its_own_which_is_acknowledged() {
    let (status, got) = asked(Asked::Server, &[Duration::ZERO], 3, |number, question| {
        let uid = Uid { micros: question.uid.micros + 1, ..question.uid };
        let answer = Notice {
            kind: Kind::Unsafe,
            uid,
            multiuid: uid,
            multinotice: b"",
            body: b"V\x005 pkts\x009 s\0a/UP\0",
            ..*question
        };
        let acknowledged = Notice { kind: Kind::ServAck, body: b"SENT\0", ..*question };
        let other = Notice { class: b"MESSAGE", uid: Uid { micros: 7, ..uid }, ..answer };
        if number == 0 { vec![written(&acknowledged), written(&other), written(&answer)] } else { vec![] }
    });
    assert_eq!(status.unwrap().texts, texts(&["V", "5 pkts", "9 s", "a/UP"]));
    let question = Packet::parse(&got[0]).unwrap();
    let Notice { class, instance, opcode, kind, .. } = question.notice;
    assert_eq!((class, instance, opcode, kind), (&b"ZEPHYR_ADMIN"[..], &b""[..], &b"STATUS"[..], Kind::Unsafe));
    let acknowledged = got[1..].iter().map(|octets| Packet::parse(octets).unwrap().notice);
    let acknowledged: Vec<(Kind, u32)> = acknowledged.map(|notice| (notice.kind, notice.uid.micros)).collect();
    assert_eq!(acknowledged, [(Kind::ClientAck, 7), (Kind::ClientAck, question.notice.uid.micros + 1)]);
}

/// One longer than a packet comes in several.
#[test]
fn an_answer_is_joined_and_cut_to_what_people_read() {
    let body: Vec<u8> = (0..100).flat_map(|_| [b"x".repeat(300), vec![0]].concat()).collect();
    let (status, _) = asked(Asked::Server, &[Duration::ZERO], 1, move |_, question| {
        let uid = |number: u32| Uid { micros: question.uid.micros + 1 + number, ..question.uid };
        let pieces = body.chunks(500).enumerate();
        let packet = |(number, piece): (usize, &[u8])| {
            let place = format!("{}/{}", number * 500, body.len());
            let uids = (uid(number as u32), uid(0));
            let notice =
                Notice { uid: uids.0, multiuid: uids.1, multinotice: place.as_bytes(), body: piece, ..*question };
            written(&notice)
        };
        pieces.map(packet).collect()
    });
    let status = status.unwrap();
    assert_eq!((status.texts.len(), status.texts[0].len()), (MAX_TEXTS, MAX_TEXT));
}

#[test]
fn nobody_there_and_nobody_who_answers() {
    let network = Network::claim().unwrap();
    let socket = UdpSocket::bind((network.here(), 0)).unwrap();
    let at = socket.local_addr().unwrap();
    let ask = |timeout| Asking::begin(at, Asked::Server).unwrap().answer(&ATONCE, timeout).unwrap_err();
    assert!(matches!(ask(Duration::from_millis(20)), StatusError::Silent(silent) if silent == at));
    drop(socket);
    let error = ask(LONG);
    assert!(matches!(error, StatusError::NobodyListens(nobody) if nobody == at), "{error}");
    assert_eq!(error.to_string(), format!("nobody listens at {at}"));
}
