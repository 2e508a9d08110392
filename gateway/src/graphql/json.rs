//! The JSON of an answer, written as it becomes known. Objects and lists of entities are written once, and travel
//! through the GraphQL crate as the bytes that they are: in [`Value::Binary`], for which the schema has no other use.

use std::{
    fmt::{self, Write},
    ops::Range,
};

use async_graphql::{EnumType, Value};
use runtime::Refusal;

/// JSON that grows.
#[derive(Default)]
pub(crate) struct Json(Vec<u8>);

impl Json {
    /// Nothing yet, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back all but the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// What was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A value that a resolver answered.
    pub(super) fn into_value(self) -> Value {
        Value::Binary(self.0.into())
    }

    /// What is JSON already.
    pub(crate) fn raw(&mut self, json: &[u8]) {
        self.0.extend_from_slice(json);
    }

    /// A part of what was written.
    pub(super) fn part(&self, range: Range<usize>) -> &[u8] {
        &self.0[range]
    }

    /// The key of an object's member, the first one or another.
    pub(crate) fn key(&mut self, name: &str, first: bool) {
        self.0.push(if first { b'{' } else { b',' });
        self.name(name);
        self.0.push(b':');
    }

    /// A text that needs no escapes, as names do not.
    pub(super) fn name(&mut self, text: &str) {
        self.0.push(b'"');
        self.raw(text.as_bytes());
        self.0.push(b'"');
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        // Without a way out of the loop the compiler looks at sixteen bytes at once.
        let special =
            text.bytes().fold(false, |so_far, byte| so_far | (byte < 0x20) | matches!(byte, b'"' | b'\\'));
        if special {
            // Writing to memory can't fail, and a string is always JSON.
            let _ = serde_json::to_writer(&mut self.0, text);
        } else {
            self.name(text);
        }
    }

    /// What needs no escapes and writes itself.
    pub(super) fn shown(&mut self, value: impl fmt::Display) {
        self.0.push(b'"');
        // Writing to memory can't fail.
        let _ = write!(self, "{value}");
        self.0.push(b'"');
    }

    /// One of the values of an enum. Each has a name.
    pub(super) fn name_of<T: EnumType>(&mut self, value: T) {
        let named = T::items().iter().find(|item| item.value == value);
        self.name(named.map_or("", |item| item.name));
    }

    /// What the GraphQL crate made of an answer.
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Binary(json) => self.raw(json),
            Value::Null => self.raw(b"null"),
            Value::String(text) => self.text(text),
            Value::Enum(name) => self.name(name),
            Value::Boolean(value) => self.raw(if *value { b"true" } else { b"false" }),
            Value::Number(number) => {
                let _ = write!(self, "{number}");
            }
            Value::List(items) => {
                self.0.push(b'[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        self.0.push(b',');
                    }
                    self.value(item);
                }
                self.0.push(b']');
            }
            Value::Object(members) => {
                for (n, (name, member)) in members.iter().enumerate() {
                    self.key(name, n == 0);
                    self.value(member);
                }
                self.raw(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
    }
}

impl fmt::Write for Json {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

/// What a field that waits for nothing answers. It is told exactly as the GraphQL crate tells it.
pub(super) trait Tell {
    /// Writes it.
    ///
    /// # Errors
    /// When there is a refusal in place of it.
    fn tell(self, json: &mut Json) -> Result<(), Refusal>;
}

impl Tell for &str {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        json.text(self);
        Ok(())
    }
}

impl Tell for String {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        self.as_str().tell(json)
    }
}

impl Tell for bool {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        json.raw(if self { b"true" } else { b"false" });
        Ok(())
    }
}

impl Tell for i32 {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        let _ = write!(json, "{self}");
        Ok(())
    }
}

/// Makes enums told by the names of their values.
macro_rules! told_by_name {
    ($type:ty) => {
        impl $crate::graphql::json::Tell for $type {
            fn tell(self, json: &mut $crate::graphql::json::Json) -> Result<(), Refusal> {
                json.name_of(self);
                Ok(())
            }
        }
    };
}

pub(super) use told_by_name;

impl<T: Tell> Tell for Option<T> {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        match self {
            Some(value) => value.tell(json),
            None => {
                json.raw(b"null");
                Ok(())
            }
        }
    }
}

impl<T: Tell> Tell for Result<T, Refusal> {
    fn tell(self, json: &mut Json) -> Result<(), Refusal> {
        self?.tell(json)
    }
}
