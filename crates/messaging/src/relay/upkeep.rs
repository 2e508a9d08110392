//! What the leader does beside telling: it measures what waits, and prunes what is done with.

use std::time::Duration;

use chrono::Utc;
use tokio::time::interval;

use crate::{Broker, Outbox, measure, store};

const MEASURE: Duration = Duration::from_secs(10);
const PRUNE: Duration = Duration::from_secs(10 * 60);

/// Measures and prunes for as long as the leader leads. A failure is told, and mended by the next time.
pub(super) async fn keep(outbox: &Outbox, broker: &Broker) {
    let (mut measure_now, mut prune_now) = (interval(MEASURE), interval(PRUNE));
    loop {
        let outcome = tokio::select! {
            _ = measure_now.tick() => look(outbox).await,
            _ = prune_now.tick() => prune(outbox, broker).await,
        };
        if let Err(error) = outcome {
            tracing::warn!(source = outbox.source, %error, "the outbox can't be measured or pruned");
        }
    }
}

/// The gauges of one that leads no more: another process tells them now.
pub(super) fn forget(outbox: &Outbox) {
    measure::waiting(outbox.source, 0.0, Duration::ZERO);
    measure::leads(outbox.source, false);
}

async fn look(outbox: &Outbox) -> Result<(), sqlx::Error> {
    let (waiting, oldest) = store::waiting(&outbox.pool).await?;
    let age = oldest.and_then(|time| (Utc::now() - time).to_std().ok()).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    measure::waiting(outbox.source, waiting as f64, age);
    Ok(())
}

async fn prune(outbox: &Outbox, broker: &Broker) -> Result<(), sqlx::Error> {
    let now = Utc::now();
    let events = outbox.prune(now).await?;
    let inboxes = match broker {
        Broker::InProcess(bus) => bus.prune(now).await?,
        Broker::RabbitMq(_) => 0,
    };
    tracing::debug!(source = outbox.source, events, inboxes, "pruned");
    Ok(())
}
