//! The doors: each turns requests of its own wire format into calls of the services, and what comes back into answers.
//!
//! A door checks who asks and translates; what is valid is decided in `model`, what happens in `service`.

pub mod rest;
