//! The one test crate; this file is its index.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod cli;
mod client;
mod deploy;
mod echo;
mod endings;
mod floors;
mod front;
mod function;
mod gate;
mod keeping;
mod killed;
mod leaks;
mod pressure;
mod processes;
mod python;
mod raw;
mod server;
mod tree;
mod wait;
mod walls;
