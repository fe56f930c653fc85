//! The init of `shim/`, embedded, and how such programs are handed to a process that has no file of ours to read.

use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;

/// The static init: see `shim/init.c` for its lives.
pub(crate) const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// The static starter of programs that load themselves: see `shim/starter.c`.
pub(crate) const STARTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/starter"));

/// From here on descriptor numbers are out of the way of those an interpreter is given.
pub(crate) const HIGH_FD: i32 = 100;

/// A file in memory that holds `bytes`, closed on exec, with a number of at least [`HIGH_FD`].
pub(crate) fn memory_file(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    Ok(rustix::io::fcntl_dupfd_cloexec(&file, HIGH_FD)?)
}
