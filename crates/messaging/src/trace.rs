//! The spans of events: one where the relay tells an event, one where a consumer handles it.

use runtime::trace::{Span, SpanKind, TraceContext, current};

use crate::{Broker, CloudEvent, Consumer, event::SealedEvent, topology::EXCHANGE};

/// The span in which an event is told, after what it tells of.
pub(crate) fn telling(source: &'static str, broker: &Broker, event: &SealedEvent) -> Span {
    let name = event.name().unwrap_or_default();
    let destination = format!("{EXCHANGE}:{name}");
    let parent = event.traceparent.as_deref().and_then(TraceContext::parse);
    let mut span = Span::following(source, SpanKind::Producer, format!("publish {destination}"), parent);
    if span.is_recorded() {
        let system = match broker {
            Broker::InProcess(_) => "in_process",
            Broker::RabbitMq(_) => "rabbitmq",
        };
        span.set("messaging.system", system);
        span.set("messaging.operation.name", "publish");
        span.set("messaging.operation.type", "send");
        span.set("messaging.destination.name", destination);
        span.set("messaging.rabbitmq.destination.routing_key", name.to_owned());
        span.set("messaging.message.id", event.id.to_string());
    }
    span
}

/// The span in which a consumer handles an event once: after the telling of it where the caller is in that, else after what
/// it tells of.
pub(crate) fn handling(consumer: &dyn Consumer, event: &CloudEvent) -> Span {
    let name = event.name().unwrap_or_default();
    let destination = format!("{EXCHANGE}:{name}:{}", consumer.name());
    let parent = current().or_else(|| event.traceparent.as_deref().and_then(TraceContext::parse));
    let service = service_of(consumer);
    let mut span = Span::following(service, SpanKind::Consumer, format!("process {destination}"), parent);
    if span.is_recorded() {
        span.set("messaging.operation.name", "process");
        span.set("messaging.operation.type", "process");
        span.set("messaging.destination.name", destination);
        span.set("messaging.message.id", event.id.to_string());
    }
    span
}

/// `payment.order_created` is a consumer of `payment`.
pub(crate) fn service_of(consumer: &dyn Consumer) -> &'static str {
    consumer.name().split('.').next().unwrap_or_default()
}
