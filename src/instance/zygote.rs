//! A process that has loaded one Version's code and forks Instances from it.
//!
//! The zygote is believed as little as its code: it is told what to do, its report is bounded, and it can at worst end
//! Instances of its own Version.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::RecvFlags;
use serde::Deserialize;

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::instance::cgroup::Groups;
use crate::instance::memory::Watch;
use crate::instance::output::Output;
use crate::instance::pipes::Pipes;
use crate::instance::prefault::Lessons;
use crate::instance::protocol::{self, LaunchOrder, Report, Walls};
use crate::instance::run::Init;
use crate::instance::talk::Told;
use crate::instance::tree::{self, Holdings, Tree};
use crate::instance::{memory, wire};
use crate::model::invocation::Outcome;
use crate::model::runtime::Language;

/// How long a zygote may take to make room for some 200 orders; it needs about a millisecond for each, and a few where its code takes
/// long to get ready.
const ROOM_WITHIN: Duration = Duration::from_secs(2);

/// How often others may be quicker to take that room: enough for thousands who order at once.
const ROOM_WAITS_MAX: usize = 20;

/// Longest reason that is kept of what a process tells of itself.
const PHRASE_CHARS_MAX: usize = 500;

/// A loaded Version, ready to fork.
#[derive(Debug)]
pub(crate) struct Zygote {
    /// The walls its Instances stand in.
    pub(crate) walls: Walls,
    /// What one of its Instances may hold, MB.
    pub(crate) memory_mb: u32,
    /// What it held itself once the code was loaded, KiB.
    pub(crate) memory_kb: u64,
    /// The language of what it forks.
    pub(crate) language: Option<Language>,
    /// What its programs are told of their function, where they are told by us.
    pub(crate) told: Told,
    /// As the server sees it. Told by the kernel; code that may say another number can name only processes of its tree.
    pub(crate) pid: u32,
    tree: Tree,
    /// Where its Instances are counted: groups that are told to no other zygote. Behind the tree, whose end they wait for.
    pub(crate) groups: Option<Arc<Groups>>,
    next: AtomicU64,
    lessons: Lessons,
    /// Instances that have answered and were killed, of which it was not told yet.
    answered: Mutex<Vec<u64>>,
    /// Held over a question and its answer on the control socket.
    asking: Mutex<()>,
    unreaped: AtomicBool,
    forsaken: AtomicBool,
    /// It was asked how an Instance ended, and said nothing.
    mute: AtomicBool,
}

/// What loading the code came to.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The zygote, or why there is none.
    pub(crate) result: LoadResult,
    /// What it was like.
    pub(crate) init: Init,
}

/// The three ways loading can end.
#[derive(Debug)]
pub(crate) enum LoadResult {
    /// Ready to fork.
    Ready(Arc<Zygote>),
    /// Loaded, but a fork would not be a faithful copy; the phrase says why.
    Unforkable(String),
    /// The code cannot be loaded.
    Failed(Outcome),
}

impl Zygote {
    /// Launches an interpreter and lets it load the code, for at most `patience` and until `stopping` is set.
    pub(crate) fn load(
        order: &LaunchOrder,
        holdings: Holdings,
        patience: Duration,
        stopping: &AtomicBool,
        clock: &dyn Clock,
    ) -> Result<Loaded> {
        let failed = |cause| Error::internal("a process could not be started").because(cause);
        let began = clock.now();
        let (pipes, [out, err]) = Pipes::open_pair().map_err(failed)?;
        let tree = Tree::start(order, None, [out, err], holdings)?;
        let output = Output::new(clock.wall_us());
        let mut loading =
            Loading { order, stopping, tree, pipes, output, memory_kb: 0, function: None, clock };
        let result = loading.wait(began + patience, patience)?;
        loading.pipes.drain(&mut loading.output, clock);
        loading.output.finish(clock.wall_us());
        let init = Init {
            lines: loading.output.take(),
            took: clock.now() - began,
            function: loading.function,
            memory_kb: loading.memory_kb,
        };
        let result = match result {
            Ending::Ready(pid) => LoadResult::Ready(Arc::new(Zygote::of(loading.tree, order, pid))),
            Ending::Unforkable(why) => LoadResult::Unforkable(why),
            Ending::Failed(outcome) => LoadResult::Failed(outcome),
        };
        Ok(Loaded { result, init })
    }

    fn of(tree: Tree, order: &LaunchOrder, pid: u32) -> Zygote {
        Zygote {
            walls: order.walls,
            groups: tree.groups_apart(),
            memory_mb: order.memory_mb,
            memory_kb: memory::tree_kb(&[pid]),
            language: order.language(),
            told: Told::deserialize(&order.function["context"]).unwrap_or_default(),
            pid,
            tree,
            next: AtomicU64::new(1),
            lessons: Lessons::default(),
            answered: Mutex::default(),
            asking: Mutex::new(()),
            unreaped: AtomicBool::new(false),
            forsaken: AtomicBool::new(false),
            mute: AtomicBool::new(false),
        }
    }

    /// Orders an Instance that gets these descriptors; its number. Where hundreds of orders are on their way already, it
    /// waits for room.
    pub(crate) fn order(&self, fds: &[BorrowedFd<'_>]) -> io::Result<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let answered = self.take_answered();
        let sent = self.send_patiently(&protocol::order_new(number, &answered), fds);
        if sent.is_err() {
            self.put_back(answered);
        }
        sent.map(|()| number)
    }

    fn send_patiently(&self, order: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        for _ in 0..ROOM_WAITS_MAX {
            match wire::send(&self.tree.control, order, fds) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    if !tree::wait_writable(&self.tree.control, ROOM_WITHIN) {
                        self.forsake();
                        return Err(cause);
                    }
                }
                sent => return sent,
            }
        }
        Err(io::Error::from(io::ErrorKind::TimedOut))
    }

    /// The wait status of an Instance that has ended. Only the first who asks in vain waits out `patience`: the zygote is
    /// given up then.
    pub(crate) fn wait_status(&self, number: u64, patience: Duration) -> Option<i32> {
        let _asking = self.asking.lock().expect("no holder of this lock can panic");
        // One that was given up because it was slow to fork may still know.
        if self.mute.load(Ordering::Relaxed) {
            return None;
        }
        wire::send(&self.tree.control, &protocol::order_wait(number), &[]).ok()?;
        let status = self.told_status(number, patience);
        if status.is_none() {
            self.mute.store(true, Ordering::Relaxed);
            self.forsake();
        }
        status
    }

    fn told_status(&self, number: u64, patience: Duration) -> Option<i32> {
        if !tree::wait_readable(&self.tree.control, patience) {
            return None;
        }
        // Nothing else can be in the way: who gets no answer is the last to ask.
        let mut answer = [0; 64];
        let (length, _) = wire::receive_into(&self.tree.control, &mut answer, RecvFlags::DONTWAIT).ok()?;
        protocol::waited(&answer[..length], number)
    }

    /// Looks at the process of an Instance that has run, if there is something to learn from it. A program of the user's own has
    /// its memory from nobody.
    pub(crate) fn learn_from(&self, pid: u32) {
        if self.language.is_some_and(Language::is_loaded_by_us)
            && let Some(ahead) = self.lessons.look_at(pid)
        {
            // One that is too busy to hear it does without.
            let order = protocol::order_prefault(&ahead.copied, &ahead.mapped);
            let _ = wire::send(&self.tree.control, &order, &[]);
        }
    }

    /// An Instance has answered and was killed. It is told so along with the next order, or by [`Zygote::tell_answered`].
    pub(crate) fn note_answered(&self, number: u64) {
        self.answered.lock().expect("no holder of this lock can panic").push(number);
        self.note_killed();
    }

    /// Tells it of those that have answered, if there are any it has not been told of.
    pub(crate) fn tell_answered(&self) {
        let answered = self.take_answered();
        if !answered.is_empty()
            && wire::send(&self.tree.control, &protocol::order_answered(&answered), &[]).is_err()
        {
            // It is too busy to hear it now.
            self.put_back(answered);
        }
    }

    fn put_back(&self, answered: Vec<u64>) {
        self.answered.lock().expect("no holder of this lock can panic").extend(answered);
    }

    fn take_answered(&self) -> Vec<u64> {
        let mut answered = self.answered.lock().expect("no holder of this lock can panic");
        let from = answered.len().saturating_sub(protocol::NUMBERS_MAX);
        answered.split_off(from)
    }

    /// An Instance was killed and waits to be reaped.
    pub(crate) fn note_killed(&self) {
        self.unreaped.store(true, Ordering::Relaxed);
    }

    /// Has the dead reaped, if there may be any; orders for new Instances do that along the way.
    pub(crate) fn reap(&self) {
        self.tell_answered();
        if self.unreaped.swap(false, Ordering::Relaxed) {
            // A full socket means that orders are waiting, and with them reaping.
            let _ = wire::send(&self.tree.control, &protocol::order_reap(), &[]);
        }
    }

    /// Has the temporary files of an Instance that was killed removed when it is gone.
    pub(crate) fn remove_files_of(&self, number: u64, leash: &OwnedFd) {
        if let (Some(folder), Ok(leash)) = (self.tree.folder(), leash.try_clone()) {
            folder.remove_part(number, leash);
        }
    }

    /// Whether it has ended or was given up; orders to it are in vain then.
    pub(crate) fn is_gone(&self) -> bool {
        self.forsaken.load(Ordering::Relaxed) || self.tree.is_gone()
    }

    /// Whether it is gone because the kernel wanted memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.tree.is_gone() && self.tree.ran_out_of_memory()
    }

    /// Orders to it came to nothing. Nobody orders from it again; its tree ends with the last Instance that runs in it.
    pub(crate) fn forsake(&self) {
        self.forsaken.store(true, Ordering::Relaxed);
    }
}

/// What a tree's launcher complained of, if it did.
pub(crate) fn launch_failure(control: &OwnedFd) -> Option<String> {
    let mut bytes = vec![0; protocol::CONTROL_BYTES_MAX];
    let (length, _) = wire::receive_into(control, &mut bytes, RecvFlags::DONTWAIT).ok()?;
    let report: Report = serde_json::from_slice(&bytes[..length]).ok()?;
    (report.kind == "L").then_some(report.text)
}

enum Ending {
    /// The zygote's process.
    Ready(u32),
    Unforkable(String),
    Failed(Outcome),
}

/// A zygote that is loading its code.
struct Loading<'a> {
    order: &'a LaunchOrder,
    stopping: &'a AtomicBool,
    tree: Tree,
    pipes: Pipes,
    output: Output,
    memory_kb: u64,
    function: Option<Duration>,
    clock: &'a dyn Clock,
}

impl Loading<'_> {
    fn wait(&mut self, deadline: Instant, patience: Duration) -> Result<Ending> {
        let limit_kb = u64::from(self.order.memory_mb) << 10;
        let mut watch = Watch::new(self.clock.now());
        loop {
            let left = deadline.saturating_duration_since(self.clock.now());
            if left.is_zero() {
                let init_timeout_s = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
                return Ok(Ending::Failed(Outcome::InitTimedOut { init_timeout_s }));
            }
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(Ending::Failed(Outcome::stopping()));
            }
            if self.poll(left.min(watch.due_in(self.clock.now()))) {
                return self.report();
            }
            let held_kb = watch.look(|| vec![self.tree.supervisor_pid()], self.clock);
            self.memory_kb = self.memory_kb.max(held_kb.unwrap_or(0));
            if self.memory_kb > limit_kb {
                return Ok(Ending::Failed(Outcome::out_of_memory(self.order.memory_mb)));
            }
        }
    }

    /// Reads output for at most `patience`; true once the control socket has something to say.
    fn poll(&mut self, patience: Duration) -> bool {
        let timeout = patience.try_into().ok();
        let mut waits = vec![PollFd::new(&self.tree.control, PollFlags::IN)];
        waits.extend(self.pipes.open().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let _ = rustix::event::poll(&mut waits, timeout.as_ref());
        let control = !waits[0].revents().is_empty();
        self.pipes.drain(&mut self.output, self.clock);
        control
    }

    fn report(&mut self) -> Result<Ending> {
        let (bytes, pid) = wire::receive_from(&self.tree.control)?;
        if bytes.is_empty() {
            let code = self.tree.main_status(Duration::from_secs(1)).map_or(255, protocol::exit_code);
            if self.tree.ran_out_of_memory() {
                return Ok(Ending::Failed(Outcome::out_of_memory(self.order.memory_mb)));
            }
            return Ok(Ending::Failed(Outcome::Exited { code }));
        }
        let Ok(report) = serde_json::from_slice::<Report>(&bytes) else { return Ok(forged()) };
        self.function = Some(Duration::from_micros(report.load_us));
        self.memory_kb = self.memory_kb.max(memory::tree_kb(&[self.tree.supervisor_pid()]));
        match report.kind.as_bytes() {
            b"Z" => Ok(Ending::Ready(pid)),
            b"F" => Ok(Ending::Unforkable(phrase(&report.text))),
            b"L" if report.token == self.order.token => {
                Err(Error::internal("a process could not be walled in").because(phrase(&report.text)))
            }
            b"L" | b"R" => Ok(forged()),
            [kind] => {
                let outcome = protocol::outcome(*kind, report.text.into_bytes(), self.order.memory_mb);
                Ok(outcome.map_or_else(forged, Ending::Failed))
            }
            _ => Ok(forged()),
        }
    }
}

/// Only the user's code can have said what our own side never does.
fn forged() -> Ending {
    let trace = "the function wrote to the platform's control socket".to_owned();
    Ending::Failed(Outcome::Raised { trace })
}

/// A reason fit for a log: it may be the user's code that gives it.
fn phrase(text: &str) -> String {
    text.chars().take(PHRASE_CHARS_MAX).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_one_short_line_whatever_was_said() {
        assert_eq!(phrase("a thread was started at import"), "a thread was started at import");
        assert_eq!(phrase("x\n[ERROR] forged\x1b[2J"), "x [ERROR] forged [2J");
        assert_eq!(phrase(&"é".repeat(1000)).chars().count(), PHRASE_CHARS_MAX);
    }
}
