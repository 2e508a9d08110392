//! Generates, from the .proto files: messages and gRPC code, the messages' JSON form (events travel in it), the
//! descriptor set (for reflection), the tables of who may call which RPC and which is safe to repeat, and that of the events.

use std::{env, fmt::Write, fs, path::PathBuf};

use prost_reflect::{
    DescriptorPool, MessageDescriptor, Value, prost_types::method_options::IdempotencyLevel,
};

const FILES: &[&str] = &[
    "common/v1/access.proto",
    "common/v1/event.proto",
    "user/v1/user_service.proto",
    "user/v1/events.proto",
    "order/v1/order_service.proto",
    "order/v1/events.proto",
    "payment/v1/payment_service.proto",
    "payment/v1/events.proto",
];

fn main() -> anyhow::Result<()> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for folder in ["common", "user", "order", "payment"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &descriptors)?;
    fs::write(out.join("access.rs"), access_table(&compiler.descriptor_pool())?)?;
    fs::write(out.join("rpcs.rs"), rpc_list(&compiler.descriptor_pool()))?;
    fs::write(out.join("repeatable.rs"), repeatable_table(&compiler.descriptor_pool())?)?;
    fs::write(out.join("events.rs"), event_table(&compiler.descriptor_pool())?)?;
    // One set of well-known types in both forms, so that a message needs no conversion on its way into an event.
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(compiler.file_descriptor_set())?;
    // A consumer that is older than a producer ignores the fields that it does not know. Fields that are empty, zero or
    // false are sent all the same: for a subscriber without these protos, one that's missing would be a case of its own.
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .ignore_unknown_fields()
        .emit_fields()
        .build(&[".common", ".user", ".order", ".payment"])?;
    Ok(())
}

/// A match from the path of each RPC to its `common.v1.access` option.
fn access_table(pool: &DescriptorPool) -> anyhow::Result<String> {
    let rule = pool
        .get_extension_by_name("common.v1.access")
        .ok_or_else(|| anyhow::anyhow!("access.proto is missing"))?;
    let mut table = String::from("match path {\n");
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.options();
        let Value::EnumNumber(number) = options.get_extension(&rule).into_owned() else { continue };
        let service = method.parent_service().full_name();
        writeln!(table, "    \"/{service}/{}\" => {number},", method.name())?;
    }
    table.push_str("    _ => 0,\n}\n");
    Ok(table)
}

/// The paths of all RPCs.
fn rpc_list(pool: &DescriptorPool) -> String {
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let paths: Vec<_> =
        methods.map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name())).collect();
    format!(
        "/// The paths of all RPCs: `/user.v1.UserService/GetUser`.\npub const RPCS: &[&str] = &{paths:?};\n"
    )
}

/// A match from the path of each RPC to whether its `idempotency_level` says that it may be repeated.
fn repeatable_table(pool: &DescriptorPool) -> anyhow::Result<String> {
    let mut table = String::from("match path {\n");
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
        if options.idempotency_level() != IdempotencyLevel::IdempotencyUnknown {
            writeln!(table, "    \"/{}/{}\" => true,", method.parent_service().full_name(), method.name())?;
        }
    }
    table.push_str("    _ => false,\n}\n");
    Ok(table)
}

/// An implementation of `DomainEvent` for each message with the `common.v1.event` option, and the list of them.
fn event_table(pool: &DescriptorPool) -> anyhow::Result<String> {
    let option = pool
        .get_extension_by_name("common.v1.event")
        .ok_or_else(|| anyhow::anyhow!("event.proto is missing"))?;
    let (mut implementations, mut list) = (String::new(), String::new());
    for message in pool.all_messages().filter(|message| message.options().has_extension(&option)) {
        let options = message.options();
        let Value::Message(event) = options.get_extension(&option).into_owned() else { continue };
        let [name, subject] = ["name", "subject"].map(|field| {
            event
                .get_field_by_name(field)
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        });
        let (path, comment) = (message.full_name(), comment(&message));
        anyhow::ensure!(
            !name.is_empty() && !subject.is_empty() && !comment.is_empty(),
            "{path} needs the name and the subject of its event, and a comment that says what happened"
        );
        let (meaning, sent) = comment.split_once("\n\n").unwrap_or((&comment, ""));
        let rust = path.replace('.', "::");
        writeln!(implementations, "impl DomainEvent for {rust} {{ const NAME: &'static str = {name:?}; }}")?;
        writeln!(
            list,
            "DeclaredEvent {{ name: {name:?}, subject: {subject:?}, message: {path:?}, meaning: {:?}, sent: {:?} }},",
            one_line(meaning),
            one_line(sent)
        )?;
    }
    Ok(format!(
        "{implementations}\n/// The events of all services.\npub const EVENTS: &[DeclaredEvent] = &[\n{list}];\n"
    ))
}

/// The comment above a message.
fn comment(message: &MessageDescriptor) -> String {
    let file = message.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let location = locations.iter().find(|location| location.path == message.path());
    location.map(|location| location.leading_comments().trim().to_owned()).unwrap_or_default()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
