//! One module per language: which program of the host a runtime name means, what of ours stands beside it, and the variables
//! its code finds.

pub(crate) mod ask;
pub(crate) mod custom;
pub(crate) mod go;
pub(crate) mod node;
pub(crate) mod php;
pub(crate) mod python;

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::instance::protocol::{Interpreter, Role};
use crate::model::function::Version;
use crate::model::invocation::FunctionNames;
use crate::model::runtime::{Language, Runtime};

/// What runs a runtime's code on this host.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// How to start it.
    pub(crate) interpreter: Interpreter,
    /// Its version, major and minor.
    pub(crate) version: (u32, u32),
}

/// What of ours an interpreter is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kit {
    /// The platform's side in the language itself: the script the interpreter runs; empty where the shim is a program.
    pub(crate) bootstrap: &'static str,
    /// The shim as something the language can load: name and content.
    pub(crate) shim: (&'static str, &'static [u8]),
}

/// Where an interpreter is looked for, and which of those found can be used.
#[derive(Clone, Copy)]
pub(crate) struct Search<'a> {
    /// Folders, in order.
    pub(crate) folders: &'a [PathBuf],
    /// Whether functions can reach it.
    pub(crate) reachable: &'a dyn Fn(&Path) -> bool,
}

impl<'a> Search<'a> {
    /// Every file of that name, in order.
    fn named(self, name: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.folders.iter().map(move |folder| folder.join(name)).filter(|path| path.exists())
    }
}

/// What `runtime` means on this host: its own interpreter, else the newest of the language (D15).
pub(crate) fn find(runtime: Runtime, search: Search<'_>) -> Result<Found> {
    match runtime.language {
        Language::Python => python::find(runtime, search),
        Language::NodeJs => node::find(runtime, search),
        Language::Custom => Ok(custom::found()),
        Language::Php => php::find(runtime, search),
        Language::Go => Ok(go::found()),
    }
}

/// What a process of that language is started with.
pub(crate) fn kit(language: Language) -> Kit {
    match language {
        Language::Python => python::KIT,
        Language::NodeJs => node::KIT,
        Language::Php => php::KIT,
        Language::Go => go::KIT,
        Language::Custom => custom::KIT,
    }
}

/// The program of a function that loads itself: its path in the package. `handler` is the handler's first part.
pub(crate) fn program(language: Language, handler: &str) -> Option<&str> {
    match language {
        Language::Python | Language::NodeJs | Language::Php => None,
        Language::Go => Some(handler),
        Language::Custom => Some("bootstrap"),
    }
}

/// The interpreter's options that depend on what its process is to be, behind those that every process of it has.
pub(crate) fn options(language: Language, role: Role, memory_mb: u32) -> Vec<String> {
    match language {
        Language::NodeJs => node::options(role, memory_mb),
        Language::Python | Language::Php | Language::Go | Language::Custom => Vec::new(),
    }
}

/// Bytes that the language's interpreter maps as its own to write to without ever using more than a part of them.
pub(crate) fn reserved_bytes(language: Language) -> u64 {
    match language {
        Language::NodeJs => node::RESERVED_BYTES,
        Language::Python | Language::Php | Language::Go | Language::Custom => 0,
    }
}

/// The variables of the contract (2.5) that only code of this runtime finds; `code` is where it stands, `layers` where its layers do.
pub(crate) fn env(
    version: &Version,
    names: &FunctionNames,
    code: &str,
    layers: &str,
) -> Vec<(&'static str, String)> {
    let config = &version.config;
    match config.runtime.language {
        Language::Python => python::env(code, layers),
        Language::NodeJs => node::env(config.runtime, code, layers),
        Language::Custom => custom::env(config.handler.as_str()),
        Language::Php => php::env(config.runtime, code, layers),
        Language::Go => go::env(config, names, &version.qualifier),
    }
}
