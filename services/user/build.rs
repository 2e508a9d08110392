//! The migrations are part of the binary: a change of them builds it again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/user");
}
