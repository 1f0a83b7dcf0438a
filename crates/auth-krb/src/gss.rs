//! Principal and lifetime of the user's credentials, by GSSAPI.

use crate::{error, initiator::owner_of_cache};
use libgssapi::{
    credential::{Cred, CredUsage},
    error::{Error, MajorFlags},
    oid::{GSS_MECH_KRB5, OidSet},
};
use std::time::Duration;
use zephyr_core::auth::AuthError;

/// The user's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Whose they are: a principal with its realm.
    pub principal: String,
    /// How long they still last, in whole seconds.
    pub remaining: Duration,
}

/// The credentials that a client of this user's would use.
///
/// # Errors
///
/// [`AuthError::NoCredentials`] when there are none that can be read, [`AuthError::Expired`] when they have ended,
/// others when GSSAPI does not work.
pub fn credentials() -> Result<Credentials, AuthError> {
    // MIT's GSSAPI 1.20 frees a name that it never got when there is a cache that cannot be read, and may crash. So
    // libkrb5 is asked first.
    owner_of_cache()?;
    let credentials = read().map_err(of_gss)?.ok_or(AuthError::Expired)?;
    // Read by GSSAPI, which does not ask whose the cache is.
    owner_of_cache()?;
    Ok(credentials)
}

fn read() -> Result<Option<Credentials>, Error> {
    let mut kerberos = OidSet::new();
    kerberos.add(GSS_MECH_KRB5)?;
    let credential = Cred::acquire(None, None, CredUsage::Initiate, Some(&kerberos))?;
    // This first: asked for the name of credentials that have ended, MIT's library loses memory.
    let remaining = credential.lifetime()?;
    let name = credential.name()?.display_name()?;
    let principal = String::from_utf8_lossy(&name).into_owned();
    Ok((!remaining.is_zero()).then_some(Credentials { principal, remaining }))
}

fn of_gss(error: Error) -> AuthError {
    const ROUTINE_ERRORS: u32 = 0x00ff_0000;
    // Major codes are numbers in a part of the word, not flags.
    if error.major.bits() & ROUTINE_ERRORS == MajorFlags::GSS_S_CREDENTIALS_EXPIRED.bits() {
        return AuthError::Expired;
    }
    error::of_code(error.minor.cast_signed(), error.to_string(), "")
}
