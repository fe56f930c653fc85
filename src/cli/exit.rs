//! How a command ends: the exit codes, and failures on their way to one.

use std::io;
use std::process::ExitCode;

use crate::error::{Error, Kind};

/// Exit codes; part of the command line's promise, so scripts may branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// It could not be done.
    Error = 1,
    /// The command line itself is wrong; clap ends with the same.
    Usage = 2,
    /// It was done, and the function failed.
    FunctionFailed = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The key does not allow it, or is missing.
    Denied = 5,
    /// A file or the configuration cannot be used (`EX_CONFIG` of sysexits.h).
    Unusable = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends early, and how; the message may be empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into() }
    }

    /// The command line is wrong in a way clap cannot see.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// A file or the configuration cannot be used.
    pub(super) fn unusable(error: &Error) -> Failure {
        Failure::new(Exit::Unusable, format!("{error:#}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match error.kind {
            Kind::NotFound => Exit::NotFound,
            Kind::Denied => Exit::Denied,
            Kind::Conflict | Kind::Invalid | Kind::Limit | Kind::Full | Kind::Busy | Kind::Internal => {
                Exit::Error
            }
        };
        Failure::new(exit, format!("{error:#}"))
    }
}

impl From<io::Error> for Failure {
    /// A reader that has seen enough (`| head`) is no failure.
    fn from(cause: io::Error) -> Failure {
        match cause.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
            _ => Failure::new(Exit::Error, cause.to_string()),
        }
    }
}
