//! The one test crate; this file is its index.

mod front;
mod raw;
