//! The shape of events, read from the descriptors of the protos: what each field is in the JSON that is sent.

use anyhow::{Context, Result, bail, ensure};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor,
    Kind as Type, MessageDescriptor, Value,
};
use proto::DeclaredEvent;

/// An event with its payload.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its name and routing key: `order.created`.
    pub name: String,
    /// Its CloudEvents type: `portico.order.created.v1`.
    pub kind: String,
    /// The service that says it.
    pub source: String,
    /// The aggregate whose id is its subject.
    pub subject: String,
    /// What happened.
    pub meaning: String,
    /// When it is sent.
    pub sent: String,
    /// The payload.
    pub data: Object,
}

/// A JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The message's full name: `order.v1.OrderItem`.
    pub name: String,
    /// What it is.
    pub description: String,
    /// In the order of the proto.
    pub fields: Vec<Field>,
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its key in JSON: `productId`.
    pub name: String,
    /// What it says.
    pub description: String,
    /// Whether it is always sent.
    pub always: bool,
    /// What its value is.
    pub kind: Kind,
    /// An example of a text.
    pub example: Option<String>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, of a format of JSON Schema or of any.
    Text(Option<String>),
    /// Text that is one of these words, each with its meaning where that isn't plain.
    Choice(Vec<(String, String)>),
    /// A whole number of 64 bits as text: JSON numbers lose digits beyond 2^53.
    Int64,
    /// A whole number of 32 bits.
    Int32,
    /// True or false.
    Flag,
    /// A time (RFC 3339).
    Time,
    /// An object.
    Object(Object),
    /// A list.
    List(Box<Kind>),
}

/// All events, in the order of the protos.
///
/// # Errors
/// When a payload has a field whose JSON form nobody has described here yet.
pub fn events() -> Result<Vec<Event>> {
    let pool = DescriptorPool::decode(proto::DESCRIPTORS)?;
    proto::EVENTS.iter().map(|declared| event(declared, &pool)).collect()
}

fn event(declared: &DeclaredEvent, pool: &DescriptorPool) -> Result<Event> {
    let message = pool.get_message_by_name(declared.message).context(declared.message)?;
    let (source, _) = declared.message.split_once('.').context("a message without a package")?;
    Ok(Event {
        name: declared.name.to_owned(),
        kind: format!("portico.{}.v1", declared.name),
        source: source.to_owned(),
        subject: declared.subject.to_owned(),
        meaning: declared.meaning.to_owned(),
        sent: declared.sent.to_owned(),
        data: object(&message)?,
    })
}

fn object(message: &MessageDescriptor) -> Result<Object> {
    let name = message.full_name().to_owned();
    let (file, path) = (message.parent_file(), message.path());
    let fields = message.fields().map(|of| field(&of).with_context(|| format!("{name}.{}", of.name())));
    Ok(Object { description: comment(&file, path), fields: fields.collect::<Result<_>>()?, name })
}

fn field(of: &FieldDescriptor) -> Result<Field> {
    ensure!(
        of.containing_oneof().is_none_or(|one| one.is_synthetic()) && !of.is_map() && !of.is_group(),
        "no oneof, map or group is described here yet"
    );
    let options = of.options();
    let text = text(of, &options)?;
    let value = kind(of, text.as_ref())?;
    Ok(Field {
        name: of.json_name().to_owned(),
        description: comment(&of.parent_message().parent_file(), of.path()),
        // What is in a list is sent whether or not it is empty. The encoder leaves nothing out but what is absent.
        always: !of.field_descriptor_proto().proto3_optional(),
        kind: if of.cardinality() == Cardinality::Repeated { Kind::List(value.into()) } else { value },
        example: text.and_then(|text| word(&text, "example")),
    })
}

/// The option `common.v1.text` of a field.
fn text(of: &FieldDescriptor, options: &DynamicMessage) -> Result<Option<DynamicMessage>> {
    let pool = of.parent_pool();
    let option = pool.get_extension_by_name("common.v1.text").context("event.proto is missing")?;
    match options.get_extension(&option).into_owned() {
        Value::Message(text) if options.has_extension(&option) => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn kind(of: &FieldDescriptor, text: Option<&DynamicMessage>) -> Result<Kind> {
    Ok(match of.kind() {
        Type::String => {
            let words = text.map(words).unwrap_or_default();
            if words.is_empty() {
                Kind::Text(text.and_then(|text| word(text, "format")))
            } else {
                Kind::Choice(words.into_iter().map(|word| (word, String::new())).collect())
            }
        }
        Type::Enum(choice) => Kind::Choice(choices(&choice)),
        Type::Int64 => Kind::Int64,
        Type::Int32 => Kind::Int32,
        Type::Bool => Kind::Flag,
        Type::Message(message) if message.full_name() == "google.protobuf.Timestamp" => Kind::Time,
        Type::Message(message) => {
            ensure!(
                !message.full_name().starts_with("google."),
                "{} is not described here",
                message.full_name()
            );
            Kind::Object(object(&message)?)
        }
        other => bail!("{other:?} is not described here yet"),
    })
}

/// The names of an enum. The one of zero says that something was forgotten, and is never sent.
fn choices(choice: &EnumDescriptor) -> Vec<(String, String)> {
    let file = choice.parent_file();
    let values = choice.values().filter(|value| value.number() != 0);
    values.map(|value| (value.name().to_owned(), comment(&file, value.path()))).collect()
}

fn word(text: &DynamicMessage, field: &str) -> Option<String> {
    let value = text.get_field_by_name(field)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn words(text: &DynamicMessage) -> Vec<String> {
    let Some(value) = text.get_field_by_name("words") else { return Vec::new() };
    let words = value.as_list().unwrap_or_default().iter();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// The comment above something, on one line.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let mut locations = info.map(|info| info.location.iter()).unwrap_or_default();
    let above = locations.find(|location| location.path == path);
    let text = above.map(|location| location.leading_comments()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
