//! Two realms, each with a server of either make: what people of one do in the other.

use anyhow::Result;
use zephyr_e2e::{
    client::Client,
    domain::{self, Domain, OTHER_REALM, REALM},
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

/// A message to somebody of the other realm arrives as his who sent it; that nobody is there is told as well.
fn messages(here: Make, there: Make) -> Result<()> {
    let Some((_lan, one, other)) = realms(here, there)? else { return Ok(()) };
    for (near, far) in [(&one, &other), (&other, &one)] {
        let bob = format!("bob@{}", far.realm().name());
        let mut reader = far.login(0, "bob")?.client()?;
        reader.subscribe(("MESSAGE", "*", &bob))?;
        let mut writer = near.login(0, "alice")?.client()?;
        answers(&mut writer, ("MESSAGE", &bob), "hello", "sent")?;
        let received = reader.receive("hello")?;
        let expected = (Origin::Authentic, format!("alice@{}", near.realm().name()), bob.clone());
        assert_eq!((received.origin, received.sender, received.recipient), expected);
        let carol = format!("carol@{}", far.realm().name());
        assert_eq!(writer.send("MESSAGE", "PERSONAL", &carol, "anybody?")?, "nobody");
    }
    Ok(())
}

#[test]
fn messages_between_c_and_c() -> Result<()> {
    messages(C, C)
}
