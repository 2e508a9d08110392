use proto::user::v1::{user_service_server::UserService, *};
use runtime::{Refusal, grpc::viewer, page::Page};
use tonic::{Request, Response, Status, async_trait};
use uuid::Uuid;

use super::{Store, may_see};

pub(crate) struct Users(pub(crate) Store);

type Answer<T> = Result<Response<T>, Status>;

impl Users {
    fn changed(&self, rpc: &str) {
        self.0.tables().changes.push(rpc.into());
    }

    fn signed_in(&self, email: &str) -> (Option<Tokens>, Option<User>) {
        let user = self.0.tables().users.iter().find(|user| user.email == email).cloned();
        let expires_at = Some(chrono::Utc::now().into());
        let tokens =
            Tokens { access_token: "an.access.token".into(), refresh_token: "refresh".into(), expires_at };
        (Some(tokens), user)
    }

    fn one(&self, id: &str) -> Result<User, Status> {
        let found = self.0.tables().users.iter().find(|user| user.id == id).cloned();
        found.ok_or_else(|| Refusal::not_found("user").into())
    }
}

#[async_trait]
impl UserService for Users {
    async fn register(&self, request: Request<RegisterRequest>) -> Answer<RegisterResponse> {
        self.changed("Register");
        let RegisterRequest { email, first_name, last_name, .. } = request.into_inner();
        let user = User {
            id: Uuid::now_v7().to_string(),
            email: email.clone(),
            first_name,
            last_name,
            role: Role::Customer.into(),
            active: true,
            created_at: Some(chrono::Utc::now().into()),
            updated_at: Some(chrono::Utc::now().into()),
        };
        self.0.tables().users.push(user);
        let (tokens, user) = self.signed_in(&email);
        Ok(Response::new(RegisterResponse { tokens, user }))
    }

    async fn authenticate(&self, request: Request<AuthenticateRequest>) -> Answer<AuthenticateResponse> {
        self.changed("Authenticate");
        let request = request.into_inner();
        if request.password == "too often" {
            let refusal = Refusal::new(runtime::Kind::RateLimited, "LOGIN_THROTTLED", "too many failures");
            return Err(refusal.retry_after(std::time::Duration::from_millis(2_500)).into());
        }
        let (tokens, user) = self.signed_in(&request.email);
        Ok(Response::new(AuthenticateResponse { tokens, user }))
    }

    async fn refresh_session(&self, _: Request<RefreshSessionRequest>) -> Answer<RefreshSessionResponse> {
        self.changed("RefreshSession");
        let (tokens, user) = self.signed_in("ada@example.com");
        Ok(Response::new(RefreshSessionResponse { tokens, user }))
    }

    async fn revoke_session(&self, _: Request<RevokeSessionRequest>) -> Answer<RevokeSessionResponse> {
        self.changed("RevokeSession");
        Ok(Response::new(RevokeSessionResponse {}))
    }

    async fn list_revoked_sessions(
        &self,
        _: Request<ListRevokedSessionsRequest>,
    ) -> Answer<ListRevokedSessionsResponse> {
        Ok(Response::new(ListRevokedSessionsResponse::default()))
    }

    async fn change_password(&self, _: Request<ChangePasswordRequest>) -> Answer<ChangePasswordResponse> {
        self.changed("ChangePassword");
        Ok(Response::new(ChangePasswordResponse {}))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Answer<GetUserResponse> {
        Ok(Response::new(GetUserResponse { user: Some(self.one(&request.into_inner().id)?) }))
    }

    async fn batch_get_users(&self, request: Request<BatchGetUsersRequest>) -> Answer<BatchGetUsersResponse> {
        let viewer = viewer(&request)?;
        let ids = request.into_inner().ids;
        let users = self.0.tables().users.clone();
        let users =
            users.into_iter().filter(|user| ids.contains(&user.id) && may_see(viewer, &user.id)).collect();
        Ok(Response::new(BatchGetUsersResponse { users }))
    }

    async fn list_users(&self, request: Request<ListUsersRequest>) -> Answer<ListUsersResponse> {
        let request = request.into_inner();
        let page = Page::<Uuid>::parse(request.page)?;
        let mut users = self.0.tables().users.clone();
        users.sort_by(|a, b| b.id.cmp(&a.id));
        users.retain(|user| {
            page.after.is_none_or(|after| user.id < after.to_string())
                && user.email.contains(&request.search)
                && request.active.is_none_or(|active| user.active == active)
                && (request.role == 0 || user.role == request.role)
        });
        let total = page.include_total.then_some(users.len() as i64);
        let info = page.finish(&mut users, total, |user| user.id.clone());
        Ok(Response::new(ListUsersResponse { users, page: Some(info) }))
    }

    async fn update_user(&self, request: Request<UpdateUserRequest>) -> Answer<UpdateUserResponse> {
        let UpdateUserRequest { user, update_mask } = request.into_inner();
        let (user, mask) = (user.unwrap(), update_mask.unwrap().paths);
        self.changed(&format!("UpdateUser {}", mask.join(",")));
        for stored in self.0.tables().users.iter_mut().filter(|stored| stored.id == user.id) {
            if mask.iter().any(|path| path == "first_name") {
                stored.first_name.clone_from(&user.first_name);
            }
        }
        Ok(Response::new(UpdateUserResponse { user: Some(self.one(&user.id)?) }))
    }

    async fn set_user_role(&self, request: Request<SetUserRoleRequest>) -> Answer<SetUserRoleResponse> {
        self.changed("SetUserRole");
        Ok(Response::new(SetUserRoleResponse { user: Some(self.one(&request.into_inner().id)?) }))
    }

    async fn set_user_active(&self, request: Request<SetUserActiveRequest>) -> Answer<SetUserActiveResponse> {
        self.changed("SetUserActive");
        Ok(Response::new(SetUserActiveResponse { user: Some(self.one(&request.into_inner().id)?) }))
    }

    async fn delete_user(&self, _: Request<DeleteUserRequest>) -> Answer<DeleteUserResponse> {
        self.changed("DeleteUser");
        Ok(Response::new(DeleteUserResponse {}))
    }

    async fn get_signing_keys(&self, _: Request<GetSigningKeysRequest>) -> Answer<GetSigningKeysResponse> {
        Ok(Response::new(GetSigningKeysResponse::default()))
    }
}
