//! The RPCs: parse, call the use case, convert, return.

mod convert;

use std::sync::Arc;

use identity::Role;
use proto::user::v1::{self as pb, user_service_server::UserService};
use runtime::{
    grpc::{CLIENT_ADDRESS, viewer},
    page::{self, Page},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{Error, keys::Keys, sessions::Logins, throttle::Origin, user::Email, users::Users};

/// What a handler answers.
type Answer<T> = Result<Response<T>, Status>;

/// The handlers of `user.v1.UserService`. The guard around them has checked the caller's token and role.
#[derive(Clone)]
pub(crate) struct Handlers {
    pub(crate) users: Arc<Users>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) keys: Keys,
}

/// Where the client is, as the gateway says.
fn origin<T>(request: &Request<T>) -> Origin {
    let address =
        request.metadata().get(CLIENT_ADDRESS).and_then(|address| address.to_str().ok()?.parse().ok());
    Origin::new(address)
}

#[tonic::async_trait]
impl UserService for Handlers {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Answer<pb::RegisterResponse> {
        let origin = origin(&request);
        let (new, password) = convert::registration(request.into_inner())?;
        let (user, tokens) = self.users.register(new, password, origin).await?;
        Ok(Response::new(pb::RegisterResponse { tokens: Some(tokens.into()), user: Some(user.into()) }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Answer<pb::AuthenticateResponse> {
        let origin = origin(&request);
        let request = request.into_inner();
        let email = Email::parse(&request.email).ok();
        let (user, tokens) = self.logins.authenticate(email, request.password.into(), origin).await?;
        Ok(Response::new(pb::AuthenticateResponse { tokens: Some(tokens.into()), user: Some(user.into()) }))
    }

    async fn refresh_session(
        &self,
        request: Request<pb::RefreshSessionRequest>,
    ) -> Answer<pb::RefreshSessionResponse> {
        let token = convert::refresh_token(request.into_inner().refresh_token)?;
        let (user, tokens) = self.logins.refresh(token).await?;
        Ok(Response::new(pb::RefreshSessionResponse { tokens: Some(tokens.into()), user: Some(user.into()) }))
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Answer<pb::RevokeSessionResponse> {
        self.logins.revoke(viewer(&request)?).await?;
        Ok(Response::new(pb::RevokeSessionResponse {}))
    }

    async fn list_revoked_sessions(
        &self,
        request: Request<pb::ListRevokedSessionsRequest>,
    ) -> Answer<pb::ListRevokedSessionsResponse> {
        let since = convert::since(request.into_inner().since)?;
        let (sessions, has_more) = self.logins.revoked_since(since).await?;
        let sessions = sessions.into_iter().map(convert::revoked_session).collect();
        Ok(Response::new(pb::ListRevokedSessionsResponse { sessions, has_more }))
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Answer<pb::ChangePasswordResponse> {
        let (viewer, origin) = (viewer(&request)?, origin(&request));
        let request = request.into_inner();
        let new = convert::new_password(request.new_password, "newPassword")?;
        self.logins.change_password(viewer, request.current_password.into(), new, origin).await?;
        Ok(Response::new(pb::ChangePasswordResponse {}))
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Answer<pb::GetUserResponse> {
        let viewer = viewer(&request)?;
        let id = convert::user_id(&request.into_inner().id)?;
        let user = self.users.find(viewer, &[id.0]).await?.pop().ok_or(Error::UserNotFound)?;
        Ok(Response::new(pb::GetUserResponse { user: Some(user.into()) }))
    }

    async fn batch_get_users(
        &self,
        request: Request<pb::BatchGetUsersRequest>,
    ) -> Answer<pb::BatchGetUsersResponse> {
        let viewer = viewer(&request)?;
        let ids: Vec<Uuid> = page::batch(&request.into_inner().ids)?;
        let users = self.users.find(viewer, &ids).await?;
        Ok(Response::new(pb::BatchGetUsersResponse {
            users: users.into_iter().map(pb::User::from).collect(),
        }))
    }

    async fn list_users(&self, request: Request<pb::ListUsersRequest>) -> Answer<pb::ListUsersResponse> {
        let mut request = request.into_inner();
        let page = Page::parse(request.page.take())?;
        let (users, info) = self.users.list(convert::filter(request)?, page).await?;
        let users = users.into_iter().map(pb::User::from).collect();
        Ok(Response::new(pb::ListUsersResponse { users, page: Some(info) }))
    }

    async fn update_user(&self, request: Request<pb::UpdateUserRequest>) -> Answer<pb::UpdateUserResponse> {
        let viewer = viewer(&request)?;
        let (id, new) = convert::update(request.into_inner())?;
        let user = self.users.update(viewer, id, new).await?;
        Ok(Response::new(pb::UpdateUserResponse { user: Some(user.into()) }))
    }

    async fn set_user_role(
        &self,
        request: Request<pb::SetUserRoleRequest>,
    ) -> Answer<pb::SetUserRoleResponse> {
        let request = request.into_inner();
        let role: Role = convert::role(request.role)?;
        let user = self.users.set_role(convert::user_id(&request.id)?, role).await?;
        Ok(Response::new(pb::SetUserRoleResponse { user: Some(user.into()) }))
    }

    async fn set_user_active(
        &self,
        request: Request<pb::SetUserActiveRequest>,
    ) -> Answer<pb::SetUserActiveResponse> {
        let request = request.into_inner();
        let user = self.users.set_active(convert::user_id(&request.id)?, request.active).await?;
        Ok(Response::new(pb::SetUserActiveResponse { user: Some(user.into()) }))
    }

    async fn delete_user(&self, request: Request<pb::DeleteUserRequest>) -> Answer<pb::DeleteUserResponse> {
        let viewer = viewer(&request)?;
        self.users.delete(viewer, convert::user_id(&request.into_inner().id)?).await?;
        Ok(Response::new(pb::DeleteUserResponse {}))
    }

    async fn get_signing_keys(
        &self,
        _: Request<pb::GetSigningKeysRequest>,
    ) -> Answer<pb::GetSigningKeysResponse> {
        let keys = self.keys.public().await?;
        let keys = keys.into_iter().map(|key| pb::SigningKey { id: key.id, public_key: key.bytes.to_vec() });
        Ok(Response::new(pb::GetSigningKeysResponse { keys: keys.collect() }))
    }
}
