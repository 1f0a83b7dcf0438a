//! A client that does what the lines of its standard input say, each at once: `NUMBER VERB ARGUMENT...`, separated by tabs.
//! For each it writes the line `= NUMBER OUTCOME` when that is known, and a line about every notice that comes, as the
//! listener does. Takes its place and its user from the environment, as every client does.

use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    thread,
    time::Duration,
};
use tokio::sync::mpsc;
use zephyr_client::{DeliveryStatus, Exposure, Location, Message, Subscription, Zephyr, block_on};
use zephyr_e2e::{
    client::{ANSWER, READY},
    listener::Received,
};

/// How long an answer is waited for: longer than host managers look for another server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(110);

fn main() -> Result<()> {
    let (sender, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    block_on(serve(lines))?
}

/// Ends when the input does, without a word to the server, as a client that is killed.
async fn serve(mut lines: mpsc::UnboundedReceiver<String>) -> Result<()> {
    let (zephyr, mut inbox) = zephyr_client::connect().await?;
    say(&format!("{READY}{}", zephyr.port()))?;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => drop(tokio::spawn(answer(zephyr.clone(), line))),
                None => return Ok(()),
            },
            message = inbox.next_any() => match message? {
                Some(message) if message.hidden().is_none() => say(&Received::of(&message).line())?,
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
}

async fn answer(zephyr: Zephyr, line: String) {
    let (number, order) = line.split_once('\t').unwrap_or((&line, ""));
    let order: Vec<&str> = order.split('\t').collect();
    let outcome = perform(&zephyr, &order).await.unwrap_or_else(|error| format!("failed: {error:#}"));
    // Nobody listens any more: the test is over.
    let _ = say(&format!("{ANSWER}\t{number}\t{outcome}"));
}

async fn perform(zephyr: &Zephyr, order: &[&str]) -> Result<String> {
    let here = || Location::here(Some("pts/1"));
    let done = |_| "done".to_owned();
    Ok(match *order {
        ["subscribe", class, instance, recipient] => {
            zephyr.subscribe([Subscription::new(class, instance, recipient)]).await.map(done)?
        }
        ["unsubscribe", class, instance, recipient] => {
            zephyr.unsubscribe([Subscription::new(class, instance, recipient)]).await.map(done)?
        }
        ["cancel"] => zephyr.cancel_subscriptions().await.map(|()| "done".to_owned())?,
        ["list"] => {
            let list = zephyr.subscriptions().await?;
            let mut list: Vec<String> = list.iter().map(written).collect();
            list.sort_unstable();
            list.join(" ")
        }
        ["known"] => if zephyr.is_known().await? { "known" } else { "unknown" }.to_owned(),
        ["login", exposure] => {
            let exposure = Exposure::named(exposure).context("no such exposure")?;
            zephyr.set_location(exposure, &here()).await.map(|()| "done".to_owned())?
        }
        ["logout"] => zephyr.unset_location(&here()).await.map(|()| "done".to_owned())?,
        ["send", class, instance, recipient, text] => {
            let message = Message::to_class(class).instance(instance).recipient(recipient).signature("").text(text);
            match zephyr.send(message.answer_timeout(ANSWER_TIMEOUT)).await?.status {
                DeliveryStatus::Sent => "sent".to_owned(),
                DeliveryStatus::NobodyThere => "nobody".to_owned(),
                other => format!("{other:?}"),
            }
        }
        _ => bail!("no such order"),
    })
}

/// A subscription as the tests write it.
fn written(subscription: &Subscription) -> String {
    let fields = [&subscription.class, &subscription.instance, &subscription.recipient];
    fields.map(|field| field.escape_ascii().to_string()).join(",")
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
