//! Child processes; the only module that starts them.
//!
//! An [`Instance`] is a process that has the user's code loaded and runs one Event, or, where its function asks for that, one
//! after another. It comes from a
//! [`zygote::Zygote`] that loaded the code once and forks, or is started ahead by itself where the code must not be forked.
//!
//! What must stay true: a process is killed with its whole tree, at the latest when its value is dropped (of one that has
//! answered, what it started goes moments later, when its zygote has buried it); nothing a child does (silence, floods, forged
//! frames, closed sockets) makes a wait here longer than its deadline; what a child sends is bounded before it is believed.

pub(crate) mod cgroup;
pub(crate) mod filter;
pub mod host;
pub mod launch;
pub(crate) mod memory;
pub mod network;
pub(crate) mod output;
pub mod package;
pub(crate) mod pipes;
pub(crate) mod prefault;
pub(crate) mod protocol;
pub mod run;
pub(crate) mod runtime;
pub mod sandbox;
pub(crate) mod scratch;
pub(crate) mod shim;
pub(crate) mod talk;
pub(crate) mod tree;
pub(crate) mod users;
pub(crate) mod view;
pub(crate) mod wire;
pub(crate) mod zygote;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustix::process::Signal;

use crate::base::clock::Clock;
use crate::error::{Error, Result};
use crate::instance::cgroup::Lease;
use crate::instance::output::Output;
use crate::instance::pipes::Pipes;
use crate::instance::protocol::LaunchOrder;
use crate::instance::talk::Talk;
use crate::instance::tree::{Holdings, Tree};
use crate::instance::zygote::Zygote;

/// Reads what a Go program may send; how many values were in it. For the fuzzer, which has no program.
pub fn probe_gob(bytes: &[u8]) -> usize {
    talk::probe_gob(bytes)
}

/// How long a child that is to be ended may take to say that it is there, so that it can be.
const ANNOUNCED_WITHIN: Duration = Duration::from_millis(300);

/// How long it may take to hear how a process ended; on a busy host the one who knows is one of many that want to run.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// A process that has the code loaded, or is loading it, and runs one Event at a time: as a rule, one in all.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) event: OwnedFd,
    pub(crate) pipes: Pipes,
    /// Known once the child has announced itself.
    pub(crate) process: Option<Process>,
    origin: Origin,
    /// What a forked one and all it starts are counted in.
    group: Option<Lease>,
    /// How many events it has run and returned from.
    events: u32,
    /// What it said behind its last answer.
    said: Vec<u8>,
    killed: bool,
}

/// Events that one process runs at most, where it may run many. What code leaks it does not leak for ever.
const EVENTS_MAX: u32 = 1000;

/// How long a process may take to be clean again after an event. Most have nothing to clean; removing a thousand files takes
/// some milliseconds.
const CLEANED_WITHIN: Duration = Duration::from_secs(1);

/// How long the end of a process may take once it has begun: on a busy machine it waits for the processor like all others.
const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// The running process behind an Instance.
#[derive(Debug)]
pub(crate) struct Process {
    /// The id as the server sees it.
    pub(crate) pid: u32,
    /// Readable once the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// Whose death is the death of everything the Instance started, where a namespace holds it. Sent by the child, so it
    /// may be any process at all: see [`Process::kill_top`].
    top: OwnedFd,
}

impl Process {
    /// Waits for its end: so long for it to begin.
    fn ends(&self, patience: Duration) -> bool {
        tree::wait_readable(&self.pidfd, patience)
            || memory::is_ending(self.pid) && tree::wait_readable(&self.pidfd, ENDED_WITHIN)
    }

    /// Kills this one process, unless it has been reaped; false then, and where the handle that came is of another. The number is of
    /// a process of the sender's namespace: the kernel translates it, whatever number the sender gives.
    fn kill(&self) -> bool {
        let ours = memory::pid_of(self.pidfd.as_fd()) == Some(self.pid);
        if ours {
            // It may end by itself just now.
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        }
        ours
    }

    /// The process above everything the Instance started.
    fn top_pid(&self) -> Option<u32> {
        memory::pid_of(self.top.as_fd())
    }

    /// Kills the top unless it has ended; false if it is not ours to kill. Code that took its zygote over may have sent us
    /// a handle of somebody else, even of this very server (SO_PEERPIDFD gives it one); what a zygote forked is its child.
    fn kill_top(&self, zygote: &Zygote) -> bool {
        if tree::wait_readable(&self.top, Duration::ZERO) {
            return true;
        }
        let ours = self.top_pid().and_then(memory::parent_of) == Some(zygote.pid);
        if ours {
            // It may end by itself just now.
            let _ = rustix::process::pidfd_send_signal(&self.top, Signal::KILL);
        }
        ours
    }
}

#[derive(Debug)]
enum Origin {
    /// Forked in a pid namespace of its own.
    Forked { zygote: Arc<Zygote>, number: u64 },
    /// Forked under a supervisor that holds the other end of this leash.
    Supervised { zygote: Arc<Zygote>, number: u64, leash: OwnedFd },
    /// Started by itself.
    Single(Tree),
}

/// What an Instance says of itself first: that it is there, in its forked or its single form.
pub(crate) const ANNOUNCED: u8 = b'P';

/// What a zygote says in place of an Instance that it could not make; the number of an error follows.
const REFUSED: u8 = b'!';

/// It hands over a socket, on which its program is spoken with from then on.
pub(crate) const HANDED: u8 = b'S';

/// A single has loaded its code.
pub(crate) const LOADED: u8 = b'K';

impl Instance {
    /// Orders one from a zygote; it may still be warming up when this returns.
    pub(crate) fn fork(zygote: &Arc<Zygote>) -> Result<Instance> {
        let failed = |cause| Error::internal("an Instance could not be ordered").because(cause);
        let (channel, theirs) = Channel::open().map_err(failed)?;
        let group =
            zygote.groups.as_ref().map(|groups| groups.take(zygote.memory_mb)).transpose().map_err(failed)?;
        let mut fds: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
        let leash = if zygote.walls.namespaces { None } else { Some(wire::message_pair().map_err(failed)?) };
        fds.extend(leash.as_ref().map(|(_, end)| end.as_fd()));
        fds.extend(group.iter().flat_map(Lease::entries));
        let number = zygote.order(&fds).map_err(failed)?;
        let zygote = Arc::clone(zygote);
        let origin = match leash {
            None => Origin::Forked { zygote, number },
            Some((leash, _)) => Origin::Supervised { zygote, number, leash },
        };
        Ok(channel.into_instance(origin, group))
    }

    /// Starts one by itself; it loads the code while the caller goes on.
    pub(crate) fn start(order: &LaunchOrder, holdings: Holdings) -> Result<Instance> {
        let failed = |cause| Error::internal("an Instance could not be started").because(cause);
        let (channel, theirs) = Channel::open().map_err(failed)?;
        let [event, out, err] = theirs;
        let tree = Tree::start(order, Some(event), [out, err], holdings)?;
        Ok(channel.into_instance(Origin::Single(tree), None))
    }

    /// Whether loading the code is part of its own life.
    pub(crate) fn loads_itself(&self) -> bool {
        match &self.origin {
            _ if self.events > 0 => false,
            Origin::Single(_) => true,
            Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. } => {
                zygote.language.is_some_and(|language| !language.is_loaded_by_us())
            }
        }
    }

    /// It has returned; whether it may run another event, of a function with that much memory, MB.
    pub(crate) fn may_go_on(&mut self, memory_mb: u32) -> bool {
        self.events += 1;
        let room_kb = u64::from(memory_mb) << 10;
        let held_kb = self.process.as_ref().and_then(|process| memory::resident_kb(process.pid));
        self.events < EVENTS_MAX && held_kb.is_some_and(|held_kb| held_kb <= room_kb / 4 * 3)
    }

    /// It has run, and waits to be ended: what it copied shows what those that come later had better copy ahead.
    pub(crate) fn teach(&self) {
        if let (Some(process), Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. }) =
            (&self.process, &self.origin)
        {
            zygote.learn_from(process.pid);
        }
    }

    /// Makes one that has run events ready for another: waits until it is clean and forgets what was printed since its answer.
    /// False if it must not be used, because it has ended or said anything else.
    pub(crate) fn go_on(&mut self, clock: &dyn Clock) -> bool {
        if self.events == 0 {
            return true;
        }
        let mut said = std::mem::take(&mut self.said);
        if said.is_empty() && tree::wait_readable(&self.event, CLEANED_WITHIN) {
            let mut more = [0; 2];
            let length = receive_now(&self.event, &mut more).unwrap_or(0);
            said.extend_from_slice(&more[..length]);
        }
        if said != [protocol::CLEANED] || tree::wait_readable(&self.event, Duration::ZERO) {
            return false;
        }
        self.pipes.drain(&mut Output::new(clock.wall_us()), clock);
        if let Some(process) = &self.process {
            memory::reset_peak(process.pid);
        }
        true
    }

    /// Whether it has announced itself and that was heard.
    pub(crate) fn is_met(&self) -> bool {
        self.process.is_some()
    }

    /// Does ahead what a run would do first, if the announcement has come; an error if none will.
    pub(crate) fn meet_ahead(&mut self) -> std::io::Result<()> {
        match self.meet() {
            Err(cause) if cause.kind() != std::io::ErrorKind::WouldBlock => Err(cause),
            _ => Ok(()),
        }
    }

    /// Takes the announcement if it has come.
    pub(crate) fn meet(&mut self) -> std::io::Result<()> {
        let mut notice = [0; 1];
        let (length, credentials, mut fds) = wire::receive_announcement(&self.event, &mut notice)?;
        if length == 1 && notice[0] == ANNOUNCED && fds.len() == 2 {
            let pidfd = fds.pop().expect("two came");
            let top = fds.pop().expect("two came");
            self.process = Some(Process { pid: credentials, pidfd, top });
            return Ok(());
        }
        Err(std::io::Error::other(match notice {
            _ if length == 0 => "it ended before it was there".to_owned(),
            [REFUSED] => format!("it could not be forked: {}", self.refusal()),
            _ => "no announcement".to_owned(),
        }))
    }

    /// What the zygote says of an Instance that it could not make.
    fn refusal(&self) -> std::io::Error {
        let mut digits = [0; 16];
        let length = receive_now(&self.event, &mut digits).unwrap_or(0);
        let number = str::from_utf8(&digits[..length]).ok().and_then(|digits| digits.parse().ok());
        number.map_or(std::io::ErrorKind::Other.into(), std::io::Error::from_raw_os_error)
    }

    /// The talk with a program that handed this socket over; none if it should not have.
    pub(crate) fn talk(&self, socket: OwnedFd) -> Option<Box<dyn Talk>> {
        match &self.origin {
            Origin::Single(_) => None,
            Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. } => {
                talk::with(zygote.language?, socket, &zygote.told)
            }
        }
    }

    /// The processes whose descendants are everything this Instance started; with the top, since that inherits what loses
    /// its parent.
    pub(crate) fn roots(&self) -> Vec<u32> {
        match (&self.origin, &self.process) {
            (Origin::Single(tree), _) => vec![tree.supervisor_pid()],
            (_, Some(process)) => process.top_pid().into_iter().chain([process.pid]).collect(),
            (_, None) => Vec::new(),
        }
    }

    /// How the process ended, as a shell would show it; it has ended, or does so in a moment.
    pub(crate) fn exit_code(&self) -> i32 {
        let status = match &self.origin {
            Origin::Forked { zygote, number } => zygote.wait_status(*number, TOLD_WITHIN),
            Origin::Supervised { leash, .. } => tree::status_on(leash, TOLD_WITHIN),
            Origin::Single(tree) => tree.main_status(TOLD_WITHIN),
        };
        status.map_or(255, protocol::exit_code)
    }

    /// What its control group says of its memory, KiB: that of its own, and once what it shares with its zygote.
    pub(crate) fn held_kb(&self) -> Option<u64> {
        let (Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. }) = &self.origin else {
            return None;
        };
        Some(self.group.as_ref()?.anonymous_kb()? + zygote.memory_kb)
    }

    /// Whether the kernel ended a process of it, or what it was forked from, for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        match &self.origin {
            Origin::Single(tree) => tree.ran_out_of_memory(),
            Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. } => {
                self.group.as_ref().is_some_and(Lease::ran_out_of_memory) || zygote.ran_out_of_memory()
            }
        }
    }

    /// The launcher's complaint, where the process was never ours to run.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Origin::Single(tree) = &self.origin else { return None };
        zygote::launch_failure(&tree.control)
    }

    /// Ends one that has answered: its process now, whatever else it started within moments. What it stood in may be used again, if it
    /// left nothing there; the zygote finds that out once it is told.
    pub(crate) fn retire(mut self) -> Option<Arc<Zygote>> {
        let (Origin::Forked { zygote, number }, Some(process)) = (&self.origin, &self.process) else {
            return None;
        };
        if self.killed || !process.kill() {
            return None;
        }
        self.killed = true;
        zygote.note_answered(*number);
        Some(Arc::clone(zygote))
    }

    /// Ends everything it started, without waiting for that; nothing happens the second time.
    pub(crate) fn kill(&mut self) {
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        let answers = self.process.is_some() || self.is_doomed() || self.is_heard_of();
        match &self.origin {
            Origin::Forked { zygote, .. } => {
                let killed = self.process.as_ref().is_none_or(|process| process.kill_top(zygote));
                if !answers || !killed {
                    // Stopped, busy with something else or no zygote any more. What it forked ends with it.
                    zygote.forsake();
                }
                zygote.note_killed();
            }
            Origin::Supervised { zygote, leash, .. } => {
                tree::let_go(leash);
                if !answers {
                    zygote.forsake();
                }
            }
            Origin::Single(tree) => tree.let_go(),
        }
    }

    /// Whether it ends whatever it says: with a tree of its own, or with that of a zygote that was given up or has ended. One
    /// silent zygote must not be waited for once for each Instance it owes.
    fn is_doomed(&self) -> bool {
        match &self.origin {
            Origin::Forked { zygote, .. } | Origin::Supervised { zygote, .. } => zygote.is_gone(),
            Origin::Single(_) => true,
        }
    }

    /// Meets a child that nobody has met yet; false if nothing is to be heard of it.
    fn is_heard_of(&mut self) -> bool {
        let heard = tree::wait_readable(&self.event, ANNOUNCED_WITHIN);
        if heard {
            // The zygote ends the cell of one that ended before it was there.
            let _ = self.meet();
        }
        heard
    }
}

impl Drop for Instance {
    /// Everything the Instance started dies with it, and its temporary files go.
    fn drop(&mut self) {
        self.kill();
        if let Origin::Supervised { zygote, number, leash } = &self.origin {
            zygote.remove_files_of(*number, leash);
        }
    }
}

/// Our ends of what connects us with an Instance.
struct Channel {
    event: OwnedFd,
    pipes: Pipes,
}

impl Channel {
    /// Ours and the child's: event, stdout, stderr.
    fn open() -> std::io::Result<(Channel, [OwnedFd; 3])> {
        let (event, event_end) = wire::stream_pair()?;
        // The announcement then comes with the sender's process id as we see it.
        rustix::net::sockopt::set_socket_passcred(&event, true)?;
        let (pipes, [out, err]) = Pipes::open_pair()?;
        Ok((Channel { event, pipes }, [event_end, out, err]))
    }

    fn into_instance(self, origin: Origin, group: Option<Lease>) -> Instance {
        Instance {
            event: self.event,
            pipes: self.pipes,
            process: None,
            origin,
            group,
            events: 0,
            said: Vec::new(),
            killed: false,
        }
    }
}

/// Takes what is there on the event socket, nothing being an error of kind `WouldBlock`.
pub(crate) fn receive_now(event: &OwnedFd, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match rustix::net::recv(event, &mut *buffer, RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(0),
            Err(errno) => return Err(errno.into()),
            Ok((length, _)) => return Ok(length),
        }
    }
}
