//! Errors of libkrb5, and their translation into authentication errors.

use zephyr_core::auth::AuthError;

/// Numbers that libkrb5 gives its errors.
pub(crate) mod code {
    pub(crate) const S_PRINCIPAL_UNKNOWN: i32 = -1_765_328_377;
    pub(crate) const ETYPE_NOSUPP: i32 = -1_765_328_370;
    pub(crate) const PATH_NOT_ACCEPTED: i32 = -1_765_328_356;
    pub(crate) const BAD_INTEGRITY: i32 = -1_765_328_353;
    pub(crate) const TKT_EXPIRED: i32 = -1_765_328_352;
    pub(crate) const TKT_NYV: i32 = -1_765_328_351;
    pub(crate) const SKEW: i32 = -1_765_328_347;
    pub(crate) const BAD_KEY_VERSION: i32 = -1_765_328_340;
    pub(crate) const NO_TGT: i32 = -1_765_328_317;
    pub(crate) const WRONG_REALM: i32 = -1_765_328_316;
    pub(crate) const CC_NOTFOUND: i32 = -1_765_328_243;
    pub(crate) const KDCREP_SKEW: i32 = -1_765_328_236;
    pub(crate) const PROG_ETYPE_NOSUPP: i32 = -1_765_328_234;
    pub(crate) const REALM_UNKNOWN: i32 = -1_765_328_230;
    pub(crate) const KT_END: i32 = -1_765_328_202;
    pub(crate) const NO_TKT_IN_RLM: i32 = -1_765_328_199;
    pub(crate) const FCC_NOFILE: i32 = -1_765_328_189;
    pub(crate) const REALM_CANT_RESOLVE: i32 = -1_765_328_164;
    pub(crate) const CONFIG_ETYPE_NOSUPP: i32 = -1_765_328_147;
    pub(crate) const NUMERIC_REALM: i32 = -1_765_328_141;
}

/// An error of libkrb5.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Error {
    /// Which error; see [`code`].
    pub(crate) code: i32,
    /// Its message.
    pub(crate) text: String,
}

impl Error {
    /// An error that the library has no number for.
    pub(crate) fn invalid(text: &str) -> Self {
        Self { code: 0, text: text.to_owned() }
    }

    /// True for errors of the operating system, false for those of the protocol and its library.
    pub(crate) const fn is_of_the_system(&self) -> bool {
        const LARGEST_ERRNO: i32 = 4095;
        matches!(self.code, 0..=LARGEST_ERRNO)
    }
}

/// An error that came up while something was done about `realm`.
pub(crate) fn in_realm(realm: &str) -> impl Fn(Error) -> AuthError {
    move |error| of_code(error.code, error.text, realm)
}

/// An error that has nothing to do with a realm.
pub(crate) fn ours(error: Error) -> AuthError {
    AuthError::Backend(error.text)
}

/// An error of reading the library's configuration, whose message names neither it nor what is wrong with it.
pub(crate) fn in_configuration(error: Error) -> AuthError {
    AuthError::Backend(format!("the Kerberos configuration (krb5.conf) cannot be used: {}", error.text))
}

/// The error with libkrb5's number `code` and message `text`.
pub(crate) fn of_code(code: i32, text: String, realm: &str) -> AuthError {
    match code {
        code::FCC_NOFILE | code::CC_NOTFOUND => AuthError::NoCredentials,
        code::TKT_EXPIRED => AuthError::Expired,
        code::SKEW | code::KDCREP_SKEW | code::TKT_NYV => AuthError::ClockSkew,
        code::S_PRINCIPAL_UNKNOWN
        | code::PATH_NOT_ACCEPTED
        | code::NO_TGT
        | code::WRONG_REALM
        | code::REALM_UNKNOWN
        | code::NO_TKT_IN_RLM
        | code::REALM_CANT_RESOLVE => AuthError::WrongRealm { realm: realm.to_owned(), reason: text },
        _ => AuthError::Backend(text),
    }
}
