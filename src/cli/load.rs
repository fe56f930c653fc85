//! The load generator: one request over and over on some keep-alive connections, a thread each.
//!
//! Without a rate each connection sends as soon as it has its answer (closed loop). With one, requests have instants at
//! which they are due whether or not answers came, and a latency counts from that instant: a server that stalls is
//! charged for all requests it kept waiting, not just for one. Nor is it charged for the generator's own sleep, out of
//! which a thread comes shortly before.

use std::hint::spin_loop;
use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::client::{Address, Call, Stream};
use super::histogram::Histogram;
use super::reply::ReplyReader;
use crate::base::clock::Clock;
use crate::base::thread::spawn;
use crate::error::Result;

/// How long one answer may take, so longer than any run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1000);
/// How long before a request is due its thread is awake, waiting for the clock. An idle processor is some 50 to 100 us late in
/// waking a sleeper, and much later in some virtual machines, which would all be counted as the server's time.
const AWAKE_BEFORE: Duration = Duration::from_micros(250);
/// The most of one processor's time that this may take, one part in so many: it is the server's as well.
const AWAKE_SHARE: f64 = 20.0;
/// Rest after a connection failed, so that a dead server is not hammered.
const FAILURE_REST: Duration = Duration::from_millis(10);

/// What to send, how, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where to.
    pub address: Address,
    /// Connections and threads; at least 1.
    pub connections: usize,
    /// How long, or how often.
    pub extent: Extent,
    /// Requests begun per second over all connections; as fast as answers come if none.
    pub rate_per_s: Option<f64>,
}

/// When a load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Requests are begun for that time.
    For(Duration),
    /// So many requests are begun, all connections together.
    Times(u64),
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Answers with a status below 400.
    pub succeeded: u64,
    /// Answers with another status.
    pub failed: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// From the first request's instant to the last answer.
    pub elapsed: Duration,
    /// Latencies of all answers.
    pub latencies: Histogram,
}

impl Report {
    /// Answers per second.
    pub fn rate_per_s(&self) -> f64 {
        (self.succeeded + self.failed) as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn merge(&mut self, other: &Report) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.lost += other.lost;
        self.latencies.merge(&other.latencies);
    }
}

/// Puts the load on the server and waits for the end. Fails if no connection can be made at all.
pub fn run(load: &Load, call: &Call<'_>, clock: &Arc<dyn Clock>) -> Result<Report> {
    let mut request = call.encode_head(&load.address)?;
    request.extend_from_slice(call.body);
    load.address.connect(ANSWER_TIMEOUT)?;
    let schedule = Arc::new(Schedule::new(load, clock.now()));
    let (report_to, reports) = crossbeam_channel::bounded(load.connections);
    let threads: Vec<JoinHandle<()>> = (0..load.connections)
        .map(|number| {
            let mut sender = Sender {
                address: load.address.clone(),
                request: request.clone(),
                is_head: call.method == "HEAD",
                schedule: Arc::clone(&schedule),
                clock: Arc::clone(clock),
                connection: None,
                report: Report::default(),
            };
            let report_to = report_to.clone();
            spawn(&format!("bench-{number}"), move || {
                sender.run();
                // Nobody is there only if a later thread could not be started.
                let _ = report_to.send(sender.report);
            })
        })
        .collect::<Result<_>>()?;
    drop(report_to);
    let mut total = Report::default();
    reports.iter().for_each(|report| total.merge(&report));
    total.elapsed = clock.now().saturating_duration_since(schedule.start);
    // A thread that panicked sent no report, which shows in the counts.
    threads.into_iter().for_each(|thread| drop(thread.join()));
    Ok(total)
}

/// When requests are due.
#[derive(Debug)]
struct Schedule {
    start: Instant,
    extent: Extent,
    /// The number of the next request.
    next: AtomicU64,
    rate: Option<f64>,
}

impl Schedule {
    fn new(load: &Load, start: Instant) -> Schedule {
        Schedule { start, extent: load.extent, next: AtomicU64::new(0), rate: load.rate_per_s }
    }

    /// How long before a request is due its thread is awake.
    fn awake_before(&self) -> Duration {
        let share = self.rate.map_or(0.0, |rate| 1.0 / rate / AWAKE_SHARE);
        Duration::try_from_secs_f64(share).map_or(AWAKE_BEFORE, |share| share.min(AWAKE_BEFORE))
    }

    /// The instant of the next request, `None` at the end.
    fn due(&self, now: Instant) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.rate {
            Some(rate) => {
                self.start + Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX / 4)
            }
            None => now,
        };
        let is_begun = match self.extent {
            Extent::For(length) => due < self.start + length,
            Extent::Times(count) => number < count,
        };
        is_begun.then_some(due)
    }
}

/// One connection's thread.
#[derive(Debug)]
struct Sender {
    address: Address,
    request: Vec<u8>,
    is_head: bool,
    schedule: Arc<Schedule>,
    clock: Arc<dyn Clock>,
    connection: Option<ReplyReader<Stream>>,
    report: Report,
}

impl Sender {
    fn run(&mut self) {
        // The kernel may wake a sleeper another 50 us late to save power.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut now = self.clock.now();
        while let Some(due) = self.schedule.due(now) {
            self.wait_for(due, now);
            match self.exchange() {
                Ok(status) => {
                    now = self.clock.now();
                    self.count(status, now.saturating_duration_since(due));
                }
                Err(_) => {
                    self.report.lost += 1;
                    self.connection = None;
                    sleep(FAILURE_REST);
                    now = self.clock.now();
                }
            }
        }
    }

    fn wait_for(&self, due: Instant, now: Instant) {
        sleep(due.saturating_duration_since(now).saturating_sub(self.schedule.awake_before()));
        while self.clock.now() < due {
            spin_loop();
        }
    }

    fn count(&mut self, status: u16, latency: Duration) {
        *(if status < 400 { &mut self.report.succeeded } else { &mut self.report.failed }) += 1;
        self.report.latencies.add(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The status of one answer. The connection stays unless the server closes it.
    fn exchange(&mut self) -> Result<u16> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(ReplyReader::new(self.address.connect(ANSWER_TIMEOUT)?)),
        };
        connection.source().write_all(&self.request)?;
        let gone = || crate::error::Error::internal("the server closed the connection");
        let head = connection.head(self.is_head)?.ok_or_else(gone)?;
        connection.body(&head, &mut std::io::sink())?;
        if head.closes() {
            self.connection = None;
        }
        Ok(head.status)
    }
}
