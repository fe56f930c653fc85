//! Ids that callers see. Request ids are UUIDv7 (RFC 9562), so they sort by time and index well; runs that come
//! through the API gateway carry the gateway's 32 hex digits instead (contract 5.4).

use std::fmt;
use std::sync::Mutex;

use crate::base::sys;

/// The id under which one invocation is found again: a dashed lower-case UUID or 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(String);

impl RequestId {
    /// Accepts what a caller may look up: a dashed UUID or 32 hex digits, in any case.
    pub fn parse(text: &str) -> Option<RequestId> {
        let dashed = text.len() == 36 && uuid::Uuid::try_parse(text).is_ok();
        let plain = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        (dashed || plain).then(|| RequestId(text.to_ascii_lowercase()))
    }

    /// The same digits without the dashes, or with them.
    pub fn other_form(&self) -> RequestId {
        let uuid = uuid::Uuid::try_parse(&self.0).expect("both forms are 32 hexadecimal digits");
        RequestId(if self.0.len() == 36 { uuid.simple().to_string() } else { uuid.hyphenated().to_string() })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source of new ids and secrets.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// A request id nobody has seen before.
    fn request_id(&self, wall_us: i64) -> RequestId;
    /// `N` unguessable bytes.
    fn secret(&self) -> [u8; 32];
    /// A number from 0 to below 1, each as likely.
    fn chance(&self) -> f64;
}

/// Ids from the kernel's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn request_id(&self, wall_us: i64) -> RequestId {
        let mut random = [0u8; 10];
        sys::random_bytes(&mut random);
        let millis = u64::try_from(wall_us / 1000).unwrap_or(0);
        RequestId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0u8; 32];
        sys::random_bytes(&mut bytes);
        bytes
    }

    fn chance(&self) -> f64 {
        let mut bytes = [0u8; 4];
        sys::random_bytes(&mut bytes);
        f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Ids that count up, for golden tests.
#[derive(Debug, Default)]
pub struct CountingIds(Mutex<u32>);

impl IdSource for CountingIds {
    fn request_id(&self, _wall_us: i64) -> RequestId {
        let mut count = self.0.lock().expect("no holder of this lock can panic");
        *count += 1;
        RequestId(format!("00000000-0000-7000-8000-{:012x}", *count))
    }

    fn secret(&self) -> [u8; 32] {
        [7; 32]
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_written_forms_are_found_again() {
        assert!(RequestId::parse("4ca7089c-3bb0-48cf-bcdb-26d130fed2ae").is_some());
        assert!(RequestId::parse("73837518616af99bbeace99522926399").is_some());
        for wrong in
            ["", "4ca7089c", "73837518616af99bbeace9952292639x", "{ca7089c-3bb0-48cf-bcdb-26d130fed2a}"]
        {
            assert_eq!(RequestId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_has_two_forms() {
        for text in ["4ca7089c-3bb0-48cf-bcdb-26d130fed2ae", "73837518616af99bbeace99522926399"] {
            let id = RequestId::parse(text).unwrap();
            assert_ne!(id.other_form(), id);
            assert!(RequestId::parse(id.other_form().as_str()).is_some());
            assert_eq!(id.other_form().other_form(), id);
        }
    }

    #[test]
    fn ids_sort_by_time() {
        let early = SystemIds.request_id(1_700_000_000_000_000);
        let late = SystemIds.request_id(1_700_000_000_001_000);
        assert!(early < late);
    }
}
