//! Programs that are spoken with in words of their own: the socket for that was made where they live and came to us with the
//! Instance. What frames are for the languages whose code we load ourselves (`protocol.rs`), a [`Talk`] is for them.

mod go;
mod gob;
mod http;
mod request;

use std::fmt;
use std::os::fd::OwnedFd;

use rustix::event::PollFd;

use crate::instance::run::Task;
pub(crate) use crate::instance::talk::go::Told;
use crate::model::invocation::Outcome;
use crate::model::runtime::Language;

/// Reads what a Go program may send, in two pieces cut where the first byte says; how many values were in it. For the fuzzer.
pub(super) fn probe_gob(bytes: &[u8]) -> usize {
    let Some((cut, bytes)) = bytes.split_first() else { return 0 };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let (mut decoder, mut values) = (gob::Decoder::default(), 0);
    for piece in [first, second] {
        decoder.push(piece);
        while let Ok(Some(_)) = decoder.next() {
            values += 1;
        }
    }
    values
}

/// One side of a talk with a program, ours. Nothing here waits.
pub(crate) trait Talk: fmt::Debug {
    /// Adds what to wait for.
    fn wait_for<'a>(&'a self, waits: &mut Vec<PollFd<'a>>);

    /// Reads and writes what can be; false once the program has ended the talk.
    fn attend(&mut self) -> bool;

    /// Whether the program has said that it is loaded.
    fn is_loaded(&self) -> bool;

    /// Has the event told, whose run began at that wall time, microseconds since the epoch.
    fn give(&mut self, task: &Task<'_>, began_us: i64);

    /// What came of it, once the program has said so.
    fn outcome(&mut self) -> Option<Outcome>;
}

/// The talk with a program of that language, over the socket that came; `told` is what it is to know of its function.
pub(crate) fn with(language: Language, socket: OwnedFd, told: &Told) -> Option<Box<dyn Talk>> {
    match language {
        Language::Go => Some(Box::new(go::GoTalk::new(socket, told.clone()).ok()?)),
        Language::Custom => Some(Box::new(http::HttpTalk::new(socket).ok()?)),
        Language::Python | Language::NodeJs | Language::Php => None,
    }
}
