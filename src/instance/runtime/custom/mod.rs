//! The Custom Runtime: any program, named `bootstrap`, that asks for its event by HTTP (contract 10.2).

use std::path::PathBuf;

use crate::instance::protocol::Interpreter;
use crate::instance::runtime::{Found, Kit};
use crate::instance::shim;

/// The starter alone: what runs is the user's own.
pub(crate) const KIT: Kit = Kit { bootstrap: "", shim: ("starter", shim::STARTER) };

/// Nothing of the host is needed but what the program itself wants.
pub(crate) fn found() -> Found {
    let interpreter = Interpreter {
        program: PathBuf::from("the bootstrap that it brings"),
        args: Vec::new(),
        prefix: PathBuf::from("/usr"),
        packages: Vec::new(),
    };
    Found { interpreter, version: (0, 0) }
}

/// The variables that only a Custom Runtime finds; those that name the socket are of each Instance.
pub(crate) fn env(handler: &str) -> Vec<(&'static str, String)> {
    vec![("_HANDLER", handler.to_owned())]
}
