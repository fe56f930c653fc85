//! One module per language: which program of the host a runtime name means, what of ours stands beside it, and the variables
//! its code finds.

pub(crate) mod ask;
pub(crate) mod php;
pub(crate) mod python;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::instance::protocol::Interpreter;
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
    /// The platform's side in the language itself: the script the interpreter runs.
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
        Language::Php => php::find(runtime, search),
        Language::NodeJs | Language::Go | Language::Custom => {
            Err(Error::invalid(format!("runtime {} is not run by this release", runtime.name)))
        }
    }
}

/// What a process of that language is started with.
pub(crate) fn kit(language: Language) -> Kit {
    match language {
        Language::Python => python::KIT,
        Language::Php => php::KIT,
        Language::NodeJs | Language::Go | Language::Custom => Kit { bootstrap: "", shim: ("", &[]) },
    }
}

/// The variables of the contract (2.5) that only code of this runtime finds; `code` is where it stands.
pub(crate) fn env(runtime: Runtime, code: &str) -> Vec<(&'static str, String)> {
    match runtime.language {
        Language::Python => python::env(code),
        Language::Php => php::env(runtime, code),
        Language::NodeJs | Language::Go | Language::Custom => Vec::new(),
    }
}
