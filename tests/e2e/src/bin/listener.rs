//! Subscribes to the triples in its arguments, and writes a line about every notice that comes: what its origin is, and
//! all of its body in hex. Takes its place and its user from the environment, as every client does.

use anyhow::{Result, bail};
use std::{env, io::Write as _};
use zephyr_client::{Subscription, block_on};
use zephyr_e2e::listener::{Received, SUBSCRIBED};

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let triples = arguments.chunks(3).map(|triple| match triple {
        [class, instance, recipient] => Ok(Subscription::new(class, instance, recipient)),
        _ => bail!("usage: e2e-listener [CLASS INSTANCE RECIPIENT]..."),
    });
    block_on(listen(triples.collect::<Result<_>>()?))?
}

async fn listen(subscriptions: Vec<Subscription>) -> Result<()> {
    let (zephyr, mut inbox) = zephyr_client::connect().await?;
    zephyr.subscribe(subscriptions).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SUBSCRIBED}{}", zephyr.port())?;
    while let Some(message) = inbox.next_any().await? {
        if message.hidden().is_some() {
            continue;
        }
        writeln!(out, "{}", Received::of(&message).line())?;
    }
    Ok(())
}
