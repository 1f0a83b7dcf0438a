//! Two realms, each with a server of either make: what people of one do in the other.

use anyhow::{Context, Result};
use std::time::Duration;
use zephyr_e2e::{
    client::Client,
    domain::{self, Domain},
    listener::Origin,
    person::{Make, TIMEOUT},
};
use zephyr_testkit::{deadline::wait_until, reference::Lan};

const C: Make = Make::C;
const OURS: Make = Make::Ours;

/// Two realms with a server of these makes each, and a machine of each.
fn realms(here: Make, there: Make) -> Result<Option<(Lan, Domain, Domain)>> {
    let Some((lan, mut one, mut other)) = domain::neighbours(&[here], &[there])? else { return Ok(None) };
    one.add_station(&lan, OURS, &[0])?;
    other.add_station(&lan, OURS, &[0])?;
    Ok(Some((lan, one, other)))
}

/// Sends until this becomes of it: the servers get their tickets for each other after they have started.
fn answers(writer: &mut Client, (class, recipient): (&str, &str), text: &str, wanted: &str) -> Result<()> {
    let mut last = String::new();
    wait_until(&format!("to {recipient}: {wanted}"), TIMEOUT, || {
        last = writer.send(class, "any", recipient, text)?;
        Ok((last == wanted).then_some(()))
    })
    .map_err(|error| error.context(last))
}

/// Sends until the reader gets something that is proven: a C server that has no ticket for the other realm yet hands notices
/// on without a proof.
fn proven(writer: &mut Client, reader: &mut Client, (class, recipient): (&str, &str)) -> Result<()> {
    let mut number = 0;
    wait_until(&format!("{class} to {recipient}, proven"), TIMEOUT, || {
        number += 1;
        let text = format!("with a proof? {number}");
        answers(writer, (class, recipient), &text, "sent")?;
        Ok((reader.receive(&text)?.origin == Origin::Authentic).then_some(()))
    })
}

/// A message to somebody of the other realm arrives as his who sent it; that nobody is there is told as well.
fn messages(here: Make, there: Make) -> Result<()> {
    let Some((_lan, one, other)) = realms(here, there)? else { return Ok(()) };
    for (near, far) in [(&one, &other), (&other, &one)] {
        let bob = format!("bob@{}", far.realm().name());
        let mut reader = far.login(0, "bob")?.client()?;
        reader.subscribe(("MESSAGE", "*", &bob))?;
        let mut writer = near.login(0, "alice")?.client()?;
        proven(&mut writer, &mut reader, ("MESSAGE", &bob))?;
        assert_eq!(writer.send("MESSAGE", "PERSONAL", &bob, "hello")?, "sent");
        let received = reader.receive("hello")?;
        let expected = (Origin::Authentic, format!("alice@{}", near.realm().name()), bob.clone());
        assert_eq!((received.origin, received.sender, received.recipient), expected);
        let carol = format!("carol@{}", far.realm().name());
        assert_eq!(writer.send("MESSAGE", "PERSONAL", &carol, "anybody?")?, "nobody");
    }
    Ok(())
}

/// Subscribes in the other realm, which decides whether that is granted; it is listed once it is. The servers may have no
/// tickets for each other yet, and what is not proven is not granted.
fn granted(reader: &mut Client, foreign: &str) -> Result<()> {
    const GRANT_TIMEOUT: Duration = Duration::from_secs(2);
    let listed = format!("news,*,*{foreign}");
    wait_until("granted", TIMEOUT, || {
        reader.subscribe(("news", "*", foreign))?;
        let is_listed =
            wait_until("listed", GRANT_TIMEOUT, || Ok(reader.subscriptions()?.contains(&listed).then_some(())));
        Ok(is_listed.ok())
    })
}

/// Who subscribes in the other realm gets what is sent there, from whoever sends it, until he takes it back.
fn subscriptions(here: Make, there: Make) -> Result<()> {
    let Some((_lan, one, other)) = realms(here, there)? else { return Ok(()) };
    for (near, far) in [(&one, &other), (&other, &one)] {
        let foreign = format!("@{}", far.realm().name());
        let mut reader = near.login(0, "bob")?.client()?;
        let mut neighbour = far.login(0, "carol")?.client()?;
        let mut writer = far.login(0, "alice")?.client()?;
        neighbour.subscribe(("news", "*", "*"))?;
        granted(&mut reader, &foreign).with_context(|| near.said() + &far.said())?;
        proven(&mut writer, &mut reader, ("news", ""))?;
        assert_eq!(writer.send("news", "today", "", "in my realm")?, "sent");
        let received = reader.receive("in my realm")?;
        let expected = (Origin::Authentic, format!("alice@{}", far.realm().name()), foreign.clone());
        assert_eq!((received.origin, received.sender, received.recipient), expected);
        neighbour.receive("in my realm")?;

        // A notice of the reader's own realm is another matter.
        let mut at_home = near.login(0, "alice")?.client()?;
        assert_eq!(at_home.send("news", "today", "", "at home")?, "nobody");
        // One that is sent to that realm's readers reaches him and them.
        assert_eq!(at_home.send("news", "today", &foreign, "to the other realm")?, "sent");
        neighbour.receive("to the other realm")?;
        reader.receive("to the other realm")?;

        reader.unsubscribe(("news", "*", &foreign))?;
        neighbour.order(&["cancel"])?;
        answers(&mut writer, ("news", ""), "after all of it", "nobody")?;
        let count = |text: &str| reader.messages().iter().filter(|message| *message == text).count();
        assert_eq!((count("in my realm"), count("at home"), count("to the other realm")), (1, 0, 1));
    }
    Ok(())
}

/// Who is visible to the net is found from the other realm; who is visible to the realm alone is not.
fn locations(here: Make, there: Make) -> Result<()> {
    let Some((_lan, one, other)) = realms(here, there)? else { return Ok(()) };
    for (near, far) in [(&one, &other), (&other, &one)] {
        let (mut bob, mut carol) = (far.login(0, "bob")?.client()?, far.login(0, "carol")?.client()?);
        bob.order(&["login", "NET-VISIBLE"])?;
        carol.order(&["login", "REALM-VISIBLE"])?;
        let alice = near.login(0, "alice")?.with(C);
        let found = |name: &str| alice.run("zlocate", &[&format!("{name}@{}", far.realm().name())]);
        wait_until("bob is found", TIMEOUT, || Ok(found("bob")?.stdout.contains(far.station_name(0)).then_some(())))?;
        let hidden = found("carol")?;
        assert!(!hidden.stdout.contains(far.station_name(0)), "{hidden}");
        bob.order(&["logout"])?;
        let gone = found("bob")?;
        assert!(gone.stdout.contains("Hidden or not logged-in"), "{gone}");
    }
    Ok(())
}

/// Of two servers of a realm one is enough, whichever it is; a notice arrives once.
fn another_server_of_the_realm(here: Make, there: Make) -> Result<()> {
    for killed in [0, 1] {
        let Some((lan, mut one, mut other)) = domain::neighbours(&[here], &[there, there])? else { return Ok(()) };
        one.add_station(&lan, OURS, &[0])?;
        (0..2).try_for_each(|server| other.add_station(&lan, OURS, &[server]).map(drop))?;
        other.agree(&[0, 1])?;
        let bob = format!("bob@{}", other.realm().name());
        let mut reader = other.login(1 - killed, "bob")?.client()?;
        reader.subscribe(("MESSAGE", "*", &bob))?;
        answers(&mut other.login(killed, "alice")?.client()?, ("MESSAGE", &bob), "first", "sent")?;
        let mut writer = one.login(0, "alice")?.client()?;
        answers(&mut writer, ("MESSAGE", &bob), "while both are there", "sent")?;
        reader.receive("while both are there")?;
        other.server(killed).kill()?;
        assert_eq!(writer.send("MESSAGE", "PERSONAL", &bob, "to the one that is left")?, "sent", "{}", one.said());
        reader.receive("to the one that is left")?;
        let count = reader.messages().iter().filter(|message| *message == "to the one that is left").count();
        assert_eq!(count, 1);
    }
    Ok(())
}

/// What is for a realm that is silent is answered in time, and neither the host manager nor anybody else takes their server for
/// dead; when the realm is back, notices arrive.
fn a_silent_realm_is_told(there: Make) -> Result<()> {
    let Some((_lan, mut one, mut other)) = realms(OURS, there)? else { return Ok(()) };
    let bob = format!("bob@{}", other.realm().name());
    let mut reader = other.login(0, "bob")?.client()?;
    reader.subscribe(("MESSAGE", "*", &bob))?;
    let mut writer = one.login(0, "alice")?.client()?;
    answers(&mut writer, ("MESSAGE", &bob), "before", "sent")?;
    let mark = one.station(0).zhm().transcript().mark();
    other.server(0).freeze()?;
    let told = writer.begin(&["send", "MESSAGE", "PERSONAL", &bob, "to a silent realm"])?;
    // Those at home notice nothing.
    assert_eq!(writer.send("news", "today", "", "at home")?, "nobody");
    let outcome = writer.outcome(told)?;
    assert!(!outcome.starts_with("failed"), "no answer in time: {outcome}");
    let lines = one.station(0).zhm().transcript().lines_after(mark);
    assert!(!lines.iter().any(|line| line.contains("went down")), "{lines:?}");
    other.server(0).thaw()?;
    answers(&mut writer, ("MESSAGE", &bob), "after", "sent")?;
    reader.receive("after")?;
    let count = reader.messages().iter().filter(|message| *message == "to a silent realm").count();
    assert!(count <= 1, "{count} times");
    Ok(())
}

#[test]
fn a_silent_realm_of_ours_is_told() -> Result<()> {
    a_silent_realm_is_told(OURS)
}

#[test]
fn a_silent_realm_of_c_is_told() -> Result<()> {
    a_silent_realm_is_told(C)
}

#[test]
fn another_server_of_the_realm_ours_and_ours() -> Result<()> {
    another_server_of_the_realm(OURS, OURS)
}

#[test]
fn another_server_of_the_realm_ours_and_c() -> Result<()> {
    another_server_of_the_realm(OURS, C)
}

macro_rules! between {
    ($module:ident, $here:expr, $there:expr) => {
        mod $module {
            use super::*;

            #[test]
            fn messages() -> Result<()> {
                super::messages($here, $there)
            }

            #[test]
            fn subscriptions() -> Result<()> {
                super::subscriptions($here, $there)
            }

            #[test]
            fn locations() -> Result<()> {
                super::locations($here, $there)
            }
        }
    };
}

between!(c_and_c, C, C);
between!(ours_and_ours, OURS, OURS);
between!(ours_and_c, OURS, C);
between!(c_and_ours, C, OURS);
