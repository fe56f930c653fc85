//! The nouns: plain data and its rules. No I/O and no JSON; every rule that decides whether a thing is valid is here,
//! so that all doors refuse alike.

pub mod alias;
pub mod buckets;
pub mod cron;
pub mod event;
pub mod finished;
pub mod function;
pub mod invocation;
pub mod key;
pub mod layer;
pub mod limits;
pub mod log;
pub mod namespace;
pub mod object;
pub mod query;
pub mod runtime;
pub mod schedule;
pub mod sql;
pub mod status;
pub mod trigger;
pub mod views;
