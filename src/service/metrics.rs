//! Runs counted since the start, by function, for whoever scrapes: the instruments of OpenTelemetry's FaaS conventions.
//!
//! Every ended run passes here once, on the hot path: a lookup under a read lock and a few atomic additions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use crate::model::invocation::Record;

/// Upper bounds of the duration buckets, seconds; what is longer counts only in the total.
pub const DURATION_BOUNDS_S: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Most functions counted apart; deployers could otherwise make the list as long as they like. The rest share a row.
const FUNCTIONS_MAX: usize = 1000;

/// The id of that shared row; no function has it.
const OTHERS: i64 = 0;

/// Counters of every function.
#[derive(Debug, Default)]
pub struct Metrics {
    functions: RwLock<HashMap<i64, Arc<Counters>>>,
}

/// One function's counters since the start.
#[derive(Debug)]
pub struct Counters {
    /// The namespace; empty for the row of functions beyond the most.
    pub namespace: String,
    /// The function's name; empty for that row.
    pub function: String,
    /// Runs that ended.
    pub invocations: AtomicU64,
    /// Of them, those that did not return.
    pub errors: AtomicU64,
    /// Of them, those that timed out.
    pub timeouts: AtomicU64,
    /// Of all, those that had to load the code first.
    pub coldstarts: AtomicU64,
    /// How long handlers ran in all, microseconds.
    pub duration_us: AtomicU64,
    /// Runs no longer than each of [`DURATION_BOUNDS_S`] and longer than the one before it.
    pub durations: [AtomicU64; DURATION_BOUNDS_S.len()],
    /// Largest memory seen, KiB.
    pub memory_max_kb: AtomicU64,
}

impl Metrics {
    /// Counts a run that ended.
    pub fn observe(&self, record: &Record) {
        let counters = self.counters(record);
        counters.invocations.fetch_add(1, Ordering::Relaxed);
        if record.status != 200 {
            counters.errors.fetch_add(1, Ordering::Relaxed);
        }
        if matches!(record.status, 433 | 450) {
            counters.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        if record.init_us > 0 {
            counters.coldstarts.fetch_add(1, Ordering::Relaxed);
        }
        counters.memory_max_kb.fetch_max(record.memory_used_kb, Ordering::Relaxed);
        counters.time(record.duration_us);
    }

    /// Everybody's counters, by name.
    pub fn all(&self) -> Vec<Arc<Counters>> {
        let functions = self.functions.read().expect("no holder of this lock can panic");
        let mut all: Vec<Arc<Counters>> = functions.values().cloned().collect();
        drop(functions);
        all.sort_by(|a, b| (&a.namespace, &a.function).cmp(&(&b.namespace, &b.function)));
        all
    }

    fn counters(&self, record: &Record) -> Arc<Counters> {
        let functions = self.functions.read().expect("no holder of this lock can panic");
        // Beyond the most, the shared row is there.
        let others = if functions.len() > FUNCTIONS_MAX { functions.get(&OTHERS) } else { None };
        if let Some(known) = functions.get(&record.function_id).or(others) {
            return known.clone();
        }
        drop(functions);
        let mut functions = self.functions.write().expect("no holder of this lock can panic");
        let (id, namespace, function) = if functions.len() < FUNCTIONS_MAX {
            (record.function_id, record.namespace.as_str(), record.function.as_str())
        } else {
            (OTHERS, "", "")
        };
        functions.entry(id).or_insert_with(|| Arc::new(Counters::new(namespace, function))).clone()
    }
}

impl Counters {
    fn new(namespace: &str, function: &str) -> Counters {
        Counters {
            namespace: namespace.to_owned(),
            function: function.to_owned(),
            invocations: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            coldstarts: AtomicU64::new(0),
            duration_us: AtomicU64::new(0),
            durations: [const { AtomicU64::new(0) }; DURATION_BOUNDS_S.len()],
            memory_max_kb: AtomicU64::new(0),
        }
    }

    fn time(&self, duration_us: i64) {
        let duration_us = u64::try_from(duration_us).unwrap_or(0);
        self.duration_us.fetch_add(duration_us, Ordering::Relaxed);
        let seconds = std::time::Duration::from_micros(duration_us).as_secs_f64();
        if let Some(bucket) = DURATION_BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.durations[bucket].fetch_add(1, Ordering::Relaxed);
        }
    }
}
