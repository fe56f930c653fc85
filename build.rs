//! Compiles the C of `src/instance/shim`: a shared object the zygotes load, a static init and a static starter of programs, all
//! without libc, left in
//! `OUT_DIR` for `instance/shim.rs` to embed.

use std::path::{Path, PathBuf};
use std::process::Command;

const SHIM: &str = "src/instance/shim";
const PYTHON: &str = "src/instance/runtime/python/module.c";
const PHP: &str = "src/instance/runtime/php/glue.c";
const NODE: &str = "src/instance/runtime/node/module.c";

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

/// Undefined symbols are the interpreter's, which has them when it loads the object. They are bound then, or each Instance would
/// search for them by itself, while somebody waits.
const MODULE: &[&str] = &["-shared", "-fPIC", "-Wl,-z,now"];

/// A program of a few pages that needs nothing of its host.
const PROGRAM: &[&str] = &["-static", "-no-pie", "-fno-pic", "-Wl,-z,norelro", "-Wl,-n"];

fn main() {
    println!("cargo::rerun-if-changed={SHIM}");
    println!("cargo::rerun-if-changed={PYTHON}");
    println!("cargo::rerun-if-changed={NODE}");
    println!("cargo::rerun-if-changed={PHP}");
    let shim = ["shim.c", "cell.c", "parking.c", "zygote.c", "event.c", "clean.c", "collapse.c"]
        .map(|name| Path::new(SHIM).join(name));
    let with_shim =
        |glue: &str| [&shim[..], &[Path::new(SHIM).join("heap.c"), Path::new(glue).to_owned()]].concat();
    compile(&with_shim(PYTHON), "python.so", MODULE);
    compile(&with_shim(NODE), "node.so", MODULE);
    // PHP lets go of it before the process ends; what it has to do then, it must still be there for.
    compile(&with_shim(PHP), "php.so", &[MODULE, &["-Wl,-z,nodelete"]].concat());
    compile(&[Path::new(SHIM).join("init.c")], "init", PROGRAM);
    let own = ["starter.c", "courier.c"].map(|name| Path::new(SHIM).join(name));
    compile(&[&shim[..], &own[..]].concat(), "starter", PROGRAM);
}

#[expect(clippy::disallowed_methods, reason = "a build script has its environment and its compiler")]
fn compile(sources: &[PathBuf], target: &str, flags: &[&str]) {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let compiler = cc::Build::new().cargo_metadata(false).get_compiler();
    let mut command = Command::new(compiler.path());
    command.args(FLAGS).args(flags);
    command.arg("-o").arg(Path::new(&out).join(target)).args(sources);
    let status =
        command.status().expect("a C compiler is needed to build fnlite (on Debian: apt-get install gcc)");
    assert!(status.success(), "{target} does not compile");
}
