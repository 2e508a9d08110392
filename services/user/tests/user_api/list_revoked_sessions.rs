//! ListRevokedSessions.

use std::time::Duration;

use pbjson_types::Timestamp;
use proto::user::v1::{ListRevokedSessionsRequest, ListRevokedSessionsResponse, RevokeSessionRequest};

use crate::support::{Outcome, World, fields, read};

async fn list(world: &World, since: Timestamp) -> Outcome<ListRevokedSessionsResponse> {
    read(world.client().list_revoked_sessions(ListRevokedSessionsRequest { since: Some(since) }).await)
}

/// Adds sessions of one user, revoked at these times (seconds since 1970), `each` many at each time.
async fn revoked(world: &World, times: std::ops::Range<i64>, each: i32) {
    let ada = world.register("ada@example.com").await;
    sqlx::query(
        "INSERT INTO sessions (id, user_id, created_at, last_used_at, revoked_at, version)
         SELECT gen_random_uuid(), $1::uuid, to_timestamp(time), to_timestamp(time), to_timestamp(time), 2
         FROM generate_series($2::bigint, $3 - 1) AS time, generate_series(1, $4)",
    )
    .bind(ada.user.id)
    .bind(times.start)
    .bind(times.end)
    .bind(each)
    .execute(world.database.pool())
    .await
    .unwrap();
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

#[tokio::test]
async fn revocations_are_listed_from_their_time_on_the_oldest_first() {
    let world = World::new().await;
    let (ada, bob) = (world.register("ada@example.com").await, world.register("bob@example.com").await);
    world.register("carl@example.com").await;
    for member in [&ada, &bob] {
        world.client().revoke_session(member.request(RevokeSessionRequest {})).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let all = list(&world, seconds(0)).await.unwrap();
    let ids: Vec<_> = all.sessions.iter().map(|session| session.session_id.clone()).collect();
    assert_eq!(ids, [ada.claim("sid").as_str().unwrap(), bob.claim("sid").as_str().unwrap()]);
    assert!(!all.has_more);

    let second = all.sessions[1].revoked_at.unwrap();
    assert_eq!(list(&world, second).await.unwrap().sessions, all.sessions[1..]);
    let after = Timestamp { nanos: second.nanos + 1_000, ..second };
    assert!(list(&world, after).await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn a_long_list_is_read_to_its_end_from_the_last_time_of_each_page() {
    let world = World::new().await;
    revoked(&world, 1_000..22_000, 1).await;
    let mut seen = std::collections::HashSet::new();
    let (mut since, mut pages) = (seconds(0), 0);
    loop {
        let page = list(&world, since).await.unwrap();
        assert!(page.sessions.is_sorted_by_key(|session| session.revoked_at.unwrap().seconds));
        since = page.sessions.last().unwrap().revoked_at.unwrap();
        seen.extend(page.sessions.into_iter().map(|session| session.session_id));
        pages += 1;
        if !page.has_more {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (21_000, 3));
}

#[tokio::test]
async fn a_page_never_ends_among_revocations_of_the_same_time() {
    let world = World::new().await;
    revoked(&world, 1_000..1_002, 10_001).await;
    let page = list(&world, seconds(1_000)).await.unwrap();
    assert_eq!((page.sessions.len(), page.has_more), (10_001, true));
    let page = list(&world, seconds(1_001)).await.unwrap();
    assert_eq!((page.sessions.len(), page.has_more), (10_001, false));
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let world = World::new().await;
    for since in [None, Some(Timestamp { seconds: 0, nanos: -1 }), Some(seconds(i64::MAX))] {
        let request = ListRevokedSessionsRequest { since };
        let refusal = read(world.client().list_revoked_sessions(request).await).unwrap_err();
        assert_eq!((&*refusal.reason, fields(&refusal)), ("SINCE_INVALID", vec!["since"]));
    }
}
