//! What the shape of events promises, taken apart.

use super::{super::envelope, ALWAYS, EVENT};
use crate::catalogue::shape::{Event, Field, Kind, Object};

/// An event, what of it, and what is promised.
type Promise = (String, String, String);

/// All promises, those of the envelope among them.
pub(super) fn of(events: &[Event]) -> impl Iterator<Item = Promise> {
    let mut promises = Vec::new();
    let mut add = |event: &str, what: &str, promise: &str| {
        promises.push((event.to_owned(), what.to_owned(), promise.to_owned()));
    };
    add("envelope", EVENT, "CloudEvents 1.0");
    object(&envelope::of(events), "", &mut |what, promise| add("envelope", what, promise));
    for event in events {
        add(&event.name, EVENT, &event.kind);
        add(&event.name, "(source)", &event.source);
        add(&event.name, "(subject)", &event.subject);
        object(&event.data, "", &mut |what, promise| add(&event.name, what, promise));
    }
    promises.into_iter()
}

fn object(of: &Object, prefix: &str, add: &mut impl FnMut(&str, &str)) {
    for Field { name, always, kind, .. } in &of.fields {
        let sent = if *always { ALWAYS } else { "sometimes" };
        value(kind, &format!("{prefix}{name}"), sent, add);
    }
}

fn value(kind: &Kind, path: &str, sent: &str, add: &mut impl FnMut(&str, &str)) {
    let text;
    let word = match kind {
        Kind::Text(None) => "text",
        Kind::Text(Some(format)) => {
            text = format!("text:{format}");
            &text
        }
        Kind::Choice(_) => "word",
        Kind::Int64 => "int64-as-text",
        Kind::Int32 => "int32",
        Kind::Flag => "flag",
        Kind::Time => "time",
        Kind::Object(_) => "object",
        Kind::List(_) => "list",
    };
    add(path, &format!("{word} {sent}"));
    match kind {
        Kind::Choice(words) => words.iter().for_each(|(word, _)| add(&format!("{path}={word}"), "")),
        Kind::Object(inner) => object(inner, &format!("{path}."), add),
        Kind::List(item) => value(item, &format!("{path}[]"), ALWAYS, add),
        _ => {}
    }
}
