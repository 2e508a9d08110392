//! The page that people read: what is promised, and each event with its fields.

use std::fmt::Write;

use super::shape::{Event, Field, Kind, Object};
use super::{envelope, example};

/// What is the same whatever the events are.
const TEXT: &str = include_str!("events.md");

/// The page of these events.
pub(super) fn of(events: &[Event]) -> String {
    let list: String = events
        .iter()
        .map(|event| {
            let anchor = event.name.replace('.', "");
            format!("| [`{}`](#{anchor}) | {} | {} |\n", event.name, event.source, event.meaning)
        })
        .collect();
    let chapters: Vec<String> = events.iter().map(chapter).collect();
    TEXT.replace("{envelope}", table(&envelope::of(events)).trim_end())
        .replace("{list}", list.trim_end())
        .replace("{events}", chapters.join("\n").trim_end())
}

fn chapter(event: &Event) -> String {
    let example = serde_json::to_string_pretty(&example::of(event)["data"]).unwrap_or_default();
    format!(
        "### {}\n\n{} {}\n\nThe subject is the {}'s id. `data`:\n\n{}\n```json\n{example}\n```\n",
        event.name,
        event.meaning,
        event.sent,
        event.subject,
        table(&event.data),
    )
}

fn table(object: &Object) -> String {
    let mut rows = String::from("| field | is | |\n|---|---|---|\n");
    add_rows(object, "", &mut rows);
    rows
}

fn add_rows(object: &Object, prefix: &str, rows: &mut String) {
    for field in &object.fields {
        let path = format!("{prefix}{}", field.name);
        // Writing to a string does not fail.
        let _ = writeln!(rows, "| `{path}` | {} | {} |", words(field), field.description);
        match &field.kind {
            Kind::Object(inner) => add_rows(inner, &format!("{path}."), rows),
            Kind::List(item) => {
                if let Kind::Object(inner) = &**item {
                    add_rows(inner, &format!("{path}[]."), rows);
                }
            }
            _ => {}
        }
    }
}

fn words(field: &Field) -> String {
    let kind = kind(&field.kind);
    if field.always { kind } else { format!("{kind}; not always there") }
}

fn kind(of: &Kind) -> String {
    match of {
        Kind::Text(None) => "text".to_owned(),
        Kind::Text(Some(format)) if format == "uuid" => "UUID".to_owned(),
        Kind::Text(Some(format)) => format!("text ({format})"),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            words.join(", ")
        }
        Kind::Int64 => "whole number, as text".to_owned(),
        Kind::Int32 => "whole number".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Time => "time".to_owned(),
        Kind::Object(_) => "object".to_owned(),
        Kind::List(item) => format!("list of {}s", kind(item)),
    }
}
