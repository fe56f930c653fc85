//! Opens, starts, drains and stops the parts, in order.

use std::net::SocketAddr;

use crate::config::Serve;
use crate::error::{Error, Result};

/// What is known once a server is ready.
#[derive(Debug)]
pub struct Ready {
    /// Where it listens.
    pub address: SocketAddr,
    /// The isolation level reached.
    pub isolation_level: u8,
    /// The key made at the first start on this file.
    pub first_key: Option<String>,
}

/// Serves until told to stop; `announce` is called once, when requests are answered.
pub fn serve(_options: Serve, _announce: impl FnOnce(&Ready)) -> Result<()> {
    Err(Error::internal("to come"))
}
