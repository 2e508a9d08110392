//! Compiles again when a migration changes: they are embedded, and the SQL is checked against them.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/payment");
}
