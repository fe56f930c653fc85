//! `fnlite sql`.
