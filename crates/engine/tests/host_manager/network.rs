//! Changes of the network: another address, another way, or the machine has slept.

use super::*;

/// Greetings of a server that is asked whether it is there.
fn asked(seconds: &[u64]) -> Vec<String> {
    seconds.iter().map(|second| format!("{second} 10.77.0.1:2103 ATTACH")).collect()
}

#[test]
fn the_server_is_greeted_at_once_and_gets_what_waits() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let octets = stage.packet(notice("message", "waits"));
    stage.give(CLIENT, &octets);
    stage.wait(13);
    let lookups = stage.lookups;
    let greeting = stage.command(Command::NetworkChanged);
    assert_eq!(told(&greeting), ["10.77.0.1:2103 ATTACH"]);
    assert_eq!(stage.lookups, lookups + 1);
    assert!(!stage.machine.is_looking(), "what programs send goes on meanwhile");
    assert_eq!(stage.answer(&greeting[0], Kind::ServAck, b"SENT\0"), [Sent { to: server(1), octets }]);
    assert_eq!(stage.statistics()[4], "0");
}

#[test]
fn a_server_that_cannot_be_reached_any_more_is_left() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    stage.command(Command::NetworkChanged);
    let sent = stage.told(8);
    assert_eq!(sent[..3], asked(&[2, 4, 6]));
    assert_eq!(sent[3..], ["8 10.77.0.1:2103 DETACH", "8 10.77.0.2:2103 ATTACH"]);
}

#[test]
fn a_server_that_is_looked_for_is_greeted_at_once() {
    let (mut stage, _) = Stage::with(1, |_| ());
    stage.rounds(8);
    stage.wait(5);
    assert_eq!(told(&stage.command(Command::NetworkChanged)), ["10.77.0.1:2103 BOOT"]);
    assert_about(&stage.rounds(2).0, &[5, 10]);
}

#[test]
fn many_changes_are_few() {
    let mut stage = Stage::settled_with(2, b"SENT\0");
    let mut greetings = 0;
    for _ in 0..100 {
        for greeting in stage.command(Command::NetworkChanged) {
            greetings += 1;
            stage.answer(&greeting, Kind::ServAck, b"SENT\0");
        }
        stage.now.monotonic += Duration::from_millis(15);
    }
    assert_eq!(greetings, 1);
    assert_eq!(told(&stage.next().1), ["10.77.0.1:2103 ATTACH"], "the last one is not forgotten");
}

/// By its address the host is known to who is sent a uid.
#[test]
fn the_hosts_own_address_is_taken_anew() {
    let here = Ipv4Addr::new(10, 88, 0, 5);
    let mut stage = Stage::settled_with(1, b"SENT\0");
    stage.names = |name| {
        let local = Some(Ipv4Addr::new(10, 88, 0, 5));
        Some(Ok(Located { name: name.into(), address: server(1), others: Vec::new(), local }))
    };
    stage.command(Command::NetworkChanged);
    let again = stage.next().1;
    assert_eq!((told(&again), again[0].notice().uid.address), (vec!["10.77.0.1:2103 ATTACH".to_owned()], here));
}

#[test]
fn a_host_that_was_flushed_owes_nothing_until_the_next_packet() {
    let mut stage = Stage::settled();
    stage.command(Command::Flush);
    assert_eq!(stage.command(Command::NetworkChanged), []);
    assert_eq!(stage.wait(100), []);
    assert_eq!(told(&stage.send(CLIENT, notice("message", ""))), ["10.77.0.1:2103 BOOT", "127.0.0.1:40000 "]);
}

#[test]
fn servers_are_discovered_anew() {
    let (mut stage, _) = Stage::of(Servers::to_discover(1), lookup_finds_nothing_new, |_| ());
    let found = |number: u8| {
        let candidates = vec![Candidate::listed(0, &format!("s{number}.zlab.example"), 2103)];
        Ok(Discovered { candidates, source: "x".into(), valid_for: None })
    };
    let greeting = stage.discovered(found(1));
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.wait(1000);
    // In another network there are other servers.
    stage.discovery = Some(found(2));
    let sent = stage.command(Command::NetworkChanged);
    assert_eq!(told(&sent), ["10.77.0.1:2103 ATTACH", "10.77.0.1:2103 DETACH", "10.77.0.2:2103 ATTACH"]);
}

/// The name service may have been out of reach before.
#[test]
fn a_discovery_that_failed_is_repeated_at_once() {
    let (mut stage, _) = Stage::of(Servers::to_discover(1), lookup_finds_nothing_new, |_| ());
    let nothing = || Err(NotFound::NoAnswer("Network is unreachable".into()));
    stage.discovered(nothing());
    stage.discovery = Some(nothing());
    stage.wait(2000);
    let before = stage.discoveries.len();
    stage.command(Command::NetworkChanged);
    assert_eq!(stage.discoveries.len(), before + 1);
    let start = stage.now.monotonic;
    stage.wait(3);
    assert!(stage.discoveries[before + 1] - start < Duration::from_secs(3), "and the waits begin anew");
}
