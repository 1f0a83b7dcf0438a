//! Carries what is said in a class of one realm into the same class of another, as somebody who is known in both.
//!
//! ```sh
//! kinit alice@EXAMPLE.ORG && kinit alice@EXAMPLE.NET
//! cargo run --example two_realms -- help EXAMPLE.ORG=127.0.0.1:2104 EXAMPLE.NET@zephyr.example.net
//! ```
//!
//! Both tickets are in one collection of credential caches (`KRB5CCNAME=DIR:...`, `KCM:` or `KEYRING:...`). Each connection takes those of
//! its realm.

use std::{
    env,
    io::{self, Write as _, stdout},
    net::SocketAddr,
};
use zephyr_client::{Discovery, Error, Message, Options, Result, ServerName};

/// The options for a realm: `REALM`, whose servers are found by name service; `REALM@SERVER:PORT`, which is spoken to directly; or
/// `REALM=ADDRESS:PORT`, by a host manager.
fn options(environment: &Options, argument: Option<String>) -> Result<Options> {
    let wrong =
        || Error::Io(io::Error::other("expected CLASS and two of REALM, REALM@SERVER:PORT, REALM=ADDRESS:PORT"));
    let (argument, environment) = (argument.ok_or_else(wrong)?, environment.clone());
    if let Some((realm, host_manager)) = argument.split_once('=') {
        let host_manager: SocketAddr = host_manager.parse().map_err(|_| wrong())?;
        return Ok(environment.for_realm(realm).through(host_manager));
    }
    let Some((realm, server)) = argument.split_once('@') else { return Ok(environment.for_realm(argument)) };
    let server: ServerName = server.parse().map_err(|_| wrong())?;
    Ok(Options { discovery: Discovery::of_names(&[server], "the command line"), ..environment.for_realm(realm) })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut out = stdout();
    let mut arguments = env::args().skip(1);
    let class = arguments.next().unwrap_or_else(|| "help".to_owned());
    let environment = Options::from_environment()?;
    let (from, to) = (options(&environment, arguments.next())?, options(&environment, arguments.next())?);
    let ((here, mut inbox), (there, _)) = tokio::try_join!(from.connect(), to.connect())?;
    here.subscribe((&class, "*")).await?;
    writeln!(out, "from {} as {} to {} as {}", here.realm(), here.sender(), there.realm(), there.sender())?;
    while let Some(message) = inbox.next().await? {
        // What nothing proves is not carried on: there it would be proven, by this program.
        if !message.is_authentic() {
            continue;
        }
        let text = format!("{} says in {}: {}", message.sender(), here.realm(), message.text().trim_end());
        writeln!(out, "{text}")?;
        let copy = Message::to_class(&class).instance(message.instance()).text(text);
        match there.send(copy).await {
            Ok(receipt) => writeln!(out, "in {}: {:?}", there.realm(), receipt.status)?,
            Err(error) => writeln!(out, "in {}: {error}", there.realm())?,
        }
    }
    Ok(())
}
