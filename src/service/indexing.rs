//! Indexing the words of log lines, off the hot path.
//!
//! A thread of its own, of low priority, looks every [`EVERY`] for blocks of lines that are full and have no index, and makes
//! it, the newest first: what was printed lately is what people look for. It also forgets the words of lines that retention
//! has deleted. Runs that record their lines wait for none of this but for the moment in which the recorder stores a block.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::base::clock::Clock;
use crate::base::thread;
use crate::error::Result;
use crate::store::Store;
use crate::store::room::Room;

/// Between two looks for full blocks.
const EVERY: Duration = Duration::from_millis(500);
/// After a failure, which is mostly a disk that is full or slow.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Blocks looked for at once.
const BLOCKS: usize = 16;
/// How much less of the processor this thread gets than others, where there is not enough.
const NICE: i32 = 10;

/// Indexes, until it is dropped.
pub struct Indexing {
    /// Closing it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Indexing {
    /// Begins with what is there.
    pub fn start(store: Store, clock: Arc<dyn Clock>) -> Result<Indexing> {
        let (stop, stopped) = bounded(0);
        let thread = thread::spawn("indexing", move || work(&store, &*clock, &stopped))?;
        Ok(Indexing { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Indexing {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("indexing had panicked");
        }
    }
}

impl fmt::Debug for Indexing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexing").finish_non_exhaustive()
    }
}

fn work(store: &Store, clock: &dyn Clock, stopped: &Receiver<()>) {
    thread::yield_to_others(NICE);
    let mut wait = EVERY;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
        let began = clock.now();
        let done = tidy(store, stopped).and_then(|()| index(store, stopped));
        wait = match done {
            Ok(0) => EVERY,
            Ok(blocks) => {
                log::debug!("{blocks} blocks of the log indexed in {:?}", clock.now() - began);
                Duration::ZERO
            }
            Err(error) => {
                log::warn!("the words of the log could not be indexed; searches take longer: {error:#}");
                AFTER_FAILURE
            }
        };
    }
}

fn is_over(stopped: &Receiver<()>) -> bool {
    // Nobody sends anything; the other end is dropped.
    !stopped.is_empty() || matches!(stopped.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected))
}

fn tidy(store: &Store, stopped: &Receiver<()>) -> Result<()> {
    while !is_over(stopped) && store.delete_empty_block()? {}
    Ok(())
}

/// Indexes a few blocks; how many.
fn index(store: &Store, stopped: &Receiver<()>) -> Result<usize> {
    // What is rebuilt any time is the least dear of all.
    if store.room() != Room::Plenty {
        return Ok(0);
    }
    let (blocks, mut failure) = (store.blocks_to_index(BLOCKS)?, None);
    for (done, block) in blocks.iter().enumerate() {
        if is_over(stopped) {
            return Ok(done);
        }
        // One that cannot be indexed is no reason not to index the others.
        if let Err(error) = store.index_block(*block) {
            failure = failure.or(Some(error));
        }
    }
    failure.map_or(Ok(blocks.len()), Err)
}
