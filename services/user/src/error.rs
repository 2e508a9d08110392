//! Why a use case fails: refusals that a client may read, and faults that it may not.

use std::time::Duration;

use runtime::{
    Kind, Refusal,
    postgres::{self, violated_constraint},
};
use tonic::Status;

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such account, or not for this viewer.
    #[error("there is no such user")]
    UserNotFound,
    /// Another account has this email.
    #[error("an account with this email exists already")]
    EmailTaken,
    /// The email is unknown, the password wrong, or the account not active: they answer alike.
    #[error("the email or the password is wrong")]
    InvalidCredentials,
    /// The current password that was sent with a new one is wrong.
    #[error("the current password is wrong")]
    CurrentPasswordWrong,
    /// Too many failed logins; the next may come after this time.
    #[error("too many failed attempts; wait before the next")]
    LoginThrottled(Duration),
    /// Too many new accounts from one address; the next may come after this time.
    #[error("too many new accounts; wait before the next")]
    RegisterThrottled(Duration),
    /// The password is easily guessed. It names the field.
    #[error("the password is easily guessed")]
    PasswordTooWeak(&'static str),
    /// The refresh token is malformed, unknown, or of a session that was revoked.
    #[error("the refresh token is not valid; log in again")]
    RefreshTokenInvalid,
    /// The refresh token was exchanged before, so one of its two holders stole it. The session is revoked now.
    #[error("the refresh token was used before; log in again")]
    RefreshTokenReused,
    /// The session was idle for too long, or is too old.
    #[error("the session has expired; log in again")]
    SessionExpired,
    /// Nobody would be left who can manage accounts.
    #[error("the last active admin can't be demoted, deactivated or deleted")]
    LastAdmin,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A fault of ours.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match violated_constraint(&error) {
            Some("users_email_unique") => Self::EmailTaken,
            _ => Self::Database(error),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<identity::KeyError> for Error {
    fn from(error: identity::KeyError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<aws_lc_rs::error::Unspecified> for Error {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Internal(anyhow::anyhow!("the crypto library refused"))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (kind, reason) = match &error {
            Error::UserNotFound => return Self::not_found("user"),
            Error::EmailTaken => (Kind::Conflict, "EMAIL_TAKEN"),
            Error::InvalidCredentials => (Kind::Unauthenticated, "INVALID_CREDENTIALS"),
            Error::CurrentPasswordWrong => {
                return Self::bad_input("CURRENT_PASSWORD_WRONG", "currentPassword", "is wrong");
            }
            Error::LoginThrottled(_) => (Kind::RateLimited, "LOGIN_THROTTLED"),
            Error::RegisterThrottled(_) => (Kind::RateLimited, "REGISTER_THROTTLED"),
            Error::PasswordTooWeak(field) => {
                let rule = "is easily guessed; use several uncommon words, or more characters";
                return Self::bad_input("PASSWORD_TOO_WEAK", *field, rule);
            }
            Error::RefreshTokenInvalid => (Kind::Unauthenticated, "REFRESH_TOKEN_INVALID"),
            Error::RefreshTokenReused => (Kind::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            Error::SessionExpired => (Kind::Unauthenticated, "SESSION_EXPIRED"),
            Error::LastAdmin => (Kind::FailedPrecondition, "LAST_ADMIN"),
            Error::Database(error) => return postgres::refusal(error),
            Error::Internal(source) => return Self::internal(format!("{source:#}")),
        };
        let refusal = Self::new(kind, reason, error.to_string());
        match error {
            Error::LoginThrottled(wait) | Error::RegisterThrottled(wait) => refusal.retry_after(wait),
            _ => refusal,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}
