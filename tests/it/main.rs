//! The one test crate; this file is its index.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod cli;
mod cli_events;
mod client;
mod delegated;
mod deploy;
mod doors;
mod echo;
mod endings;
mod evil;
mod floors;
mod front;
mod function;
mod gate;
mod groups;
mod hosts;
mod keeping;
mod killed;
mod leaks;
mod network;
mod pressure;
mod processes;
mod python;
mod raw;
mod rig;
mod schemathesis;
mod server;
mod slowhttptest;
mod tree;
mod unit;
mod uploads;
mod wait;
mod walls;
