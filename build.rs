//! Compiles the C of `src/instance/shim`: a shared object the zygotes load and a static init, both without libc, left in
//! `OUT_DIR` for `instance/shim.rs` to embed.

#![expect(clippy::disallowed_methods, reason = "a build script is no part of the program")]

use std::path::Path;
use std::process::Command;

const SOURCES: &str = "src/instance/shim";

/// Both are mapped into processes of other languages, so they must not depend on what the compiler's defaults expect of a
/// C library: no stack protector, no libc calls made up by the optimiser, no executable stack.
const FLAGS: &[&str] = &[
    "-Os",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-builtin",
    "-fno-asynchronous-unwind-tables",
    "-fvisibility=hidden",
    "-Wl,--build-id=none",
    "-Wl,-z,noexecstack",
    "-Wl,-s",
];

fn main() {
    println!("cargo::rerun-if-changed={SOURCES}");
    compile("shim.c", "shim.so", &["-shared", "-fPIC", "-Wl,-z,defs"]);
    compile("init.c", "init", &["-static", "-no-pie", "-fno-pic", "-Wl,-z,norelro", "-Wl,-n"]);
}

fn compile(source: &str, target: &str, flags: &[&str]) {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let compiler = cc::Build::new().cargo_metadata(false).get_compiler();
    let mut command = Command::new(compiler.path());
    command.args(FLAGS).args(flags);
    command.arg("-o").arg(Path::new(&out).join(target)).arg(Path::new(SOURCES).join(source));
    let status =
        command.status().expect("a C compiler is needed to build fnlite (on Debian: apt-get install gcc)");
    assert!(status.success(), "{source} does not compile");
}
