//! A further backend is one line of the table: everything that knows backends finds it there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{path::Path, sync::Arc};
use zephyr_auth_none::{NullAcceptor, NullInitiator, NullService};
use zephyr_core::{
    auth::AuthError,
    policy::{Demand, Policy},
};
use zephyr_domain::{
    Backend, BackendSetting, PROVIDERS, Provider, client_domain::ClientDomain, policy_file::PolicyFile,
    server_domain::ServerDomain,
};

const POLICY: Policy = {
    let mut policy = Policy::KERBEROS;
    policy.send = Demand::Required;
    policy
};

/// Knows one realm, and hosts that are called after it.
static BADGES: Provider = Provider {
    name: "badges",
    policy: POLICY,
    settings: &[BackendSetting::Enctypes],
    default_realm: |_| Ok("BADGES.TEST".to_owned()),
    configured_realms: || Ok(vec!["BADGES.TEST".to_owned()]),
    acceptor_warnings: |_| Vec::new(),
    acceptor: |options| match options.realm.as_deref() {
        Some("BADGES.TEST") => Ok(Arc::new(NullAcceptor::new())),
        _ => Err(AuthError::Backend("no badges of that realm".to_owned())),
    },
    service: |_| Ok(Arc::new(NullService::new())),
    initiator: |_| Ok(Arc::new(NullInitiator::new())),
};

static TABLE: &[&Provider] = &[PROVIDERS[0], PROVIDERS[1], &BADGES];
static BADGES_FIRST: &[&Provider] = &[&BADGES, PROVIDERS[0], PROVIDERS[1]];

fn badges() -> Backend {
    Backend::named("badges", TABLE).unwrap()
}

fn file(table: &'static [&'static Provider], content: &str) -> PolicyFile {
    PolicyFile::read_with(table, Path::new("p"), content).unwrap()
}

fn problems(content: &str) -> Vec<String> {
    let problems = PolicyFile::read_with(TABLE, Path::new("p"), content).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn it_is_found_by_its_name() {
    assert_eq!((badges().to_string(), format!("{:?}", badges())), ("badges".to_owned(), "Backend(badges)".to_owned()));
    assert!("badges".parse::<Backend>().is_err(), "it is not in our own table");
    let unknown = Backend::named("badge", TABLE).unwrap_err().to_string();
    assert!(unknown.ends_with("it must be kerberos, none or badges"), "{unknown}");
}

#[test]
fn a_policy_file_can_name_it() {
    let file = file(
        TABLE,
        "[domain.\"BADGES.TEST\"]\nbackend = \"badges\"\nlogin = \"required\"\nenctypes = [\"rc4-hmac\"]\n",
    );
    let domain = file.domain("badges.test");
    assert_eq!((domain.backend, &domain.policy), (badges(), &POLICY), "the defaults are its own");
    assert_eq!(file.domain("OTHER").backend, Backend::KERBEROS, "the first of the table");
}

#[test]
fn messages_name_it() {
    for (content, text) in [
        ("backend = \"badge\"", "p:2:11: backend: \"badge\" means nothing here, did you mean badges?"),
        ("backend = \"ssh\"", "p:2:11: backend: \"ssh\" means nothing here; there are kerberos, none, badges"),
        (
            "backend = \"none\"\nenctypes = []",
            "p:3:12: enctypes: only a domain with backend \"kerberos\" or \"badges\" has any",
        ),
        (
            "backend = \"badges\"\nbelieve-unproven-senders = true",
            "p:3:28: believe-unproven-senders: only where backend is \"none\" may they be believed",
        ),
    ] {
        assert_eq!(problems(&format!("[domain.A]\n{content}\n")), [text]);
    }
}

#[test]
fn servers_and_clients_use_it() {
    let file = file(BADGES_FIRST, "");
    let server = ServerDomain::find(&file, None, None, None).unwrap();
    assert_eq!((server.realm.as_str(), server.domain.backend), ("BADGES.TEST", badges()));
    assert!(server.acceptor("/no/keytab".into()).is_ok());
    assert!(server.service("/no/keytab".into()).is_ok_and(|service| !service.proves()));
    let elsewhere = ServerDomain::find(&file, Some(badges()), Some("ELSEWHERE"), None).unwrap();
    assert_eq!(elsewhere.acceptor("/no/keytab".into()).err().unwrap().to_string(), "no badges of that realm");

    let client = ClientDomain::of_server(&file, None, "zephyr.badges.test").unwrap();
    assert_eq!((client.realm.as_str(), client.domain.backend), ("BADGES.TEST", badges()));
    let forced = ClientDomain::of_server(&PolicyFile::default(), Some(badges()), "zephyr.badges.test").unwrap();
    assert_eq!((forced.domain.backend, forced.domain.policy), (badges(), POLICY));
}
