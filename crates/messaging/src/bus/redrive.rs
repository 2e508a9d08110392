//! Dead letters that somebody wants to be handled again: another process marks their rows, and the bus that runs their
//! consumer finds them.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use runtime::{Stop, lifecycle::every};
use sqlx::types::Json;

use super::{Bus, Patience, Subscription};
use crate::{Consumer, dead_letters::store};

/// How often they are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// How many one look takes.
const AT_ONCE: i64 = 100;

impl Bus {
    /// Hands redriven dead letters to these of its consumers until `stop`.
    pub(crate) async fn redrive(&self, consumers: &[Arc<dyn Consumer>], stop: Stop) {
        let ours =
            |one: &&Subscription| consumers.iter().any(|consumer| consumer.name() == one.consumer.name());
        let looks = self.subscriptions.iter().filter(ours).map(|subscription| {
            every(LOOK, stop.clone(), || async {
                if let Err(error) = self.redrive_to(subscription).await {
                    let consumer = subscription.consumer.name();
                    tracing::debug!(consumer, %error, "redriven dead letters can't be looked for");
                }
            })
        });
        // What is being handled at the stop is rolled back, and found again at the next start.
        stop.run_until_cancelled(join_all(looks)).await;
    }

    /// A row is deleted only once its event is settled, so that a crash in between hands it out again.
    async fn redrive_to(&self, subscription: &Subscription) -> Result<(), sqlx::Error> {
        let (pool, name) = (subscription.consumer.pool(), subscription.consumer.name());
        let events = store::redriven(pool, name, AT_ONCE).await?;
        let handled = events.into_iter().map(|Json(event)| async move {
            subscription.deliver(&event, self.retries, Patience::Wait).await;
            store::settle(pool, name, &event).await
        });
        join_all(handled).await.into_iter().collect()
    }
}
