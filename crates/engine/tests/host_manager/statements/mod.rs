//! What the host manager of the C programs does, statement by statement, in the order of "host manager", sections 1 to 11;
//! and what it does wrong, done right. What other files of this folder hold already is not repeated: [`table`] says where
//! each statement is held.

mod answers;
mod programs;
mod queue;
mod servers;
mod sorting;
mod statistics;
mod table;

use super::*;

/// The host manager's service, and the servers', where no service is known.
const HOST_MANAGER_PORT: u16 = 2104;

/// An order of a program or of a server.
fn order(opcode: &str) -> Notice<'_> {
    Notice { kind: Kind::HmCtl, body: b"", multinotice: b"0/0", ..notice("HM_CTL", opcode) }
}

/// A farewell of a server, which may name another one.
fn shutdown(body: &[u8]) -> Notice<'_> {
    Notice { body, multinotice: b"", ..order("SHUTDOWN") }
}

/// Greetings of servers among what was sent, with the seconds.
fn greetings(sent: &[(u64, Sent)]) -> Vec<(u64, SocketAddr)> {
    let is_greeting =
        |packet: &Sent| matches!(packet.notice().opcode, b"BOOT" | b"ATTACH") && packet.notice().kind == Kind::HmCtl;
    sent.iter().filter(|(_, packet)| is_greeting(packet)).map(|(second, packet)| (*second, packet.to)).collect()
}

/// Whether a wait is as long as it should be, whatever chance adds or takes away.
fn is_about(wait: u64, expected: u64) -> bool {
    (expected * 7 / 10..=expected * 13 / 10 + 1).contains(&wait)
}

/// The events of the log.
fn logged(stage: &mut Stage) -> Vec<LogEvent> {
    let log = |event| if let Event::Log(event) = event { Some(event) } else { None };
    std::mem::take(&mut stage.events).into_iter().filter_map(log).collect()
}
