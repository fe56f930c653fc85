//! What the product can do, whoever asks: the doors translate, this floor decides.

pub mod check;
pub mod concurrency;
pub mod dead_letters;
pub mod doctor;
pub mod endings;
pub mod events;
pub mod functions;
pub mod indexing;
pub mod invoke;
pub mod keys;
pub mod layers;
pub mod loading;
pub mod logs;
pub mod metrics;
pub mod namespaces;
pub mod objects;
pub mod retention;
mod run_log;
pub mod search;
pub mod sessions;
pub mod sql;
pub mod tail;
pub mod triggers;
pub mod versions;
