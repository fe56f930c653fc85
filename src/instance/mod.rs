//! To come.

pub mod package;
