//! The tables `sessions` and `refresh_tokens`.

use chrono::{DateTime, Utc};
use identity::{SessionId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::users::UserRow;
use crate::{
    session::{Session, TokenUse},
    user::User,
};

/// A session that was revoked.
#[derive(Clone, Debug)]
pub(crate) struct RevokedSession {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) version: i64,
    pub(crate) revoked_at: DateTime<Utc>,
}

/// A session that is to be opened.
pub(crate) struct Opening<'a> {
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    /// The hash that the password was verified against.
    pub(crate) password_hash: &'a str,
    /// The hash of its first refresh token.
    pub(crate) token_hash: [u8; 32],
    pub(crate) now: DateTime<Utc>,
}

/// Opens a session, if the account is still active and still has the password that was verified. `None` if not.
///
/// The lock on the account makes that sure: who deactivates it, or changes its password or role, first locks it and then
/// revokes its sessions, this one among them.
pub(crate) async fn open_session(
    conn: &mut PgConnection,
    opening: Opening<'_>,
) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        UserRow,
        r#"WITH account AS (
             SELECT *
             FROM users
             WHERE id = $1
                 AND password_hash = $2
                 AND active
                 AND deleted_at IS NULL
             FOR SHARE
         ), session AS (
             INSERT INTO sessions (id, user_id, created_at, last_used_at, version)
             SELECT $3, id, $5, $5, 1 FROM account
             RETURNING id
         ), token AS (
             INSERT INTO refresh_tokens (hash, session_id, created_at)
             SELECT $4, id, $5 FROM session
         )
         SELECT id AS "id!", email AS "email!", first_name AS "first_name!", last_name AS "last_name!",
             role AS "role!", active AS "active!", version AS "version!", created_at AS "created_at!",
             updated_at AS "updated_at!"
         FROM account"#,
        opening.user.0,
        opening.password_hash,
        opening.session.0,
        &opening.token_hash,
        opening.now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(User::from))
}

/// Finds the session of a refresh token, and lets nobody else exchange one of its tokens until the transaction ends.
pub(crate) async fn lock_session_of_token(
    tx: &mut PgConnection,
    token_hash: &[u8; 32],
) -> Result<Option<Session>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT sessions.id, user_id, sessions.created_at, last_used_at, revoked_at
         FROM refresh_tokens
         JOIN sessions ON sessions.id = session_id
         WHERE hash = $1
         FOR UPDATE OF sessions",
        token_hash,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Session {
        id: SessionId(row.id),
        user_id: UserId(row.user_id),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }))
}

/// Whether a token and its successor were used. A statement of its own after the lock: inside the locking one it would
/// see the token as it was before the wait.
pub(crate) async fn token_use(
    tx: &mut PgConnection,
    token_hash: &[u8; 32],
    successor_hash: &[u8; 32],
) -> Result<TokenUse, sqlx::Error> {
    sqlx::query_as!(
        TokenUse,
        r#"SELECT used_at, EXISTS (
             SELECT FROM refresh_tokens WHERE hash = $2 AND used_at IS NOT NULL
         ) AS "successor_used!"
         FROM refresh_tokens
         WHERE hash = $1"#,
        token_hash,
        successor_hash,
    )
    .fetch_one(tx)
    .await
}

/// Exchanges a token for its successor, under the session's lock.
pub(crate) async fn exchange_token(
    tx: &mut PgConnection,
    session: SessionId,
    token_hash: &[u8; 32],
    successor_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "WITH used AS (
             UPDATE refresh_tokens SET used_at = $4 WHERE hash = $1
         ), session AS (
             UPDATE sessions SET last_used_at = $4 WHERE id = $3
         )
         INSERT INTO refresh_tokens (hash, session_id, created_at) VALUES ($2, $3, $4)",
        token_hash,
        successor_hash,
        session.0,
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Revokes a session; nothing if that was done before.
pub(crate) async fn revoke_session(
    conn: &mut PgConnection,
    session: SessionId,
    now: DateTime<Utc>,
) -> Result<Vec<RevokedSession>, sqlx::Error> {
    sqlx::query_as!(
        RevokedSession,
        r#"UPDATE sessions
         SET revoked_at = $2,
             version = version + 1
         WHERE id = $1
             AND revoked_at IS NULL
         RETURNING id, user_id, version, revoked_at AS "revoked_at!""#,
        session.0,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Revokes all sessions of an account but `except`, under the account's lock.
pub(crate) async fn revoke_sessions_of(
    tx: &mut PgConnection,
    user: UserId,
    except: Option<SessionId>,
    now: DateTime<Utc>,
) -> Result<Vec<RevokedSession>, sqlx::Error> {
    sqlx::query_as!(
        RevokedSession,
        r#"UPDATE sessions
         SET revoked_at = $3,
             version = version + 1
         WHERE user_id = $1
             AND revoked_at IS NULL
             AND id IS DISTINCT FROM $2
         RETURNING id, user_id, version, revoked_at AS "revoked_at!""#,
        user.0,
        except.map(|session| session.0),
        now,
    )
    .fetch_all(tx)
    .await
}

/// The sessions revoked at `since` or later, the oldest first, and whether more follow. It ends between two times,
/// never among revocations of the same time: the next page starts at the last one's time and must get past it.
pub(crate) async fn revoked_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    limit: i64,
) -> Result<(Vec<(SessionId, DateTime<Utc>)>, bool), sqlx::Error> {
    let rows = sqlx::query!(
        r#"WITH page AS (
             SELECT id, revoked_at
             FROM sessions
             WHERE revoked_at >= $1
             ORDER BY revoked_at
             FETCH FIRST ($2) ROWS WITH TIES
         )
         SELECT id, revoked_at AS "revoked_at!", EXISTS (
             SELECT FROM sessions WHERE sessions.revoked_at > (SELECT max(page.revoked_at) FROM page)
         ) AS "has_more!"
         FROM page
         ORDER BY revoked_at, id"#,
        since,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let has_more = rows.last().is_some_and(|row| row.has_more);
    Ok((rows.into_iter().map(|row| (SessionId(row.id), row.revoked_at)).collect(), has_more))
}

/// Removes at most `limit` sessions that were revoked or last used before these times, with their tokens. Says how many.
pub(crate) async fn prune_sessions(
    conn: &mut PgConnection,
    revoked_before: DateTime<Utc>,
    used_before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM sessions
         WHERE id IN (
             SELECT id FROM sessions WHERE revoked_at < $1 OR last_used_at < $2 LIMIT $3
         )",
        revoked_before,
        used_before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes at most `limit` tokens that were exchanged before this time. Says how many.
pub(crate) async fn prune_tokens(
    conn: &mut PgConnection,
    used_before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "DELETE FROM refresh_tokens
         WHERE hash IN (
             SELECT hash FROM refresh_tokens WHERE used_at < $1 LIMIT $2
         )",
        used_before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
