//! The one test crate; this file is its index.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client;
mod echo;
mod front;
mod raw;
