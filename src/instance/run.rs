//! One run: an event goes in, output and one answer come out, and at the deadline it is over whatever the process does.
//!
//! The caller's thread does all of it, waiting in `poll` on everything the Instance can say: event socket, both outputs, the
//! end of its process. That is the shortest way from answer to caller; there is no thread between.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::Signal;

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::instance::memory::Watch;
use crate::instance::output::Output;
use crate::instance::protocol::{self, AnswerReader, Said};
use crate::instance::talk::Talk;
use crate::instance::{HANDED, Instance, LOADED, memory, receive_now, tree, wire};
use crate::model::invocation::Outcome;
use crate::model::log::LogLine;

/// How often the lines of a long run are handed on (D21).
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How long what a killed process printed is waited for, and the end of one that hung up.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// How long after its event what a run prints on stdout wakes nobody: most runs have answered by then, and the answer does. So the time
/// of a line may be late by as much.
const LISTENS_AFTER: Duration = Duration::from_millis(3);

/// What one run is given.
pub(crate) struct Task<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) event: &'a [u8],
    pub(crate) timeout_s: u32,
    pub(crate) init_timeout_s: u32,
    pub(crate) memory_mb: u32,
    /// Set when the server can wait no longer.
    pub(crate) stopping: &'a AtomicBool,
    /// Tells when this run is to end.
    pub(crate) termination: &'a Termination,
    /// The Version's first run.
    pub(crate) first: bool,
    /// Hears of loading and of a long run's lines.
    pub(crate) listener: &'a mut dyn Listener,
}

/// Whether a run that goes on is to end, and how; seen within moments by whoever runs it.
#[derive(Debug, Default)]
pub struct Termination(AtomicU8);

impl Termination {
    const KILL: u8 = 1;
    const TELL: u8 = 2;

    /// Has it killed.
    pub fn kill(&self) {
        self.0.store(Termination::KILL, Ordering::Relaxed);
    }

    /// Has its process told to end (SIGTERM), which it may go on after.
    pub fn tell(&self) {
        self.0.store(Termination::TELL, Ordering::Relaxed);
    }

    fn is_killed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Termination::KILL
    }

    /// Whether it is to be told; once.
    fn take_told(&self) -> bool {
        let told = self.0.compare_exchange(Termination::TELL, 0, Ordering::Relaxed, Ordering::Relaxed);
        told.is_ok()
    }
}

/// Who keeps the log of a run; hears of things in the order they happen.
pub trait Listener {
    /// The code was loaded for this run; `first` is set on its Version's first.
    fn loaded(&mut self, init: Init, first: bool);
    /// Whole lines of a run that lasts, once a second.
    fn lines(&mut self, lines: Vec<LogLine>);
}

/// What loading the code was like.
#[derive(Debug)]
pub struct Init {
    /// What the code printed meanwhile.
    pub lines: Vec<LogLine>,
    /// From the first process to the loaded code.
    pub took: Duration,
    /// The part of it that the user's own module took, where that is known.
    pub function: Option<Duration>,
    /// The most memory seen, KiB.
    pub memory_kb: u64,
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// The lines that were not flushed.
    pub(crate) lines: Vec<LogLine>,
    /// When the event was handed over, wall time.
    pub(crate) started_us: i64,
    /// From there to the answer.
    pub(crate) duration: Duration,
    /// The most memory seen, KiB.
    pub(crate) memory_kb: u64,
}

/// Runs one event. An error means that the Instance was never able to take it, so another may be tried.
pub(crate) fn run(instance: &mut Instance, task: &mut Task<'_>, clock: &dyn Clock) -> Result<Ended> {
    let mut run = Run {
        output: Output::new(clock.wall_us()),
        instance,
        clock,
        reader: AnswerReader::default(),
        frame: Vec::new(),
        sent: 0,
        talk: None,
        memory_kb: 0,
        watch: Watch::new(clock.now()),
        flushed: clock.now(),
        listens_from: clock.now(),
    };
    if run.instance.loads_itself()
        && let Some(outcome) = run.load(task)?
    {
        return Ok(run.end(outcome, Start { at: clock.now(), wall_us: clock.wall_us() }, task.memory_mb));
    }
    let start = Start { at: clock.now(), wall_us: clock.wall_us() };
    let outcome = match run.answer(task, &start) {
        // It may have begun, and a second Instance would do everything twice.
        Err(error) if run.sent > 0 && run.instance.process.is_some() => {
            log::error!("a run was lost: {error:#}");
            Outcome::PlatformFailed(error.message)
        }
        answered => answered?,
    };
    Ok(run.end(outcome, start, task.memory_mb))
}

struct Start {
    at: Instant,
    wall_us: i64,
}

struct Run<'a> {
    instance: &'a mut Instance,
    clock: &'a dyn Clock,
    output: Output,
    reader: AnswerReader,
    /// The event as it goes out, and how much of it the Instance, or its socket, has taken.
    frame: Vec<u8>,
    sent: usize,
    /// How its program is spoken with, where that has words of its own.
    talk: Option<Box<dyn Talk>>,
    memory_kb: u64,
    watch: Watch,
    flushed: Instant,
    /// When what is printed wakes this thread.
    listens_from: Instant,
}

/// What a wait brought.
#[derive(Default)]
struct Ready {
    event: bool,
    exited: bool,
    /// The program has ended the talk.
    ended: bool,
}

impl Run<'_> {
    /// Waits until a single has loaded its code; an outcome if it never will.
    fn load(&mut self, task: &mut Task<'_>) -> Result<Option<Outcome>> {
        let began = self.clock.now();
        let deadline = began + Duration::from_secs(u64::from(task.init_timeout_s));
        loop {
            if self.clock.now() >= deadline {
                return Ok(Some(Outcome::InitTimedOut { init_timeout_s: task.init_timeout_s }));
            }
            let ready = self.wait(deadline)?;
            if ready.event && !self.hear()? {
                return self.died(task).map(Some);
            }
            if self.reader.take_notice(LOADED) || self.talk.as_ref().is_some_and(|talk| talk.is_loaded()) {
                self.tell_loaded(task, began);
                return Ok(None);
            }
            if let Some(outcome) = self.said(task)? {
                return Ok(Some(outcome));
            }
            if ready.exited {
                return self.died(task).map(Some);
            }
            if ready.ended {
                return self.closed(task).map(Some);
            }
            if let Some(outcome) = self.watch(task) {
                return Ok(Some(outcome));
            }
        }
    }

    fn tell_loaded(&mut self, task: &mut Task<'_>, began: Instant) {
        self.instance.pipes.drain(&mut self.output, self.clock);
        let took = self.clock.now() - began;
        let init = Init { lines: self.output.take(), took, function: None, memory_kb: self.memory_kb };
        task.listener.loaded(init, task.first);
    }

    /// Hands the event over and waits for what becomes of it.
    fn answer(&mut self, task: &mut Task<'_>, start: &Start) -> Result<Outcome> {
        let deadline = start.at + Duration::from_secs(u64::from(task.timeout_s));
        if let Some(talk) = &mut self.talk {
            talk.give(task, start.wall_us);
            talk.attend();
        } else {
            self.frame = protocol::event_head(task.request_id, task.event);
            self.frame.extend_from_slice(task.event);
            self.listens_from = start.at + LISTENS_AFTER;
            self.send();
        }
        loop {
            if self.clock.now() >= deadline {
                return Ok(Outcome::TimedOut { timeout_s: task.timeout_s });
            }
            let ready = self.wait(deadline)?;
            let open =
                !ready.ended && (!ready.event && !ready.exited || self.talk.is_some() || self.hear()?);
            if let Some(outcome) = self.said(task)? {
                return Ok(outcome);
            }
            if (ready.exited || !open)
                && self.sent == 0
                && self.talk.is_none()
                && self.instance.process.is_some()
            {
                return Err(Error::internal("an Instance was killed while it was parked"));
            }
            if ready.exited {
                return self.died(task);
            }
            if !open {
                return self.closed(task);
            }
            self.send();
            if let Some(outcome) = self.watch(task) {
                return Ok(outcome);
            }
        }
    }

    /// Waits for anything to happen, at most until the next thing that is due, and reads output.
    fn wait(&mut self, deadline: Instant) -> Result<Ready> {
        let now = self.clock.now();
        let listens_in = self.listens_from.saturating_duration_since(now);
        let mut timeout = self.watch.due_in(now).min(deadline.saturating_duration_since(now));
        if !listens_in.is_zero() {
            timeout = timeout.min(listens_in);
        }
        let interest =
            if self.sent == self.frame.len() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut waits = Vec::with_capacity(8);
        // Once there is a talk, nothing more is to come on the event socket, which the program may have closed.
        let event_socket = self.talk.is_none().then_some(&self.instance.event);
        waits.extend(event_socket.map(|socket| PollFd::new(socket, interest)));
        let process_from = waits.len();
        waits.extend(self.instance.process.iter().map(|process| PollFd::new(&process.pidfd, PollFlags::IN)));
        let pipes_from = waits.len();
        let pipes = &self.instance.pipes;
        if listens_in.is_zero() {
            waits.extend(pipes.open().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        } else {
            waits.extend(pipes.open_stderr().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        }
        let talk_from = waits.len();
        if let Some(talk) = &self.talk {
            talk.wait_for(&mut waits);
        }
        match rustix::event::poll(&mut waits, timeout.try_into().ok().as_ref()) {
            Err(rustix::io::Errno::INTR) | Ok(0) => return Ok(Ready::default()),
            other => other?,
        };
        let is_due = |waits: &[PollFd<'_>]| waits.iter().any(|wait| !wait.revents().is_empty());
        let heard = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        let event = waits[..process_from].iter().any(|wait| wait.revents().intersects(heard));
        let exited = is_due(&waits[process_from..pipes_from]);
        let (printed, talked) = (is_due(&waits[pipes_from..talk_from]), is_due(&waits[talk_from..]));
        drop(waits);
        if printed {
            self.instance.pipes.drain(&mut self.output, self.clock);
        }
        let ended = talked && self.talk.as_mut().is_some_and(|talk| !talk.attend());
        Ok(Ready { event, exited, ended })
    }

    /// Reads from the event socket; false once it is closed.
    fn hear(&mut self) -> Result<bool> {
        if self.instance.process.is_none() {
            return self.meet().map(|()| true);
        }
        let mut buffer = [0; 32 * 1024];
        loop {
            match self.receive(&mut buffer) {
                Ok(None) => return Ok(false),
                Ok(Some(length)) => {
                    self.reader.push(&buffer[..length]);
                    // A read that did not fill the buffer has emptied the socket.
                    if length < buffer.len() {
                        return Ok(true);
                    }
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(cause) => return Err(cause.into()),
            }
            if self.reader.is_over() {
                return Ok(true);
            }
        }
    }

    /// Takes what is there on the event socket, `None` at its end, and begins the talk if the socket for it came.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.instance.loads_itself() {
            return receive_now(&self.instance.event, buffer).map(|length| (length > 0).then_some(length));
        }
        let (length, mut handed) = wire::receive_into(&self.instance.event, buffer, RecvFlags::DONTWAIT)?;
        if buffer[..length].first() != Some(&HANDED) {
            return Ok((length > 0).then_some(length));
        }
        self.talk = handed.pop().and_then(|socket| self.instance.talk(socket));
        if self.talk.is_none() {
            return Err(io::Error::other("no socket came that anybody awaits"));
        }
        buffer.copy_within(1..length, 0);
        Ok(Some(length - 1))
    }

    fn meet(&mut self) -> Result<()> {
        self.listens_from = self.clock.now() + LISTENS_AFTER;
        self.instance.meet().or_else(|cause| {
            if cause.kind() == io::ErrorKind::WouldBlock {
                return Ok(());
            }
            let complaint = self.instance.complaint();
            let cause = complaint.unwrap_or_else(|| cause.to_string());
            Err(Error::internal("an Instance could not be made").because(cause))
        })
    }

    fn send(&mut self) {
        while self.sent < self.frame.len() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.instance.event, &self.frame[self.sent..], flags) {
                Ok(sent) => self.sent += sent,
                // Full: poll tells when there is room. Closed: poll tells that too.
                Err(_) => return,
            }
        }
    }

    fn said(&mut self, task: &Task<'_>) -> Result<Option<Outcome>> {
        if let Some(talk) = &mut self.talk {
            return Ok(talk.outcome());
        }
        Ok(match self.reader.said() {
            Said::Nothing => None,
            Said::TooLarge => Some(Outcome::AnswerTooLarge),
            Said::Nonsense => {
                let trace = "the function wrote to the platform's event socket".to_owned();
                Some(Outcome::Raised { trace })
            }
            Said::Frame(kind, payload) => protocol::outcome(kind, payload, task.memory_mb),
        })
    }

    /// The event socket was closed: most often because the process ends, which shows a moment later.
    fn closed(&mut self, task: &Task<'_>) -> Result<Outcome> {
        if self.instance.process.as_ref().is_none_or(|process| process.ends(LAST_WORDS)) {
            return self.died(task);
        }
        // One that held much takes longer to end than its socket takes to close.
        Ok(self.ran_out_of_memory(task).unwrap_or_else(|| {
            let trace = "the function closed the platform's event socket".to_owned();
            Outcome::Raised { trace }
        }))
    }

    fn died(&mut self, task: &Task<'_>) -> Result<Outcome> {
        if self.instance.process.is_none() {
            let complaint =
                self.instance.complaint().unwrap_or_else(|| "it ended before it was there".to_owned());
            return Err(Error::internal("an Instance could not be made").because(complaint));
        }
        // A program that could not be started: the starter tells, where frames are told, after the socket went out.
        if self.talk.take().is_some()
            && self.hear().is_ok()
            && let Some(outcome) = self.said(task)?
        {
            return Ok(outcome);
        }
        let code = self.instance.exit_code();
        Ok(self.ran_out_of_memory(task).unwrap_or(Outcome::Exited { code }))
    }

    fn ran_out_of_memory(&self, task: &Task<'_>) -> Option<Outcome> {
        self.instance.ran_out_of_memory().then(|| Outcome::out_of_memory(task.memory_mb))
    }

    /// What is due from time to time in a run that lasts.
    fn watch(&mut self, task: &mut Task<'_>) -> Option<Outcome> {
        let mut held_kb = self.watch.look(|| self.instance.roots(), self.clock)?;
        let now = self.clock.now();
        if task.stopping.load(Ordering::Relaxed) {
            return Some(Outcome::stopping());
        }
        if task.termination.is_killed() {
            return Some(Outcome::Aborted);
        }
        if task.termination.take_told()
            && let Some(process) = &self.instance.process
        {
            // One that is gone shows that by itself.
            let _ = rustix::process::pidfd_send_signal(&process.pidfd, Signal::TERM);
        }
        if now - self.flushed >= FLUSH_EVERY {
            self.flushed = now;
            task.listener.lines(self.output.take());
        }
        let limit_kb = u64::from(task.memory_mb) << 10;
        if held_kb > limit_kb {
            // What a tree of forks shares was counted for each of them. The group knows better, but is slower to ask.
            held_kb = self.instance.held_kb().map_or(held_kb, |counted| counted.min(held_kb));
        }
        self.memory_kb = self.memory_kb.max(held_kb);
        (held_kb > limit_kb).then(|| Outcome::out_of_memory(task.memory_mb))
    }

    /// Pipes drained, memory read, and unless it returned, killed (D10).
    fn end(mut self, outcome: Outcome, start: Start, memory_mb: u32) -> Ended {
        let duration = self.clock.now() - start.at;
        self.instance.pipes.drain(&mut self.output, self.clock);
        if let Some(process) = &self.instance.process {
            let possible_kb = 1..=u64::from(memory_mb) << 10;
            let peak_kb = match (&self.talk, self.reader.told_peak_kb()) {
                (Some(_), _) => memory::peak_of_two_kb(process.pid),
                // Its own word, which comes with the answer; asking elsewhere would be on the way of every run. It decides nothing.
                (None, Some(told_kb)) if possible_kb.contains(&told_kb) => Some(told_kb),
                (None, _) => memory::peak_kb(process.pid),
            };
            self.memory_kb = self.memory_kb.max(peak_kb.unwrap_or(0));
        }
        self.instance.said = self.reader.take_rest();
        if !matches!(outcome, Outcome::Returned(_)) {
            self.instance.kill();
            if let Some(process) = &self.instance.process {
                tree::wait_readable(process.pidfd.as_fd(), LAST_WORDS);
            }
            self.instance.pipes.drain(&mut self.output, self.clock);
        }
        self.output.finish(self.clock.wall_us());
        let lines = self.output.take();
        let (started_us, memory_kb) = (start.wall_us, self.memory_kb);
        Ended { outcome, lines, started_us, duration, memory_kb }
    }
}
