//! JSON Schemas (draft 7, which AsyncAPI's own are) of what is sent. They allow fields that they don't name: those of
//! tomorrow.

use serde_json::{Map, Value, json};

use super::shape::{Event, Field, Kind, Object};

/// Where a document keeps its schemas.
pub(super) const PLACE: &str = "#/components/schemas/";

/// The schemas of the events, by their types, and of all that they are made of.
pub(super) fn all(events: &[Event], envelope: &Object) -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut cloud_event = object(envelope, &mut schemas);
    cloud_event["properties"]["data"] = json!({ "type": "object", "description": "The payload." });
    if let Some(required) = cloud_event["required"].as_array_mut() {
        required.push("data".into());
    }
    schemas.insert(envelope.name.clone(), cloud_event);
    for event in events {
        let data = reference(&event.data, &mut schemas);
        let schema = json!({
            "title": event.kind,
            "description": event.meaning,
            "allOf": [
                { "$ref": format!("{PLACE}{}", envelope.name) },
                { "properties": { "type": { "const": event.kind }, "source": { "const": event.source }, "data": data } },
            ],
        });
        schemas.insert(event.kind.clone(), schema);
    }
    schemas
}

fn reference(object: &Object, schemas: &mut Map<String, Value>) -> Value {
    if !schemas.contains_key(&object.name) {
        let schema = self::object(object, schemas);
        schemas.insert(object.name.clone(), schema);
    }
    json!({ "$ref": format!("{PLACE}{}", object.name) })
}

fn object(object: &Object, schemas: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        object.fields.iter().map(|field| (field.name.clone(), property(field, schemas))).collect();
    let required: Vec<&str> =
        object.fields.iter().filter(|field| field.always).map(|field| field.name.as_str()).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    if !object.description.is_empty() {
        schema["description"] = object.description.clone().into();
    }
    schema
}

fn property(field: &Field, schemas: &mut Map<String, Value>) -> Value {
    let schema = kind(&field.kind, schemas);
    if field.description.is_empty() {
        schema
    } else if schema.get("$ref").is_some() {
        // In draft 7 nothing counts beside a reference.
        json!({ "allOf": [schema], "description": field.description })
    } else {
        let mut schema = schema;
        schema["description"] = field.description.clone().into();
        schema
    }
}

fn kind(of: &Kind, schemas: &mut Map<String, Value>) -> Value {
    match of {
        Kind::Text(None) => json!({ "type": "string" }),
        Kind::Text(Some(format)) => json!({ "type": "string", "format": format }),
        Kind::Choice(words) => {
            let words: Vec<&String> = words.iter().map(|(word, _)| word).collect();
            json!({ "type": "string", "enum": words })
        }
        Kind::Int64 => json!({ "type": "string", "pattern": "^(0|-?[1-9][0-9]{0,18})$" }),
        Kind::Int32 => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::Object(object) => reference(object, schemas),
        Kind::List(item) => json!({ "type": "array", "items": kind(item, schemas) }),
    }
}
