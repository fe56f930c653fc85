//! Node.js: which interpreter a runtime name means on this host, and how it is started.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::{Interpreter, Role};
use crate::instance::runtime::{Found, Kit, Search, ask};
use crate::model::runtime::Runtime;

/// The platform's side, in JavaScript and as an addon.
pub(crate) const KIT: Kit = Kit {
    bootstrap: include_str!("bootstrap.js"),
    shim: ("node.so", include_bytes!(concat!(env!("OUT_DIR"), "/node.so"))),
};

/// Where the bootstrap has no file of its own, its path must be taken as it is: what that leads to cannot be opened by name.
const ARGS: &[&str] = &["--preserve-symlinks-main"];

/// One thread for JavaScript and the collection of its memory, or a fork would wait for threads it does not have. Functions
/// are compiled when they are loaded, so that not every Instance compiles them again.
const FORKED_ARGS: &[&str] = &["--single-threaded", "--v8-pool-size=0", "--no-lazy"];

/// Where V8 keeps what it compiles: 512 MB, of which Node.js 24 takes the right to write to all at its start, and again for each
/// worker. This is enough for three of them.
pub(crate) const RESERVED_BYTES: u64 = 4 * (512 << 20);

/// Versions that are looked for by name, as in `node20`; and the oldest that the bootstrap and its addon run on.
const MAJORS: std::ops::RangeInclusive<u32> = 12..=39;

const QUESTION: &str = "console.log(JSON.stringify({version: process.versions.node.split('.').slice(0, 2).map(Number), \
    program: process.execPath}))";

#[derive(Deserialize)]
struct Told {
    version: (u32, u32),
    program: PathBuf,
}

/// The interpreter for `runtime`: one of its major version, else the newest of the host (D15); one that functions cannot reach
/// does not count.
pub(crate) fn find(runtime: Runtime, search: Search<'_>) -> Result<Found> {
    let major = runtime.version.0;
    let mut newest: Option<Found> = None;
    for found in all(major, search) {
        if found.version.0 == major {
            return Ok(found);
        }
        if newest.as_ref().is_none_or(|newest| newest.version < found.version) {
            newest = Some(found);
        }
    }
    newest.ok_or_else(|| {
        Error::invalid(format!(
            "runtime {} needs Node.js {} or newer, as node on the server's PATH, and there is none; on Debian: apt-get \
             install nodejs",
            runtime.name,
            MAJORS.start()
        ))
    })
}

/// Options that depend on what the process is to be. V8 learns how much there is, or it would put off collecting what it
/// thinks it can afford until the run is over its MemorySize; for the same reason what is young has less room there.
pub(crate) fn options(role: Role, memory_mb: u32) -> Vec<String> {
    let forked = if role == Role::Zygote { FORKED_ARGS } else { &[] };
    let memory = [
        format!("--max-old-space-size={memory_mb}"),
        format!("--max-semi-space-size={}", (memory_mb / 32).clamp(1, 16)),
    ];
    forked.iter().map(|arg| (*arg).to_owned()).chain(memory).collect()
}

/// The variables that only code of Node.js finds; `code` is where it stands.
pub(crate) fn env(runtime: Runtime, code: &str, layers: &str) -> Vec<(&'static str, String)> {
    let major = runtime.version.0;
    let path = format!(
        "{code}:{code}/node_modules:/var/lang/node{major}/lib/node_modules:{layers}:{layers}/node_modules"
    );
    vec![("NODE_PATH", path)]
}

/// Every interpreter of the host, those first that are likely to be of that version. A program that several names lead to is
/// asked once.
fn all<'a>(major: u32, search: Search<'a>) -> impl Iterator<Item = Found> + 'a {
    let likely = [format!("node{major}"), "node".to_owned(), "nodejs".to_owned()];
    let names = likely.into_iter().chain(MAJORS.rev().map(|major| format!("node{major}")));
    let paths = names.flat_map(move |name| search.named(&name).collect::<Vec<_>>());
    let mut asked = HashSet::new();
    let fresh = paths.filter(move |path| path.canonicalize().is_ok_and(|program| asked.insert(program)));
    fresh.filter_map(|path| ask(&path)).filter(move |found| (search.reachable)(&found.interpreter.program))
}

fn ask(program: &Path) -> Option<Found> {
    let told: Told = serde_json::from_slice(&ask::answer(program, &["-e", QUESTION]).ok()?).ok()?;
    let program = told.program.canonicalize().ok()?;
    let folder = program.parent()?;
    let prefix = if folder.ends_with("bin") { folder.parent()? } else { folder }.to_owned();
    // A view that shows its folder would show the whole host.
    prefix.parent()?;
    let args = ARGS.iter().map(|arg| (*arg).to_owned()).collect();
    let interpreter = Interpreter { program, args, prefix, packages: Vec::new() };
    (told.version.0 >= *MAJORS.start()).then_some(Found { interpreter, version: told.version })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder with programs of these names, each of which says that it is that version.
    fn host(programs: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        for (name, version) in programs {
            let path = folder.path().join("bin").join(name);
            let says = format!(r#"echo '{{"version": {version}, "program": "{}"}}'"#, path.display());
            fs::write(&path, format!("#!/bin/sh\n{says}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    fn found(runtime: &str, host: &tempfile::TempDir) -> Result<Found> {
        let folders = [host.path().join("bin")];
        let search = Search { folders: &folders, reachable: &|_| true };
        find(Runtime::parse(runtime).unwrap(), search)
    }

    #[test]
    fn a_runtime_gets_its_own_version_whatever_it_is_called() {
        let host = host(&[("node", "[22, 3]"), ("nodejs", "[18, 19]"), ("node16", "[16, 20]")]);
        for (runtime, version) in
            [("Nodejs16.13", (16, 20)), ("Nodejs18.15", (18, 19)), ("Nodejs20.19", (22, 3))]
        {
            assert_eq!(found(runtime, &host).unwrap().version, version, "{runtime}");
        }
        let found = found("Nodejs16.13", &host).unwrap().interpreter;
        assert_eq!(found.prefix, host.path().canonicalize().unwrap());
        assert!(found.program.ends_with("bin/node16"), "{found:?}");
    }

    #[test]
    fn what_is_too_old_or_no_interpreter_is_passed_over() {
        for programs in [&[][..], &[("node", "[10, 24]")], &[("node", "null"), ("node18", "[]")]] {
            let error = found("Nodejs18.15", &host(programs)).unwrap_err();
            assert!(error.message.contains("needs Node.js 12 or newer"), "{error:?}");
        }
    }

    #[test]
    fn only_what_is_forked_runs_on_one_thread() {
        let options = |role| options(role, 128).join(" ");
        assert!(options(Role::Zygote).contains("--single-threaded"));
        assert_eq!(options(Role::Single), "--max-old-space-size=128 --max-semi-space-size=4");
    }
}
