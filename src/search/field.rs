//! The fields that every line has, as the cloud's log service names them (contract 5.2).

/// A field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `SCF_FunctionName`.
    FunctionName,
    /// `SCF_Namespace`.
    Namespace,
    /// `SCF_RequestId`.
    RequestId,
    /// `SCF_Alias`.
    Alias,
    /// `SCF_Qualifier`: the version.
    Qualifier,
    /// `SCF_StartTime`: when the run began, milliseconds since the epoch.
    StartTime,
    /// `SCF_LogTime`: when the line was read, milliseconds since the epoch.
    LogTime,
    /// `SCF_Duration`, milliseconds.
    Duration,
    /// `SCF_MemUsage`, MB.
    MemUsage,
    /// `SCF_Level`.
    Level,
    /// `SCF_Message`: the line itself.
    Message,
    /// `SCF_Type`: `Platform` or `Custom`.
    Type,
    /// `SCF_StatusCode`; 202 while the run goes on.
    StatusCode,
    /// `SCF_RetryNum`.
    RetryNum,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// A number.
    Number(f64),
}
