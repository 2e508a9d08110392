//! The table `users`. Deleted rows are left out of everything.

use chrono::{DateTime, Utc};
use identity::{Role, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::user::{Email, Name, User, UserChange};

/// The advisory lock under which the number of admins shrinks: "admins" in ASCII.
const ADMINS: i64 = 0x61_64_6d_69_6e_73;

/// A row of `users` as far as it leaves the service.
pub(super) struct UserRow {
    pub(super) id: Uuid,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) role: String,
    pub(super) active: bool,
    pub(super) version: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: UserId(row.id),
            email: Email::stored(row.email),
            first_name: Name::stored(row.first_name),
            last_name: Name::stored(row.last_name),
            // users_role_known lets no third one in.
            role: if row.role == role_text(Role::Admin) { Role::Admin } else { Role::Customer },
            active: row.active,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::Customer => "CUSTOMER",
        Role::Admin => "ADMIN",
    }
}

/// What a password is verified against.
pub(crate) struct Credentials {
    pub(crate) user_id: UserId,
    pub(crate) email: Email,
    pub(crate) password_hash: String,
}

/// Which users a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserFilter {
    /// A part of the email or of the full name, in any case.
    pub(crate) search: Option<String>,
    pub(crate) active: Option<bool>,
    pub(crate) role: Option<Role>,
}

impl UserFilter {
    /// The search as a pattern of LIKE in which no character of it is a wildcard.
    fn pattern(&self) -> Option<String> {
        let text = self.search.as_ref()?;
        Some(format!("%{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")))
    }
}

/// Adds an account.
pub(crate) async fn insert_user(
    conn: &mut PgConnection,
    user: &User,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO users
             (id, email, password_hash, first_name, last_name, role, active, version, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        user.id.0,
        user.email.as_str(),
        password_hash,
        user.first_name.as_str(),
        user.last_name.as_str(),
        role_text(user.role),
        user.active,
        user.version,
        user.created_at,
        user.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of the accounts that exist and are in `scope` (one account's owner, or `None` for all), in no order.
pub(crate) async fn find_users(
    conn: &mut PgConnection,
    ids: &[Uuid],
    scope: Option<UserId>,
) -> Result<Vec<User>, sqlx::Error> {
    let rows = sqlx::query_as!(
        UserRow,
        "SELECT id, email, first_name, last_name, role, active, version, created_at, updated_at
         FROM users
         WHERE id = ANY ($1)
             AND ($2::uuid IS NULL OR id = $2)
             AND deleted_at IS NULL",
        ids,
        scope.map(|user| user.0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// A page of the accounts, newest first: those older than `after`.
pub(crate) async fn list_users(
    conn: &mut PgConnection,
    filter: &UserFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<User>, sqlx::Error> {
    // The keyset walks down the primary key; the filters are looked at on the way.
    let rows = sqlx::query_as!(
        UserRow,
        "SELECT id, email, first_name, last_name, role, active, version, created_at, updated_at
         FROM users
         WHERE id < $1
             AND deleted_at IS NULL
             AND ($2::text IS NULL OR email ILIKE $2 OR first_name || ' ' || last_name ILIKE $2)
             AND ($3::boolean IS NULL OR active = $3)
             AND ($4::text IS NULL OR role = $4)
         ORDER BY id DESC
         LIMIT $5",
        after.unwrap_or(Uuid::max()),
        filter.pattern(),
        filter.active,
        filter.role.map(role_text),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// How many accounts the whole list has.
pub(crate) async fn count_users(conn: &mut PgConnection, filter: &UserFilter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!"
         FROM users
         WHERE deleted_at IS NULL
             AND ($1::text IS NULL OR email ILIKE $1 OR first_name || ' ' || last_name ILIKE $1)
             AND ($2::boolean IS NULL OR active = $2)
             AND ($3::text IS NULL OR role = $3)"#,
        filter.pattern(),
        filter.active,
        filter.role.map(role_text),
    )
    .fetch_one(conn)
    .await
}

/// What a login with this email is verified against; `None` also for an account that is not active.
pub(crate) async fn active_credentials(
    conn: &mut PgConnection,
    email: &Email,
) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT id, email, password_hash
         FROM users
         WHERE lower(email) = lower($1)
             AND active
             AND deleted_at IS NULL",
        email.as_str(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Credentials {
        user_id: UserId(row.id),
        email: Email::stored(row.email),
        password_hash: row.password_hash,
    }))
}

/// What an account's own password is verified against.
pub(crate) async fn credentials_of(
    conn: &mut PgConnection,
    user: UserId,
) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT email, password_hash
         FROM users
         WHERE id = $1
             AND deleted_at IS NULL",
        user.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Credentials {
        user_id: user,
        email: Email::stored(row.email),
        password_hash: row.password_hash,
    }))
}

/// Reads an account and keeps others from changing it until the transaction ends.
pub(crate) async fn lock_user(tx: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        UserRow,
        "SELECT id, email, first_name, last_name, role, active, version, created_at, updated_at
         FROM users
         WHERE id = $1
             AND deleted_at IS NULL
         FOR UPDATE",
        id.0,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(User::from))
}

/// Gives some of an account's fields new values.
pub(crate) async fn update_user(
    conn: &mut PgConnection,
    id: UserId,
    change: UserChange,
    now: DateTime<Utc>,
) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        UserRow,
        "UPDATE users
         SET email = COALESCE($2, email),
             first_name = COALESCE($3, first_name),
             last_name = COALESCE($4, last_name),
             role = COALESCE($5, role),
             active = COALESCE($6, active),
             version = version + 1,
             updated_at = $7
         WHERE id = $1
             AND deleted_at IS NULL
         RETURNING id, email, first_name, last_name, role, active, version, created_at, updated_at",
        id.0,
        change.email.map(String::from),
        change.first_name.map(String::from),
        change.last_name.map(String::from),
        change.role.map(role_text),
        change.active,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// Replaces a password's hash, if it is still `old`. Says whether it was.
pub(crate) async fn set_password(
    conn: &mut PgConnection,
    id: UserId,
    old: &str,
    new: &str,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "UPDATE users
         SET password_hash = $3,
             updated_at = $4
         WHERE id = $1
             AND password_hash = $2
             AND deleted_at IS NULL",
        id.0,
        old,
        new,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes an account: its email is free from now on. Gives it as it was, with its last version.
pub(crate) async fn delete_user(
    conn: &mut PgConnection,
    id: UserId,
    now: DateTime<Utc>,
) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        UserRow,
        "UPDATE users
         SET deleted_at = $2,
             version = version + 1,
             updated_at = $2
         WHERE id = $1
             AND deleted_at IS NULL
         RETURNING id, email, first_name, last_name, role, active, version, created_at, updated_at",
        id.0,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// Waits for other transactions that take an admin away, and keeps them waiting until this one ends.
pub(crate) async fn lock_admins(tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", ADMINS).execute(tx).await?;
    Ok(())
}

/// Whether there is an active admin beside this one. Only under [`lock_admins`] it stays so.
pub(crate) async fn another_active_admin(tx: &mut PgConnection, than: UserId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM users
             WHERE role = 'ADMIN' AND active AND deleted_at IS NULL AND id <> $1
         ) AS "exists!""#,
        than.0,
    )
    .fetch_one(tx)
    .await
}
