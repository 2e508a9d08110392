//! Between messages and types. Fields are named as the graph names them.

use chrono::{DateTime, Utc};
use identity::{Role, SessionId, UserId};
use pbjson_types::Timestamp;
use proto::user::v1 as pb;
use runtime::Refusal;
use secrecy::ExposeSecret;

use crate::{
    Error,
    session::{RefreshToken, Tokens},
    store::UserFilter,
    user::{Broken, Email, Name, NewPassword, User, UserChange},
    users::NewUser,
};

/// The longest text to search for, in characters: that of an email.
const LONGEST_SEARCH: usize = 254;

impl Broken {
    /// The rule as it is broken by the field of this name.
    pub(crate) fn by(self, field: &str) -> Refusal {
        Refusal::bad_input(self.reason, field, self.rule)
    }
}

/// Gathers what is wrong with all fields of an input, so that a client learns it at once. The first gives the reason.
#[derive(Default)]
struct Wrong(Option<Refusal>);

impl Wrong {
    fn check<T>(&mut self, parsed: Result<T, Refusal>) -> Option<T> {
        match (parsed, &mut self.0) {
            (Ok(value), _) => return Some(value),
            (Err(refusal), None) => self.0 = Some(refusal),
            (Err(refusal), Some(first)) => first.violations.extend(refusal.violations),
        }
        None
    }

    /// `value`, which is there when nothing was wrong.
    fn or<T>(self, value: Option<T>) -> Result<T, Refusal> {
        match (self.0, value) {
            (Some(refusal), _) => Err(refusal),
            (None, value) => value.ok_or_else(|| Refusal::internal("an input was neither good nor bad")),
        }
    }
}

pub(super) fn registration(request: pb::RegisterRequest) -> Result<(NewUser, NewPassword), Refusal> {
    let mut wrong = Wrong::default();
    let email = wrong.check(email(&request.email));
    let password = wrong.check(new_password(request.password, "password"));
    let first_name = wrong.check(name(&request.first_name, "firstName"));
    let last_name = wrong.check(name(&request.last_name, "lastName"));
    let new = email.zip(first_name).zip(last_name);
    let new = new.map(|((email, first_name), last_name)| NewUser { email, first_name, last_name });
    wrong.or(new.zip(password))
}

pub(super) fn new_password(text: String, field: &str) -> Result<NewPassword, Refusal> {
    NewPassword::parse(text.into()).map_err(|broken| broken.by(field))
}

fn email(text: &str) -> Result<Email, Refusal> {
    Email::parse(text).map_err(|broken| broken.by("email"))
}

fn name(text: &str, field: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|broken| broken.by(field))
}

/// An id that is none names nobody.
pub(super) fn user_id(text: &str) -> Result<UserId, Error> {
    text.parse().map_err(|_| Error::UserNotFound)
}

pub(super) fn refresh_token(text: String) -> Result<RefreshToken, Error> {
    RefreshToken::parse(&text).ok_or(Error::RefreshTokenInvalid)
}

pub(super) fn since(time: Option<Timestamp>) -> Result<DateTime<Utc>, Refusal> {
    time.and_then(|time| DateTime::try_from(time).ok())
        .ok_or_else(|| Refusal::bad_input("SINCE_INVALID", "since", "must be a time"))
}

/// The change that the mask asks for, of the fields that it names.
pub(super) fn update(request: pb::UpdateUserRequest) -> Result<(UserId, UserChange), tonic::Status> {
    let mask = request.update_mask.unwrap_or_default();
    let user = request.user.unwrap_or_default();
    let id = user_id(&user.id)?;
    if mask.paths.is_empty() {
        return Err(Refusal::bad_input("UPDATE_MASK_INVALID", "input", "must name a field to change").into());
    }
    let mut wrong = Wrong::default();
    let mut change = UserChange::default();
    for path in &mask.paths {
        match path.as_str() {
            "email" => change.email = wrong.check(email(&user.email)),
            "first_name" => change.first_name = wrong.check(name(&user.first_name, "firstName")),
            "last_name" => change.last_name = wrong.check(name(&user.last_name, "lastName")),
            _ => {
                let rule = "must name only email, first_name and last_name";
                return Err(Refusal::bad_input("UPDATE_MASK_INVALID", "updateMask", rule).into());
            }
        }
    }
    Ok((id, wrong.or(Some(change))?))
}

pub(super) fn filter(request: pb::ListUsersRequest) -> Result<UserFilter, Refusal> {
    let search = request.search.trim();
    if search.chars().count() > LONGEST_SEARCH || search.contains(char::is_control) {
        let rule = "must have at most 254 characters, none of them a control character";
        return Err(Refusal::bad_input("SEARCH_INVALID", "search", rule));
    }
    let search = (!search.is_empty()).then(|| search.to_owned());
    let role = if request.role == pb::Role::Unspecified as i32 { None } else { Some(role(request.role)?) };
    Ok(UserFilter { search, active: request.active, role })
}

pub(super) fn role(number: i32) -> Result<Role, Refusal> {
    match pb::Role::try_from(number) {
        Ok(pb::Role::Customer) => Ok(Role::Customer),
        Ok(pb::Role::Admin) => Ok(Role::Admin),
        _ => Err(Refusal::bad_input("ROLE_INVALID", "role", "must be CUSTOMER or ADMIN")),
    }
}

pub(super) fn revoked_session((id, revoked_at): (SessionId, DateTime<Utc>)) -> pb::RevokedSession {
    pb::RevokedSession { session_id: id.to_string(), revoked_at: Some(revoked_at.into()) }
}

impl From<User> for pb::User {
    fn from(user: User) -> Self {
        let role = match user.role {
            Role::Customer => pb::Role::Customer,
            Role::Admin => pb::Role::Admin,
        };
        Self {
            id: user.id.to_string(),
            email: user.email.into(),
            first_name: user.first_name.into(),
            last_name: user.last_name.into(),
            role: role.into(),
            active: user.active,
            created_at: Some(user.created_at.into()),
            updated_at: Some(user.updated_at.into()),
        }
    }
}

impl From<Tokens> for pb::Tokens {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access.expose_secret().to_owned(),
            refresh_token: tokens.refresh.text().expose_secret().to_owned(),
            expires_at: Some(tokens.expires_at.into()),
        }
    }
}
