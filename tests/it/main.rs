//! The one test crate; this file is its index.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod cli;
mod client;
mod echo;
mod floors;
mod front;
mod raw;
