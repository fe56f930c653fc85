//! Every bound of the front, with its reason. A flag may change an [`Options`] field; the constants are the defaults
//! and the bounds that nobody needs to change.

use std::path::PathBuf;
use std::time::Duration;

/// Bytes of a request head, request line included; 431 beyond. Browsers and SDKs stay below 16 KiB.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines of a request; 431 beyond.
pub const HEADERS_MAX: usize = 100;
/// Bytes of a request target; 414 beyond (RFC 9112 section 3 asks for at least 8,000).
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// Bytes of all chunk extensions and trailers of one request body; they are read and dropped, 400 beyond.
pub const CHUNK_OVERHEAD_BYTES_MAX: usize = 16 * 1024;
/// Connections the kernel keeps for us until they are accepted. The standard library asks for 128, which drops SYNs
/// (a second of delay each) when some hundred clients open at once.
pub(super) const BACKLOG: i32 = 1024;
/// Answers up to this many bytes are copied behind their head so that one system call sends both.
pub(super) const JOINED_BYTES_MAX: usize = 64 * 1024;
/// Bytes read from one connection, or written to it, before the loop turns to the next one.
pub(super) const TURN_BYTES: usize = 256 * 1024;
/// What is left of an answer up to this many bytes stays in memory without asking the budget.
pub(super) const REST_BYTES_FREE: usize = 16 * 1024;

/// What a [`Server`](super::server::Server) may use and how long it waits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that run handlers; there is one more, so that one can lead meanwhile. A handler may block, so this must exceed
    /// the number of runs admitted at once.
    pub workers: usize,
    /// Requests that may wait for a worker, 1 at least; 503 beyond.
    pub queue: usize,
    /// Long polls and streamed answers at once, each on a thread of its own; 429 beyond.
    pub long_polls: usize,
    /// Open connections; at the limit the longest idle one is closed for a new one, else the one whose head has been
    /// arriving for longest.
    pub connections_max: usize,
    /// From the first byte of a head to its last; 408 beyond.
    pub head_timeout: Duration,
    /// How long a connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long a body may take at any rate; after that it needs [`Options::body_rate_min`].
    pub body_grace: Duration,
    /// Bytes per second that a body must average once its grace is over; 408 below.
    pub body_rate_min: u64,
    /// How long the client may take no byte of an answer before it is cut off.
    pub write_timeout: Duration,
    /// How long a connection that we close keeps reading, so that a reset cannot overtake the answer.
    pub linger_timeout: Duration,
    /// How long [`Server::stop`](super::server::Server::stop) waits for requests in flight.
    pub drain_timeout: Duration,
    /// Bodies above this many bytes go to a file.
    pub body_memory_bytes: usize,
    /// Bytes of all bodies in memory together; what comes while it is used up goes to files.
    pub budget_memory_bytes: u64,
    /// Bytes of all bodies in files together; 503 beyond.
    pub budget_spool_bytes: u64,
    /// Folder for the files, which have no name there.
    pub spool_dir: PathBuf,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            workers: 48,
            queue: 1024,
            long_polls: 64,
            connections_max: 10_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_grace: Duration::from_secs(10),
            body_rate_min: 1024,
            write_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            body_memory_bytes: 1024 * 1024,
            budget_memory_bytes: 64 * 1024 * 1024,
            budget_spool_bytes: 2 * 1024 * 1024 * 1024,
            spool_dir: PathBuf::from("/tmp"),
        }
    }
}

impl Options {
    /// How often connections are looked at for time limits: an eighth of the shortest, so a limit is overrun by
    /// little, and never more than once in 10 ms or less than once a second.
    pub(super) fn tick(&self) -> Duration {
        let shortest =
            [self.head_timeout, self.idle_timeout, self.body_grace, self.write_timeout, self.linger_timeout]
                .into_iter()
                .min()
                .unwrap_or_default();
        (shortest / 8).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Whether a body of which `received` bytes have come in `elapsed` is slower than allowed.
    pub(super) fn body_too_slow(&self, received: u64, elapsed: Duration) -> bool {
        let counted = elapsed.saturating_sub(self.body_grace);
        !counted.is_zero() && received < self.body_rate_min.saturating_mul(counted.as_secs().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_start_slowly_but_not_stay_slow() {
        let options = Options::default();
        for (received, elapsed_s, slow) in
            [(0, 9, false), (0, 11, true), (1024, 11, false), (10_000, 30, true), (20 * 1024, 30, false)]
        {
            assert_eq!(
                options.body_too_slow(received, Duration::from_secs(elapsed_s)),
                slow,
                "{received} {elapsed_s}"
            );
        }
    }
}
