//! The way to Zephyr, at the start and when another port is needed.

use crate::{options::Options, report::report_error, waiting::telling};
use std::time::Duration;
use zephyr_client::{Direct, Error, Inbox, Result, Zephyr};
use zephyr_net::network_watch::NetworkChanges;
use zephyr_output::complain;

/// The time between two attempts to find a server while nobody can say which there are; less where the network changes.
const RECONNECTION_INTERVAL: Duration = Duration::from_secs(10);

/// Connects with the options of the environment. This program renews its subscriptions itself, to warn its user about tickets.
pub(crate) async fn connect(options: &Options) -> Result<(Zephyr, Inbox)> {
    let (connection, awaited) = connection(options)?;
    telling(&awaited, connection.connect()).await
}

/// The same at the start, when the network need not be there yet: what may pass is waited for, and `failed` is called for each failure.
pub(crate) async fn first_connection(options: &Options, failed: impl Fn()) -> Result<(Zephyr, Inbox)> {
    let (connection, awaited) = connection(options)?;
    let mut network = NetworkChanges::new();
    let pause = async || {
        failed();
        tokio::select! {
            () = network.changed() => {}
            () = tokio::time::sleep(RECONNECTION_INTERVAL) => {}
        }
    };
    telling(&awaited, persistently(async || connection.clone().connect().await, pause)).await
}

/// How to connect, and what is waited for then.
fn connection(options: &Options) -> Result<(zephyr_client::Options, String)> {
    let mut connection = zephyr_client::Options {
        renews_tickets: false,
        names_local_senders: true,
        ..zephyr_client::Options::from_environment()?
    };
    if options.no_direct {
        connection.direct = Direct::Never;
    }
    let awaited = match connection.direct {
        Direct::Never => format!("the host manager (zhm) at {}", connection.host_manager),
        Direct::Fallback => format!("the host manager (zhm) at {}, or a server", connection.host_manager),
        Direct::Always => "a server".to_owned(),
    };
    Ok((connection, awaited))
}

/// Tries something until it succeeds or fails for a reason that does not pass by itself, with a pause after each failure. The first
/// failure is reported.
async fn persistently<T>(mut attempt: impl AsyncFnMut() -> Result<T>, mut pause: impl AsyncFnMut()) -> Result<T> {
    let mut is_reported = false;
    loop {
        match attempt().await {
            Err(Error::Operation(error)) if error.may_pass() => {
                if !std::mem::replace(&mut is_reported, true) {
                    report_error(&error.into(), "while initializing Zephyr");
                    complain!("zwgc: It is tried again until it succeeds.");
                }
                pause().await;
            }
            result => {
                if is_reported && result.is_ok() {
                    complain!("zwgc: Zephyr can be reached now.");
                }
                return result;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zephyr_client::OperationError;

    /// At log-in, before the network is there.
    #[tokio::test]
    async fn what_may_pass_is_waited_for() {
        let silent = || Error::Operation(OperationError::SourcesSilent("DNS does not answer".into()));
        let unnamed = || Error::Operation(OperationError::NoServer("no source names one".into()));
        for (ends, found) in
            [(vec![Ok(7), Err(silent()), Err(silent())], true), (vec![Err(unnamed()), Err(silent())], false)]
        {
            let (mut results, mut pauses) = (ends, 0);
            let failures = results.len() - 1;
            let end = persistently(async || results.pop().unwrap(), async || pauses += 1).await;
            assert_eq!((end.is_ok(), pauses), (found, failures));
        }
        assert!(persistently(async || Err::<(), _>(unnamed()), async || panic!("that does not pass")).await.is_err());
    }
}
