//! CPython: which interpreter a runtime name means on this host, and how it is started.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
use crate::instance::runtime::{Found, Kit, Search, ask};
use crate::model::runtime::Runtime;

/// The platform's side, in Python and as a module of it.
pub(crate) const KIT: Kit = Kit {
    bootstrap: include_str!("bootstrap.py"),
    shim: ("python.so", include_bytes!(concat!(env!("OUT_DIR"), "/python.so"))),
};

/// How an interpreter is started, which is not the same for all.
struct Ways {
    /// Isolated from the caller's environment, without `site`, writing no byte code: `bootstrap.py` builds the search path.
    args: &'static [&'static str],
    /// The same with `site`, which knows where packages are, for the one question.
    ask_args: &'static [&'static str],
}

const THREE: Ways = Ways { args: &["-I", "-S", "-B"], ask_args: &["-I", "-c"] };

const TWO: Ways = Ways { args: &["-E", "-S", "-B"], ask_args: &["-E", "-s", "-c"] };

/// 2.7 would look for modules in the server's folder first.
const QUESTION: &str = "import sys; sys.path[:] = filter(None, sys.path); import json, sysconfig; \
    prefix = getattr(sys, 'base_prefix', sys.prefix); \
    debians = '/usr/lib/python%s/dist-packages' % ('3' if sys.version_info > (3,) else '2.7'); \
    paths = [sysconfig.get_path('purelib'), sysconfig.get_path('platlib'), debians if prefix == '/usr' else None]; \
    print(json.dumps({'version': sys.version_info[:2], 'program': sys.executable, 'prefix': prefix, \
    'packages': [path for at, path in enumerate(paths) if path and path not in paths[:at]]}))";

#[derive(Deserialize)]
struct Told {
    version: (u32, u32),
    program: PathBuf,
    prefix: PathBuf,
    packages: Vec<PathBuf>,
}

/// The interpreter for `runtime`: its own version, else, but for 2.7, the newest Python 3 of the host (D15); one that functions
/// cannot reach does not count.
pub(crate) fn find(runtime: Runtime, search: Search<'_>) -> Result<Found> {
    let (major, minor) = runtime.version;
    let ways = if major == 2 { &TWO } else { &THREE };
    let name = format!("python{major}.{minor}");
    let own = ask_all(&name, ways, search).find(|found| found.version == runtime.version);
    let stand_in = || if major == 2 { None } else { newest(search) };
    own.or_else(stand_in).ok_or_else(|| {
        let install = match major {
            2 => "python2.7 on the server's PATH and there is none; Debian 12 has no package of it",
            _ => "python3 on the server's PATH and there is none; on Debian: apt-get install python3",
        };
        Error::invalid(format!("runtime {} needs {install}", runtime.name))
    })
}

/// Any text does; this one tells ours from the user's.
const BIND_NOW: &str = "fnlite";

/// The variables that only Python's code finds, and one for its start.
pub(crate) fn env(code: &str, layers: &str) -> Vec<(&'static str, String)> {
    vec![
        ("PYTHONDONTWRITEBYTECODE", "x".to_owned()),
        ("PYTHONPATH", format!("{code}:{layers}")),
        // What the linker does on the first call of each function it would do anew in every Instance. The bootstrap takes it out.
        ("LD_BIND_NOW", BIND_NOW.to_owned()),
        // One thread each: a pool of threads started at import would make the code unsafe to fork.
        ("OPENBLAS_NUM_THREADS", "1".to_owned()),
        ("OMP_NUM_THREADS", "1".to_owned()),
    ]
}

fn newest(search: Search<'_>) -> Option<Found> {
    let minors = (6..=20).rev().map(|minor| format!("python3.{minor}"));
    minors.chain(["python3".to_owned()]).find_map(|name| ask_all(&name, &THREE, search).next())
}

fn ask_all<'a>(name: &'a str, ways: &'a Ways, search: Search<'a>) -> impl Iterator<Item = Found> + 'a {
    let usable = move |found: &Found| (search.reachable)(&found.interpreter.program);
    search.named(name).filter_map(|path| ask(&path, ways)).filter(usable)
}

fn ask(program: &Path, ways: &Ways) -> Option<Found> {
    let question = [ways.ask_args, &[QUESTION]].concat();
    let told: Told = serde_json::from_slice(&ask::answer(program, &question).ok()?).ok()?;
    // A view that shows its folder would show the whole host.
    told.prefix.parent()?;
    let program = told.program.canonicalize().ok()?;
    let args = ways.args.iter().map(|arg| (*arg).to_owned()).collect();
    let interpreter = Interpreter { program, args, prefix: told.prefix, packages: told.packages };
    let is_known = told.version == (2, 7) || told.version >= (3, 6);
    is_known.then_some(Found { interpreter, version: told.version })
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
        ask(&program, &THREE)
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
            &says("[2, 6]", "/usr"),
            &says("[3, 5]", "/usr"),
            &says("[3, 9]", "/"),
        ] {
            assert!(found(script).is_none(), "{script}");
        }
    }
}
