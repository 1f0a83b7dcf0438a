//! Whether programs have come to rest: no thread of theirs runs, or has run between two looks at them.
//!
//! A thread that has something to do is not asleep, however busy the machine is; and a packet or a line that is on its way wakes
//! who reads it as soon as it is written. So programs that wait for each other are at rest when all of them are asleep at the
//! same time, which no measure of time could tell.

use anyhow::{Context, Result};
use std::{fs, path::PathBuf};

/// How often each thread of some programs has given up its processor, all of them being asleep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest(Vec<(u32, u64)>);

impl Rest {
    /// Looks at these programs; nothing when a thread of them is at work. What has ended is at rest.
    pub(crate) fn of(processes: &[u32]) -> Option<Self> {
        let mut threads = Vec::new();
        for process in processes {
            let Ok(folder) = fs::read_dir(format!("/proc/{process}/task")) else { continue };
            for thread in folder.flatten() {
                let Ok(status) = fs::read_to_string(thread.path().join("status")) else { continue };
                let id = thread.file_name().to_str()?.parse().ok()?;
                threads.push((id, switches(&status)?));
            }
        }
        threads.sort_unstable();
        Some(Self(threads))
    }
}

/// How often a thread has given up its processor, if it is asleep or has ended.
fn switches(status: &str) -> Option<u64> {
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let is_at_rest = value("State").is_some_and(|state| state.starts_with(['S', 'Z', 'X']));
    let count = |name| value(name)?.parse::<u64>().ok();
    is_at_rest.then_some(())?;
    Some(count("voluntary_ctxt_switches")? + count("nonvoluntary_ctxt_switches")?)
}

/// The numbers of all processes.
///
/// # Errors
///
/// When there is no `/proc`.
pub(crate) fn all_processes() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The processes of a process group.
///
/// # Errors
///
/// When there is no `/proc`.
pub(crate) fn group(leader: u32) -> Result<Vec<u32>> {
    let is_member = |process: &u32| {
        fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| process_group(&stat) == Some(leader))
    };
    Ok(all_processes()?.into_iter().filter(is_member).collect())
}

/// The group in a line of `/proc/PID/stat`: `7 (a name) S 1 7 …`.
fn process_group(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// The other processes that share our network: servers, and whoever serves them.
///
/// # Errors
///
/// When there is no `/proc`.
pub(crate) fn neighbours() -> Result<Vec<u32>> {
    let network = |process: &str| fs::read_link(PathBuf::from("/proc").join(process).join("ns/net"));
    let ours = network("self").context("no network namespace")?;
    let is_neighbour = |process: &u32| {
        *process != std::process::id() && network(&process.to_string()).is_ok_and(|theirs| theirs == ours)
    };
    Ok(all_processes()?.into_iter().filter(is_neighbour).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };
    use zephyr_testkit::deadline::wait_until;

    const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

    #[test]
    fn who_waits_is_at_rest_and_who_has_run_since_is_told_from_who_has_not() {
        let mut child = Command::new("cat");
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let id = child.id();
        let rest = || Ok(Rest::of(&[id]).filter(|rest| !rest.0.is_empty()));
        let mut first = wait_until("it rests", TIMEOUT, rest).unwrap();
        // Until it waits for good, and not for its libraries.
        wait_until("it stays at rest", TIMEOUT, || {
            let next = rest()?;
            let is_same = next.as_ref() == Some(&first);
            first = next.unwrap_or_default();
            std::thread::sleep(std::time::Duration::from_millis(50));
            Ok(is_same.then_some(()))
        })
        .unwrap();
        assert_eq!(group(id).unwrap(), [id]);
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let second = wait_until("it rests again", TIMEOUT, rest).unwrap();
        assert_ne!(first, second);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(Rest::of(&[id]), Some(Rest::default()));
    }

    #[test]
    fn who_works_is_not_at_rest() {
        let mut child = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let works = wait_until("it works", TIMEOUT, || Ok(Rest::of(&[child.id()]).is_none().then_some(())));
        child.kill().unwrap();
        child.wait().unwrap();
        works.unwrap();
        // With the same counts, by the state alone.
        let status = |state| format!("State:\t{state}\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n");
        assert_eq!(switches(&status("S (sleeping)")), Some(7));
        assert_eq!(switches(&status("R (running)")), None);
        assert_eq!(switches(&status("D (disk sleep)")), None);
    }

    #[test]
    fn groups_are_read_behind_any_name() {
        assert_eq!(process_group("7 (a) b) S 1 5 9 0"), Some(5));
        assert_eq!(process_group("7"), None);
    }
}
