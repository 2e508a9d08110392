//! What clients say about users.

use async_graphql::{ID, InputObject};
use pbjson_types::FieldMask;
use proto::{common::v1::PageRequest, user::v1};
use utoipa::{IntoParams, ToSchema};

use super::Role;

/// Which accounts are wanted; what is left out does not matter.
#[derive(InputObject, IntoParams, Default)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct UserFilter {
    /// Part of a name or an email, in any case.
    #[param(nullable = false)]
    search: Option<String>,
    /// Only those that can, or cannot, sign in.
    #[param(nullable = false)]
    active: Option<bool>,
    /// Only those with this role.
    #[param(inline, nullable = false)]
    role: Option<Role>,
}

impl UserFilter {
    /// A page of these.
    pub(crate) fn into_request(self, page: PageRequest) -> v1::ListUsersRequest {
        v1::ListUsersRequest {
            page: Some(page),
            search: self.search.unwrap_or_default(),
            active: self.active,
            role: self.role.map_or(v1::Role::Unspecified, Into::into).into(),
        }
    }
}

/// A new account.
#[derive(InputObject, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct RegisterInput {
    /// Where the user is reached; unique regardless of case.
    #[schema(format = Email)]
    email: String,
    /// 8 to 128 characters, and not easily guessed.
    #[schema(min_length = 8, max_length = 128)]
    password: String,
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    first_name: String,
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    last_name: String,
}

impl From<RegisterInput> for v1::RegisterRequest {
    fn from(input: RegisterInput) -> Self {
        let RegisterInput { email, password, first_name, last_name } = input;
        Self { email, password, first_name, last_name }
    }
}

/// Who signs in.
#[derive(InputObject, ToSchema)]
pub(crate) struct LoginInput {
    /// The account's email, in any case.
    email: String,
    /// The account's password.
    password: String,
}

impl From<LoginInput> for v1::AuthenticateRequest {
    fn from(LoginInput { email, password }: LoginInput) -> Self {
        Self { email, password }
    }
}

/// A change of password.
#[derive(InputObject)]
pub(super) struct ChangePasswordInput {
    /// The password until now.
    current_password: String,
    /// 8 to 128 characters, and not easily guessed.
    new_password: String,
}

impl From<ChangePasswordInput> for v1::ChangePasswordRequest {
    fn from(ChangePasswordInput { current_password, new_password }: ChangePasswordInput) -> Self {
        Self { current_password, new_password }
    }
}

/// What is to change of an account; what is left out stays.
#[derive(InputObject, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct UpdateUserInput {
    /// A new email.
    email: Option<String>,
    /// A new first name.
    first_name: Option<String>,
    /// A new last name.
    last_name: Option<String>,
}

impl UpdateUserInput {
    pub(crate) fn into_request(self, id: ID) -> v1::UpdateUserRequest {
        let given = [
            ("email", self.email.is_some()),
            ("first_name", self.first_name.is_some()),
            ("last_name", self.last_name.is_some()),
        ];
        let paths = given.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect();
        let user = v1::User {
            id: id.0,
            email: self.email.unwrap_or_default(),
            first_name: self.first_name.unwrap_or_default(),
            last_name: self.last_name.unwrap_or_default(),
            ..v1::User::default()
        };
        v1::UpdateUserRequest { user: Some(user), update_mask: Some(FieldMask { paths }) }
    }
}
