//! The one test crate; this file is its index.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod browser;
mod cells;
mod check;
mod cli;
mod cli_events;
mod client;
mod clocks;
mod console;
mod custom;
mod delegated;
mod deploy;
mod disk;
mod doors;
mod echo;
mod endings;
mod events;
mod evil;
#[cfg(feature = "failpoints")]
mod failpoints;
mod floors;
mod front;
mod function;
mod gate;
mod golang;
mod groups;
mod hosts;
#[cfg(feature = "kafka")]
mod kafka;
mod keeping;
mod killed;
mod languages;
mod leaks;
mod length;
mod network;
mod nodejs;
mod objects;
mod php;
mod power;
mod pressure;
mod processes;
mod promises;
mod python;
mod raw;
mod reuse;
mod rig;
mod schemathesis;
mod sdk;
mod seal;
mod search;
mod server;
mod slowhttptest;
mod small_disk;
mod sql;
mod state;
mod tail;
mod tencent;
mod tree;
mod triggers;
mod unit;
mod uploads;
mod wait;
mod walls;
