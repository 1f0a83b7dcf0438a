//! A host manager with several addresses: each program is answered from the one that it asked.

use super::*;
use std::net::IpAddr;

/// Two of the host's addresses.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OWN_NAME: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));

/// What is sent when a packet has come to an address.
fn come(stage: &mut Stage, from: SocketAddr, local: IpAddr, octets: &[u8]) -> Vec<Transmit> {
    stage.machine.handle(stage.now, Input::Datagram { from, local: Some(local), octets });
    let mut sent = Vec::new();
    loop {
        match stage.machine.poll(stage.now) {
            Output::Transmit(transmit) => sent.push(transmit),
            Output::Job(Job::Owner(query)) => {
                stage.machine.handle(stage.now, Input::Done(Done::Owner(query.answer(Owner::User(1000)))));
            }
            Output::Job(Job::Lookup(lookup)) => panic!("{} is known", lookup.host),
            Output::Job(Job::Discover) | Output::Event(_) => {}
            Output::Wait(_) => return sent,
        }
    }
}

fn ways(sent: &[Transmit]) -> Vec<(SocketAddr, Option<IpAddr>)> {
    sent.iter().map(|transmit| (transmit.to, transmit.local)).collect()
}

#[test]
fn programs_are_answered_from_the_address_that_they_asked() {
    let mut stage = Stage::settled();
    let first = stage.packet(notice("message", ""));
    let to_server = (server(1), None);
    assert_eq!(ways(&come(&mut stage, CLIENT, OWN_NAME, &first)), [(CLIENT, Some(OWN_NAME)), to_server]);
    let second = stage.packet(notice("message", ""));
    assert_eq!(ways(&come(&mut stage, OTHER, HERE, &second)), [(OTHER, Some(HERE)), to_server]);
    // One that comes again is acknowledged from where it came to then.
    assert_eq!(ways(&come(&mut stage, OTHER, OWN_NAME, &second))[0], (OTHER, Some(OWN_NAME)));
    // The server's answers come to another address, and go on from the one that each program knows.
    for (packet, program) in [(first, (CLIENT, Some(OWN_NAME))), (second, (OTHER, Some(HERE)))] {
        let asked = Packet::parse(&packet).unwrap().notice;
        let answer = Notice { kind: Kind::ServAck, multinotice: b"", body: b"SENT\0", ..asked };
        let answer = answer.write(&Claim::NONE, Limits::WHOLE_PACKET).unwrap();
        assert_eq!(ways(&come(&mut stage, server(1), IpAddr::from([10, 77, 0, 8]), &answer)), [program]);
    }
    let status = stage.packet(Notice { kind: Kind::Stat, ..notice("HM_STAT", "GIMMESTATS") });
    assert_eq!(ways(&come(&mut stage, CLIENT, OWN_NAME, &status)), [(CLIENT, Some(OWN_NAME))]);
}

#[test]
fn servers_are_answered_from_the_address_that_they_asked() {
    let mut stage = Stage::settled();
    let local = IpAddr::from([10, 77, 0, 9]);
    let ping = stage.packet(Notice { kind: Kind::HmCtl, ..notice("HM_CTL", "PING") });
    assert_eq!(ways(&come(&mut stage, server(1), local, &ping)), [(server(1), Some(local))]);
}

/// It is bound to one address of the host: programs that ask there have that address, too.
#[test]
fn programs_may_ask_at_the_address_that_it_is_bound_to() {
    let own = IpAddr::from([10, 77, 0, 9]);
    let program = SocketAddr::from((own, 40_000));
    let (mut stage, greeting) = Stage::with(1, |config| config.own_address = Some(own));
    stage.answer(&greeting[0], Kind::ServAck, b"SENT\0");
    let octets = stage.packet(notice("message", ""));
    assert_eq!(ways(&come(&mut stage, program, own, &octets)), [(program, Some(own)), (server(1), None)]);
    // Another host's are none of its own.
    let far = SocketAddr::from(([10, 77, 0, 50], 40_000));
    stage.events.clear();
    assert_eq!(stage.send(far, notice("message", "")), []);
    let Some(Event::Log(event)) = stage.events.pop() else { panic!("nothing told") };
    let text = "Notice from 10.77.0.50:40000 is not taken: only programs of this machine may ask, at 10.77.0.9";
    assert_eq!(event.to_string(), text);
}
