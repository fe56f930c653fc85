//! The console as a browser sees it without running a script; with a real one: `browser`.

mod door;
mod functions;
mod logs;
mod others;
mod overview;
mod sql;
pub(crate) mod visitor;
