//! PHP: which interpreter a runtime name means on this host, and how it is started.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
use crate::instance::runtime::{Found, Kit, Search, ask};
use crate::model::runtime::Runtime;

/// The platform's side, in PHP and as a library that its FFI loads.
pub(crate) const KIT: Kit = Kit {
    bootstrap: include_str!("bootstrap.php"),
    shim: ("php.so", include_bytes!(concat!(env!("OUT_DIR"), "/php.so"))),
};

/// An empty php.ini of ours instead of the host's. Not `-n`, with which the function's own files in `PHP_INI_SCAN_DIR`
/// would not be read. Messages go to the log once, through stderr; time is the platform's to limit.
const ARGS: &[&str] = &[
    "-c",
    "/dev/null",
    "-d",
    "display_errors=0",
    "-d",
    "log_errors=1",
    "-d",
    "html_errors=0",
    "-d",
    "output_buffering=0",
    "-d",
    "implicit_flush=1",
    "-d",
    "max_execution_time=0",
    "-d",
    "serialize_precision=-1",
];

/// Of the extensions that the host's own configuration loads, those that are files; an extension of the engine itself,
/// such as OPcache or a debugger, would keep state that forks share.
const QUESTION: &str = "$folder = ini_get('extension_dir'); \
    $plain = array_diff(get_loaded_extensions(), get_loaded_extensions(true)); \
    $files = array_filter(array_map('strtolower', $plain), function ($name) use ($folder) { \
    return is_file(\"$folder/$name.so\"); }); \
    echo json_encode(['version' => [PHP_MAJOR_VERSION, PHP_MINOR_VERSION], 'program' => PHP_BINARY, \
    'prefix' => dirname(PHP_BINARY, 2), 'folder' => $folder, 'extensions' => array_values($files), \
    'ffi' => extension_loaded('ffi')]), \"\\n\";";

/// The first version with FFI.
const OLDEST: (u32, u32) = (7, 4);

const NEWEST_MINOR: u32 = 9;

#[derive(Deserialize)]
struct Told {
    version: (u32, u32),
    program: PathBuf,
    prefix: PathBuf,
    folder: String,
    extensions: Vec<String>,
    ffi: bool,
}

/// The interpreter for `runtime`: its own version, else the newest PHP of the host (D15); one that functions cannot
/// reach does not count.
pub(crate) fn find(runtime: Runtime, search: Search<'_>) -> Result<Found> {
    let (major, minor) = runtime.version;
    let own = ask_all(&format!("php{major}.{minor}"), search)
        .chain(ask_all("php", search))
        .find(|found| found.version == runtime.version);
    own.or_else(|| newest(search)).ok_or_else(|| {
        Error::invalid(format!(
            "runtime {} needs PHP 7.4 or newer with its extension FFI (php -m lists it) on the server's PATH and \
             there is none; on Debian: apt-get install php-cli",
            runtime.name
        ))
    })
}

/// The variables that only PHP's code finds.
pub(crate) fn env(runtime: Runtime, code: &str, layers: &str) -> Vec<(&'static str, String)> {
    let mut folders = [layers, code].map(|folder| format!("{folder}/php_extension"));
    if runtime.version < (7, 4) {
        folders.reverse();
    }
    vec![("PHP_INI_SCAN_DIR", folders.join(":"))]
}

fn newest(search: Search<'_>) -> Option<Found> {
    let versions = (0..=NEWEST_MINOR).rev().map(|minor| format!("php8.{minor}"));
    versions.chain(["php7.4".to_owned(), "php".to_owned()]).find_map(|name| ask_all(&name, search).next())
}

fn ask_all<'a>(name: &str, search: Search<'a>) -> impl Iterator<Item = Found> + use<'a> {
    let name = name.to_owned();
    let usable = move |found: &Found| (search.reachable)(&found.interpreter.program);
    let paths = search.folders.iter().map(move |folder| folder.join(&name)).filter(|path| path.exists());
    paths.filter_map(|path| ask(&path)).filter(usable)
}

fn ask(program: &Path) -> Option<Found> {
    let told: Told =
        serde_json::from_slice(&ask::answer(program, &["-d", "display_errors=0", "-r", QUESTION]).ok()?)
            .ok()?;
    // A view that shows its folder would show the whole host.
    told.prefix.parent()?;
    let program = told.program.canonicalize().ok()?;
    let given = ARGS.iter().map(|arg| (*arg).to_owned());
    let folder = ["-d".to_owned(), format!("extension_dir={}", told.folder)];
    let extensions = told.extensions.iter().flat_map(|name| ["-d".to_owned(), format!("extension={name}")]);
    let args = given.chain(folder).chain(extensions).collect();
    let interpreter = Interpreter { program, args, prefix: told.prefix, packages: Vec::new() };
    (told.ffi && told.version >= OLDEST).then_some(Found { interpreter, version: told.version })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::runtime::Runtime;

    /// What is made of a program that says this.
    fn found(version: &str, prefix: &str, ffi: bool) -> Option<Found> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("php");
        let told = format!(
            r#"{{"version": {version}, "program": "/bin/sh", "prefix": "{prefix}", "folder": "/ext", "extensions":
            ["pdo", "ffi"], "ffi": {ffi}}}"#
        );
        let script = format!("#!/bin/sh\necho '{}'\nexec sleep 600\n", told.replace('\n', ""));
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        ask(&program)
    }

    #[test]
    fn an_interpreter_is_started_with_the_extensions_of_the_host() {
        let found = found("[8, 2]", "/opt/php", true).unwrap();
        assert_eq!((found.version, found.interpreter.prefix), ((8, 2), PathBuf::from("/opt/php")));
        let args = found.interpreter.args.join(" ");
        assert!(args.ends_with("-d extension_dir=/ext -d extension=pdo -d extension=ffi"), "{args}");
    }

    #[test]
    fn what_is_no_usable_interpreter_is_passed_over() {
        assert!(found("[8, 2]", "/opt/php", false).is_none(), "it has no FFI");
        assert!(found("[7, 3]", "/opt/php", true).is_none(), "it is too old");
        assert!(found("[8, 2]", "/", true).is_none(), "its folder is the whole host");
    }

    #[test]
    fn older_versions_look_for_extensions_in_the_code_first() {
        let folders = |name| env(Runtime::parse(name).unwrap(), "/var/user", "/opt")[0].1.clone();
        assert_eq!(folders("Php8.0"), "/opt/php_extension:/var/user/php_extension");
        assert_eq!(folders("Php7.2"), "/var/user/php_extension:/opt/php_extension");
    }
}
