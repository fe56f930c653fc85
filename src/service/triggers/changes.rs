//! Tells those who fire triggers that some were made, changed or deleted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

/// What has changed since the start, and who wants to hear of it.
#[derive(Debug, Default)]
pub struct Changes {
    generation: AtomicU64,
    listeners: Mutex<Vec<Sender<()>>>,
}

impl Changes {
    /// Grows with every change: what was read before one is not to be kept after it.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What hears of every change from now on; of several at once it hears once.
    pub fn listen(&self) -> Receiver<()> {
        let (sender, receiver) = bounded(1);
        self.listeners.lock().expect("no holder of this lock can panic").push(sender);
        receiver
    }

    /// Called after a change has been committed.
    pub fn tell(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        let listeners = self.listeners.lock().expect("no holder of this lock can panic");
        for listener in listeners.iter() {
            // One call that nobody has heard yet is as good as two.
            let _ = listener.try_send(());
        }
    }
}
