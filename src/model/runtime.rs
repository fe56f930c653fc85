//! Runtime names as the SCF API spells them, and what each says about language and handler.

use crate::error::{Error, Result};

/// A language whose code we know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// CPython.
    Python,
    /// Node.js.
    NodeJs,
    /// PHP on the command line.
    Php,
    /// A program built with the Go library of the platform.
    Go,
    /// A program or script of any language that speaks the Custom Runtime's HTTP (contract 10.2).
    Custom,
}

impl Language {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::NodeJs => "Node.js",
            Language::Php => "PHP",
            Language::Go => "Go",
            Language::Custom => "Custom Runtime",
        }
    }

    /// What the names of its source files end in, where its handlers are in source files.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Language::Python => Some("py"),
            Language::NodeJs => Some("js"),
            Language::Php => Some("php"),
            Language::Go | Language::Custom => None,
        }
    }

    /// Whether the platform loads the code, to fork Instances from what was loaded; else each Instance is the user's own
    /// program, which loads itself.
    pub fn is_loaded_by_us(self) -> bool {
        !matches!(self, Language::Go | Language::Custom)
    }
}

/// A runtime of the contract (1.1) that this release runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Runtime {
    /// The API's spelling, for example `Python3.10`.
    pub name: &'static str,
    /// The language behind it.
    pub language: Language,
    /// The version the name asks for, major and minor; zeros where any will do.
    pub version: (u32, u32),
}

/// Every runtime name that can be deployed, in the order messages list them.
pub const RUNTIMES: &[Runtime] = &[
    Runtime { name: "Python2.7", language: Language::Python, version: (2, 7) },
    python("Python3.6", 6),
    python("Python3.7", 7),
    python("Python3.8", 8),
    python("Python3.9", 9),
    python("Python3.10", 10),
    python("Python3.11", 11),
    python("Python3.12", 12),
    python("Python3.13", 13),
    node("Nodejs6.10", 6, 10),
    node("Nodejs8.9", 8, 9),
    node("Nodejs10.15", 10, 15),
    node("Nodejs12.16", 12, 16),
    node("Nodejs14.18", 14, 18),
    node("Nodejs16.13", 16, 13),
    node("Nodejs18.15", 18, 15),
    node("Nodejs20.19", 20, 19),
    php("Php5", 5, 6),
    php("Php5.6", 5, 6),
    php("Php7", 7, 2),
    php("Php7.2", 7, 2),
    php("Php7.4", 7, 4),
    php("Php8.0", 8, 0),
    Runtime { name: "Go1", language: Language::Go, version: (0, 0) },
    Runtime { name: "CustomRuntime", language: Language::Custom, version: (0, 0) },
];

/// Names of the contract that exist but that this release does not run (D30).
const REFUSED: &[&str] = &["Java8", "Java11", "CustomImage"];

const fn python(name: &'static str, minor: u32) -> Runtime {
    Runtime { name, language: Language::Python, version: (3, minor) }
}

const fn node(name: &'static str, major: u32, minor: u32) -> Runtime {
    Runtime { name, language: Language::NodeJs, version: (major, minor) }
}

const fn php(name: &'static str, major: u32, minor: u32) -> Runtime {
    Runtime { name, language: Language::Php, version: (major, minor) }
}

impl Runtime {
    /// Whether an interpreter of that version, major and minor, is what the name asks for. What Node.js changes between minor
    /// versions breaks no code.
    pub fn is_met_by(self, version: (u32, u32)) -> bool {
        match self.language {
            Language::NodeJs => self.version.0 == version.0,
            _ => self.version == version,
        }
    }

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
