//! An example of each event, in which what belongs together is the same: the subject is the id in the payload.

use serde_json::{Map, Value, json};

use super::shape::{Event, Field, Kind, Object};

/// The event as it could be sent.
pub(super) fn of(event: &Event) -> Value {
    let data = object(&event.data);
    json!({
        "specversion": "1.0",
        "id": "01a1f9ac-b3d2-7e61-9c07-51a0f3d4c2be",
        "source": event.source,
        "type": event.kind,
        "subject": id_of(&event.subject),
        "time": "2026-11-20T12:00:00.123456Z",
        "sequence": if event.name.ends_with(".created") { "1" } else { "2" },
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn object(of: &Object) -> Value {
    let fields = of.fields.iter().map(|field| (field.name.clone(), value(of, field, &field.kind)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn value(of: &Object, field: &Field, kind: &Kind) -> Value {
    match kind {
        Kind::Text(Some(format)) if format == "uuid" => id_of(aggregate(of, &field.name)).into(),
        Kind::Text(_) => field.example.as_deref().unwrap_or("text").into(),
        Kind::Choice(words) => field
            .example
            .as_deref()
            .or(words.first().map(|(word, _)| word.as_str()))
            .unwrap_or_default()
            .into(),
        Kind::Int64 => "199998".into(),
        Kind::Int32 => 1.into(),
        Kind::Flag => true.into(),
        Kind::Time => "2026-11-20T12:00:00.123456+00:00".into(),
        Kind::Object(object) => self::object(object),
        Kind::List(item) => json!([value(of, field, item)]),
    }
}

/// Whose id a field holds: `orderId` an order's, and `id` that of the message itself.
fn aggregate<'a>(of: &'a Object, field: &'a str) -> &'a str {
    field.strip_suffix("Id").unwrap_or_else(|| of.name.rsplit('.').next().unwrap_or_default())
}

fn id_of(aggregate: &str) -> &'static str {
    match aggregate.to_ascii_lowercase().as_str() {
        "user" => "01a1f9ac-ac4a-7398-83a2-1df7599e2b3e",
        "order" => "01a1f9ac-ae39-75c4-a266-c3f43b14eac8",
        "payment" => "01a1f9ac-aea1-7d20-8f4c-2b7e90c1d5a3",
        _ => "01a1f9ac-ac51-7c3f-b1d8-6e02a94f7c15",
    }
}
