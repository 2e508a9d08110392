//! Users, and how they sign in and out.

mod input;

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use futures::future::BoxFuture;
use proto::{common::v1::Access, user::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Visit,
    entity::{Entity, Fields, Link, Rows, Told, at_hand},
    json::told_by_name,
    loader::{Fetched, Loader, Source},
    order::{self, Order},
    page::{self, DEFAULT_LIMIT, Page},
    rules::Rules,
    scalars::{DateTime, Id},
};
use crate::clients::{Calls, answer, required};

use input::ChangePasswordInput;
pub(crate) use input::{LoginInput, RegisterInput, UpdateUserInput, UserFilter};

pub(super) const RULES: Rules = &[
    ("me", Access::SignedIn),
    ("user", Access::SignedIn),
    ("users", Access::Admin),
    ("register", Access::Public),
    ("login", Access::Public),
    ("refreshToken", Access::Public),
    ("logout", Access::SignedIn),
    ("changePassword", Access::SignedIn),
    ("updateUser", Access::SignedIn),
    ("deleteUser", Access::SignedIn),
    ("setUserRole", Access::Admin),
    ("setUserActive", Access::Admin),
];

/// What a user may do.
#[derive(Enum, Serialize, ToSchema, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Role {
    /// Sees and changes what is theirs.
    Customer,
    /// Sees and changes all.
    Admin,
}

told_by_name!(Role);

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Customer => Self::Customer,
            Role::Admin => Self::Admin,
        }
    }
}

impl TryFrom<v1::Role> for Role {
    type Error = Refusal;

    fn try_from(role: v1::Role) -> Result<Self, Refusal> {
        match role {
            v1::Role::Customer => Ok(Self::Customer),
            v1::Role::Admin => Ok(Self::Admin),
            v1::Role::Unspecified => Err(Refusal::internal("a service answered an unknown role")),
        }
    }
}

/// An account.
pub(super) type User = Entity<UserFields>;

/// The fields of an account.
pub(super) struct UserFields(Arc<v1::User>);

impl From<Arc<v1::User>> for User {
    fn from(user: Arc<v1::User>) -> Self {
        Self(UserFields(user))
    }
}

impl From<v1::User> for User {
    fn from(user: v1::User) -> Self {
        Arc::new(user).into()
    }
}

/// An account.
#[Object(name = "User")]
impl UserFields {
    /// Its id, a UUID.
    fn id(&self) -> Id<'_> {
        Id(&self.0.id)
    }

    /// Unique regardless of case, as it was typed.
    fn email(&self) -> &str {
        &self.0.email
    }

    /// The first name.
    fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// The last name.
    fn last_name(&self) -> &str {
        &self.0.last_name
    }

    /// The first and the last name.
    fn full_name(&self) -> String {
        format!("{} {}", self.0.first_name, self.0.last_name)
    }

    /// What the user may do.
    fn role(&self) -> Result<Role, Refusal> {
        self.0.role().try_into()
    }

    /// Whether the user can sign in.
    fn active(&self) -> bool {
        self.0.active
    }

    /// When the account was made.
    fn created_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.created_at)
    }

    /// When the account was last changed.
    fn updated_at(&self) -> Result<DateTime, Refusal> {
        DateTime::of(self.0.updated_at)
    }

    /// The user's newest orders, of those that the viewer may see.
    async fn orders(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
    ) -> Option<Result<Rows<Order>, Refusal>> {
        order::newest_of(Visit::of(context), &self.0.id, limit.unwrap_or(DEFAULT_LIMIT)).await.transpose()
    }
}

impl Fields for UserFields {
    at_hand! {
        "id" => id, "email" => email, "firstName" => first_name, "lastName" => last_name, "fullName" => full_name,
        "role" => role, "active" => active, "createdAt" => created_at, "updatedAt" => updated_at,
    }
}

/// The loaders of users.
#[derive(Default)]
pub(super) struct Loaders {
    by_id: Loader<ById>,
}

impl Loaders {
    pub(super) async fn clear(&self) {
        self.by_id.clear().await;
    }
}

struct ById;

impl Source for ById {
    const NAME: &'static str = "users_by_id";

    type Key = Uuid;
    type Value = v1::User;

    async fn fetch(calls: &Calls, keys: &[Uuid]) -> Fetched<Self> {
        let ids = keys.iter().map(Uuid::to_string).collect();
        let found =
            answer(calls.users().batch_get_users(calls.request(v1::BatchGetUsersRequest { ids }))).await?;
        Ok(found.users.into_iter().filter_map(|user| Some((user.id.parse().ok()?, user))).collect())
    }
}

/// The user with this id, if there is one whom the viewer may see.
pub(super) async fn by_id(visit: &Visit, id: &str) -> Result<Option<User>, Refusal> {
    visit.viewer()?;
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(visit.users.by_id.load(visit.calls(), id).await?.map(User::from))
}

/// The user of each row, by the id that the row has.
pub(super) fn followed<'a, T: Fields>(link: &Link<'a, T>, id: fn(&T) -> &str) -> BoxFuture<'a, Told> {
    link.to::<ById, UserFields>(
        |visit| visit.viewer().map(|_| &visit.users.by_id),
        |row| id(row).parse().ok(),
    )
}

/// The fields of `Query` about users.
#[derive(Default)]
pub(super) struct UserQuery;

#[Object]
impl UserQuery {
    /// The account that the access token belongs to.
    async fn me(&self, context: &Context<'_>) -> Option<Result<User, Refusal>> {
        me(Visit::of(context)).await.transpose()
    }

    /// One account: one's own, or anyone's for an admin. Null when there is none.
    async fn user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
    ) -> Option<Result<User, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }

    /// All accounts, the newest first. For admins.
    async fn users(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which of them.")] filter: Option<UserFilter>,
        #[graphql(default_with = "Some(DEFAULT_LIMIT)", desc = "How many, 1 to 100.")] limit: Option<i32>,
        #[graphql(desc = "The endCursor of the page before.")] after: Option<String>,
    ) -> Option<Result<Page<User>, Refusal>> {
        let request = filter.unwrap_or_default().into_request(page::request(context, limit, after));
        Some(list(Visit::of(context).calls(), request).await)
    }

    #[graphql(entity)]
    async fn find_user_by_id(&self, context: &Context<'_>, id: ID) -> Option<Result<User, Refusal>> {
        by_id(Visit::of(context), &id).await.transpose()
    }
}

async fn me(visit: &Visit) -> Result<Option<User>, Refusal> {
    let id = visit.viewer()?.user_id.0;
    Ok(visit.users.by_id.load(visit.calls(), id).await?.map(User::from))
}

async fn list(calls: &Calls, request: v1::ListUsersRequest) -> Result<Page<User>, Refusal> {
    let found = answer(calls.users().list_users(calls.request(request))).await?;
    Ok(Page::new(found.users, found.page))
}

/// What a client holds after it signed in.
#[derive(SimpleObject)]
struct AuthPayload {
    /// The access token: send it as `Authorization: Bearer`.
    token: String,
    /// Good for one exchange for a new access token, by `refreshToken`.
    refresh_token: String,
    /// When the access token ends.
    expires_at: DateTime,
    /// Who signed in.
    user: User,
}

impl AuthPayload {
    fn new(tokens: Option<v1::Tokens>, user: Option<v1::User>) -> Result<Self, Refusal> {
        let tokens = required(tokens, "tokens")?;
        Ok(Self {
            token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: DateTime::of(tokens.expires_at)?,
            user: required(user, "a user")?.into(),
        })
    }
}

/// The fields of `Mutation` about users.
#[derive(Default)]
pub(super) struct UserMutation;

#[Object]
impl UserMutation {
    /// Makes an account and signs it in.
    async fn register(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account.")] input: RegisterInput,
    ) -> Result<AuthPayload, Refusal> {
        let calls = Visit::of(context).calls();
        let made = answer(calls.users().register(calls.request(input.into()))).await?;
        AuthPayload::new(made.tokens, made.user)
    }

    /// Signs in with email and password.
    async fn login(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Who signs in.")] input: LoginInput,
    ) -> Result<AuthPayload, Refusal> {
        let calls = Visit::of(context).calls();
        let opened = answer(calls.users().authenticate(calls.request(input.into()))).await?;
        AuthPayload::new(opened.tokens, opened.user)
    }

    /// Exchanges a refresh token for its successor and a new access token.
    async fn refresh_token(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The refresh token that came with the last access token.")] refresh_token: String,
    ) -> Result<AuthPayload, Refusal> {
        let calls = Visit::of(context).calls();
        let request = v1::RefreshSessionRequest { refresh_token };
        let renewed = answer(calls.users().refresh_session(calls.request(request))).await?;
        AuthPayload::new(renewed.tokens, renewed.user)
    }

    /// Ends the session of the access token; its tokens are refused from now on.
    async fn logout(&self, context: &Context<'_>) -> Result<bool, Refusal> {
        let calls = Visit::of(context).calls();
        answer(calls.users().revoke_session(calls.request(v1::RevokeSessionRequest {}))).await?;
        Ok(true)
    }

    /// Sets a new password, and ends all other sessions of the account.
    async fn change_password(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The old and the new password.")] input: ChangePasswordInput,
    ) -> Result<bool, Refusal> {
        let calls = Visit::of(context).calls();
        answer(calls.users().change_password(calls.request(input.into()))).await?;
        Ok(true)
    }

    /// Changes the email or the names of an account: one's own, or anyone's for an admin.
    async fn update_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
        #[graphql(desc = "What is to change.")] input: UpdateUserInput,
    ) -> Result<User, Refusal> {
        let calls = Visit::of(context).calls();
        let changed = answer(calls.users().update_user(calls.request(input.into_request(id)))).await?;
        Ok(required(changed.user, "a user")?.into())
    }

    /// Deletes an account (one's own, or anyone's for an admin) and ends its sessions.
    async fn delete_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
    ) -> Result<bool, Refusal> {
        let calls = Visit::of(context).calls();
        answer(calls.users().delete_user(calls.request(v1::DeleteUserRequest { id: id.0 }))).await?;
        Ok(true)
    }

    /// Changes a role, and ends the account's sessions. For admins.
    async fn set_user_role(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
        #[graphql(desc = "The new role.")] role: Role,
    ) -> Result<User, Refusal> {
        let calls = Visit::of(context).calls();
        let request = v1::SetUserRoleRequest { id: id.0, role: v1::Role::from(role).into() };
        let changed = answer(calls.users().set_user_role(calls.request(request))).await?;
        Ok(required(changed.user, "a user")?.into())
    }

    /// Lets an account sign in, or no longer; then its sessions end. For admins.
    async fn set_user_active(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
        #[graphql(desc = "Whether it can sign in.")] active: bool,
    ) -> Result<User, Refusal> {
        let calls = Visit::of(context).calls();
        let request = v1::SetUserActiveRequest { id: id.0, active };
        let changed = answer(calls.users().set_user_active(calls.request(request))).await?;
        Ok(required(changed.user, "a user")?.into())
    }
}
