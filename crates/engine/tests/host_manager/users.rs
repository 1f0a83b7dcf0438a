//! Several users of one host: what one lets his programs send takes nothing from the others, and what ends others'
//! subscriptions is not his to order.

use super::*;

const ALICE: Owner = Owner::User(1001);
const MALLORY: Owner = Owner::User(1002);
const ROOT: Owner = Owner::User(0);

/// Ports from 50,000 on are mallory's, 49,999 is root's, 49,998 nobody knows, and all others are alice's.
fn owner(port: u16) -> Owner {
    match port {
        50_000.. => MALLORY,
        49_999 => ROOT,
        49_998 => Owner::Unknown,
        _ => ALICE,
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn mallory(number: u16) -> SocketAddr {
    at(50_000 + number)
}

fn users() -> Stage {
    Stage { owner, ..Stage::settled_with(2, b"SENT\0") }
}

fn order(opcode: &str) -> Notice<'_> {
    Notice { kind: Kind::HmCtl, ..notice("HM_CTL", opcode) }
}

/// Notices that a server never answers, from so many programs of one user.
fn flood(stage: &mut Stage, notices: usize, programs: u16) {
    for program in (0..programs).cycle().take(notices) {
        stage.send(mallory(program), notice("zephyr_admin", "STATUS"));
    }
}

/// What alice has sent before is answered, and she goes on sending, whatever others do.
#[test]
fn a_flood_takes_only_from_the_user_who_causes_it() {
    for programs in [8, 5000] {
        let mut stage = users();
        let before: Vec<Sent> = (0..10).map(|_| stage.send(CLIENT, notice("message", "")).remove(1)).collect();
        flood(&mut stage, MAX_QUEUED_PACKETS + 1000, programs);
        assert_eq!(stage.machine.queued(), MAX_QUEUED_PACKETS);
        for _ in 0..500 {
            let sent = stage.send(CLIENT, notice("message", ""));
            assert_eq!(sent.len(), 2, "acknowledged and forwarded, beside {programs} programs");
            stage.send(mallory(7), notice("zephyr_admin", "STATUS"));
        }
        assert_eq!(stage.machine.queued(), MAX_QUEUED_PACKETS);
        for sent in before {
            assert_eq!(stage.answer(&sent, Kind::ServAck, b"SENT\0").len(), 1, "nothing of hers was dropped");
        }
    }
}

/// The same flood where nobody knows whose the programs are: that is what the owner is asked for.
#[test]
fn those_whom_nobody_knows_share_what_one_user_has() {
    let mut stage = users();
    stage.owner = |port| if port == 49_999 { ROOT } else { Owner::Unknown };
    for _ in 0..10 {
        stage.send(CLIENT, notice("message", ""));
    }
    flood(&mut stage, MAX_QUEUED_PACKETS + 1000, 5000);
    assert_eq!(stage.send(CLIENT, notice("message", "")), [], "no program has more");
    assert_eq!(stage.send(at(49_999), notice("message", "")).len(), 2, "but whoever is known has his own share");
}

/// Two users who both send as much as they can have as much of the queue, and neither takes more from the other.
#[test]
fn each_user_has_his_share() {
    let mut stage = users();
    flood(&mut stage, MAX_QUEUED_PACKETS, 64);
    let mut hers = Vec::new();
    for number in (0..16).cycle().take(MAX_QUEUED_PACKETS) {
        hers.extend(stage.send(program(number), notice("message", "")).into_iter().nth(1));
    }
    flood(&mut stage, MAX_QUEUED_PACKETS, 64);
    let answers = hers.iter().map(|sent| stage.answer(sent, Kind::ServAck, b"SENT\0").len());
    assert_eq!(answers.sum::<usize>(), MAX_QUEUED_PACKETS / 2);
    assert_eq!(stage.machine.queued(), MAX_QUEUED_PACKETS / 2);
}

/// What was kept for a server goes to it in turns.
#[test]
fn who_has_few_does_not_wait_for_who_has_many() {
    let mut stage = users();
    let shutdown = Notice { kind: Kind::HmCtl, body: b"", ..notice("HM_CTL", "SHUTDOWN") };
    let greeting = stage.send(server(1), shutdown).remove(1);
    flood(&mut stage, 1000, 10);
    for opcode in ["one", "two"] {
        stage.send(CLIENT, notice("message", opcode));
    }
    let sent = stage.answer(&greeting, Kind::ServAck, b"SENT\0");
    assert_eq!(sent.len(), 1002);
    let opcodes = sent[..5].iter().map(|packet| packet.notice().opcode);
    assert_eq!(opcodes.collect::<Vec<_>>(), [&b"STATUS"[..], b"one", b"STATUS", b"two", b"STATUS"]);
}

/// A uid is a time, and can be guessed: whoever uses one first must not keep its owner's packet from being kept.
#[test]
fn a_packet_with_anothers_uid_is_another_packet() {
    for forged_first in [true, false] {
        let mut stage = users();
        let hers = stage.packet(notice("message", "wanted"));
        let original = Packet::parse(&hers).unwrap().notice;
        let forged = Notice { class: b"forged", ..original }.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        let mut packets = [(mallory(0), &forged), (CLIENT, &hers)];
        if !forged_first {
            packets.reverse();
        }
        let mut sent = packets.map(|(from, octets)| stage.give(from, octets).remove(1));
        if !forged_first {
            sent.reverse();
        }
        let [forgery, sent] = sent;
        assert_eq!(stage.machine.queued(), 2, "both are kept");
        let answer = stage.answer(&forgery, Kind::ServNak, b"LOST\0");
        assert_eq!(answer.iter().map(|sent| sent.to).collect::<Vec<_>>(), [mallory(0)], "his answer is not hers");
        let resent: Vec<Sent> = stage.wait(2).into_iter().map(|(_, packet)| packet).collect();
        assert_eq!(resent, std::slice::from_ref(&sent), "and hers is sent until it is answered");
        let answer = stage.answer(&sent, Kind::ServAck, b"SENT\0");
        assert_eq!(answer.iter().map(|sent| sent.to).collect::<Vec<_>>(), [CLIENT]);
    }

    let mut stage = users();
    // The very same packet from two programs: each gets one of the two answers.
    let twice = stage.packet(notice("message", "twice"));
    let sent = [stage.give(CLIENT, &twice).remove(1), stage.give(mallory(1), &twice).remove(1)];
    let answers = sent.map(|sent| stage.answer(&sent, Kind::ServAck, b"SENT\0").remove(0).to);
    assert_eq!(answers, [CLIENT, mallory(1)]);
}

/// What did not fit into an answer is empty there.
#[test]
fn an_answer_may_lack_the_names() {
    let mut stage = users();
    let sent = stage.send(CLIENT, notice("message", "x")).remove(1);
    let answer = Notice { class: b"", instance: b"", opcode: b"", ..sent.notice() };
    let answer = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
    assert_eq!(stage.answer(&Sent { to: server(1), octets: answer }, Kind::ServAck, b"SENT\0").len(), 1);
}

/// A server that announces a location answers with the opcode that it announces.
#[test]
fn an_answer_may_have_another_opcode() {
    let mut stage = users();
    let sent = stage.send(CLIENT, notice("login", "REALM-ANNOUNCED")).remove(1);
    let answer = Notice { opcode: b"USER_LOGIN", ..sent.notice() };
    let answer = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
    assert_eq!(stage.answer(&Sent { to: server(1), octets: answer }, Kind::ServAck, b"SENT\0").len(), 1);
}

/// Or each answer would be looked for among all of them.
#[test]
fn few_packets_of_a_user_have_one_uid() {
    let mut stage = users();
    let octets = stage.packet(notice("message", ""));
    let taken = (0..100).filter(|&number| !stage.give(mallory(number), &octets).is_empty()).count();
    assert_eq!(taken, 8);
    assert_eq!(stage.give(CLIENT, &octets).len(), 2, "another user's is none of them");
}

#[test]
fn only_root_orders_what_concerns_several_users() {
    for opcode in ["FLUSH", "NEWSERV"] {
        let mut stage = users();
        stage.send(CLIENT, notice("ZEPHYR_CTL", "SUBSCRIBE"));
        for (from, owner) in [(mallory(0), MALLORY), (at(49_998), Owner::Unknown)] {
            assert_eq!(stage.send(from, order(opcode)), []);
            let refused = LogEvent::NotYours { opcode: opcode.as_bytes().into(), owner };
            assert_eq!(stage.events.last(), Some(&Event::Log(refused)));
        }
        stage.send(mallory(0), notice("message", ""));
        assert_eq!(stage.send(CLIENT, order(opcode)), [], "now it concerns mallory too");
        assert!(!stage.send(at(49_999), order(opcode)).is_empty(), "root may, and is not kept from it");
    }
}

#[test]
fn a_user_orders_what_concerns_only_himself() {
    let mut stage = users();
    stage.send(CLIENT, notice("ZEPHYR_CTL", "SUBSCRIBE"));
    let sent = stage.send(OTHER, order("FLUSH"));
    assert_eq!(sent.iter().map(Sent::told).collect::<Vec<_>>(), ["10.77.0.1:2103 FLUSH"]);
    assert_eq!(stage.send(mallory(0), notice("message", "")).len(), 2, "who comes after it");
    stage.wait(5);
    assert!(!stage.send(mallory(0), order("FLUSH")).is_empty(), "is then alone");
    assert_eq!(stage.send(at(49_998), order("FLUSH")), [], "but nobody is whom nobody knows");
}

/// With `-N` the server keeps what it has of the host: whose that is, nobody knows.
#[test]
fn programs_from_before_may_be_anybodys() {
    let (mut stage, greeting) = Stage::with(1, |config| config.attach = true);
    stage.owner = owner;
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    assert_eq!(stage.send(CLIENT, order("FLUSH")), []);
    assert_eq!(stage.send(at(49_999), order("FLUSH"))[0].told(), "10.77.0.1:2103 FLUSH");
}

#[test]
fn packets_wait_in_order_until_their_owner_is_known() {
    let mut stage = users();
    stage.lazy = true;
    for opcode in ["one", "two"] {
        assert_eq!(stage.send(CLIENT, notice("message", opcode)), []);
        assert_eq!(stage.send(mallory(0), notice("message", opcode)), []);
    }
    let query = |program| OwnerQuery { program, certainty: Certainty::Usual };
    assert_eq!(stage.asked, [query(CLIENT), query(mallory(0))], "once each");
    for (query, owner) in stage.asked.split_off(0).into_iter().zip([ALICE, MALLORY]).rev() {
        stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(owner))));
        let sent: Vec<Sent> = stage.drain().into_iter().filter(|packet| packet.to == server(1)).collect();
        assert_eq!(sent.iter().map(|packet| packet.notice().opcode).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
    }
    stage.send(CLIENT, notice("message", "three"));
    assert_eq!(stage.asked, [query(CLIENT)], "asked anew: the port may be another's now");
}

/// What is certain enough for a share of the queue is not for an order.
#[test]
fn an_order_is_asked_about_in_its_own_way() {
    let mut stage = users();
    stage.lazy = true;
    for notice in [notice("message", "one"), order("FLUSH"), notice("message", "two")] {
        assert_eq!(stage.send(CLIENT, notice), []);
    }
    let query = OwnerQuery { program: CLIENT, certainty: Certainty::Usual };
    assert_eq!(stage.asked.split_off(0), [query]);
    stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(ALICE))));
    assert_eq!(stage.drain().iter().map(|sent| sent.to).collect::<Vec<_>>(), [CLIENT, server(1)]);
    let query = OwnerQuery { certainty: Certainty::Sole, ..query };
    assert_eq!(stage.asked.split_off(0), [query]);
    stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(Owner::Unknown))));
    assert_eq!(stage.drain().iter().map(|sent| sent.to).collect::<Vec<_>>(), [CLIENT, server(1)], "no flush");
    assert!(matches!(stage.events.last(), Some(Event::Log(LogEvent::NotYours { owner: Owner::Unknown, .. }))));
}

/// Answers of the system that never come cost bounded memory.
#[test]
fn few_packets_wait_for_their_owner() {
    let mut stage = users();
    stage.lazy = true;
    for number in 0..5000 {
        stage.send(mallory(number % 10), notice("message", ""));
    }
    assert_eq!((stage.machine.outputs(), stage.asked.len()), (640, 10));
    for number in 0..5000 {
        stage.send(mallory(number), notice("message", ""));
    }
    assert_eq!(stage.machine.outputs(), 1024);
}

/// A socket that takes no more packets: what programs repeat meanwhile is not piled up.
#[test]
fn few_packets_wait_for_the_socket() {
    let mut stage = users();
    let octets = stage.packet(notice("message", ""));
    let most = MAX_QUEUED_PACKETS + 9000;
    for _ in 0..2 * most {
        stage.machine.handle(stage.now, Input::Datagram { from: CLIENT, local: None, octets: &octets });
        while stage.machine.outputs() < most {
            match stage.machine.poll(stage.now) {
                Output::Job(Job::Owner(query)) => {
                    stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(ALICE))));
                }
                Output::Job(Job::Lookup(_) | Job::Discover) | Output::Event(_) => {}
                Output::Transmit(packet) => {
                    stage.machine.put_back(packet);
                    break;
                }
                Output::Wait(_) => break,
            }
        }
    }
    assert!(stage.machine.outputs() < most, "{}", stage.machine.outputs());
    assert!(stage.drain().len() > MAX_QUEUED_PACKETS, "a whole queue goes to a new server");
    assert_eq!(stage.give(CLIENT, &octets).len(), 2);
}

/// Anybody can ask in somebody else's name.
#[test]
fn other_hosts_get_few_statistics() {
    let mut stage = users();
    let request = Notice { kind: Kind::Stat, ..notice("HM_STAT", "GIMMESTATS") };
    let far = SocketAddr::from(([10, 77, 0, 50], 2103));
    let answered = (0..1000).filter(|_| !stage.send(far, request).is_empty()).count();
    assert_eq!(answered, 5);
    let another = SocketAddr::from(([10, 77, 0, 51], 2103));
    assert_eq!(stage.send(another, request).len(), 1, "whoever asks too much takes nothing from others");
    let hosts = (0..1000u32).map(|host| SocketAddr::from((Ipv4Addr::from(0x0a4e_0000 + host), 2103)));
    assert_eq!(hosts.filter(|&host| !stage.send(host, request).is_empty()).count(), 94, "a hundred in all");
    assert_eq!((0..1000).filter(|_| !stage.send(CLIENT, request).is_empty()).count(), 1000, "each program starts so");
    stage.wait(1);
    assert_eq!(stage.send(far, request).len(), 1);
}
