//! How messages of a partition are gathered, and when enough of them are. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::model::limits;
use crate::trigger::kafka::event;

/// Nothing has come for so long: a batch is closed although it could be larger, since waiting on would gain little and make what
/// is here late.
pub(super) const LINGER: Duration = Duration::from_millis(100);

/// A message that waits for its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) offset: i64,
    /// Its record in the event.
    pub(super) record: Vec<u8>,
    /// When it came.
    pub(super) at: Instant,
}

/// When a batch is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// So many messages are enough.
    pub(super) messages_max: usize,
    /// So long after the first message.
    pub(super) wait: Duration,
}

/// What is tried until it ends well or is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The event.
    pub(super) event: Vec<u8>,
    /// The offset to commit: that behind its last message.
    pub(super) next: i64,
    /// How many messages it has.
    pub(super) count: usize,
    /// How often the function failed it.
    pub(super) failures: u32,
    /// How often, in succession, the platform did.
    pub(super) troubles: u32,
    /// Whether all that is left is to commit it.
    pub(super) is_over: bool,
}

/// What waits of a partition, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.record.len();
        self.messages.push_back(message);
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of all records.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When what waits is a batch, if nothing more comes; none where nothing waits.
    pub(super) fn closes_at(&self, rules: Rules) -> Option<Instant> {
        let (first, last) = (self.messages.front()?, self.messages.back()?);
        let is_full = self.len() >= rules.messages_max || self.bytes >= limits::EVENT_BYTES_MAX;
        Some(if is_full { first.at } else { (first.at + rules.wait).min(last.at + LINGER) })
    }

    /// The next batch, if it is closed: as many as fit, and one in any case.
    pub(super) fn take(&mut self, rules: Rules, now: Instant) -> Option<Batch> {
        self.closes_at(rules).filter(|at| *at <= now)?;
        let (mut count, mut bytes) = (0, 0);
        for message in self.messages.iter().take(rules.messages_max) {
            let with = bytes + message.record.len();
            if count > 0 && event::ENVELOPE_BYTES + with + count > limits::EVENT_BYTES_MAX {
                break;
            }
            (count, bytes) = (count + 1, with);
        }
        let taken: Vec<Message> = self.messages.drain(..count).collect();
        self.bytes -= bytes;
        let next = taken.last()?.offset + 1;
        let event = event::of(taken.iter().map(|message| message.record.as_slice()), bytes);
        Some(Batch { event, next, count, failures: 0, troubles: 0, is_over: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, ManualClock};

    const RULES: Rules = Rules { messages_max: 3, wait: Duration::from_millis(250) };

    struct Bench {
        clock: ManualClock,
        waiting: Waiting,
        offset: i64,
    }

    impl Bench {
        fn new() -> Bench {
            Bench { clock: ManualClock::new(0), waiting: Waiting::default(), offset: 10 }
        }

        fn push(&mut self, bytes: usize) {
            self.waiting.push(Message {
                offset: self.offset,
                record: vec![b'0'; bytes],
                at: self.clock.now(),
            });
            self.offset += 1;
        }

        fn taken(&mut self) -> Option<(usize, i64)> {
            self.waiting.take(RULES, self.clock.now()).map(|batch| (batch.count, batch.next))
        }

        fn later(&self, ms: u64) {
            self.clock.advance(Duration::from_millis(ms));
        }
    }

    #[test]
    fn enough_messages_are_a_batch_at_once() {
        let mut bench = Bench::new();
        (0..7).for_each(|_| bench.push(1));
        assert_eq!((bench.taken(), bench.taken(), bench.taken()), (Some((3, 13)), Some((3, 16)), None));
        assert_eq!((bench.waiting.len(), bench.waiting.bytes()), (1, 1));
    }

    #[test]
    fn fewer_are_one_when_nothing_comes_or_the_first_has_waited() {
        let mut bench = Bench::new();
        assert_eq!(bench.taken(), None);
        bench.push(1);
        bench.later(99);
        assert_eq!(bench.taken(), None);
        bench.later(1);
        assert_eq!(bench.taken(), Some((1, 11)));
        let rules = Rules { messages_max: 100, ..RULES };
        for _ in 0..4 {
            bench.push(1);
            assert!(bench.waiting.take(rules, bench.clock.now()).is_none());
            bench.later(80);
        }
        // 320 ms since the first, and 80 since the last.
        assert_eq!(bench.waiting.take(rules, bench.clock.now()).unwrap().count, 4);
    }

    #[test]
    fn an_event_is_never_too_large_unless_one_message_is() {
        let mut bench = Bench::new();
        let half = limits::EVENT_BYTES_MAX / 2;
        bench.push(half);
        assert_eq!(bench.taken(), None);
        bench.push(half);
        let batch = bench.waiting.take(RULES, bench.clock.now()).unwrap();
        assert_eq!(batch.count, 1, "the two with their envelope are too many");
        bench.push(limits::EVENT_BYTES_MAX);
        assert_eq!(bench.taken(), Some((1, 12)));
        let alone = bench.waiting.take(RULES, bench.clock.now()).unwrap();
        assert!(alone.count == 1 && alone.event.len() > limits::EVENT_BYTES_MAX);
        // Exactly as much as fits.
        let two = limits::EVENT_BYTES_MAX - event::ENVELOPE_BYTES - 1;
        bench.push(two / 2);
        bench.push(two - two / 2);
        bench.later(100);
        let batch = bench.waiting.take(RULES, bench.clock.now()).unwrap();
        assert_eq!((batch.count, batch.event.len()), (2, limits::EVENT_BYTES_MAX));
    }
}
