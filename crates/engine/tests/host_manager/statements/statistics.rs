//! Sections 9 and 10: statistics, and signals.

use super::*;

/// Whatever class, instance and opcode it has, and whoever asks.
#[test]
fn statistics_are_given_for_any_question() {
    let elsewhere = SocketAddr::from(([10, 77, 0, 50], 2103));
    for from in [CLIENT, elsewhere, server(1)] {
        for (class, instance, opcode) in [("HM_STAT", "HMST_CLIENT", "GIMMESTATS"), ("", "", ""), ("message", "x", "y")]
        {
            let mut stage = Stage::settled();
            let asked = Notice {
                kind: Kind::Stat,
                class: class.as_bytes(),
                instance: instance.as_bytes(),
                ..notice("", opcode)
            };
            let sent = stage.send(from, asked);
            assert_eq!((sent.len(), sent[0].to), (1, from));
            let answer = sent[0].notice();
            assert_eq!(
                (answer.kind, answer.class, answer.instance, answer.opcode),
                (Kind::HmAck, asked.class, asked.instance, asked.opcode)
            );
            assert_eq!(answer.body.iter().filter(|octet| **octet == 0).count(), 10, "ten lines, each with its NUL");
            assert_eq!(answer.body.last(), Some(&0));
        }
    }
}

/// The answer has the protocol version of who answers.
#[test]
fn statistics_have_the_current_version() {
    let mut stage = Stage::settled();
    let mut octets = stage.packet(Notice { kind: Kind::Stat, ..notice("HM_STAT", "GIMMESTATS") }).to_vec();
    assert_eq!(&octets[..8], b"ZEPH0.2\0");
    octets[6] = b'1';
    let sent = stage.give(CLIENT, &octets);
    assert_eq!(&sent[0].octets[..8], b"ZEPH0.2\0");
}

/// Each line says what is so at the moment.
#[test]
fn each_line_says_what_is_so() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.wait(41);
    let lines = stage.statistics();
    assert_eq!(lines[..5], ["s1.zlab.example", "0", "0", "1", "0"]);
    assert_eq!((lines[6].as_str(), lines[7].as_str()), ("no", "41"));
    for _ in 0..3 {
        stage.send(CLIENT, notice("message", ""));
    }
    stage.send(server(1), shutdown(b""));
    stage.wait(1);
    let lines = stage.statistics();
    assert_eq!(lines[..5], ["s2.zlab.example", "3", "3", "2", "1"], "the one that is asked now");
    assert!(lines[6].starts_with("yes"));
    assert_eq!(lines[7], "42");
    assert!(lines[5].contains(" (5)"), "version and kind of authentication: {}", lines[5]);
    assert_eq!(lines[9].len(), 31, "the machine's type, cut");
}

/// It is bounded, though what it says is not all ours: names of servers.
#[test]
fn statistics_with_the_longest_names_fit_into_a_packet() {
    let name = format!("{}.example", vec!["n".repeat(60); 4].join("."));
    let list = vec![Server::at(&name, server(1))];
    let (mut stage, _) = Stage::of(Servers::new(list, 1).unwrap(), |_| None, |config| config.version = "v".repeat(100));
    let lines = stage.statistics();
    assert_eq!((lines.len(), &lines[0]), (10, &name));
}

/// Section 10: a hangup chooses again, flushes the host, and the next packet begins it anew.
#[test]
fn a_hangup_flushes_and_the_next_packet_boots() {
    let mut stage = Stage::settled();
    stage.machine.handle(stage.now, Input::Command(Command::Flush));
    assert_eq!(told(&stage.drain()), ["10.77.0.1:2103 FLUSH"]);
    assert_eq!(stage.told(60), Vec::<String>::new(), "not before");
    let sent = stage.send(CLIENT, notice("message", ""));
    assert_eq!(sent[0].told(), "10.77.0.1:2103 BOOT");
}

/// Section 10: `-f` is for programs.
#[test]
fn a_hangup_flushes_although_programs_may_not() {
    let (mut stage, greeting) = Stage::with(1, |config| config.refuse_flush = true);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.machine.handle(stage.now, Input::Command(Command::Flush));
    assert_eq!(told(&stage.drain()), ["10.77.0.1:2103 FLUSH"]);
}
