//! Signatures of changes that were seen lately. A signature holds for minutes and has no number used once, so whoever overhears
//! a request could send it again; for what changes something that is refused (D25). Invocations are left alone: the same call
//! twice within a second is signed alike.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::api::tencent::fault::Fault;
use crate::api::tencent::sign::VALID_S;

/// Most signatures remembered; beyond, the oldest are forgotten first.
const SEEN_MAX: usize = 10_000;

/// What was seen, and when.
#[derive(Debug, Default)]
pub(super) struct Replays(Mutex<HashMap<String, i64>>);

impl Replays {
    /// Notes a signature; refuses one that was seen while it could still hold.
    pub(super) fn check(&self, signature: &str, now_us: i64) -> Result<(), Fault> {
        let mut seen = self.0.lock().expect("no holder of this lock can panic");
        // It is good from so long before the time it names until so long after.
        let since_us = now_us - 2 * VALID_S * 1_000_000;
        if seen.len() >= SEEN_MAX {
            forget(&mut seen, since_us);
        }
        match seen.insert(signature.to_owned(), now_us) {
            Some(before_us) if before_us >= since_us => Err(Fault::new(
                "AuthFailure.SignatureFailure",
                "This request was sent before; sign it anew to have it done again.",
            )),
            _ => Ok(()),
        }
    }
}

/// Makes room: first what holds no more, then the older half.
fn forget(seen: &mut HashMap<String, i64>, since_us: i64) {
    seen.retain(|_, at_us| *at_us >= since_us);
    if seen.len() >= SEEN_MAX {
        let mut times: Vec<i64> = seen.values().copied().collect();
        let (_, median, _) = times.select_nth_unstable(SEEN_MAX / 2);
        let median = *median;
        seen.retain(|_, at_us| *at_us > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_once_while_it_holds() {
        let replays = Replays::default();
        assert!(replays.check("a", 0).is_ok());
        assert!(replays.check("b", 1).is_ok());
        assert_eq!(replays.check("a", 2).unwrap_err().code, "AuthFailure.SignatureFailure");
        assert!(replays.check("a", 10_000_000_000).is_ok(), "it is refused for its age by then");
    }

    #[test]
    fn however_many_are_sent_memory_stays_bounded() {
        let replays = Replays::default();
        for number in 0..25_000 {
            assert!(replays.check(&number.to_string(), number).is_ok());
        }
        let seen = replays.0.lock().unwrap();
        assert!(seen.len() <= SEEN_MAX && seen.contains_key("24999"));
    }
}
