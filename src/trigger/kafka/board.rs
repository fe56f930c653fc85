//! What was fetched and is not over yet, by partition, between the thread that polls and the workers.
//!
//! What must stay true: a partition has one batch at a time, which a worker has, or which waits for one or for its next try; a
//! partition that is given back and comes again is another one, and nothing of the first counts for it. The poller alone looks
//! at the time on everybody's behalf ([`Board::tick`]), so it must come by often.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::model::limits;
use crate::trigger::kafka::batch::{Batch, Message, Rules, Waiting};

/// Beside a batch that runs, so many messages may wait of a partition, or as many as one batch has.
const WAITING_MAX: usize = 100;

/// Of all partitions together so many bytes, and beyond that one message each.
const BYTES_MAX: usize = 4 * limits::EVENT_BYTES_MAX;

/// How long somebody waits who is told by a bell, in case that he missed it.
const LOOK: Duration = Duration::from_secs(1);

/// What was fetched.
#[derive(Debug)]
pub(super) struct Board {
    rules: Rules,
    state: Mutex<State>,
    /// Rung for workers.
    work: Condvar,
    /// Rung for the poller: a worker has taken or finished something.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<i32, Partition>,
    /// Partitions whose batch is to be taken.
    ready: VecDeque<i32>,
    /// Bytes that wait of all partitions.
    bytes: usize,
    /// How many partitions there were, which tells one from another.
    count: u64,
    is_stopping: bool,
}

#[derive(Debug)]
struct Partition {
    number: u64,
    waiting: Waiting,
    stage: Stage,
    is_paused: bool,
}

/// Where a partition's batch is.
#[derive(Debug)]
enum Stage {
    /// There is none.
    Idle,
    /// It is in the line.
    Ready(Batch),
    /// A worker has it.
    Taken,
    /// It is tried again then.
    Resting(Batch, Instant),
}

/// A batch in a worker's hands.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) partition: i32,
    number: u64,
    pub(super) batch: Batch,
}

impl Board {
    pub(super) fn new(rules: Rules) -> Board {
        Board { rules, state: Mutex::default(), work: Condvar::new(), room: Condvar::new() }
    }

    /// Takes partitions on.
    pub(super) fn add(&self, partitions: impl Iterator<Item = i32>) {
        let mut state = self.lock();
        for partition in partitions {
            state.count += 1;
            let (number, waiting) = (state.count, Waiting::default());
            let added = Partition { number, waiting, stage: Stage::Idle, is_paused: false };
            if let Some(before) = state.partitions.insert(partition, added) {
                state.bytes -= before.waiting.bytes();
            }
        }
    }

    /// Gives partitions back: what waits of them is dropped, and batches that run may end within `patience`. What ends later counts
    /// for nothing.
    pub(super) fn remove(&self, partitions: &[i32], patience: Duration) {
        let mut state = self.lock();
        state.ready.retain(|ready| !partitions.contains(ready));
        for id in partitions {
            if let Some(partition) = state.partitions.get_mut(id)
                && !matches!(partition.stage, Stage::Taken)
            {
                partition.stage = Stage::Idle;
            }
            state.forget(*id);
        }
        let runs = |state: &mut State| {
            let is_taken =
                |id| matches!(state.partitions.get(id), Some(Partition { stage: Stage::Taken, .. }));
            partitions.iter().any(is_taken)
        };
        let waited = self.room.wait_timeout_while(state, patience, runs);
        let (mut state, _) = waited.expect("no holder of this lock can panic");
        for id in partitions {
            state.forget(*id);
            state.partitions.remove(id);
        }
    }

    /// How many partitions there are.
    pub(super) fn len(&self) -> usize {
        self.lock().partitions.len()
    }

    /// Takes a message in; whether its partition is full now. One of a partition that was given back is dropped.
    pub(super) fn push(&self, id: i32, message: Message) -> bool {
        let mut state = self.lock();
        let (bytes, at) = (message.record.len(), message.at);
        let Some(found) = state.partitions.get_mut(&id) else { return false };
        found.waiting.push(message);
        state.bytes += bytes;
        self.cut(&mut state, id, at);
        state.is_full(id, self.rules)
    }

    /// Has everything done that is due; when something is the next time.
    pub(super) fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let ids: Vec<i32> = state.partitions.keys().copied().collect();
        ids.into_iter().filter_map(|id| self.cut(&mut state, id, now)).min()
    }

    /// Puts the batch of a partition into the line whose time has come; else when it comes.
    fn cut(&self, state: &mut State, id: i32, now: Instant) -> Option<Instant> {
        let partition = state.partitions.get_mut(&id)?;
        let before = partition.waiting.bytes();
        match std::mem::replace(&mut partition.stage, Stage::Idle) {
            Stage::Idle => match partition.waiting.take(self.rules, now) {
                None => return partition.waiting.closes_at(self.rules),
                Some(batch) => partition.stage = Stage::Ready(batch),
            },
            Stage::Resting(batch, due) if due <= now => partition.stage = Stage::Ready(batch),
            stage => {
                let due = match &stage {
                    Stage::Resting(_, due) => Some(*due),
                    _ => None,
                };
                partition.stage = stage;
                return due;
            }
        }
        state.bytes -= before - partition.waiting.bytes();
        state.ready.push_back(id);
        self.work.notify_one();
        self.room.notify_one();
        None
    }

    /// Waits for a batch; none once we stop.
    pub(super) fn take(&self) -> Option<Turn> {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return None;
            }
            if let Some(turn) = state.next() {
                return Some(turn);
            }
            let waited = self.work.wait_timeout(state, LOOK);
            state = waited.expect("no holder of this lock can panic").0;
        }
    }

    /// Whether that turn's partition is still ours.
    pub(super) fn holds(&self, turn: &Turn) -> bool {
        self.lock().held(turn).is_some()
    }

    /// A batch is over, and committed.
    pub(super) fn done(&self, turn: &Turn, now: Instant) {
        let mut state = self.lock();
        if let Some(partition) = state.held(turn) {
            partition.stage = Stage::Idle;
            self.cut(&mut state, turn.partition, now);
        }
        self.room.notify_one();
    }

    /// A batch is to be tried again then.
    pub(super) fn again(&self, turn: Turn, due: Instant) {
        let mut state = self.lock();
        if let Some(partition) = state.held(&turn) {
            partition.stage = Stage::Resting(turn.batch, due);
        }
        self.room.notify_one();
    }

    /// Partitions of which no more is to be fetched for now, but those that are laid aside already.
    pub(super) fn full(&self) -> Vec<i32> {
        self.lock().full(self.rules)
    }

    /// Whether any are laid aside.
    pub(super) fn has_paused(&self) -> bool {
        self.lock().partitions.values().any(|one| one.is_paused)
    }

    /// Partitions that were laid aside and have room again, and are not laid aside from now on.
    pub(super) fn resumed(&self) -> Vec<i32> {
        let mut state = self.lock();
        let has_room = |one: &Partition| one.is_paused && one.waiting.len() == 0;
        let ids: Vec<i32> =
            state.partitions.iter().filter(|(_, one)| has_room(one)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| state.pause(*id, false));
        ids
    }

    /// Notes that partitions are laid aside.
    pub(super) fn pause(&self, ids: &[i32]) {
        let mut state = self.lock();
        ids.iter().for_each(|id| state.pause(*id, true));
    }

    /// Waits until a worker has taken or finished something, unless there is room.
    pub(super) fn wait_room(&self, patience: Duration) {
        let state = self.lock();
        if !state.full(self.rules).is_empty() {
            let waited = self.room.wait_timeout(state, patience);
            drop(waited.expect("no holder of this lock can panic"));
        }
    }

    /// No batch is taken any more.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }
}

impl State {
    fn next(&mut self) -> Option<Turn> {
        while let Some(id) = self.ready.pop_front() {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            match std::mem::replace(&mut partition.stage, Stage::Taken) {
                Stage::Ready(batch) => return Some(Turn { partition: id, number: partition.number, batch }),
                other => partition.stage = other,
            }
        }
        None
    }

    fn held(&mut self, turn: &Turn) -> Option<&mut Partition> {
        self.partitions.get_mut(&turn.partition).filter(|partition| partition.number == turn.number)
    }

    fn full(&self, rules: Rules) -> Vec<i32> {
        self.partitions.keys().copied().filter(|id| self.is_full(*id, rules)).collect()
    }

    fn is_full(&self, id: i32, rules: Rules) -> bool {
        let Some(Partition { waiting, is_paused: false, .. }) = self.partitions.get(&id) else {
            return false;
        };
        waiting.len() >= rules.messages_max.max(WAITING_MAX)
            || waiting.bytes() >= limits::EVENT_BYTES_MAX
            || (waiting.len() > 0 && self.bytes >= BYTES_MAX)
    }

    fn pause(&mut self, id: i32, is_paused: bool) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            partition.is_paused = is_paused;
        }
    }

    /// Drops what waits of a partition.
    fn forget(&mut self, id: i32) {
        if let Some(partition) = self.partitions.get_mut(&id) {
            self.bytes -= std::mem::take(&mut partition.waiting).bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, ManualClock};

    struct Bench {
        board: Board,
        clock: ManualClock,
    }

    impl Bench {
        fn new() -> Bench {
            let board = Board::new(Rules { messages_max: 2, wait: Duration::from_secs(9) });
            board.add(0..2);
            Bench { board, clock: ManualClock::new(0) }
        }

        fn push(&self, partition: i32, offset: i64) {
            self.board.push(partition, Message { offset, record: vec![b'1'], at: self.clock.now() });
        }

        fn next(&self) -> Option<Turn> {
            self.board.tick(self.clock.now());
            self.board.lock().next()
        }
    }

    #[test]
    fn a_partition_has_one_batch_at_a_time() {
        let bench = Bench::new();
        (0..6).for_each(|offset| bench.push(0, offset));
        let first = bench.next().unwrap();
        assert_eq!((first.partition, first.batch.next), (0, 2));
        assert!(bench.next().is_none(), "the partition's next batch waits for the first");
        (0..2).for_each(|offset| bench.push(1, offset));
        assert_eq!(bench.next().unwrap().partition, 1);
        bench.board.done(&first, bench.clock.now());
        let second = bench.next().unwrap();
        assert_eq!((second.partition, second.batch.next), (0, 4));
        let due = bench.clock.now() + Duration::from_secs(5);
        bench.board.again(second, due);
        assert_eq!(bench.board.tick(bench.clock.now()), Some(due), "one batch of partition 0 rests");
        assert!(bench.next().is_none());
        bench.clock.advance(Duration::from_secs(5));
        assert_eq!(bench.next().unwrap().batch.next, 4, "the same batch, before the next");
    }

    #[test]
    fn what_was_given_back_counts_for_nothing() {
        let bench = Bench::new();
        (0..6).for_each(|offset| bench.push(0, offset));
        let first = bench.next().unwrap();
        bench.board.remove(&[0], Duration::ZERO);
        assert!(!bench.board.holds(&first));
        bench.push(0, 9);
        bench.board.add(0..1);
        assert!(!bench.board.holds(&first), "it is another one, though it has the same number");
        bench.board.done(&first, bench.clock.now());
        assert!(bench.next().is_none());
        (0..2).for_each(|offset| bench.push(0, offset));
        assert_eq!(bench.next().unwrap().batch.next, 2);
        assert_eq!(bench.board.lock().bytes, 0);
    }

    #[test]
    fn who_is_full_is_laid_aside_until_all_of_it_was_taken() {
        let bench = Bench::new();
        (0..102).for_each(|offset| bench.push(0, offset));
        // A batch of two is in the line, and as many wait as may.
        assert_eq!(bench.board.full(), [0]);
        bench.board.pause(&[0]);
        assert_eq!((bench.board.full(), bench.board.resumed()), (vec![], vec![]));
        while let Some(turn) = bench.next() {
            bench.board.done(&turn, bench.clock.now());
        }
        assert_eq!((bench.board.resumed(), bench.board.resumed()), (vec![0], vec![]));
    }

    #[test]
    fn nobody_waits_for_what_stops() {
        let bench = Bench::new();
        (0..2).for_each(|offset| bench.push(0, offset));
        bench.board.stop();
        assert!(bench.board.take().is_none());
    }
}
