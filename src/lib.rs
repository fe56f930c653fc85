//! fnlite: serverless functions on a small host, as one binary and one SQLite file.

pub mod api;
pub mod appliance;
pub mod base;
pub mod cli;
pub mod config;
pub mod error;
pub mod http;
pub mod instance;
pub mod model;
pub mod pool;
pub mod service;
pub mod store;
