//! The units for systemd: what must be in them for the daemons to be there again whatever has happened.

#![allow(clippy::unwrap_used, reason = "tests")]

/// The settings of a section.
fn section<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = unit.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    lines.by_ref().take_while(|line| !line.starts_with('[')).filter(|line| line.contains('=')).collect()
}

#[test]
fn no_failure_is_the_last_start() {
    for unit in [
        include_str!("../../../packaging/systemd/zephyrd.service"),
        include_str!("../../../packaging/systemd/zhm.service"),
    ] {
        let (general, service) = (section(unit, "Unit"), section(unit, "Service"));
        assert!(general.contains(&"StartLimitIntervalSec=0"), "{general:?}");
        assert!(service.iter().any(|line| line.starts_with("Restart=") && *line != "Restart=no"), "{service:?}");
        let pause = service.iter().find_map(|line| line.strip_prefix("RestartSec=")).unwrap();
        assert!(pause.strip_suffix('s').unwrap().parse::<u32>().unwrap() >= 1, "{pause}");
    }
}

/// Or the host manager takes each start for one of the host, and makes everybody there deaf.
#[test]
fn the_record_of_the_hosts_start_outlives_the_host_manager() {
    let service = section(include_str!("../../../packaging/systemd/zhm.service"), "Service");
    let folder = service.iter().find_map(|line| line.strip_prefix("RuntimeDirectory=")).unwrap();
    assert!(service.contains(&"RuntimeDirectoryPreserve=yes"));
    assert!(
        service.iter().any(|line| line.contains(&format!("--pid-file /run/{folder}/"))),
        "it is kept beside that file"
    );
    assert!(!service.contains(&"ProcSubset=pid"), "which hides the number of the boot");
}
