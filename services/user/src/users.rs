//! The use cases of accounts.

use std::sync::Arc;

use identity::{Role, UserId, Viewer};
use proto::common::v1::PageInfo;
use runtime::page::Page;
use secrecy::SecretString;
use uuid::Uuid;

use crate::{
    Error,
    change::{Change, Changes, in_change},
    events,
    password::Passwords,
    session::Tokens,
    sessions::{Logins, words_of},
    store::{self, UserFilter},
    throttle::{Origin, RegisterThrottle},
    user::{Email, Name, NewPassword, User, UserChange},
};

/// An account that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) email: Email,
    pub(crate) first_name: Name,
    pub(crate) last_name: Name,
}

/// Makes, reads and changes accounts.
pub(crate) struct Users {
    pub(crate) changes: Changes,
    pub(crate) logins: Arc<Logins>,
    pub(crate) passwords: Passwords,
    pub(crate) throttle: RegisterThrottle,
}

impl Users {
    /// Makes a customer's account and signs it in.
    pub(crate) async fn register(
        &self,
        new: NewUser,
        password: NewPassword,
        origin: Origin,
    ) -> Result<(User, Tokens), Error> {
        self.throttle.attempt(origin, self.changes.clock.now()).map_err(Error::RegisterThrottled)?;
        let user = self.account(new, Role::Customer);
        let hash = self.passwords.hash_strong(&password, words_of(&user), "password").await?;
        let signer = self.logins.keys.signer().await?;
        let opened = in_change!(self.changes, |change| {
            self.insert_in(change, &user, &hash).await?;
            self.logins.open_in(change, &signer, user.id, &hash).await
        })?;
        opened.ok_or_else(|| anyhow::anyhow!("a new account can't be signed in").into())
    }

    /// Makes an admin's account. The password must be a strong one.
    pub(crate) async fn create_admin(&self, new: NewUser, password: NewPassword) -> Result<User, Error> {
        let user = self.account(new, Role::Admin);
        let hash = self.passwords.hash_strong(&password, words_of(&user), "password").await?;
        in_change!(self.changes, |change| self.insert_in(change, &user, &hash).await)?;
        Ok(user)
    }

    /// Makes an account of this role with a password however weak, unless its email is taken. Says whether it did.
    pub(crate) async fn seed(&self, new: NewUser, password: SecretString, role: Role) -> Result<bool, Error> {
        if self.find_by_email(&new.email).await?.is_some() {
            return Ok(false);
        }
        let user = self.account(new, role);
        let hash = self.passwords.hash_any(password).await?;
        match in_change!(self.changes, |change| self.insert_in(change, &user, &hash).await) {
            Ok(()) => Ok(true),
            Err(Error::EmailTaken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The active account with this email.
    pub(crate) async fn find_by_email(&self, email: &Email) -> Result<Option<UserId>, Error> {
        let mut conn = self.changes.database.reads.acquire().await?;
        Ok(store::active_credentials(&mut conn, email).await?.map(|found| found.user_id))
    }

    /// Those of the accounts that exist and that the viewer may see, in no order: one statement.
    pub(crate) async fn find(&self, viewer: Viewer, ids: &[Uuid]) -> Result<Vec<User>, Error> {
        let mut conn = self.changes.database.reads.acquire().await?;
        Ok(store::find_users(&mut conn, ids, viewer.scope()).await?)
    }

    /// A page of all accounts, newest first.
    pub(crate) async fn list(
        &self,
        filter: UserFilter,
        page: Page<Uuid>,
    ) -> Result<(Vec<User>, PageInfo), Error> {
        let mut conn = self.changes.database.lists.acquire().await?;
        let mut users = store::list_users(&mut conn, &filter, page.after, page.fetch()).await?;
        let total =
            if page.include_total { Some(store::count_users(&mut conn, &filter).await?) } else { None };
        let info = page.finish(&mut users, total, |user| user.id);
        Ok((users, info))
    }

    /// Changes email or names.
    pub(crate) async fn update(&self, viewer: Viewer, id: UserId, new: UserChange) -> Result<User, Error> {
        if !viewer.may_access(id) {
            return Err(Error::UserNotFound);
        }
        in_change!(self.changes, |change| update_in(change, id, new.clone()).await)
    }

    /// Changes a role, and ends the account's sessions: their tokens name the old one.
    pub(crate) async fn set_role(&self, id: UserId, role: Role) -> Result<User, Error> {
        in_change!(self.changes, |change| {
            let user = store::lock_user(change.tx(), id).await?.ok_or(Error::UserNotFound)?;
            if user.role == role {
                return Ok(user);
            }
            leave_an_admin(change, &user).await?;
            let user =
                update_in(change, id, UserChange { role: Some(role), ..UserChange::default() }).await?;
            end_sessions(change, id).await?;
            Ok(user)
        })
    }

    /// Activates an account, or deactivates it and ends its sessions.
    pub(crate) async fn set_active(&self, id: UserId, active: bool) -> Result<User, Error> {
        in_change!(self.changes, |change| {
            let user = store::lock_user(change.tx(), id).await?.ok_or(Error::UserNotFound)?;
            if user.active == active {
                return Ok(user);
            }
            let new = UserChange { active: Some(active), ..UserChange::default() };
            if active {
                return update_in(change, id, new).await;
            }
            leave_an_admin(change, &user).await?;
            let user = update_in(change, id, new).await?;
            end_sessions(change, id).await?;
            Ok(user)
        })
    }

    /// Deletes an account and ends its sessions. Its email is free from then on.
    pub(crate) async fn delete(&self, viewer: Viewer, id: UserId) -> Result<(), Error> {
        if !viewer.may_access(id) {
            return Err(Error::UserNotFound);
        }
        in_change!(self.changes, |change| {
            let now = change.now;
            let user = store::lock_user(change.tx(), id).await?.ok_or(Error::UserNotFound)?;
            leave_an_admin(change, &user).await?;
            let user = store::delete_user(change.tx(), id, now).await?.ok_or(Error::UserNotFound)?;
            change.say(events::deleted(&user, now)?);
            end_sessions(change, id).await
        })
    }

    fn account(&self, new: NewUser, role: Role) -> User {
        let now = self.changes.clock.now();
        User {
            id: UserId(Uuid::now_v7()),
            email: new.email,
            first_name: new.first_name,
            last_name: new.last_name,
            role,
            active: true,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    async fn insert_in(&self, change: &mut Change<'_>, user: &User, hash: &str) -> Result<(), Error> {
        store::insert_user(change.tx(), user, hash).await?;
        change.say(events::created(user, change.now)?);
        Ok(())
    }
}

async fn update_in(change: &mut Change<'_>, id: UserId, new: UserChange) -> Result<User, Error> {
    let now = change.now;
    let user = store::update_user(change.tx(), id, new, now).await?.ok_or(Error::UserNotFound)?;
    change.say(events::updated(&user, now)?);
    Ok(user)
}

/// Ends all sessions of an account that this change has locked. After the lock, so that it sees those of logins that
/// came before.
async fn end_sessions(change: &mut Change<'_>, user: UserId) -> Result<(), Error> {
    let now = change.now;
    let ended = store::revoke_sessions_of(change.tx(), user, None, now).await?;
    change.end(ended)
}

/// Refuses to take the last active admin away. Two that go at the same time wait for each other here.
async fn leave_an_admin(change: &mut Change<'_>, leaving: &User) -> Result<(), Error> {
    if !leaving.is_active_admin() {
        return Ok(());
    }
    store::lock_admins(change.tx()).await?;
    if store::another_active_admin(change.tx(), leaving.id).await? { Ok(()) } else { Err(Error::LastAdmin) }
}
