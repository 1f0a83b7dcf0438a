//! Section 8, the queue: what is sent again, for how long, and what that says of the server.

use super::*;

fn seconds_of(sent: &[(u64, Sent)], octets: &Bytes) -> Vec<u64> {
    sent.iter().filter(|(_, packet)| packet.octets == *octets).map(|(second, _)| *second).collect()
}

/// At 2, 4, 8 and 12 seconds; at 20 the server is left. Of any kind.
#[test]
fn packets_are_sent_again_by_the_schedule() {
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        let mut stage = Stage::settled_with(2, b"SENT\0");
        let octets = stage.packet(Notice { kind, ..notice("message", "") });
        stage.give(CLIENT, &octets);
        let sent = stage.wait(20);
        assert_eq!(seconds_of(&sent, &octets), [2, 4, 8, 12]);
        assert_eq!(sent.last().unwrap().1.told(), "10.77.0.2:2103 ATTACH");
        assert_eq!(sent.last().unwrap().0, 20);
    }
}

/// Each has its own schedule.
#[test]
fn an_answer_to_one_packet_is_none_to_another() {
    let mut stage = Stage::settled();
    let [one, two] = ["one", "two"].map(|opcode| stage.packet(notice("message", opcode)));
    let sent = stage.give(CLIENT, &one).remove(1);
    stage.wait(1);
    stage.give(OTHER, &two);
    stage.answer(&sent, Kind::ServAck, b"SENT\0");
    let sent = stage.wait(8);
    assert_eq!((seconds_of(&sent, &one), seconds_of(&sent, &two)), (vec![], vec![2, 4, 8]));
}

/// The same packet again is forwarded, and changes nothing of when it is sent by itself.
#[test]
fn a_repeated_packet_is_one_packet() {
    let mut stage = Stage::settled();
    let octets = stage.packet(notice("message", ""));
    let sent = stage.give(CLIENT, &octets).remove(1);
    stage.wait(1);
    assert_eq!(stage.give(CLIENT, &octets).len(), 2);
    assert_eq!(stage.machine.queued(), 1);
    assert_eq!(seconds_of(&stage.wait(3), &octets), [1, 3]);
    assert_eq!(stage.answer(&sent, Kind::ServAck, b"SENT\0").len(), 1);
    assert_eq!(stage.answer(&sent, Kind::ServAck, b"SENT\0"), [], "answered once");
}

/// A fault of C: a packet that a server never answers makes it change its server every 20 seconds for ever. All of those
/// that are known to do so.
#[test]
fn what_servers_never_answer_makes_no_server_dead() {
    for (class, instance, opcode) in [
        ("zephyr_admin", "", "STATUS"),
        ("ZEPHYR_CTL", "REALM", "nonsense"),
        ("message", "personal", "BOOT"),
        ("message", "personal@UNREACHABLE.EXAMPLE", ""),
    ] {
        let mut stage = Stage::settled_with(2, b"SENT\0");
        let octets = stage.packet(Notice { instance: instance.as_bytes(), ..notice(class, opcode) });
        stage.give(CLIENT, &octets);
        let mut repeated = Vec::new();
        for second in 1..=400 {
            for (_, packet) in stage.wait(1) {
                if packet.octets == octets {
                    repeated.push(second);
                } else {
                    stage.answer(&packet, Kind::ServAck, b"SENT\0");
                }
            }
        }
        assert_eq!(stage.statistics()[4], "0", "{class} {opcode}: the server is not left");
        assert_eq!(stage.machine.queued(), 0, "{class} {opcode}: it has aged out");
        let last = *repeated.last().unwrap();
        assert!(last < 300 && repeated.len() < 20, "{class} {opcode}: sent again ever more slowly: {repeated:?}");
        let expired = |event: &LogEvent| matches!(event, LogEvent::Expired { .. });
        assert_eq!(logged(&mut stage).iter().filter(|event| expired(event)).count(), 1, "and that is told once");
    }
}

/// A fault of C: entries have no age. With no server at all they have one as well.
#[test]
fn packets_age_without_a_server() {
    let (mut stage, _) = Stage::with(1, |_| ());
    stage.send(CLIENT, notice("message", "old"));
    stage.wait(200);
    stage.send(CLIENT, notice("message", "young"));
    stage.wait(99);
    assert_eq!(stage.machine.queued(), 2);
    stage.wait(2);
    assert_eq!(stage.machine.queued(), 1);
    let Some(LogEvent::Expired { opcode, .. }) = logged(&mut stage).pop() else { panic!("not told") };
    assert_eq!(*opcode, *b"old");
}

/// A fault of C: the queue has no bound. What is not taken is not acknowledged, so its program knows.
#[test]
fn the_queue_has_a_bound() {
    let (mut stage, _) = Stage::with(1, |_| ());
    let sent = MAX_QUEUED_PACKETS + 10;
    let acknowledged = (0..sent).filter(|_| !stage.send(CLIENT, notice("message", "")).is_empty()).count();
    assert_eq!((acknowledged, stage.machine.queued()), (MAX_QUEUED_PACKETS, MAX_QUEUED_PACKETS));
    let full = LogEvent::QueueFull { from: CLIENT };
    assert_eq!(logged(&mut stage).iter().filter(|event| **event == full).count(), 10);
}

/// Packets of a dead server's are the next one's.
#[test]
fn no_packet_is_lost_when_a_server_dies() {
    let mut stage = Stage::settled_with(3, b"SENT\0");
    let packets: Vec<Bytes> = (0..50).map(|number| stage.packet(notice("message", &number.to_string()))).collect();
    packets.iter().for_each(|octets| drop(stage.give(CLIENT, octets)));
    let greeting = stage.wait(20).pop().unwrap().1;
    assert_ne!(greeting.to, server(1));
    let sent = stage.answer(&greeting, Kind::ServAck, b"SENT\0");
    assert_eq!(sent.iter().map(|packet| &packet.octets).collect::<Vec<_>>(), packets.iter().collect::<Vec<_>>());
    for packet in sent {
        assert_eq!(stage.answer(&packet, Kind::ServAck, b"SENT\0").len(), 1);
    }
    assert_eq!(stage.machine.queued(), 0);
}
