//! Go: the user's own program, built with the platform's library, which speaks `net/rpc` (contract 10.1).

use std::path::PathBuf;

use crate::instance::protocol::Interpreter;
use crate::instance::runtime::{Found, Kit, custom};
use crate::model::function::Config;
use crate::model::invocation::FunctionNames;

/// The starter, which here stays as the program's parent: see `shim/courier.c`.
pub(crate) const KIT: Kit = custom::KIT;

/// Nothing of the host is needed: programs of Go bring along what they want.
pub(crate) fn found() -> Found {
    let interpreter =
        Interpreter { program: PathBuf::from("the program that it brings"), ..custom::found().interpreter };
    Found { interpreter, version: (0, 0) }
}

/// The variables that the library reads when it is loaded (contract 2.4); the port is the starter's to say.
pub(crate) fn env(config: &Config, names: &FunctionNames, qualifier: &str) -> Vec<(&'static str, String)> {
    vec![
        ("FUNCTION_NAME", names.name.clone()),
        ("FUNCTION_VERSION", qualifier.to_owned()),
        ("FUNCTION_MEMORY_SIZE", config.memory_mb.to_string()),
    ]
}
