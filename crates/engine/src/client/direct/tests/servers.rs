//! Which server is spoken to.

use super::*;

#[test]
fn another_server_follows_a_dead_one() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    let early = stage.send();
    stage.run(8);
    assert!(stage.is_sent(early), "the first does not answer");
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
    stage.alive = BTreeSet::from([1]);
    let sent = stage.send();
    stage.run(25);
    assert!(stage.is_sent(sent), "{:?}", stage.events);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
}

/// It tells its status each time that it is asked.
#[test]
fn a_better_server_that_answers_again_is_returned_to() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    (stage.named, stage.alive) = (Ok(vec![1, 2]), BTreeSet::from([2]));
    stage.run(8);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
    stage.alive.insert(1);
    stage.came(server(1));
    for second in 0..120 {
        stage.run(1);
        if stage.came(server(1)).contains(&(Kind::Unsafe, "STATUS".to_owned())) {
            let uid = Uid { address: HERE, seconds: 1, micros: second };
            let status = Notice {
                kind: Kind::Unsafe,
                uid,
                multiuid: uid,
                port: 2103,
                class: names::ZEPHYR_ADMIN,
                opcode: names::STATUS,
                ..Notice::EMPTY
            };
            let status = status.write(&Claim::NONE, Limits::COMPATIBLE).unwrap();
            stage.datagram(server(1), &status);
        }
    }
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv1".into()));
    assert!(!stage.events.iter().any(|event| matches!(event, Event::Received(_))), "nobody is shown that");
}

#[test]
fn a_server_whose_name_is_unknown_was_not_asked() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.is_nameless = true;
    let message = Message::to_user("bob").answer_timeout(Duration::from_secs(30));
    let sent = stage.begin(Operation::Send(message));
    stage.run(60);
    let error = OperationError::ServerUnknown { name: "zsrv1".into(), reason: "no such host".into() };
    assert_eq!(stage.outcome(sent), Some(Err(error)));
    assert!(stage.came(server(1)).is_empty());
}
