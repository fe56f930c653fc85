//! The one test crate; this file is its index.

mod cli;
mod front;
mod raw;
