//! PHP on the command line: which interpreter a runtime name means on this host, and how it is started.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
use crate::instance::runtime::{Found, Kit, Search, ask};
use crate::instance::view;
use crate::model::runtime::Runtime;

/// The platform's side, in PHP and as a library it reaches by FFI.
pub(crate) const KIT: Kit = Kit {
    bootstrap: include_str!("bootstrap.php"),
    shim: ("php.so", include_bytes!(concat!(env!("OUT_DIR"), "/php.so"))),
};

/// Without the host's configuration, which a view of its own does not show; what is printed leaves at once, errors among it.
const SETTINGS: &[&str] = &[
    "ffi.enable=1",
    "display_errors=1",
    "log_errors=0",
    "html_errors=0",
    "error_reporting=32767",
    "implicit_flush=1",
    "output_buffering=0",
    "max_execution_time=0",
    "register_argc_argv=1",
    "serialize_precision=-1",
    "zend.exception_ignore_args=1",
    "date.timezone=UTC",
];

/// Versions that are looked for by name, newest first, and the oldest that the bootstrap runs on: FFI came with it.
const VERSIONS: &[(u32, u32)] = &[(8, 5), (8, 4), (8, 3), (8, 2), (8, 1), (8, 0), (7, 4)];

/// Which extensions its own configuration loads, so that the code finds them here as well.
const QUESTION: &str = r#"$files = array_merge([php_ini_loaded_file()], explode(",", (string) php_ini_scanned_files()));
    $names = [];
    foreach (array_filter(array_map("trim", array_map("strval", $files))) as $file)
        foreach (file($file) ?: [] as $line)
            if (preg_match('/^\s*extension\s*=\s*"?([^"\s;]+)/', $line, $found)) $names[] = $found[1];
    echo json_encode(["version" => [PHP_MAJOR_VERSION, PHP_MINOR_VERSION], "program" => PHP_BINARY,
        "ffi" => extension_loaded("FFI"), "extensions" => array_values(array_unique($names))]), "\n";"#;

#[derive(Deserialize)]
struct Told {
    version: (u32, u32),
    program: PathBuf,
    ffi: bool,
    extensions: Vec<String>,
}

/// The interpreter for `runtime`: one of its version, else the newest of the host (D15); one that functions cannot reach does not
/// count.
pub(crate) fn find(runtime: Runtime, search: Search<'_>) -> Result<Found> {
    let mut newest: Option<Found> = None;
    for found in all(runtime.version, search) {
        if found.version == runtime.version {
            return Ok(found);
        }
        if newest.as_ref().is_none_or(|newest| newest.version < found.version) {
            newest = Some(found);
        }
    }
    newest.ok_or_else(|| {
        Error::invalid(format!(
            "runtime {} needs PHP 7.4 or newer with its FFI extension, as php on the server's PATH, and there is none; on \
             Debian: apt-get install php-cli",
            runtime.name
        ))
    })
}

/// Options that depend on the function: memory the interpreter gives its code.
pub(crate) fn options(memory_mb: u32) -> Vec<String> {
    vec!["-d".to_owned(), format!("memory_limit={memory_mb}M")]
}

/// The variables that only code in PHP finds; `code` is where it stands.
pub(crate) fn env(runtime: Runtime, code: &str) -> Vec<(&'static str, String)> {
    let (layers, own) = (format!("{}/php_extension", view::LAYERS), format!("{code}/php_extension"));
    // The older runtimes have them the other way round (contract 2.5).
    let folders = if runtime.version < (7, 4) { [own, layers] } else { [layers, own] };
    vec![("PHP_INI_SCAN_DIR", folders.join(":"))]
}

/// Every interpreter of the host, that of the wanted version first. A program that several names lead to is asked once.
fn all<'a>(wanted: (u32, u32), search: Search<'a>) -> impl Iterator<Item = Found> + 'a {
    let numbered = |(major, minor): (u32, u32)| format!("php{major}.{minor}");
    let names =
        [numbered(wanted), "php".to_owned()].into_iter().chain(VERSIONS.iter().copied().map(numbered));
    let paths = names.flat_map(move |name| search.named(&name).collect::<Vec<_>>());
    let mut asked = HashSet::new();
    let fresh = paths.filter(move |path| path.canonicalize().is_ok_and(|program| asked.insert(program)));
    fresh.filter_map(|path| ask(&path)).filter(move |found| (search.reachable)(&found.interpreter.program))
}

fn ask(program: &Path) -> Option<Found> {
    let told: Told = serde_json::from_slice(&ask::answer(program, &["-r", QUESTION]).ok()?).ok()?;
    let program = told.program.canonicalize().ok()?;
    let folder = program.parent()?;
    let prefix = if folder.ends_with("bin") { folder.parent()? } else { folder }.to_owned();
    // A view that shows its folder would show the whole host.
    prefix.parent()?;
    let extensions = told.extensions.iter().map(|name| format!("extension={name}"));
    let settings = SETTINGS.iter().map(|setting| (*setting).to_owned()).chain(extensions);
    let args =
        std::iter::once("-n".to_owned()).chain(settings.flat_map(|setting| ["-d".to_owned(), setting]));
    let interpreter = Interpreter { program, args: args.collect(), prefix, packages: Vec::new() };
    let is_known = told.ffi && VERSIONS.last().is_some_and(|oldest| told.version >= *oldest);
    is_known.then_some(Found { interpreter, version: told.version })
}
