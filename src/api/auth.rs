//! Keys as they arrive, and what becomes of wrong ones, at whichever door.
//!
//! A right key is always let in: a stranger behind the same proxy cannot lock its owner out by guessing. What is limited
//! is the answer to wrong ones, so that guessing shows up in the log and is told to stop.
//!
//! What the next editor must keep true: no secret, right or wrong, goes into a message or the log; and however many
//! addresses guess, memory and log stay bounded.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::api::Parts;
use crate::base::clock::Clock;
use crate::http::head::Head;
use crate::http::request::Peer;
use crate::model::key::Scope;

/// Wrong keys from one address within [`WINDOW`] that are answered as such; beyond, it is told to wait.
const FAILURES_MAX: u32 = 10;
/// How long wrong keys are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses remembered; at the bound everything is forgotten, which costs an attacker with so many nothing new.
const ADDRESSES_MAX: usize = 4096;
/// Most lines in the log within [`WINDOW`], from all addresses together: guessing must not fill a disk.
const LINES_MAX: u32 = 100;

/// The secret of `Authorization: Bearer …`.
pub(crate) fn secret(head: &Head) -> Option<&str> {
    let (scheme, secret) = head.header_text("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_start())
}

/// Who asks, and what he may do.
#[derive(Clone)]
pub(crate) struct Caller {
    /// What he might do when he asked.
    pub(crate) scope: Scope,
    by: By,
}

/// What lets a caller in.
#[derive(Clone)]
enum By {
    /// Nothing that can be taken back: the door is open, or the host itself vouches for him.
    Place,
    /// The secret of a key.
    Key(String),
    /// The token of a session.
    Session(String),
}

impl Caller {
    /// Whoever comes that way.
    pub(crate) fn by_place(scope: Scope) -> Caller {
        Caller { scope, by: By::Place }
    }

    /// Whoever shows that secret, if it is a key's.
    pub(crate) fn by_key(parts: &Parts, secret: &str) -> Option<Caller> {
        let scope = parts.keys.scope_of(secret)?;
        Some(Caller { scope, by: By::Key(secret.to_owned()) })
    }

    /// Whoever shows that token, if it is a session's, which counts as used.
    pub(crate) fn by_session(parts: &Parts, token: String) -> Option<Caller> {
        let scope = parts.sessions.scope_of(&token)?;
        Some(Caller { scope, by: By::Session(token) })
    }

    /// Whether he may still do as much: for answers that take their time. No session counts as used by that.
    pub(crate) fn is_still(&self, parts: &Parts) -> bool {
        let scope = match &self.by {
            By::Place => return true,
            By::Key(secret) => parts.keys.scope_of(secret),
            By::Session(token) => parts.sessions.peek(token),
        };
        scope.is_some_and(|scope| scope >= self.scope)
    }
}

impl fmt::Debug for Caller {
    /// Without what nobody else may see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Who has shown wrong keys lately.
#[derive(Debug)]
pub(crate) struct Failures {
    clock: Arc<dyn Clock>,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    by_origin: HashMap<Origin, Count>,
    lines: Count,
}

/// Something counted within one window.
#[derive(Clone, Copy, Debug)]
struct Count {
    count: u32,
    since: Instant,
}

/// Where a wrong key came from, as far as it pays to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Address(IpAddr),
    /// A network of the size one customer is given: who has one address of it has all.
    Network(Ipv6Addr),
    SocketFile,
}

impl Failures {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Failures {
        let lines = Count { count: 0, since: clock.now() };
        Failures { clock, counts: Mutex::new(Counts { by_origin: HashMap::new(), lines }) }
    }

    /// Counts a wrong key or signature; how long its sender is to wait, seconds, if there were too many.
    pub(crate) fn count(&self, peer: Peer) -> Option<u64> {
        let (origin, now) = (Origin::of(peer), self.clock.now());
        let (failed, line) = self.counts.lock().expect("no holder of this lock can panic").add(origin, now);
        if let Some(line) = line {
            log::warn!("{line}");
        }
        (failed.count > FAILURES_MAX).then(|| (WINDOW - (now - failed.since)).as_secs().max(1))
    }
}

impl Counts {
    /// One wrong key more: how many there are from there now, and what to say of it in the log, if anything.
    fn add(&mut self, origin: Origin, now: Instant) -> (Count, Option<String>) {
        if self.by_origin.len() >= ADDRESSES_MAX && !self.by_origin.contains_key(&origin) {
            self.by_origin.clear();
        }
        let failed = self.by_origin.entry(origin).or_insert(Count { count: 0, since: now });
        failed.add(now);
        let failed = *failed;
        let line = match failed.count {
            1 => format!("a wrong key came from {origin}"),
            FAILURES_MAX => format!(
                "{FAILURES_MAX} wrong keys within {} s came from {origin}; what follows is told to wait",
                WINDOW.as_secs()
            ),
            _ => return (failed, None),
        };
        self.lines.add(now);
        let line = match self.lines.count {
            ..LINES_MAX => Some(line),
            LINES_MAX => Some(format!("{line}; wrong keys are not told of for the rest of this minute")),
            _ => None,
        };
        (failed, line)
    }
}

impl Count {
    fn add(&mut self, now: Instant) {
        if now - self.since >= WINDOW {
            *self = Count { count: 0, since: now };
        }
        self.count = self.count.saturating_add(1);
    }
}

impl Origin {
    fn of(peer: Peer) -> Origin {
        match peer {
            Peer::Unix { .. } => Origin::SocketFile,
            Peer::Tcp(address) => match address.ip().to_canonical() {
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    Origin::Network(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
                }
                address => Origin::Address(address),
            },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Address(address) => address.fmt(f),
            Origin::Network(network) => write!(f, "{network}/64"),
            Origin::SocketFile => f.write_str("the socket file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::SystemClock;

    fn origin(address: &str) -> Origin {
        Origin::of(Peer::Tcp(address.parse().unwrap()))
    }

    fn counts(now: Instant) -> Counts {
        Counts { by_origin: HashMap::new(), lines: Count { count: 0, since: now } }
    }

    #[test]
    fn one_customer_is_one_origin() {
        assert_eq!(origin("192.0.2.1:1"), origin("192.0.2.1:2"));
        assert_eq!(origin("192.0.2.1:1"), origin("[::ffff:192.0.2.1]:1"));
        assert_ne!(origin("192.0.2.1:1"), origin("192.0.2.2:1"));
        assert_eq!(origin("[2001:db8:0:1::1]:1"), origin("[2001:db8:0:1:ffff::2]:1"));
        assert_ne!(origin("[2001:db8:0:1::1]:1"), origin("[2001:db8:0:2::1]:1"));
        assert_eq!(origin("[2001:db8:0:1::1]:1").to_string(), "2001:db8:0:1::/64");
    }

    #[test]
    fn the_first_and_the_tenth_of_a_window_are_logged() {
        let now = SystemClock.now();
        let (mut counts, one) = (counts(now), origin("192.0.2.1:1"));
        let told: Vec<u32> = (1..=100).filter(|_| counts.add(one, now).1.is_some()).collect();
        assert_eq!(told, [1, 10]);
        let (failed, line) = counts.add(one, now + WINDOW);
        assert_eq!((failed.count, line.as_deref()), (1, Some("a wrong key came from 192.0.2.1")));
    }

    #[test]
    fn however_many_guess_memory_and_log_stay_bounded() {
        let now = SystemClock.now();
        let (mut counts, mut lines) = (counts(now), 0);
        for n in 0..100_000u32 {
            let origin = Origin::Address(IpAddr::V4(n.into()));
            lines += u32::from(counts.add(origin, now).1.is_some());
            assert!(counts.by_origin.len() <= ADDRESSES_MAX);
        }
        assert_eq!(lines, LINES_MAX);
    }
}
