//! The envelope of each event: CloudEvents 1.0 in its structured JSON form, as `messaging::CloudEvent` writes it.

use std::collections::BTreeSet;

use super::shape::{Event, Field, Kind, Object};

/// The envelope's attributes. `data` is the payload, and each event's own.
pub(super) fn of(events: &[Event]) -> Object {
    let sources: BTreeSet<&str> = events.iter().map(|event| event.source.as_str()).collect();
    let uuid = || Kind::Text(Some("uuid".to_owned()));
    let fields = vec![
        field("specversion", choice(["1.0"]), "The version of CloudEvents."),
        field("id", uuid(), "The event's id. The same event that comes again has the same one."),
        field("source", choice(sources), "The service that says it."),
        field("type", Kind::Text(None), "What happened, with the version of its form: `portico.<name>.v1`."),
        field("subject", uuid(), "The id of the aggregate to which it happened."),
        field("time", Kind::Time, "When it happened, in UTC."),
        field(
            "sequence",
            Kind::Int64,
            "The aggregate's version after it. It grows from event to event of one aggregate; numbers can be left out.",
        ),
        Field {
            always: false,
            ..field(
                "traceparent",
                Kind::Text(None),
                "The trace that it belongs to (W3C Trace Context), if any.",
            )
        },
        field("datacontenttype", choice(["application/json"]), "What `data` is."),
    ];
    Object {
        name: "CloudEvent".to_owned(),
        description: "CloudEvents 1.0, structured JSON, with the extensions sequence and traceparent."
            .to_owned(),
        fields,
    }
}

fn field(name: &str, kind: Kind, description: &str) -> Field {
    Field { name: name.to_owned(), description: description.to_owned(), always: true, kind, example: None }
}

fn choice<'a>(words: impl IntoIterator<Item = &'a str>) -> Kind {
    Kind::Choice(words.into_iter().map(|word| (word.to_owned(), String::new())).collect())
}
