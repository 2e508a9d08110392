//! An account: its fields, their rules, and the changes that it can take. No I/O.

use std::fmt;

use chrono::{DateTime, Utc};
use email_address::{EmailAddress, Options};
use identity::{Role, UserId};
use secrecy::{ExposeSecret, SecretString};

/// The longest email, in characters (RFC 5321, section 4.5.3.1.3, less the angle brackets).
const LONGEST_EMAIL: usize = 254;
/// The longest name, in characters.
const LONGEST_NAME: usize = 100;
/// The shortest password, in characters (NIST SP 800-63B, section 5.1.1.2).
const SHORTEST_PASSWORD: usize = 8;
/// The longest password, in characters. A longer one is refused, never cut.
const LONGEST_PASSWORD: usize = 128;

/// An account as its owner and the admins see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) email: Email,
    pub(crate) first_name: Name,
    pub(crate) last_name: Name,
    pub(crate) role: Role,
    /// An account that is not active can't sign in.
    pub(crate) active: bool,
    /// Counts the changes that events tell of.
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl User {
    /// Whether the account is one of those of which one must always be left.
    pub(crate) fn is_active_admin(&self) -> bool {
        self.active && self.role == Role::Admin
    }
}

/// New values for some of an account's fields; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserChange {
    pub(crate) email: Option<Email>,
    pub(crate) first_name: Option<Name>,
    pub(crate) last_name: Option<Name>,
    pub(crate) role: Option<Role>,
    pub(crate) active: Option<bool>,
}

/// A rule that a text breaks, in words that continue the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub(crate) struct Broken {
    /// The stable reason.
    pub(crate) reason: &'static str,
    /// What it must be.
    pub(crate) rule: &'static str,
}

/// An email address (RFC 5322) at a domain name, without a display name. Kept as it was typed, without blanks around
/// it; two that differ only in case are the same to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Email(String);

impl Email {
    /// Checks `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Broken> {
        let text = text.trim();
        let options = Options::default().with_required_tld().without_display_text().without_domain_literal();
        let well_formed = EmailAddress::parse_with_options(text, options).is_ok();
        if !well_formed || text.chars().count() > LONGEST_EMAIL || text.contains(char::is_control) {
            return Err(Broken {
                reason: "EMAIL_INVALID",
                rule: "must be an email address of at most 254 characters",
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// What the database holds: it was checked on its way in.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for all addresses that differ only in case.
    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// What stands before the `@`.
    pub(crate) fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// A first or last name: 1 to 100 characters of any script, without blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Checks `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Broken> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > LONGEST_NAME || text.contains(char::is_control) {
            let rule = "must have 1 to 100 characters, none of them a control character";
            return Err(Broken { reason: "NAME_INVALID", rule });
        }
        Ok(Self(text.to_owned()))
    }

    /// What the database holds: it was checked on its way in.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// A password that someone wants to have, of a length that is permitted. How easily it is guessed is judged when it is
/// hashed, since that takes a while.
#[derive(Clone)]
pub(crate) struct NewPassword {
    text: SecretString,
}

impl NewPassword {
    /// Checks `text`. Characters are counted, not bytes, so that no script is at a disadvantage.
    pub(crate) fn parse(text: SecretString) -> Result<Self, Broken> {
        let length = text.expose_secret().chars().count();
        if length > LONGEST_PASSWORD {
            return Err(Broken { reason: "PASSWORD_TOO_LONG", rule: "must have at most 128 characters" });
        }
        if length < SHORTEST_PASSWORD {
            return Err(Broken { reason: "PASSWORD_TOO_SHORT", rule: "must have at least 8 characters" });
        }
        if text.expose_secret().contains(char::is_control) {
            return Err(Broken { reason: "PASSWORD_INVALID", rule: "must have no control characters" });
        }
        Ok(Self { text })
    }

    pub(crate) fn text(&self) -> &SecretString {
        &self.text
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword")
    }
}
