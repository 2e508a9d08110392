//! Users, and how they sign in and out.

use async_graphql::{ID, InputObject};
use proto::{common::v1::Access, user::v1};
use runtime::Refusal;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{
    answer::{Answer, Failure, Listed, Nothing, Outcome},
    ask::Asked,
    page,
    routes::Routes,
};
use crate::{
    clients::{Calls, answer, required},
    graphql::{DateTime, LoginInput, RegisterInput, Role, UpdateUserInput, UserFilter},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .with(Access::Public, routes!(register))
        .with(Access::Public, routes!(login))
        .with(Access::Public, routes!(refresh))
        .with(Access::SignedIn, routes!(logout))
        .with(Access::Admin, routes!(list))
        .with(Access::SignedIn, routes!(me))
        .with(Access::SignedIn, routes!(get))
        .with(Access::SignedIn, routes!(update))
        .with(Access::SignedIn, routes!(delete))
}

/// An account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    #[schema(format = "uuid")]
    id: String,
    /// Unique regardless of case, as it was typed.
    email: String,
    first_name: String,
    last_name: String,
    /// The first and the last name.
    full_name: String,
    role: Role,
    /// Whether the user can sign in.
    active: bool,
    created_at: DateTime,
    updated_at: DateTime,
}

impl TryFrom<v1::User> for User {
    type Error = Refusal;

    fn try_from(user: v1::User) -> Result<Self, Refusal> {
        Ok(Self {
            role: user.role().try_into()?,
            full_name: format!("{} {}", user.first_name, user.last_name),
            id: user.id,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            active: user.active,
            created_at: DateTime::of(user.created_at)?,
            updated_at: DateTime::of(user.updated_at)?,
        })
    }
}

/// What a client holds after it signed in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// The access token: send it as `Authorization: Bearer`.
    token: String,
    /// Good for one exchange for a new access token.
    refresh_token: String,
    /// When the access token ends.
    expires_at: DateTime,
    /// Who signed in.
    user: User,
}

impl Session {
    fn of(tokens: Option<v1::Tokens>, user: Option<v1::User>) -> Result<Self, Refusal> {
        let tokens = required(tokens, "tokens")?;
        Ok(Self {
            token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: DateTime::of(tokens.expires_at)?,
            user: required(user, "a user")?.try_into()?,
        })
    }
}

/// Makes an account and signs it in.
#[utoipa::path(
    post, path = "/users/register", tag = "users", operation_id = "register", request_body = RegisterInput,
    responses((status = 201, description = "The account and its tokens", body = Answer<Session>)),
)]
async fn register(mut asked: Asked) -> Outcome<Session> {
    asked.attempt("register")?;
    let input: RegisterInput = asked.input().await?;
    let calls = asked.calls();
    let made = answer(calls.users().register(calls.request(input.into()))).await?;
    Ok(Answer::made("the account was made", Session::of(made.tokens, made.user)?))
}

/// Signs in with email and password.
#[utoipa::path(
    post, path = "/users/login", tag = "users", operation_id = "login", request_body = LoginInput,
    responses((status = 200, description = "The account and its tokens", body = Answer<Session>)),
)]
async fn login(mut asked: Asked) -> Outcome<Session> {
    asked.attempt("login")?;
    let input: LoginInput = asked.input().await?;
    let calls = asked.calls();
    let opened = answer(calls.users().authenticate(calls.request(input.into()))).await?;
    Ok(Answer::of("you are signed in", Session::of(opened.tokens, opened.user)?))
}

/// What came with the last access token.
#[derive(InputObject, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct RefreshInput {
    /// The refresh token.
    refresh_token: String,
}

/// Exchanges a refresh token for its successor and a new access token.
#[utoipa::path(
    post, path = "/users/refresh", tag = "users", operation_id = "refreshToken", request_body = RefreshInput,
    responses((status = 200, description = "The account and its tokens", body = Answer<Session>)),
)]
async fn refresh(mut asked: Asked) -> Outcome<Session> {
    asked.attempt("refreshToken")?;
    let RefreshInput { refresh_token } = asked.input().await?;
    let calls = asked.calls();
    let request = v1::RefreshSessionRequest { refresh_token };
    let renewed = answer(calls.users().refresh_session(calls.request(request))).await?;
    Ok(Answer::of("the session was renewed", Session::of(renewed.tokens, renewed.user)?))
}

/// Ends the session of the access token; its tokens are refused from now on.
#[utoipa::path(
    post, path = "/users/logout", tag = "users", operation_id = "logout",
    responses((status = 200, description = "You are signed out", body = Answer<Nothing>)),
)]
async fn logout(asked: Asked) -> Outcome<Nothing> {
    asked.without_parameters()?;
    let calls = asked.calls();
    answer(calls.users().revoke_session(calls.request(v1::RevokeSessionRequest {}))).await?;
    Ok(Answer::done("you are signed out"))
}

/// Which page of which accounts.
#[derive(InputObject)]
#[graphql(name = "UserListParameters")]
pub(super) struct List {
    #[graphql(flatten)]
    page: page::Wanted,
    #[graphql(flatten)]
    filter: UserFilter,
}

/// Lists all accounts, the newest first. For admins.
#[utoipa::path(
    get, path = "/users", tag = "users", operation_id = "listUsers",
    params(UserFilter, page::Wanted),
    responses((status = 200, description = "A page of accounts", body = Listed<User>)),
)]
async fn list(asked: Asked) -> Result<Listed<User>, Failure> {
    let List { page, filter } = asked.parameters()?;
    let calls = asked.calls();
    let found = answer(calls.users().list_users(calls.request(filter.into_request(page.into())))).await?;
    Listed::of(found.users, found.page)
}

/// The account that the access token belongs to.
#[utoipa::path(
    get, path = "/users/me", tag = "users", operation_id = "me",
    responses((status = 200, description = "The account", body = Answer<User>)),
)]
async fn me(asked: Asked) -> Outcome<User> {
    asked.without_parameters()?;
    by_id(asked.calls(), asked.viewer()?.user_id.to_string()).await
}

/// One account: one's own, or anyone's for an admin.
#[utoipa::path(
    get, path = "/users/{id}", tag = "users", operation_id = "getUser",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, description = "The account", body = Answer<User>)),
)]
async fn get(asked: Asked) -> Outcome<User> {
    asked.without_parameters()?;
    by_id(asked.calls(), asked.path("id")).await
}

async fn by_id(calls: &Calls, id: String) -> Outcome<User> {
    let request = v1::BatchGetUsersRequest { ids: vec![id] };
    let found = answer(calls.users().batch_get_users(calls.request(request))).await?.users.pop();
    let found = found.ok_or_else(|| Refusal::not_found("user"))?;
    Ok(Answer::of("the account", found.try_into()?))
}

/// Changes the email or the names of an account: one's own, or anyone's for an admin.
#[utoipa::path(
    patch, path = "/users/{id}", tag = "users", operation_id = "updateUser",
    params(("id" = String, Path, description = "The account's id")), request_body = UpdateUserInput,
    responses((status = 200, description = "The account", body = Answer<User>)),
)]
async fn update(mut asked: Asked) -> Outcome<User> {
    let input: UpdateUserInput = asked.input().await?;
    let calls = asked.calls();
    let request = input.into_request(ID(asked.path("id")));
    let changed = answer(calls.users().update_user(calls.request(request))).await?;
    Ok(Answer::of("the account was changed", required(changed.user, "a user")?.try_into()?))
}

/// Deletes an account (one's own, or anyone's for an admin) and ends its sessions.
#[utoipa::path(
    delete, path = "/users/{id}", tag = "users", operation_id = "deleteUser",
    params(("id" = String, Path, description = "The account's id")),
    responses((status = 200, description = "It is gone", body = Answer<Nothing>)),
)]
async fn delete(asked: Asked) -> Outcome<Nothing> {
    asked.without_parameters()?;
    let calls = asked.calls();
    let request = v1::DeleteUserRequest { id: asked.path("id") };
    answer(calls.users().delete_user(calls.request(request))).await?;
    Ok(Answer::done("the account was deleted"))
}
