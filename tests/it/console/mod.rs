//! The console as a browser sees it without running a script; with a real one: `browser`.

mod door;
mod functions;
mod others;
mod overview;
pub(crate) mod visitor;
