//! The thread that writes: it keeps nobody waiting, says when it cannot write, and catches up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod doubles;

use doubles::*;
use std::{
    path::Path,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use zephyr_engine::server::{Change, Changed};
use zephyr_state::{Keeper, Opening, Pace, Report, Rest, examine};

/// Only tests that fail wait so long.
const TIMEOUT: Duration = Duration::from_secs(120);

const QUICK: Pace = Pace { heartbeat: Duration::from_millis(20), retry: Duration::from_millis(20) };

fn start(path: &Path) -> (Keeper, Receiver<Report>) {
    start_at(path, QUICK)
}

fn start_at(path: &Path, pace: Pace) -> (Keeper, Receiver<Report>) {
    let (sender, reports) = channel();
    let opening = Opening { path: path.to_owned(), owner: owner(), keys: storage_keys(&[1]), prepare: |_| Ok(()) };
    let keeper = Keeper::start(Ok(open(path, &[1])), opening, pace, move |report| drop(sender.send(report))).unwrap();
    (keeper, reports)
}

/// The first report that is such a one.
fn until<T>(reports: &Receiver<Report>, wanted: impl Fn(Report) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(reports.recv_timeout(TIMEOUT).expect("it comes")) {
            return found;
        }
    }
}

fn stored(reports: &Receiver<Report>) -> u64 {
    until(reports, |report| if let Report::Stored(up_to) = report { Some(up_to) } else { None })
}

fn out(reports: &Receiver<Report>) -> String {
    until(reports, |report| if let Report::Out(why) = report { Some(why) } else { None })
}

fn wants_all(reports: &Receiver<Report>) {
    until(reports, |report| matches!(report, Report::WantsAll).then_some(()));
}

fn count(path: &Path, what: &str) -> u64 {
    let counts = examine::look(path).unwrap().counts;
    counts.into_iter().find(|(name, _)| *name == what).unwrap().1
}

/// Somebody who lets nobody else write.
fn locked(path: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

fn hosts(from: u32, to: u32) -> Vec<Changed> {
    let host = |number: u32| Change::HostKnown { manager: ((number + 1).to_be_bytes(), 2104).into(), local: None };
    (from..to).map(|number| changed(u64::from(number), host(number))).collect()
}

#[test]
fn what_is_handed_over_is_written_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (keeper, reports) = start(&path);
    let mut changes = some_changes();
    assert!(keeper.hand_over(&mut changes) && changes.is_empty());
    assert_eq!(stored(&reports), 8);
    assert_eq!(count(&path, "clients"), 2);
    assert!(keeper.hand_over(&mut hosts(0, 5)));
    assert!(keeper.finish(Rest::default(), TIMEOUT), "what was handed over last is written, too");
    assert_eq!(count(&path, "hosts"), 6);
    assert!(examine::look(&path).unwrap().is_complete);
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (keeper, reports) = start(&path);
    keeper.hand_over(&mut some_changes());
    stored(&reports);
    let other = locked(&path);
    keeper.hand_over(&mut hosts(0, 5));
    assert_eq!(out(&reports), "another program keeps it locked");
    let status = keeper.status();
    assert_eq!(status.out.unwrap().1, "another program keeps it locked");
    assert!(keeper.hand_over(&mut hosts(5, 10)), "nobody waits, and it is known that nothing is kept");
    drop(other);
    wants_all(&reports);
    keeper.give_all(hosts(0, 20));
    until(&reports, |report| matches!(report, Report::Back).then_some(()));
    assert_eq!(stored(&reports), 18, "all that was handed over until then");
    assert_eq!([count(&path, "hosts"), count(&path, "clients")], [20, 0], "in the place of what there was");
    keeper.hand_over(&mut hosts(20, 21));
    assert_eq!(stored(&reports), 19);
    let status = keeper.status();
    assert_eq!((status.out, status.failures > 0, status.dropped), (None, true, 5 + 5));
}

#[test]
fn a_file_that_is_removed_or_replaced_is_noticed_and_all_goes_into_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let pace = Pace { retry: Duration::from_secs(3600), ..QUICK };
    let (keeper, reports) = start_at(&path, pace);
    keeper.hand_over(&mut some_changes());
    stored(&reports);
    std::fs::remove_file(&path).unwrap();
    assert!(out(&reports).contains("removed or replaced"));
    wants_all(&reports);
    keeper.give_all(hosts(0, 20));
    until(&reports, |report| matches!(report, Report::Back).then_some(()));
    assert_eq!([count(&path, "hosts"), count(&path, "clients")], [20, 0]);
    assert!(keeper.finish(Rest::default(), TIMEOUT));
    assert!(examine::look(&path).unwrap().is_complete);
}

#[test]
fn nothing_is_called_kept_in_a_file_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let other = folder.path().join("other.db");
    drop(open(&other, &[1]));
    let (keeper, reports) = start_at(&path, Pace { heartbeat: Duration::from_secs(3600), ..QUICK });
    keeper.hand_over(&mut some_changes());
    stored(&reports);
    std::fs::rename(&other, &path).unwrap();
    assert!(!keeper.finish(Rest::default(), TIMEOUT));
    assert!(out(&reports).contains("removed or replaced"));
}

#[test]
fn a_disk_that_is_too_slow_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (keeper, reports) = start(&path);
    let other = locked(&path);
    // While the thread waits for the file, more comes than may wait.
    let all = (0..50).map(|round| keeper.hand_over(&mut hosts(round * 10_000, (round + 1) * 10_000)));
    let rounds = all.take_while(|taken| *taken).count();
    assert!((13..=27).contains(&rounds), "so many wait at most, and as many that are written: {rounds}");
    assert_eq!(keeper.status().waiting, 0);
    drop(other);
    wants_all(&reports);
    keeper.give_all(hosts(0, 3));
    until(&reports, |report| matches!(report, Report::Back).then_some(()));
    assert_eq!(count(&path, "hosts"), 3);
}

#[test]
fn what_is_not_kept_is_not_called_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (keeper, reports) = start(&path);
    let other = locked(&path);
    keeper.hand_over(&mut hosts(0, 5));
    out(&reports);
    assert!(!keeper.finish(Rest::default(), TIMEOUT));
    drop(other);
    assert!(!examine::look(&path).unwrap().is_complete);
}
