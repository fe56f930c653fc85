//! Indexing the words of log lines, off the hot path.
//!
//! A thread of its own, of low priority, looks every [`EVERY`] for blocks of lines that are full and have no index, and makes
//! it, the newest first: what was printed lately is what people look for. It also forgets the words of lines that retention
//! has deleted. Runs that record their lines wait for none of this but for the moment in which the recorder stores a block.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};

use crate::base::clock::Clock;
use crate::base::thread::{self, Worker};
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
#[derive(Debug)]
pub struct Indexing(#[expect(dead_code, reason = "it is there to be dropped")] Worker);

impl Indexing {
    /// Begins with what is there.
    pub fn start(store: Store, clock: Arc<dyn Clock>) -> Result<Indexing> {
        Worker::start("indexing", move |stopped| work(&store, &*clock, &stopped)).map(Indexing)
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
    stopped.try_recv() == Err(TryRecvError::Disconnected)
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
