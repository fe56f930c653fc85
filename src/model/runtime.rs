//! Runtime names as the SCF API spells them, and what each says about language and handler.

use crate::error::{Error, Result};

/// A language whose code we know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// CPython 3.
    Python,
}

/// A runtime of the contract (1.1) that this release runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Runtime {
    /// The API's spelling, for example `Python3.10`.
    pub name: &'static str,
    /// The language behind it.
    pub language: Language,
    /// The version the name asks for, major and minor.
    pub version: (u32, u32),
}

/// Every runtime name that can be deployed, in the order messages list them.
pub const RUNTIMES: &[Runtime] = &[
    python("Python3.6", 6),
    python("Python3.7", 7),
    python("Python3.8", 8),
    python("Python3.9", 9),
    python("Python3.10", 10),
    python("Python3.11", 11),
    python("Python3.12", 12),
    python("Python3.13", 13),
];

/// Names of the contract that exist but that this release does not run.
const REFUSED: &[&str] = &[
    "Python2.7",
    "Nodejs6.10",
    "Nodejs8.9",
    "Nodejs10.15",
    "Nodejs12.16",
    "Nodejs14.18",
    "Nodejs16.13",
    "Nodejs18.15",
    "Nodejs20.19",
    "Php5",
    "Php5.6",
    "Php7",
    "Php7.2",
    "Php7.4",
    "Php8.0",
    "Go1",
    "Java8",
    "Java11",
    "CustomRuntime",
];

const fn python(name: &'static str, minor: u32) -> Runtime {
    Runtime { name, language: Language::Python, version: (3, minor) }
}

impl Runtime {
    /// The runtime of that name; case does not matter, as in the official tools (contract 1.1).
    pub fn parse(name: &str) -> Result<Runtime> {
        if let Some(found) = RUNTIMES.iter().find(|runtime| runtime.name.eq_ignore_ascii_case(name)) {
            return Ok(*found);
        }
        let known: Vec<&str> = RUNTIMES.iter().map(|runtime| runtime.name).collect();
        let known = known.join(", ");
        if REFUSED.iter().any(|refused| refused.eq_ignore_ascii_case(name)) {
            return Err(Error::invalid(format!(
                "runtime {name} is not run by this release; it runs {known}"
            )));
        }
        Err(Error::invalid(format!("runtime must be one of {known}")))
    }
}
