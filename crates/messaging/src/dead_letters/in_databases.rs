//! The dead letters of the in-process bus.

use sqlx::PgPool;

use super::{DeadLetter, Error, Which, store};

pub(super) async fn list(pools: &[PgPool], which: &Which, limit: usize) -> Result<Vec<DeadLetter>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for pool in pools {
        let rows = store::list(pool, which.consumer.as_deref(), which.id.as_deref(), limit).await?;
        found.extend(rows.into_iter().map(DeadLetter::from));
    }
    Ok(found)
}

/// Marks them; the bus that runs their consumer finds them.
pub(super) async fn redrive(pools: &[PgPool], which: &Which) -> Result<u64, Error> {
    let mut redriven = 0;
    for pool in pools {
        redriven += store::redrive(pool, which.consumer.as_deref(), which.id.as_deref()).await?;
    }
    Ok(redriven)
}

pub(super) async fn delete(pools: &[PgPool], which: &Which) -> Result<u64, Error> {
    let mut deleted = 0;
    for pool in pools {
        deleted += store::delete(pool, which.consumer.as_deref(), which.id.as_deref()).await?;
    }
    Ok(deleted)
}

impl From<store::Row> for DeadLetter {
    fn from(row: store::Row) -> Self {
        let event = row.event.0;
        Self {
            consumer: row.consumer,
            id: event.id.to_string(),
            name: Some(event.name().map_or_else(|| event.kind.clone(), str::to_owned)),
            reason: row.reason,
            tries: row.tries.unsigned_abs(),
            died_at: Some(row.died_at),
            // It was read from JSON.
            message: serde_json::to_string(&event).unwrap_or_default(),
        }
    }
}
