//! Signatures of changes that were seen lately. A signature holds for minutes and has no number used once, so whoever overhears
//! a request could send it again; for what changes something that is refused (D25). Invocations are left alone.
//!
//! An honest client signs the same request alike within a second, whose number is all that changes, and may mean it twice: what
//! comes again that soon is let through. The SDKs do not sign the action's name, so it is remembered with the signature.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::api::tencent::fault::Fault;
use crate::api::tencent::sign::VALID_S;

/// How soon the same signature may come again, microseconds: a second, and some for the way.
const HONEST_US: i64 = 2_000_000;

/// Most signatures remembered; beyond, the oldest are forgotten first.
const SEEN_MAX: usize = 10_000;

/// What was seen, and when.
#[derive(Debug, Default)]
pub(super) struct Replays(Mutex<HashMap<String, i64>>);

impl Replays {
    /// Notes a signature of that action; refuses one that was seen while it could still hold.
    pub(super) fn check(&self, action: &str, signature: &str, now_us: i64) -> Result<(), Fault> {
        let mut seen = self.0.lock().expect("no holder of this lock can panic");
        // It is good from so long before the time it names until so long after.
        let since_us = now_us - 2 * VALID_S * 1_000_000;
        if seen.len() >= SEEN_MAX {
            forget(&mut seen, since_us);
        }
        let first_us = *seen.entry(format!("{action} {signature}")).or_insert(now_us);
        match now_us - first_us {
            age_us if age_us > HONEST_US && first_us >= since_us => Err(Fault::new(
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
        assert!(replays.check("DeleteAlias", "a", 0).is_ok());
        assert!(replays.check("DeleteAlias", "b", 1).is_ok());
        assert!(replays.check("DeleteAlias", "a", HONEST_US).is_ok(), "its client may mean it twice");
        let again = replays.check("DeleteAlias", "a", HONEST_US + 1);
        assert_eq!(again.unwrap_err().code, "AuthFailure.SignatureFailure");
        assert!(replays.check("DeleteTrigger", "a", HONEST_US + 1).is_ok(), "the action is not signed");
        assert!(
            replays.check("DeleteAlias", "a", 10_000_000_000).is_ok(),
            "it is refused for its age by then"
        );
    }

    #[test]
    fn however_many_are_sent_memory_stays_bounded() {
        let replays = Replays::default();
        for number in 0..25_000 {
            assert!(replays.check("x", &number.to_string(), number).is_ok());
        }
        let seen = replays.0.lock().unwrap();
        assert!(seen.len() <= SEEN_MAX && seen.contains_key("x 24999"));
    }
}
