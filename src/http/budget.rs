//! One budget for the bytes of all bodies, so that many clients together cannot use more than we promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of memory and of disk.
#[derive(Debug)]
pub(super) struct Budget {
    memory: AtomicU64,
    spool: AtomicU64,
}

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    memory: u64,
    spool: u64,
}

impl Budget {
    pub(super) fn new(memory: u64, spool: u64) -> Arc<Budget> {
        Arc::new(Budget { memory: AtomicU64::new(memory), spool: AtomicU64::new(spool) })
    }

    /// A lease of nothing yet.
    pub(super) fn lease(self: &Arc<Budget>) -> Lease {
        Lease { budget: Arc::clone(self), memory: 0, spool: 0 }
    }
}

impl Lease {
    /// Takes `bytes` more of memory, or nothing where so much is not left.
    #[must_use]
    pub(super) fn take_memory(&mut self, bytes: u64) -> bool {
        let taken = take(&self.budget.memory, bytes);
        self.memory += if taken { bytes } else { 0 };
        taken
    }

    /// Takes `bytes` more of disk, or nothing where so much is not left.
    #[must_use]
    pub(super) fn take_spool(&mut self, bytes: u64) -> bool {
        let taken = take(&self.budget.spool, bytes);
        self.spool += if taken { bytes } else { 0 };
        taken
    }

    /// Gives all memory back, for a body that went to a file.
    pub(super) fn give_memory_back(&mut self) {
        self.budget.memory.fetch_add(std::mem::take(&mut self.memory), Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_memory_back();
        self.budget.spool.fetch_add(self.spool, Ordering::Relaxed);
    }
}

/// Relaxed, because the count guards no other data.
fn take(left: &AtomicU64, bytes: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back() {
        let budget = Budget::new(10, 5);
        let mut first = budget.lease();
        assert!(first.take_memory(8));
        assert!(!budget.lease().take_memory(3));
        assert!(first.take_spool(5));
        drop(first);
        assert!(budget.lease().take_memory(10));
        assert!(budget.lease().take_spool(5));
    }
}
