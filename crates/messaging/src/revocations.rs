//! `session.revoked`: makes a revocation known in this process at once. Polling the user service makes it known without
//! the broker too, two seconds later.

use runtime::{Sessions, Stop};
use serde::Deserialize;

use crate::{Broker, CloudEvent, Heard};

/// The JSON form of the event's payload, as far as it is needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    session_id: String,
    revoked_at: chrono::DateTime<chrono::Utc>,
}

/// Tells `sessions` what `broker` says was revoked, until `stop`.
pub async fn follow(broker: Broker, sessions: Sessions, stop: Stop) {
    let mut listener = broker.listen(&["session.revoked"]);
    while let Some(heard) = stop.run_until_cancelled(listener.next()).await {
        if let Heard::Event(event) = heard {
            revoke(&sessions, &event);
        }
    }
}

/// Tells `sessions` the revocation that this `session.revoked` says. Whoever hears events for other reasons too needs no
/// second listener.
pub fn revoke(sessions: &Sessions, event: &CloudEvent) {
    match Revoked::deserialize(&event.data) {
        Ok(Revoked { session_id, revoked_at }) => match session_id.parse() {
            Ok(session) => sessions.revoke(session, revoked_at),
            Err(_) => tracing::warn!(event = %event.id, "a revocation names no session"),
        },
        Err(error) => tracing::warn!(event = %event.id, %error, "a revocation can't be read"),
    }
}
