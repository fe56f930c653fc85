//! One line of a run's log.

/// Who wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The handler's standard output.
    Stdout,
    /// The handler's standard error.
    Stderr,
    /// The platform: START, Init Report, ERROR, Response, END, Report (contract 5.1).
    Platform,
}

impl Stream {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Platform => "platform",
        }
    }

    /// The stream of that word.
    pub fn parse(word: &str) -> Option<Stream> {
        [Stream::Stdout, Stream::Stderr, Stream::Platform].into_iter().find(|stream| stream.as_str() == word)
    }
}

/// How grave a line is, in Log4J's words (contract 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything without a graver mark.
    Info,
    /// The platform's ERROR line.
    Error,
}

impl Level {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Error => "ERROR",
        }
    }

    /// The level of that word.
    pub fn parse(word: &str) -> Option<Level> {
        [Level::Info, Level::Error].into_iter().find(|level| level.as_str() == word)
    }
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was read, microseconds since the epoch.
    pub ts_us: i64,
    /// Who wrote it.
    pub stream: Stream,
    /// How grave it is.
    pub level: Level,
    /// The text without its line end, at most [`LOG_LINE_BYTES_MAX`](crate::model::limits::LOG_LINE_BYTES_MAX) bytes.
    pub message: String,
}
