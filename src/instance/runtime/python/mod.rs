//! CPython 3: which interpreter a runtime name means on this host, and how it is started.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
use crate::instance::tree;
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

/// How long an interpreter may be silent; a cold disk delays one by a second or two.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Longer than any answer: a few paths.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

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
    let told: Told = serde_json::from_slice(&answer(program).ok()?).ok()?;
    // A view that shows its folder would show the whole host.
    told.prefix.parent()?;
    let program = told.program.canonicalize().ok()?;
    let args = ARGS.iter().map(|arg| (*arg).to_owned()).collect();
    let interpreter = Interpreter { program, args, prefix: told.prefix, packages: told.packages };
    (told.version >= (3, 6)).then_some(Found { interpreter, version: told.version })
}

/// The line a program answers the question with, from whatever goes by an interpreter's name. It is ended at its line's
/// end, or when it has said nothing for too long: a stand-in may wait for something, a deploy must not.
fn answer(program: &Path) -> io::Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
    let mut command = Command::new(program);
    command.args(["-I", "-c", QUESTION]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let line = child.stdout.as_mut().map_or(Ok(Vec::new()), read_line);
    // It has said all, or too little; there is nobody to end where it has ended.
    let _ = child.kill();
    child.wait()?;
    line
}

fn read_line(from: &mut ChildStdout) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = [0; ANSWER_BYTES_MAX];
    while !line.ends_with(b"\n") && line.len() < ANSWER_BYTES_MAX {
        if !tree::wait_readable(&*from, ANSWERED_WITHIN) {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        match from.read(&mut chunk)? {
            0 => break,
            length => line.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What is made of a program that says this.
    fn found(script: &str) -> Option<Found> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("python3.9");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        ask(&program)
    }

    fn says(version: &str, prefix: &str) -> String {
        format!(
            r#"echo '{{"version": {version}, "program": "/bin/sh", "prefix": "{prefix}", "packages": ["/x"]}}'"#
        )
    }

    #[test]
    fn an_interpreter_is_taken_at_its_first_line() {
        let found = found(&format!("{}; exec sleep 600", says("[3, 9]", "/opt/python"))).unwrap();
        assert_eq!((found.version, found.interpreter.prefix), ((3, 9), PathBuf::from("/opt/python")));
        assert_eq!(found.interpreter.program, Path::new("/bin/sh").canonicalize().unwrap());
    }

    #[test]
    fn what_is_no_usable_interpreter_is_passed_over() {
        for script in [
            "exit 1",
            "echo",
            "echo 'pyenv: python3.9: command not found'",
            "yes",
            &says("[2, 7]", "/usr"),
            &says("[3, 9]", "/"),
        ] {
            assert!(found(script).is_none(), "{script}");
        }
    }
}
