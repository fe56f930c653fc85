//! The one error type: what a caller can branch on, what a caller reads, and what only our log sees.
//!
//! An `Error` always means that *we* could not do something. What a handler does wrong is an
//! [`Outcome`](crate::model::invocation::Outcome). Errors travel up as values and are logged once, at the
//! edge that turns them into an answer.

use std::fmt;

/// Short for a result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller can do about an error; each door maps it to its own status or exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing of that name is here.
    NotFound,
    /// It contradicts what is already there (a name taken, another server on the file).
    Conflict,
    /// The request itself is wrong; sending it again unchanged cannot succeed.
    Invalid,
    /// The request is well-formed but over a promised bound.
    Limit,
    /// The caller has not shown that it may.
    Denied,
    /// What waits is as much as may wait; later there may be room.
    Full,
    /// Not now; the same request may succeed later.
    Busy,
    /// Our fault or the host's.
    Internal,
}

/// Which noun or field an error is about, for doors whose codes tell more than a [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing that a door tells by.
    Nothing,
    /// An alias.
    Alias,
    /// A bucket of the object storage.
    Bucket,
    /// A code archive.
    Code,
    /// What is always there and cannot be made or removed.
    Default,
    /// A checksum that was sent along.
    Checksum,
    /// A description.
    Description,
    /// Environment variables.
    Env,
    /// An environment variable that belongs to the platform.
    EnvReserved,
    /// The size of all environment variables.
    EnvSize,
    /// An event.
    Event,
    /// A function.
    Function,
    /// A handler.
    Handler,
    /// The time that loading may take.
    InitTimeout,
    /// A layer.
    Layer,
    /// The layers of one version.
    Layers,
    /// A memory size.
    MemoryMb,
    /// How old events may get.
    MsgTtl,
    /// A function's name.
    Name,
    /// A namespace.
    Namespace,
    /// An object of the object storage.
    Object,
    /// An object's key.
    ObjectKey,
    /// What a caller said must be so for anything to be done.
    Precondition,
    /// A part of an upload.
    Part,
    /// Instances kept parked.
    Provisioned,
    /// A version or alias that is asked for.
    Qualifier,
    /// What is reserved.
    Reserved,
    /// How often events are tried again.
    RetryNum,
    /// A routing key.
    RoutingKey,
    /// A runtime.
    Runtime,
    /// How a function stands.
    Status,
    /// The time that a run may take.
    Timeout,
    /// What all may use at once.
    Total,
    /// What a timer hands over.
    CustomArgument,
    /// A trigger, or what it waits for.
    Trigger,
    /// A kind of triggers.
    TriggerKind,
    /// A trigger's name.
    TriggerName,
    /// Which objects a trigger means.
    TriggerRule,
    /// An upload in parts.
    Upload,
    /// A published version.
    Version,
}

/// Why something could not be done.
#[derive(Debug)]
pub struct Error {
    /// What the caller can branch on.
    pub kind: Kind,
    /// One sentence for the caller, naming the field and the allowed range; no secrets, no host paths.
    pub message: String,
    /// Which noun or field it is about, where a door tells by it.
    pub about: About,
    /// What went wrong underneath, for the log only.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a sentence for the caller.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), about: About::Nothing, cause: None }
    }

    /// Nothing of that name is here.
    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(Kind::NotFound, message)
    }

    /// The request itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, message)
    }

    /// Over a promised bound.
    pub fn limit(message: impl Into<String>) -> Error {
        Error::new(Kind::Limit, message)
    }

    /// Our fault or the host's.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(Kind::Internal, message)
    }

    /// The same error, said to be about that noun or field.
    pub fn about(mut self, noun: About) -> Error {
        self.about = noun;
        self
    }

    /// The same error with what lies underneath, for the log.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(cause.into());
        self
    }
}

impl fmt::Display for Error {
    /// The sentence alone; `{:#}` adds the cause, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.cause {
            Some(cause) if f.alternate() => write!(f, ": {cause}"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Error {
        Error::internal("the host refused an operation").because(cause)
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(cause: rustix::io::Errno) -> Error {
        Error::internal("the host refused a system call").because(cause)
    }
}
