//! Where the system keeps what it knows of terminals (zwgc, section 9.4).

use std::ffi::OsStr;
use zephyr_windowgram::terminal::terminfo::Terminfo;

/// What is known of a terminal of this name.
pub(crate) fn find(name: &OsStr) -> Option<Terminfo> {
    let name = name.to_str()?;
    let folders = ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"];
    let read = |folder| std::fs::read(format!("{folder}/{}/{name}", name.get(..1)?)).ok();
    folders.into_iter().find_map(read).and_then(|entry| Terminfo::parse(&entry))
}
