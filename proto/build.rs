//! Generates, from the .proto files: messages and gRPC code, the messages' JSON form (events travel in it), the
//! descriptor set (for reflection), and the table of who may call which RPC.

use std::{env, fmt::Write, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, Value};

const FILES: &[&str] = &[
    "common/v1/access.proto",
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
    // One set of well-known types in both forms, so that a message needs no conversion on its way into an event.
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(compiler.file_descriptor_set())?;
    // A consumer that is older than a producer ignores the fields that it does not know.
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .ignore_unknown_fields()
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
