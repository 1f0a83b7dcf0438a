//! Access control lists, registries and default subscriptions are read or refused with a place; what a list says of a
//! principal is found in time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use zephyr_engine::server::acl::{Acl, Defaults, ListDecision, Registry, Who};

fuzz_target!(|input: &[u8]| {
    // The first line asks, the rest is a file.
    let mut parts = input.splitn(2, |&octet| octet == b'\n');
    let (principal, file) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let lines = file.split(|&octet| octet == b'\n').count();
    if let Ok(acl) = Acl::read(file) {
        let address = Some(IpAddr::from([10, 0, 0, principal.first().copied().unwrap_or_default()]));
        for who in [Who { principal: Some(principal), address }, Who { principal: None, address }] {
            let (ListDecision::Admitted(line) | ListDecision::Refused(Some(line))) = acl.decide(who) else { continue };
            assert!((1..=lines).contains(&line));
            // The line that decides, alone, says the same.
            let text = file.split(|&octet| octet == b'\n').nth(line - 1).unwrap_or_default();
            let alone = Acl::read(text).expect("it was read before").decide(who);
            assert_eq!(alone.admits(), acl.decide(who).admits());
        }
    }
    let (registry, errors) = Registry::read(file);
    assert!(registry.classes().iter().all(|class| !class.spelling.contains(&b'/')));
    assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)));
    if let Err(errors) = Defaults::read(file) {
        assert!(!errors.is_empty() && errors.iter().all(|error| (1..=lines).contains(&error.line)));
    }
});
