//! Keys as they arrive, and what becomes of wrong ones.
//!
//! A right key is always let in: a stranger behind the same proxy cannot lock its owner out by guessing. What is limited
//! is the answer to wrong ones, so that guessing shows up once in the log and is told to stop.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::api::rest::answer::Refused;
use crate::base::clock::Clock;
use crate::http::head::Head;
use crate::http::request::Peer;

/// Wrong keys from one address within [`WINDOW`] that are answered as such; 429 beyond.
const FAILURES_MAX: u32 = 10;
/// How long wrong keys are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses remembered; at the bound everything is forgotten, which costs an attacker with so many nothing new.
const ADDRESSES_MAX: usize = 4096;

/// The secret of `Authorization: Bearer …`.
pub(super) fn secret(head: &Head) -> Option<&str> {
    let (scheme, secret) = head.header_text("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim_start())
}

/// Who has shown wrong keys lately.
#[derive(Debug)]
pub(super) struct Failures {
    clock: Arc<dyn Clock>,
    by_address: Mutex<HashMap<Option<IpAddr>, Failed>>,
}

#[derive(Debug)]
struct Failed {
    count: u32,
    since: Instant,
}

impl Failures {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Failures {
        Failures { clock, by_address: Mutex::default() }
    }

    /// Counts a wrong key, and says what to answer.
    pub(super) fn refuse(&self, peer: Peer) -> Refused {
        let address = match peer {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix { .. } => None,
        };
        let now = self.clock.now();
        let mut by_address = self.by_address.lock().expect("no holder of this lock can panic");
        if by_address.len() >= ADDRESSES_MAX && !by_address.contains_key(&address) {
            by_address.clear();
        }
        let failed = by_address.entry(address).or_insert(Failed { count: 0, since: now });
        if now - failed.since >= WINDOW {
            *failed = Failed { count: 0, since: now };
        }
        failed.count = failed.count.saturating_add(1);
        if failed.count == FAILURES_MAX {
            log::warn!("{FAILURES_MAX} wrong keys within {} s came from {peer:?}", WINDOW.as_secs());
        }
        match failed.count {
            ..=FAILURES_MAX => Refused::wrong_key(),
            _ => Refused::too_many((WINDOW - (now - failed.since)).as_secs().max(1)),
        }
    }
}
