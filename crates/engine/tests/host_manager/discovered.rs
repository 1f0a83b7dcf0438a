//! Servers that are discovered: none at the start, others later, and what a discovery that fails changes.

use super::*;

const SOURCE: &str = "DNS (_zephyr-clt._udp.zlab.example)";

/// Servers by their numbers, in this order, each worse than the one before.
fn ranked(numbers: &[u8]) -> Result<Discovered, NotFound> {
    let candidate = |(place, number): (usize, &u8)| Candidate {
        host: format!("s{number}.zlab.example").into(),
        port: 2103,
        priority: 10 * u16::try_from(place).unwrap(),
        weight: 0,
    };
    let candidates = numbers.iter().enumerate().map(candidate).collect();
    Ok(Discovered { candidates, source: SOURCE.into(), valid_for: None })
}

fn valid_for(seconds: u64) -> Result<Discovered, NotFound> {
    ranked(&[1]).map(|found| Discovered { valid_for: Some(Duration::from_secs(seconds)), ..found })
}

fn no_answer() -> Result<Discovered, NotFound> {
    Err(NotFound::NoAnswer("no answer of DNS".into()))
}

fn no_server() -> Result<Discovered, NotFound> {
    Err(NotFound::NoServer("no source names a server".into()))
}

/// One that knows no server, and waits for the first discovery to end.
fn started() -> Stage {
    let (stage, greeting) = Stage::of(Servers::to_discover(1), lookup_finds_nothing_new, |_| ());
    assert_eq!((greeting.len(), stage.discoveries.len(), stage.due), (0, 1, None));
    stage
}

/// One to which `found` was discovered, and whose first server has answered.
fn settled(found: Result<Discovered, NotFound>) -> Stage {
    let mut stage = started();
    let greeting = stage.discovered(found);
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    stage.events.clear();
    stage
}

/// The waits between discoveries in this time.
fn waits(stage: &mut Stage, seconds: u64) -> Vec<Duration> {
    stage.wait(seconds);
    stage.discoveries.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn what_programs_send_before_any_server_is_known_is_kept_for_it() {
    let mut stage = started();
    assert_eq!(stage.machine.waiting(), Some(Waiting::Discovery { reason: None }));
    let lines = stage.statistics();
    assert_eq!((lines[0].as_str(), lines[6].as_str(), lines.len()), ("", "yes (finding servers)", 10));
    let octets = stage.packet(notice("message", ""));
    assert_eq!(told(&stage.give(CLIENT, &octets)), ["127.0.0.1:40000 "], "acknowledged");
    // What concerns servers concerns nobody yet.
    assert_eq!(stage.send(CLIENT, Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "NEWSERV") }), []);
    assert_eq!(stage.send(server(1), notice("message", "")), []);
    stage.wait(100);
    let greeting = stage.discovered(ranked(&[1, 2]));
    assert_eq!(told(&greeting), ["10.77.0.1:2103 BOOT"]);
    let line = format!("servers by {SOURCE}: s1.zlab.example, s2.zlab.example");
    assert!(stage.events.iter().any(|event| matches!(event, Event::Server(change) if change.to_string() == line)));
    assert_eq!(stage.answer(&greeting[0], Kind::ServAck, b"SENT\0"), [Sent { to: server(1), octets }]);
    let lines = stage.statistics();
    let looking = format!("no (servers by {SOURCE})");
    assert_eq!((lines[0].as_str(), &lines[6], lines.len()), ("s1.zlab.example", &looking, 10), "after what C shows");
}

#[test]
fn that_nobody_names_a_server_is_told_when_it_is_the_first_answer() {
    let reason: Box<str> = "no source names a server".into();
    let told = Event::NoServer { reason: reason.clone() };
    let waiting = Waiting::Discovery { reason: Some(reason) };
    let mut stage = started();
    stage.discovered(no_server());
    assert_eq!(stage.events, [told.clone(), Event::Server(ServerChange::Waiting(waiting.clone()))]);
    stage.discovery = Some(no_server());
    stage.wait(3600);
    assert_eq!(stage.events.len(), 2, "once in an hour");
    assert_eq!(stage.statistics()[6], "yes (finding servers: no source names a server)");

    let mut stage = started();
    stage.discovered(no_answer());
    stage.discovery = Some(no_server());
    stage.wait(100);
    assert!(!stage.events.contains(&told), "the network came later than the host manager");
    assert_eq!(stage.machine.waiting(), Some(waiting));

    let mut stage = started();
    stage.discovered(Ok(Discovered { candidates: Vec::new(), source: "servers".into(), valid_for: None }));
    assert_eq!(stage.events[0], Event::NoServer { reason: "servers names no server".into() });
}

#[test]
fn while_there_is_no_server_it_is_looked_for_ever_more_slowly() {
    for found in [no_server(), no_answer()] {
        let mut stage = started();
        stage.discovered(found.clone());
        stage.discovery = Some(found);
        let waits = waits(&mut stage, 2000);
        assert_about(&waits[..10], &[2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(300)), "{waits:?}");
        stage.discovery = Some(ranked(&[1]));
        assert_eq!(told(&stage.next().1), ["10.77.0.1:2103 BOOT"]);
    }
}

#[test]
fn while_no_server_answers_others_are_looked_for_ever_more_slowly() {
    let mut stage = started();
    stage.discovered(ranked(&[1, 2]));
    stage.discovery = Some(ranked(&[1, 2]));
    stage.wait(3600);
    let count = stage.discoveries.len();
    assert!((10..30).contains(&count), "{count}");
    stage.discovery = Some(ranked(&[3]));
    let sent = (0..20).map(|_| stage.next().1).find(|sent| sent.iter().any(|packet| packet.to == server(3)));
    assert_eq!(told(&sent.unwrap()).last().unwrap(), "10.77.0.3:2103 BOOT");
    assert_eq!(stage.machine.server_address(), Some(server(3)));
}

#[test]
fn what_was_discovered_holds_as_long_as_its_source_says_within_bounds() {
    for (seconds, expected) in [(0, 30), (45, 45), (10 * 24 * 3600, 24 * 3600)] {
        let mut stage = settled(valid_for(seconds));
        stage.discovery = Some(valid_for(seconds));
        let waits = waits(&mut stage, 3 * expected + 1);
        assert_eq!(waits, [Duration::from_secs(expected); 3]);
        assert_eq!(stage.events, [], "nothing has changed");
    }
    let mut stage = settled(ranked(&[1, 2]));
    assert_eq!((stage.due, stage.wait(100_000).len(), stage.discoveries.len()), (None, 0, 1), "or for ever");
}

#[test]
fn a_discovery_that_fails_changes_nothing() {
    let mut stage = settled(valid_for(60));
    stage.discovery = Some(no_answer());
    stage.wait(3600);
    assert!((10..30).contains(&stage.discoveries.len()), "{:?}", stage.discoveries);
    assert_eq!(stage.send(CLIENT, notice("message", "")).len(), 2, "acknowledged and forwarded");
    let event = LogEvent::NotDiscovered { reason: "no answer of DNS".into() };
    assert_eq!(event.to_string(), "finding servers: no answer of DNS; those that are known stay");
    assert_eq!(stage.events, [Event::Log(event)], "told once");
    assert_eq!(stage.statistics()[6], format!("no (servers by {SOURCE})"));
}

#[test]
fn a_server_that_stays_in_the_list_is_not_left() {
    let mut stage = settled(ranked(&[1, 2]));
    assert_eq!(stage.discovered(ranked(&[3, 1])), []);
    let line = format!("servers by {SOURCE}: s3.zlab.example, s1.zlab.example");
    assert!(matches!(&stage.events[..], [Event::Server(change)] if change.to_string() == line), "{:?}", stage.events);
    assert_eq!((stage.machine.server_address(), stage.machine.is_looking()), (Some(server(1)), false));
    assert_eq!(stage.send(CLIENT, notice("message", "")).len(), 2);
    stage.events.clear();
    assert_eq!(stage.discovered(ranked(&[3, 1])), []);
    assert_eq!(stage.events, [], "the same list is no news");
}

#[test]
fn a_server_that_is_not_in_the_list_any_more_is_left() {
    let mut stage = settled(ranked(&[1, 2]));
    let octets = stage.packet(notice("message", ""));
    stage.give(CLIENT, &octets);
    let sent = stage.discovered(ranked(&[3, 2]));
    assert_eq!(told(&sent), ["10.77.0.1:2103 DETACH", "10.77.0.3:2103 ATTACH"]);
    assert_eq!(stage.statistics()[4], "1");
    assert!(stage.events.iter().any(|event| matches!(event, Event::Server(ServerChange::Lost { .. }))));
    stage.events.clear();
    let late = stage.packet(Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "SHUTDOWN") });
    assert_eq!(stage.give(server(1), &late), [], "it is no server any more");
    assert_eq!(stage.answer(&sent[1], Kind::ServAck, b"SENT\0"), [Sent { to: server(3), octets }]);
}

#[test]
fn a_hangup_has_servers_discovered_and_the_host_flushed() {
    let mut stage = settled(ranked(&[1, 2]));
    stage.discovery = Some(ranked(&[2, 3]));
    stage.wait(2);
    let sent = stage.command(Command::Flush);
    assert_eq!(told(&sent), ["10.77.0.1:2103 FLUSH", "10.77.0.1:2103 DETACH", "10.77.0.2:2103 BOOT"]);
    let before = stage.discoveries.len();
    for _ in 0..100 {
        stage.command(Command::Flush);
    }
    assert_eq!(stage.discoveries.len(), before, "right after another");
    stage.wait(2);
    assert_eq!(stage.discoveries.len(), before + 1, "and the last one is not forgotten");
}

/// Those of a list without priorities: the first is the primary.
#[test]
fn of_a_list_without_priorities_the_first_is_greeted() {
    for seed in 0..20 {
        let (mut stage, _) = Stage::of(Servers::to_discover(seed), lookup_finds_nothing_new, |_| ());
        let candidate = |place| Candidate::listed(place, &format!("s{}.zlab.example", 4 - place), 2103);
        let found = Discovered { candidates: (0..4).map(candidate).collect(), source: "x".into(), valid_for: None };
        assert_eq!(told(&stage.discovered(Ok(found))), ["10.77.0.4:2103 BOOT"]);
    }
}

/// What was asked while another was under way is asked after it.
#[test]
fn one_discovery_is_under_way_at_a_time() {
    let mut stage = started();
    for _ in 0..10 {
        stage.command(Command::NetworkChanged);
        stage.wait(10);
    }
    assert_eq!(stage.discoveries.len(), 1);
    stage.discovered(ranked(&[1]));
    assert_eq!(stage.discoveries.len(), 2);
}
