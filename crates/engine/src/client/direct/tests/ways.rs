//! Which way a client takes: its host manager or a server, and when it changes.

use super::*;

#[test]
fn without_a_host_manager_a_server_is_spoken_to_within_a_second() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    let early = stage.send();
    stage.run(1);
    assert!(stage.connection.is_ready() && stage.is_sent(early), "{:?}", stage.events);
    let expected = DirectServer { name: "zsrv1".into(), address: Some(server(1)), source: "a test".into() };
    assert_eq!(stage.server(), Some(expected));
    assert_eq!(stage.came(server(1)), [attach(), (Kind::Acked, String::new())]);
    let asked = stage.came(HM);
    assert!(asked.len() == 2 && asked.iter().all(|(kind, _)| *kind == Kind::Stat), "{asked:?}");
    let lines: Vec<String> = stage
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Log(line) => Some(line.to_string()),
            _ => None,
        })
        .collect();
    let said = |text: &str| lines.iter().any(|line| line == text);
    assert!(said("no host manager at 127.0.0.1:2104: speaking to servers directly"), "{lines:?}");
    assert!(said("servers by a test: zsrv1") && said("Server zsrv1 answers"), "{lines:?}");
}

#[test]
fn a_host_manager_that_answers_is_used() {
    let mut stage = Stage::with_host_manager();
    stage.send();
    assert_eq!(stage.came(HM).len(), 2);
    assert_eq!((stage.discoveries, stage.came(server(1)).len()), (0, 0));
}

#[test]
fn a_silent_host_manager_is_waited_for() {
    let mut stage = Stage::new(Direct::Fallback, Port::Silent);
    stage.run(2);
    assert_eq!(stage.discoveries, 0);
    stage.run(2);
    assert!(stage.connection.is_ready() && stage.server().is_some());
}

#[test]
fn who_wants_no_server_directly_gets_none() {
    let mut stage = Stage::new(Direct::Never, Port::Closed);
    stage.run(3);
    assert_eq!((stage.failure(), stage.discoveries), (Some(OperationError::HostManagerSilent), 0));
}

#[test]
fn who_wants_no_host_manager_asks_none() {
    let mut stage = Stage::new(Direct::Always, Port::Open);
    stage.run(200);
    assert!(stage.connection.is_ready() && stage.server().is_some());
    assert!(stage.came(HM).is_empty());
}

#[test]
fn without_host_manager_and_servers_the_error_says_why() {
    for (port, after) in [(Port::Closed, 3), (Port::Silent, 11)] {
        let mut stage = Stage::new(Direct::Fallback, port);
        stage.named = Err(NotFound::NoServer("no source names one".into()));
        let early = stage.send();
        stage.run(after);
        let error = OperationError::NoServer("no source names one".into());
        assert_eq!((stage.failure(), stage.outcome(early)), (Some(error.clone()), Some(Err(error))));
        assert_eq!(stage.discoveries, 1);
    }
}

/// As at log-in, before the network is there.
#[test]
fn sources_that_do_not_answer_are_told_from_those_that_name_nobody() {
    for (port, after) in [(Port::Closed, 3), (Port::Silent, 11)] {
        let mut stage = Stage::new(Direct::Fallback, port);
        stage.named = Err(NotFound::NoAnswer("no answer of DNS".into()));
        stage.run(after);
        let error = OperationError::SourcesSilent("no answer of DNS".into());
        assert!(error.may_pass() && !OperationError::NoServer("none".into()).may_pass());
        assert_eq!(stage.failure(), Some(error));
    }
}

/// It may just be starting: it is asked for as long as one without servers.
#[test]
fn a_host_manager_that_comes_late_is_used_when_no_server_is_known() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.named = Err(NotFound::NoAnswer("no answer of DNS".into()));
    stage.run(1);
    assert_eq!((stage.discoveries, stage.failure()), (1, None));
    stage.port = Port::Open;
    stage.run(1);
    assert!(stage.connection.is_ready() && stage.server().is_none());
    assert_eq!(stage.failure(), None);
}

#[test]
fn a_system_that_sends_nothing_to_the_host_manager_is_as_one_without() {
    let mut stage = Stage::new(Direct::Fallback, Port::Silent);
    stage.drive();
    stage.connection.handle(at(0), Input::Command(Command::CannotSend("Network is unreachable".to_owned())));
    stage.drive();
    assert_eq!(stage.discoveries, 1);

    let mut stage = Stage::with_host_manager();
    stage.port = Port::Silent;
    stage.send();
    for _ in 0..2 {
        let error = Command::CannotSend("Network is unreachable".to_owned());
        stage.connection.handle(stage.now, Input::Command(error));
    }
    stage.drive();
    assert_eq!(stage.discoveries, 1, "nothing is waited for");
}

#[test]
fn what_a_lost_host_manager_has_not_taken_goes_directly() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Closed;
    stage.came(HM);
    let sent = stage.send();
    assert_eq!(stage.outcome(sent), None, "it may be back in a moment");
    stage.run(3);
    assert!(stage.is_sent(sent) && stage.server().is_some());
    assert_eq!(stage.came(server(1)), [attach(), (Kind::Acked, String::new())]);
}

#[test]
fn a_host_manager_that_is_started_again_stays_the_way() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Closed;
    let sent = stage.send();
    stage.run(1);
    stage.port = Port::Open;
    stage.came(HM);
    stage.run(1);
    assert!(stage.came(HM).contains(&(Kind::Acked, String::new())), "what it has refused is sent again");
    assert_eq!((stage.outcome(sent), stage.discoveries), (None, 0));
}

#[test]
fn a_running_client_without_any_way_fails_its_operations() {
    let mut stage = Stage::with_host_manager();
    (stage.port, stage.named) = (Port::Closed, Err(NotFound::NoServer("none".into())));
    let error = Some(Err(OperationError::NoServer("none".into())));
    for _ in 0..2 {
        let sent = stage.send();
        stage.run(3);
        assert_eq!(stage.outcome(sent), error);
    }
    stage.named = Ok(vec![1]);
    let sent = stage.send();
    stage.run(3);
    assert!(stage.is_sent(sent), "each time anew");
}

#[test]
fn a_silent_host_manager_is_left_after_ten_seconds() {
    let mut stage = Stage::with_host_manager();
    stage.port = Port::Silent;
    let sent = stage.send();
    stage.run(9);
    assert_eq!(stage.discoveries, 0);
    stage.run(2);
    assert!(stage.is_sent(sent) && stage.server().is_some());
}

#[test]
fn a_host_manager_that_is_back_is_used_again() {
    let mut stage = Stage::direct();
    stage.came(HM);
    stage.run(200);
    assert_eq!(stage.came(HM).len(), 3, "asked once a minute");
    stage.port = Port::Open;
    stage.run(60);
    assert_eq!(stage.server(), None);
    let back = |event: &Event| matches!(event, Event::Log(LogEvent::WithHostManager { .. }));
    assert!(stage.events.iter().any(back));
    assert!(matches!(stage.events.iter().rfind(|event| matches!(event, Event::Endpoint(_))),
        Some(Event::Endpoint(endpoint)) if endpoint.server.is_none()));
    stage.came(server(1));
    stage.came(HM);
    stage.send();
    assert_eq!((stage.came(HM).len(), stage.came(server(1)).len()), (1, 0));
    stage.port = Port::Closed;
    let sent = stage.send();
    stage.run(3);
    assert!(stage.is_sent(sent), "and left again");
}

#[test]
fn a_host_manager_of_other_servers_is_not_used() {
    let mut stage = Stage::direct();
    stage.named = Ok(vec![2]);
    let mut stage =
        Stage { named: Ok(vec![2]), alive: BTreeSet::from([2]), ..Stage::new(Direct::Fallback, Port::Closed) };
    stage.run(1);
    stage.port = Port::Open;
    stage.run(130);
    assert_eq!(stage.server().map(|server| server.name), Some("zsrv2".into()));
}

#[test]
fn a_host_manager_waits_until_the_server_has_answered() {
    let mut stage = Stage::direct();
    stage.port = Port::Open;
    stage.run(58);
    stage.alive.clear();
    let sent = stage.send();
    stage.run(3);
    assert!(stage.server().is_some(), "what is under way would be lost");
    stage.alive.insert(1);
    stage.run(10);
    assert!(stage.is_sent(sent) && stage.server().is_none());
}

#[test]
fn a_client_starts_also_while_no_server_answers() {
    let mut stage = Stage::new(Direct::Fallback, Port::Closed);
    stage.alive.clear();
    stage.run(9);
    assert!(!stage.connection.is_ready());
    stage.run(2);
    assert!(stage.connection.is_ready());
    let message = Message::to_user("bob").answer_timeout(Duration::from_secs(30));
    let sent = stage.begin(Operation::Send(message));
    stage.run(31);
    let error = Err(OperationError::ServerSilent("zsrv1 (10.0.1.1:2103)".into()));
    assert_eq!(stage.outcome(sent), Some(error));
}

#[test]
fn what_is_sent_while_the_host_managers_owner_is_asked_is_not_lost() {
    let mut stage = Stage { sends_meanwhile: true, ..Stage::direct() };
    (stage.port, stage.alive) = (Port::Open, BTreeSet::new());
    stage.run(62);
    assert!(!stage.sends_meanwhile && stage.server().is_some(), "what is under way would be lost");
    stage.alive.insert(1);
    stage.run(10);
    assert!(stage.is_sent(OperationId(stage.last_id)) && stage.server().is_none());
}

#[test]
fn subscriptions_are_made_by_the_clients_own_port() {
    let mut stage = Stage::direct();
    stage.came(server(1));
    let list = vec![Subscription::new("message", "*", "me")];
    let id =
        stage.begin(Operation::Subscribe { request: SubscriptionRequest::SubscribeWithoutDefaults, list, port: None });
    stage.drive();
    assert!(matches!(stage.outcome(id), Some(Ok(Outcome::Done { .. }))));
    let packet = stage.received[&server(1)].last().unwrap();
    let notice = Packet::parse(packet).unwrap().notice;
    assert_eq!((notice.port, notice.address), (PORT, HERE.into()));
}

#[test]
fn a_packet_that_is_given_back_is_the_next() {
    let mut stage = Stage::direct();
    stage.connection.handle(
        stage.now,
        Input::Command(Command::Begin { id: OperationId(9), operation: Operation::Send(Message::to_user("bob")) }),
    );
    let mut put_back = None;
    loop {
        match stage.connection.poll(stage.now) {
            Output::Transmit(transmit) if put_back.is_none() => {
                put_back = Some(transmit.clone());
                stage.connection.put_back(transmit);
            }
            Output::Transmit(transmit) => {
                assert_eq!(Some(transmit), put_back);
                break;
            }
            Output::Job(job) => {
                let done = stage.work(job);
                stage.connection.handle(stage.now, Input::Done(done));
            }
            Output::Event(_) => {}
            Output::Wait(_) => panic!("nothing was sent"),
        }
    }
}
