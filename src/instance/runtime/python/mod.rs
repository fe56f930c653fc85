//! CPython 3: which interpreter a runtime name means on this host, and how it is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
use crate::model::runtime::Runtime;

/// The platform's side, in Python.
pub(crate) const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// Isolated from the caller's environment, without `site`, writing no byte code: `bootstrap.py` builds the search path.
const ARGS: &[&str] = &["-I", "-S", "-B"];

/// Asks an interpreter for itself: a version manager's stand-in or a link is not what we want to start each time.
const QUESTION: &str = "import sys, json, sysconfig; print(json.dumps({'version': sys.version_info[:2], \
    'program': sys.executable, 'prefix': sys.base_prefix, 'packages': [p for p in dict.fromkeys([\
    sysconfig.get_path('purelib'), sysconfig.get_path('platlib'), '/usr/lib/python3/dist-packages' if \
    sys.base_prefix == '/usr' else None]) if p]}))";

#[derive(Deserialize)]
struct Told {
    version: (u32, u32),
    program: PathBuf,
    prefix: PathBuf,
    packages: Vec<PathBuf>,
}

/// An interpreter found for a runtime.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// How to start it.
    pub(crate) interpreter: Interpreter,
    /// Its version, major and minor.
    pub(crate) version: (u32, u32),
}

/// The interpreter for `runtime`: its own version, else the newest Python 3 of the host (D15); one that functions cannot
/// reach does not count.
pub(crate) fn find(runtime: Runtime, search: &[PathBuf], reachable: &dyn Fn(&Path) -> bool) -> Result<Found> {
    let (major, minor) = runtime.version;
    let usable = |found: &Found| reachable(&found.interpreter.program);
    let is_own = |found: &Found| found.version == runtime.version && usable(found);
    let own = ask_all(&format!("python{major}.{minor}"), search).find(is_own);
    own.or_else(|| newest(search, &usable)).ok_or_else(|| {
        Error::invalid(format!(
            "runtime {} needs python3 on the server's PATH and there is none; on Debian: apt-get install python3",
            runtime.name
        ))
    })
}

fn newest(search: &[PathBuf], usable: &dyn Fn(&Found) -> bool) -> Option<Found> {
    let minors = (6..=20).rev().map(|minor| format!("python3.{minor}"));
    minors.chain(["python3".to_owned()]).find_map(|name| ask_all(&name, search).find(usable))
}

fn ask_all<'a>(name: &'a str, search: &'a [PathBuf]) -> impl Iterator<Item = Found> + 'a {
    search
        .iter()
        .map(move |folder| folder.join(name))
        .filter(|path| path.exists())
        .filter_map(|path| ask(&path))
}

fn ask(program: &Path) -> Option<Found> {
    #[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
    let mut command = Command::new(program);
    let output =
        command.args(["-I", "-c", QUESTION]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let told: Told = serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())?;
    let program = told.program.canonicalize().ok()?;
    let args = ARGS.iter().map(|arg| (*arg).to_owned()).collect();
    let interpreter = Interpreter { program, args, prefix: told.prefix, packages: told.packages };
    (told.version >= (3, 6)).then_some(Found { interpreter, version: told.version })
}
