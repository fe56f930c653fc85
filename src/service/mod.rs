//! What the product can do, whoever asks: the doors translate, this floor decides.

pub mod invoke;
mod run_log;
