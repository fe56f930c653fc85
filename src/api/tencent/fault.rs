//! Refusals in the cloud's words, and how errors of ours become them (contract appendix B).

use crate::base::id::RequestId;
use crate::error::{About, Error, Kind};

/// Why a request is refused.
#[derive(Debug)]
pub(in crate::api) struct Fault {
    /// The code that clients branch on.
    pub(super) code: &'static str,
    /// A sentence for people.
    pub(in crate::api) message: String,
    /// What lies underneath, for the log.
    cause: Option<Error>,
}

impl Fault {
    /// Whether somebody may be guessing signatures.
    pub(in crate::api) fn is_guess(&self) -> bool {
        ["AuthFailure.SignatureFailure", "AuthFailure.SecretIdNotFound"].contains(&self.code)
    }

    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Fault {
        Fault { code, message: message.into(), cause: None }
    }

    /// A parameter is missing.
    pub(super) fn missing(code: &'static str, name: &str) -> Fault {
        Fault::new(code, format!("The request is missing a required parameter `{name}`."))
    }

    /// The public half of the key is nobody's.
    pub(super) fn unknown_id() -> Fault {
        Fault::new("AuthFailure.SecretIdNotFound", "The SecretId is not found, or was revoked.")
    }

    /// The same refusal under another code, where it has that one: actions name some things differently.
    pub(super) fn renamed(self, from: &str, to: &'static str) -> Fault {
        if self.code == from { Fault { code: to, ..self } } else { self }
    }

    /// What is not the caller's fault goes to our log, once.
    pub(super) fn log(&self, request_id: &RequestId) {
        match &self.cause {
            Some(error) if error.kind == Kind::Internal => {
                log::error!("request {request_id} failed: {error:#}");
            }
            _ => {}
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault { code: code(&error), message: error.message.clone(), cause: Some(error) }
    }
}

/// The code that says most of what is common to all actions; the few that differ rename it.
fn code(error: &Error) -> &'static str {
    match error.kind {
        Kind::NotFound => not_found(error.about),
        Kind::Conflict => conflict(error.about),
        Kind::Invalid => invalid(error.about),
        Kind::Limit => limit(error.about),
        Kind::Denied => "AuthFailure.UnauthorizedOperation",
        Kind::Full => "RequestLimitExceeded",
        Kind::Busy => "ResourceUnavailable",
        Kind::Internal => "InternalError.System",
    }
}

fn not_found(about: About) -> &'static str {
    match about {
        About::Function => "ResourceNotFound.FunctionName",
        About::Namespace => "ResourceNotFound.Namespace",
        About::Qualifier => "ResourceNotFound.Qualifier",
        About::Version => "ResourceNotFound.FunctionVersion",
        About::Alias => "ResourceNotFound.Alias",
        About::Layer => "ResourceNotFound.LayerVersion",
        About::Trigger => "ResourceNotFound.Trigger",
        About::Event => "ResourceNotFound.AsyncEvent",
        _ => "ResourceNotFound",
    }
}

fn conflict(about: About) -> &'static str {
    match about {
        About::Function => "ResourceInUse.FunctionName",
        About::Namespace => "ResourceInUse.Namespace",
        About::Alias => "ResourceInUse.Alias",
        About::Layer => "ResourceInUse.LayerVersion",
        About::Trigger => "ResourceInUse.Trigger",
        About::TriggerName => "ResourceInUse.TriggerName",
        About::TriggerRule => "InvalidParameterValue.CosNotifyRuleConflict",
        About::Status => "FailedOperation.FunctionStatusError",
        About::Reserved => "FailedOperation.ProvisionedExceedReserved",
        About::Event => "FailedOperation.AsyncEventStatus",
        _ => "FailedOperation.OperationConflict",
    }
}

fn invalid(about: About) -> &'static str {
    match about {
        About::Name => "InvalidParameterValue.FunctionName",
        About::Namespace => "InvalidParameterValue.Namespace",
        About::Handler => "InvalidParameterValue.Handler",
        About::Runtime => "InvalidParameterValue.Runtime",
        About::MemoryMb => "InvalidParameterValue.MemorySize",
        About::Timeout => "LimitExceeded.Timeout",
        About::InitTimeout => "LimitExceeded.InitTimeout",
        About::RetryNum => "LimitExceeded.RetryNum",
        About::MsgTtl => "LimitExceeded.MsgTTL",
        About::Env => "InvalidParameterValue.Environment",
        About::EnvReserved => "InvalidParameterValue.EnvironmentSystemProtect",
        About::EnvSize => "InvalidParameterValue.EnvironmentExceededLimit",
        About::Description => "InvalidParameterValue.Description",
        About::Layers | About::Layer => "InvalidParameterValue.Layers",
        About::Code => "InvalidParameterValue.ZipFile",
        About::Event => "InvalidParameterValue.Param",
        About::Qualifier => "InvalidParameterValue.Qualifier",
        About::Alias => "InvalidParameterValue.Name",
        About::Trigger => "InvalidParameterValue.TriggerDesc",
        About::TriggerName => "InvalidParameterValue.TriggerName",
        About::TriggerKind => "InvalidParameterValue.Type",
        About::CustomArgument => "InvalidParameterValue.CustomArgument",
        About::Reserved => "LimitExceeded.FunctionReservedConcurrencyMemory",
        About::Provisioned => "LimitExceeded.FunctionTotalProvisionedConcurrencyNum",
        About::Total => "LimitExceeded.UserTotalConcurrencyMemory",
        _ => "InvalidParameterValue",
    }
}

fn limit(about: About) -> &'static str {
    match about {
        About::Version => "LimitExceeded.FunctionVersions",
        About::Alias => "LimitExceeded.Alias",
        About::Layer => "LimitExceeded.LayerVersions",
        About::Trigger => "LimitExceeded.Trigger",
        About::Event => "InvalidParameterValue.Param",
        About::Code => "InvalidParameterValue.ZipFile",
        _ => "LimitExceeded",
    }
}
