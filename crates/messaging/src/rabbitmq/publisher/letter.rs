//! An event in the publisher's hands: the message that it becomes, and who waits to hear what became of it.

use std::time::Duration;

use lapin::{BasicProperties, types::ShortString};
use runtime::trace;
use tokio::sync::oneshot;

use crate::{bus::Patience, event::SealedEvent, rabbitmq::copy, topology};

/// The delay after the first failure; each later one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// RabbitMQ writes such a message to disk.
const PERSISTENT: u8 = 2;

/// A message with its routing key, and the one who waits for it.
pub(super) struct Letter {
    pub(super) name: String,
    /// Whether RabbitMQ is to send it back when no queue takes it. Only for names to which our own topology binds a
    /// queue: an event that nobody wants would be tried for ever.
    pub(super) mandatory: bool,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
    patience: Patience,
    answer: oneshot::Sender<bool>,
    delay: Duration,
}

impl Letter {
    /// `None` when the event is none of ours.
    pub(super) fn new(
        event: &SealedEvent,
        patience: Patience,
        answer: oneshot::Sender<bool>,
    ) -> Option<Self> {
        let name = event.name()?.to_owned();
        let body = serde_json::to_vec(event).ok()?;
        let properties = BasicProperties::default()
            .with_content_type("application/cloudevents+json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(event.id.to_string().into())
            .with_type(event.kind.as_str().into())
            .with_app_id(event.source.as_str().into())
            .with_timestamp(event.time.timestamp().unsigned_abs());
        let properties = match trace::current() {
            Some(context) => properties.with_headers(copy::traced(&context.to_string())),
            None => properties,
        };
        let mandatory = topology::QUEUES.iter().any(|queue| queue.events.contains(&name.as_str()));
        Some(Self { name, mandatory, properties, body, patience, answer, delay: FIRST })
    }

    /// The event's id, by which a returned message is known.
    pub(super) fn id(&self) -> Option<&ShortString> {
        self.properties.message_id().as_ref()
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.answer.is_closed()
    }

    /// Answers that it is told.
    pub(super) fn told(self) {
        // Nobody to answer is no fault.
        let _ = self.answer.send(true);
    }

    /// The letter again when it is to be tried again; else its teller hears that it was not told.
    pub(super) fn again(self) -> Option<Self> {
        match self.patience {
            Patience::Wait => Some(self),
            Patience::Leave => {
                let _ = self.answer.send(false);
                None
            }
        }
    }

    /// Waits before the next try, longer each time. `false` when it was forgotten meanwhile.
    pub(super) async fn rest(&mut self) -> bool {
        let delay = self.delay.mul_f64(rand::random_range(0.5..=1.0));
        self.delay = LONGEST.min(self.delay * 2);
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = self.answer.closed() => false,
        }
    }
}
