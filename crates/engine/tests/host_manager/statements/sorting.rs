//! Section 5: who may send what.

use super::*;

const ALL_KINDS: [Kind; 9] = [
    Kind::Unsafe,
    Kind::Unacked,
    Kind::Acked,
    Kind::HmAck,
    Kind::HmCtl,
    Kind::ServAck,
    Kind::ServNak,
    Kind::ClientAck,
    Kind::Stat,
];

/// What becomes of each kind from each source, as the table of the section has it.
#[test]
fn each_kind_is_taken_from_its_source_only() {
    let elsewhere = SocketAddr::from(([10, 77, 0, 50], 40_000));
    for (from, taken) in [
        (CLIENT, &[Kind::Unsafe, Kind::Unacked, Kind::Acked, Kind::HmCtl, Kind::Stat][..]),
        (server(1), &[Kind::HmCtl, Kind::ServAck, Kind::ServNak, Kind::Stat][..]),
        (elsewhere, &[Kind::Stat][..]),
    ] {
        for kind in ALL_KINDS {
            let mut stage = Stage::settled();
            let before = stage.machine.statistics();
            let sent = stage.send(from, Notice { kind, ..notice("message", "PING") });
            let after = stage.machine.statistics();
            let counted = after != before;
            let is_taken = counted || (kind == Kind::Stat && sent.len() == 1);
            assert_eq!(is_taken, taken.contains(&kind), "{kind:?} from {from}");
            if !is_taken {
                assert_eq!(sent, [], "{kind:?} from {from}");
                assert_eq!(stage.machine.queued(), 0);
                assert_eq!(logged(&mut stage).len(), 1, "{kind:?} from {from}: a line says so");
            }
        }
    }
}

/// What one reads in the log of a kind that nobody sends here.
#[test]
fn the_log_names_the_number_of_an_unknown_kind() {
    let mut stage = Stage::settled();
    stage.send(CLIENT, Notice { kind: Kind::Other(77), ..notice("message", "") });
    assert!(logged(&mut stage)[0].to_string().starts_with("Unknown notice type: 77"));
}

/// It never sees what servers deliver: that goes straight to programs.
#[test]
fn what_a_server_delivers_is_not_for_a_host_manager() {
    let mut stage = Stage::settled();
    for kind in [Kind::Unsafe, Kind::Unacked, Kind::Acked] {
        assert_eq!(stage.send(server(1), Notice { kind, ..notice("message", "") }), []);
        assert_eq!(logged(&mut stage), [LogEvent::UnknownKind { kind, from: server(1) }]);
    }
    assert_eq!((stage.machine.queued(), stage.statistics()[3].as_str()), (0, "1"), "the greeting's answer alone");
}

/// A sender is what a program says, as the server decides about it.
#[test]
fn whom_a_program_claims_to_be_is_not_looked_at() {
    let mut stage = Stage::settled();
    for sender in ["", "alice@ATHENA.TEST", "root@OTHER.TEST", "\u{e9}\n"] {
        let octets = stage.packet(Notice { sender: sender.as_bytes(), ..notice("message", "") });
        let sent = stage.give(CLIENT, &octets);
        assert_eq!((sent.len(), &sent[1].octets), (2, &octets));
    }
}

/// It knows nothing of subscriptions: those are packets like any others.
#[test]
fn subscriptions_are_packets_like_any_others() {
    let mut stage = Stage::settled();
    for (class, opcode) in [
        ("ZEPHYR_CTL", "SUBSCRIBE"),
        ("ZEPHYR_CTL", "UNSUBSCRIBE"),
        ("ZEPHYR_CTL", "CLEARSUB"),
        ("ZEPHYR_CTL", "GIMME"),
        ("LOGIN", "USER_LOGIN"),
        ("message", ""),
    ] {
        let octets = stage.packet(notice(class, opcode));
        let sent = stage.give(CLIENT, &octets);
        assert_eq!(sent[1], Sent { to: server(1), octets });
        assert_eq!(stage.answer(&sent[1], Kind::ServNak, b"LOST\0").len(), 1);
    }
}
