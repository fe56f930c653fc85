//! Asynchronous events: run in turn, tried again, given up, and never lost.

mod crashes;
mod dead_letters;
mod retries;
mod stops;
mod turns;

use fnlite::model::limits;

/// Minutes pass in tenths of a second, hours in seconds.
pub(crate) const QUICK: [&str; 2] = ["--event-pace", "0.002"];

/// The default age of an event at that pace is longer than any test.
const _: () = assert!(limits::MSG_TTL_S_DEFAULT / 500 > 40);
