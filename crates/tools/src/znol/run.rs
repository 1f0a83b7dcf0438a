//! The procedure of znol (clients, section 4).

use super::{
    names,
    options::{Names, Options, Task},
};
use crate::{
    connection::connect,
    locating::{is_about_one, locate_all, report_failure, shown, with_realm},
    messages::Messages,
};
use std::{
    ffi::OsStr,
    io::{Write, stdin, stdout},
    ops::ControlFlow,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};
use zephyr_client::{
    Operation, Outcome, Subscription, SubscriptionRequest, UserLocation, account,
    blocking::Client,
    names::LOGIN,
    system_text, terminal,
    windowgram_port::{self, ReadError},
};
use zephyr_config::file::{self, FileError};
use zephyr_core::{sanitize, screen::Screen};

/// The file in the home directory.
const ANYONE: &str = ".anyone";

/// A user, as typed and in full.
struct Person {
    typed: Vec<u8>,
    full: Vec<u8>,
}

/// Does what the options say. The exit status is success when all of it was done.
pub fn run(options: &Options, out: &mut dyn Write, messages: &mut Messages<'_>) -> ExitCode {
    match follow(options, out, messages) {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

/// `None` when something has failed, which was said.
fn follow(options: &Options, out: &mut dyn Write, messages: &mut Messages<'_>) -> Option<()> {
    let typed = typed_names(&options.names, messages)?;
    if typed.names.is_empty() {
        return typed.is_whole();
    }
    let port = match options.task {
        Task::List => None,
        Task::On | Task::OnQuietly | Task::Off => Some(windowgram_port(messages)?),
    };
    let mut client = match connect(options.no_direct, messages) {
        Ok(client) => client,
        Err(error) => {
            messages.failure(&error, "initializing");
            return None;
        }
    };
    let realm = client.endpoint().realm.clone();
    let people = typed.names.iter().map(|name| Person { full: with_realm(name, &realm), typed: name.clone() });
    let people: Vec<Person> = people.collect();
    if let Some(port) = port {
        subscribe(&mut client, options.task, &people, port, messages)?;
    }
    match options.task {
        Task::On | Task::List => list(&mut client, &people, out, messages)?,
        Task::OnQuietly | Task::Off => {}
    }
    typed.is_whole()
}

/// The names of whom it is about, and whether all of the file could be read.
struct Typed {
    names: Vec<Vec<u8>>,
    has_problems: bool,
}

impl Typed {
    fn is_whole(&self) -> Option<()> {
        (!self.has_problems).then_some(())
    }
}

fn typed_names(source: &Names, messages: &mut Messages<'_>) -> Option<Typed> {
    let (name, path): (String, PathBuf) = match source {
        Names::User(user) => return Some(Typed { names: vec![user.clone()], has_problems: false }),
        Names::File(name) => (sanitize::name(name), Path::new(OsStr::from_bytes(name)).to_owned()),
        Names::Usual => {
            let Some(home) = account::home() else {
                messages.say("there is no home directory for ~/.anyone: set HOME, or name a file with -f");
                return None;
            };
            let path = home.join(ANYONE);
            (sanitize::name(path.as_os_str().as_bytes()), path)
        }
    };
    let text = match path.as_os_str() == "-" {
        true => file::octets_of(stdin().lock()).map(Some),
        false => file::octets(&path),
    };
    let reason = match text {
        Ok(Some(text)) => return Some(read_names(&text, &name, messages)),
        Ok(None) => "No such file or directory".to_owned(),
        Err(FileError::Io(error)) => system_text(&error),
        Err(error) => error.to_string(),
    };
    messages.line(&format!("Can't open {name} for input"));
    messages.say(&format!("{name}: {reason}"));
    None
}

fn read_names(text: &[u8], name: &str, messages: &mut Messages<'_>) -> Typed {
    let (names, problems) = names::read(text);
    for problem in &problems {
        messages.say(&format!("{name}:{}: passed over: {}", problem.line, problem.oddity));
    }
    Typed { names, has_problems: !problems.is_empty() }
}

/// The port of the user's windowgram client.
fn windowgram_port(messages: &mut Messages<'_>) -> Option<u16> {
    match windowgram_port::find() {
        Ok(port) => return Some(port),
        Err(ReadError::Io { error, .. }) => {
            messages.say(&format!("{} while getting WindowGram port", system_text(&error)));
        }
        Err(error) => messages.say(&format!("getting WindowGram port failed: {error}")),
    }
    messages.say("It is zwgc that tells who logs in and out: start it. To see who is there now, znol -l needs none.");
    None
}

/// Subscribes the windowgram client to what is told of these people, or unsubscribes it.
fn subscribe(client: &mut Client, task: Task, people: &[Person], port: u16, messages: &mut Messages<'_>) -> Option<()> {
    let realm = client.endpoint().realm.clone();
    let subscription = |person: &Person| Subscription::new(LOGIN, &person.full, names::recipient(&person.full, &realm));
    let list = people.iter().map(subscription).collect();
    let (request, doing) = match task {
        Task::Off => (SubscriptionRequest::Unsubscribe, "unsubscribing"),
        _ => (SubscriptionRequest::SubscribeWithoutDefaults, "subscribing"),
    };
    let id = client.begin(Operation::Subscribe { request, list, port: Some(port) });
    match client.finish(id) {
        Ok(Outcome::Done { text: Some(text) }) => {
            // It is about some that were left out.
            messages.say(&text);
            None
        }
        Ok(_) => Some(()),
        Err(error) => {
            messages.failure(&error, doing);
            None
        }
    }
}

/// Lists where these people are.
fn list(client: &mut Client, people: &[Person], out: &mut dyn Write, messages: &mut Messages<'_>) -> Option<()> {
    let screen = terminal::screen(&stdout());
    let full: Vec<Vec<u8>> = people.iter().map(|person| person.full.clone()).collect();
    let mut typed = people.iter().map(|person| &person.typed);
    let mut has_failed = false;
    locate_all(client, &full, true, messages, |user, found, messages| {
        let name = typed.next().map_or(user, Vec::as_slice);
        match found {
            Ok(locations) => {
                write_locations(name, &locations, screen, out);
                ControlFlow::Continue(())
            }
            Err(error) => {
                let _ = out.flush();
                report_failure(&error, &format!("locating user {}", shown(user)), !has_failed, messages);
                has_failed = true;
                if is_about_one(&error) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            }
        }
    });
    (!has_failed).then_some(())
}

fn write_locations(name: &[u8], locations: &[UserLocation], screen: Screen, out: &mut dyn Write) {
    let name = sanitize::name(name);
    for UserLocation { host, time, tty } in locations {
        let [host, tty, time] = [host, tty, time].map(|text| sanitize::name(text));
        // What cannot be written stops nothing: who gives the output looks at that in the end.
        let _ = writeln!(out, "{}", screen.line(&format!("{name}: {host}\t{tty}\t{time}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_begins_no_line() {
        let hostile = UserLocation { host: b"h\nbob: x".into(), tty: b"t\ty".into(), time: b"now\r".into() };
        let mut out = Vec::new();
        write_locations(b"bob", &[hostile], Screen::None, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "bob: h\\u{a}bob: x\tt\\u{9}y\tnow\\u{d}\n");
    }
}
