//! What could have been in the standard library: clocks, ids, lengths, sizes, threads, JSON bytes, hexadecimal digits, percent
//! escapes, a checksum, points to fail at and the few raw system calls. Nothing here knows of functions.

pub mod clock;
pub mod crc64;
pub mod csv;
pub mod failpoint;
pub mod hex;
pub mod id;
pub mod json;
pub mod length;
pub mod percent;
pub mod seal;
pub mod size;
pub mod sys;
pub mod text;
pub mod thread;
