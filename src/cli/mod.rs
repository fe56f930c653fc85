//! To come.

pub mod bench;
pub mod client;
pub mod histogram;
pub mod reply;
