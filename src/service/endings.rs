//! Who waits for an invocation to end.
//!
//! Every ending passes here, on the hot path: where nobody waits for anything it costs one atomic load.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::base::id::RequestId;

/// Those who wait, by what they wait for.
#[derive(Debug, Default)]
pub struct Endings {
    count: AtomicUsize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Dropping a sender tells its receiver.
    by_id: HashMap<RequestId, Vec<(u64, Sender<()>)>>,
    /// The number of the next one who waits.
    next: u64,
    closed: bool,
}

/// One who waits; gone when dropped.
#[derive(Debug)]
pub struct Wait<'a> {
    endings: &'a Endings,
    id: RequestId,
    number: u64,
    told: Receiver<()>,
}

impl Endings {
    /// Begins to listen for the end of that invocation. Look whether it has ended after this, not before.
    pub fn listen(&self, id: &RequestId) -> Wait<'_> {
        let (tell, told) = bounded(1);
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        if !waiting.closed {
            waiting.by_id.entry(id.clone()).or_default().push((number, tell));
        }
        self.count.fetch_add(1, Ordering::SeqCst);
        drop(waiting);
        Wait { endings: self, id: id.clone(), number, told }
    }

    /// An invocation has ended, and its record is committed.
    pub fn ended(&self, id: &RequestId) {
        if self.count.load(Ordering::SeqCst) > 0 {
            drop(self.lock().by_id.remove(id));
        }
    }

    /// Tells everybody, now and from now on: the server stops.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.by_id.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no holder of this lock can panic")
    }
}

impl Wait<'_> {
    /// Waits until it has ended or the server stops, at most for `patience`; false when it is that.
    pub fn wait(&self, patience: Duration) -> bool {
        self.told.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.endings.count.fetch_sub(1, Ordering::SeqCst);
        let mut waiting = self.endings.lock();
        if let Some(senders) = waiting.by_id.get_mut(&self.id) {
            senders.retain(|(number, _)| *number != self.number);
            if senders.is_empty() {
                waiting.by_id.remove(&self.id);
            }
        }
    }
}
