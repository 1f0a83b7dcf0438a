//! The procedure of zlocate (clients, section 3).

use super::{options::Options, report::Report};
use crate::{
    connection::connect,
    locating::{is_about_one, locate_all, report_failure, shown, with_realm},
    messages::Messages,
};
use std::{
    io::{Write, stdout},
    ops::ControlFlow,
    process::ExitCode,
};
use zephyr_client::terminal;

/// Tells where users are. The exit status is success when one was found and nothing has failed.
pub fn run(options: &Options, out: &mut dyn Write, messages: &mut Messages<'_>) -> ExitCode {
    let mut client = match connect(options.no_direct, messages) {
        Ok(client) => client,
        Err(error) => {
            messages.failure(&error, "while initializing");
            return ExitCode::FAILURE;
        }
    };
    let realm = client.endpoint().realm.clone();
    let users: Vec<Vec<u8>> = options.users.iter().map(|user| with_realm(user, &realm)).collect();
    let mut report = Report { options, out, screen: terminal::screen(&stdout()), has_begun: false };
    let (mut is_found, mut has_failed) = (false, false);
    locate_all(&mut client, &users, options.authenticated, messages, |user, found, messages| match found {
        Ok(locations) => {
            is_found |= !locations.is_empty();
            report.located(user, &locations);
            ControlFlow::Continue(())
        }
        Err(error) => {
            let _ = report.out.flush();
            let doing = if options.parallel { "requesting location of" } else { "while locating user" };
            report_failure(&error, &format!("{doing} {}", shown(user)), !has_failed, messages);
            has_failed = true;
            if is_about_one(&error) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    });
    if is_found && !has_failed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
