//! What the order service says when an order is placed, of the orders of the data set.

use anyhow::Result;
use chrono::Utc;
use messaging::{CloudEvent, Event, Outbox};
use proto::order::v1::{Order, OrderCreated};
use sqlx::PgPool;
use uuid::Uuid;

use crate::dataset::Dataset;

/// The name of these events.
pub(super) const NAME: &str = "order.created";
/// How many rows one transaction writes into a backlog.
const AT_ONCE: usize = 1_000;

/// `count` events, each about another new order.
pub(super) fn placed(data: &Dataset, count: usize) -> impl Iterator<Item = Result<Event>> {
    data.orders.iter().flatten().cycle().take(count).map(placed_like)
}

fn placed_like(order: &Order) -> Result<Event> {
    let id = Uuid::now_v7();
    let message = OrderCreated {
        order_id: id.to_string(),
        user_id: order.user_id.clone(),
        total: order.total.clone(),
        items: order.items.clone(),
        created_at: order.created_at,
    };
    Ok(Event::of(&message, id, 1, Utc::now())?)
}

/// An event as RabbitMQ gets it from a relay.
pub(super) fn as_told(event: Event) -> CloudEvent {
    CloudEvent {
        specversion: "1.0".to_owned(),
        id: event.id,
        source: "order".to_owned(),
        kind: format!("portico.{}.v1", event.name),
        subject: event.subject,
        time: event.time,
        sequence: event.sequence.to_string(),
        traceparent: None,
        datacontenttype: "application/json".to_owned(),
        data: event.data,
    }
}

/// Makes an outbox hold `count` events that wait, and nothing else.
///
/// # Errors
/// When the database fails.
pub(super) async fn fill_outbox(database: &PgPool, data: &Dataset, count: usize) -> Result<()> {
    empty_outbox(database).await?;
    let mut events = placed(data, count);
    loop {
        let some = events.by_ref().take(AT_ONCE).collect::<Result<Vec<_>>>()?;
        if some.is_empty() {
            break;
        }
        let mut tx = database.begin().await?;
        Outbox::append_in_tx(&mut tx, &some).await?;
        tx.commit().await?;
    }
    sqlx::query("VACUUM ANALYZE outbox").execute(database).await?;
    Ok(())
}

/// Forgets what earlier parts of the run said.
///
/// # Errors
/// When the database fails.
pub(super) async fn empty_outbox(database: &PgPool) -> Result<()> {
    sqlx::query("TRUNCATE outbox").execute(database).await?;
    Ok(())
}
