//! What the product can do, whoever asks: the doors translate, this floor decides.

pub mod dead_letters;
pub mod doctor;
pub mod endings;
pub mod events;
pub mod functions;
pub mod invoke;
pub mod keys;
pub mod logs;
pub mod metrics;
mod run_log;
