#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::socket::{setsockopt, sockopt},
};
use std::{process::Command, thread, time::Duration};

/// Runs `story` on a host whose network is its own; not at all where that cannot be made.
fn on_a_host_of_its_own(story: impl FnOnce() + Send + 'static) {
    let host = thread::spawn(|| {
        // Of this thread alone, and of the programs that it starts.
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            return eprintln!("passed over: no network namespace can be made here: {error}");
        }
        ip("link set lo up");
        story();
    });
    host.join().unwrap();
}

fn ip(arguments: &str) {
    let run = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(run.success(), "ip {arguments}");
}

/// How often a change is told until nothing more comes for longer than an interval.
fn told(watch: &mut NetworkWatch) -> u32 {
    let mut told = 0;
    let mut quiet_since = Instant::now();
    while quiet_since.elapsed() < INTERVAL + Duration::from_millis(500) {
        let mut descriptors = [PollFd::new(watch.descriptor().unwrap(), PollFlags::POLLIN)];
        if poll(&mut descriptors, PollTimeout::from(20_u8)).unwrap() > 0 {
            quiet_since = Instant::now();
        }
        told += u32::from(watch.drain(Instant::now()));
    }
    assert_eq!(watch.due(), None);
    told
}

#[test]
fn addresses_and_routes_that_come_and_go_are_told_once_each() {
    on_a_host_of_its_own(|| {
        let mut watch = NetworkWatch::new();
        assert_eq!(told(&mut watch), 0, "nothing has happened since the watch began");
        ip("address add 10.7.0.1/24 dev lo");
        assert_eq!(told(&mut watch), 1, "an address");
        ip("route add 10.8.0.0/24 via 10.7.0.2");
        ip("route add default via 10.7.0.3");
        assert_eq!(told(&mut watch), 1, "two routes in a moment");
        ip("address add 10.7.0.9/24 dev lo");
        ip("address delete 10.7.0.9/24 dev lo");
        ip("address delete 10.7.0.1/24 dev lo");
        assert_eq!(told(&mut watch), 1, "all of it ends");
        ip("address add 2001:db8::7/64 dev lo");
        assert_eq!(told(&mut watch), 0, "an address of IPv6, which any router of the network may bring");
        ip("link set lo down");
        assert_eq!(told(&mut watch), 1, "the link");
    });
}

#[test]
fn more_than_there_is_room_for_is_a_change() {
    on_a_host_of_its_own(|| {
        let mut watch = NetworkWatch::new();
        let kernel = watch.kernel.as_mut().unwrap();
        setsockopt(kernel.network(), sockopt::RcvBuf, &1).unwrap();
        let route = |number: u8| ip(&format!("route add 10.7.0.{number} dev lo proto bgp"));
        route(1);
        assert!(!kernel.take_changes(), "the control: this changes nothing");
        (2..=60).for_each(route);
        assert!(kernel.take_changes(), "nobody knows what else was told");
        assert!(!kernel.take_changes(), "all of it was taken");
    });
}

#[test]
fn tokio_is_told_as_well() {
    on_a_host_of_its_own(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut changes = NetworkChanges::new();
            for host in 1..=3 {
                ip(&format!("address add 10.7.0.{host}/24 dev lo"));
                // Cancelled again and again, as in a loop that waits for much else.
                let mut cancelled = 0;
                while tokio::time::timeout(Duration::from_millis(30), changes.changed()).await.is_err() {
                    cancelled += 1;
                    assert!(cancelled < 4000, "it is not told");
                }
            }
            ip("address add 10.7.0.4/24 dev lo");
            tokio::time::timeout(Duration::from_secs(120), changes.changed()).await.unwrap();
        });
    });
}
