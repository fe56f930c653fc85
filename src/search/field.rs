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

/// What kind of value a field has, which decides how it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text in which words are sought.
    Message,
    /// A request ID.
    Id,
    /// A name: it is compared whole, and case matters, because it matters where it was given.
    Name,
    /// One of a few words.
    Word,
    /// A number.
    Number,
    /// Milliseconds since the epoch.
    Time,
}

/// What is told apart from the keys of JSON lines by how it begins.
pub(super) const PREFIX: &str = "SCF_";

impl Field {
    /// All fields.
    pub const ALL: [Field; 14] = [
        Field::FunctionName,
        Field::Namespace,
        Field::RequestId,
        Field::Alias,
        Field::Qualifier,
        Field::StartTime,
        Field::LogTime,
        Field::Duration,
        Field::MemUsage,
        Field::Level,
        Field::Message,
        Field::Type,
        Field::StatusCode,
        Field::RetryNum,
    ];

    /// The name under which it is sought.
    pub fn name(self) -> &'static str {
        self.describe().0
    }

    /// The field of that name, in any case.
    pub fn parse(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn kind(self) -> Kind {
        self.describe().1
    }

    fn describe(self) -> (&'static str, Kind) {
        match self {
            Field::FunctionName => ("SCF_FunctionName", Kind::Name),
            Field::Namespace => ("SCF_Namespace", Kind::Name),
            Field::RequestId => ("SCF_RequestId", Kind::Id),
            Field::Alias => ("SCF_Alias", Kind::Name),
            Field::Qualifier => ("SCF_Qualifier", Kind::Name),
            Field::StartTime => ("SCF_StartTime", Kind::Time),
            Field::LogTime => ("SCF_LogTime", Kind::Time),
            Field::Duration => ("SCF_Duration", Kind::Number),
            Field::MemUsage => ("SCF_MemUsage", Kind::Number),
            Field::Level => ("SCF_Level", Kind::Word),
            Field::Message => ("SCF_Message", Kind::Message),
            Field::Type => ("SCF_Type", Kind::Word),
            Field::StatusCode => ("SCF_StatusCode", Kind::Number),
            Field::RetryNum => ("SCF_RetryNum", Kind::Number),
        }
    }
}
