//! Child processes; the only module that starts them.
//!
//! An [`Instance`] is a process that has the user's code loaded and runs exactly one Event. It comes from a
//! [`zygote::Zygote`] that loaded the code once and forks, or is started ahead by itself where the code must not be forked.
//!
//! What must stay true: a process is killed by killing its whole tree, at the latest when its value is dropped; nothing a
//! child does (silence, floods, forged frames, closed sockets) makes a wait here longer than its deadline; what a child sends
//! is bounded before it is believed.

pub(crate) mod filter;
pub mod host;
pub mod launch;
pub(crate) mod memory;
pub(crate) mod output;
pub mod package;
pub(crate) mod pipes;
pub(crate) mod protocol;
pub mod run;
pub(crate) mod runtime;
pub mod sandbox;
pub(crate) mod shim;
pub(crate) mod tree;
pub(crate) mod view;
pub(crate) mod wire;
pub(crate) mod zygote;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{RecvFlags, Shutdown};
use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::instance::pipes::Pipes;
use crate::instance::protocol::LaunchOrder;
use crate::instance::tree::Tree;
use crate::instance::zygote::Zygote;

/// A process that has the code loaded, or is loading it, and runs exactly one Event.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) event: OwnedFd,
    pub(crate) pipes: Pipes,
    /// Known once the child has announced itself.
    pub(crate) process: Option<Process>,
    origin: Origin,
}

/// The running process behind an Instance.
#[derive(Debug)]
pub(crate) struct Process {
    /// The id as the server sees it.
    pub(crate) pid: u32,
    /// Readable once the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// Whose death is the death of everything the Instance started, where a namespace holds it. It is the child's word:
    /// see [`Whose`].
    top: OwnedFd,
}

#[derive(Debug)]
enum Origin {
    /// Forked in a pid namespace of its own.
    Forked { zygote: Arc<Zygote>, number: u64 },
    /// Forked under a supervisor that holds the other end of this leash.
    Supervised { _zygote: Arc<Zygote>, leash: OwnedFd },
    /// Started by itself.
    Single(Tree),
}

/// What an Instance says of itself first: that it is there, in its forked or its single form.
pub(crate) const ANNOUNCED: u8 = b'P';

/// A single has loaded its code.
pub(crate) const LOADED: u8 = b'K';

impl Instance {
    /// Orders one from a zygote; it may still be warming up when this returns.
    pub(crate) fn fork(zygote: &Arc<Zygote>) -> Result<Instance> {
        let failed = |cause| Error::internal("an Instance could not be ordered").because(cause);
        let (channel, theirs) = Channel::open().map_err(failed)?;
        let mut fds: Vec<_> = theirs.iter().map(AsFd::as_fd).collect();
        let leash = if zygote.walls.namespaces { None } else { Some(wire::message_pair().map_err(failed)?) };
        fds.extend(leash.as_ref().map(|(_, end)| end.as_fd()));
        let number = zygote.order(&fds).map_err(failed)?;
        let zygote = Arc::clone(zygote);
        let origin = match leash {
            None => Origin::Forked { zygote, number },
            Some((leash, _)) => Origin::Supervised { _zygote: zygote, leash },
        };
        Ok(channel.into_instance(origin))
    }

    /// Starts one by itself; it loads the code while the caller goes on.
    pub(crate) fn start(order: &LaunchOrder) -> Result<Instance> {
        let failed = |cause| Error::internal("an Instance could not be started").because(cause);
        let (channel, theirs) = Channel::open().map_err(failed)?;
        let [event, out, err] = theirs;
        let tree = Tree::start(order, Some(event), out, err)?;
        Ok(channel.into_instance(Origin::Single(tree)))
    }

    /// Whether loading the code is part of its own life.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.origin, Origin::Single(_))
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
        Err(std::io::Error::other(if length == 0 {
            "it ended before it was there"
        } else {
            "no announcement"
        }))
    }

    /// The processes whose descendants are everything this Instance started.
    pub(crate) fn roots(&self) -> Vec<u32> {
        match &self.origin {
            Origin::Single(tree) => vec![tree.supervisor_pid()],
            _ => self.process.iter().map(|process| process.pid).collect(),
        }
    }

    /// How the process ended, as a shell would show it; it has ended, or does so within a second.
    pub(crate) fn exit_code(&self) -> i32 {
        let patience = Duration::from_secs(1);
        let status = match &self.origin {
            Origin::Forked { zygote, number } => zygote.wait_status(*number, patience),
            Origin::Supervised { leash, .. } => tree::status_on(leash, patience),
            Origin::Single(tree) => tree.main_status(patience),
        };
        status.map_or(255, protocol::exit_code)
    }

    /// The launcher's complaint, where the process was never ours to run.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Origin::Single(tree) = &self.origin else { return None };
        zygote::launch_failure(&tree.control)
    }

    /// Ends everything it started, without waiting for that; nothing happens the second time.
    pub(crate) fn kill(&mut self) {
        match &self.origin {
            Origin::Forked { zygote, .. } => {
                let zygote = Arc::clone(zygote);
                self.kill_forked(&zygote);
                zygote.note_killed();
            }
            Origin::Supervised { leash, .. } => tree::let_go(leash),
            Origin::Single(tree) => tree.let_go(),
        }
    }

    fn kill_forked(&mut self, zygote: &Zygote) {
        if self.process.is_none() {
            // From here on it cannot announce itself, and ends because of that before it reads an event (shim.c). If it
            // has announced itself already, that is still there to be read.
            let _ = rustix::net::shutdown(&self.event, Shutdown::Both);
            let _ = self.meet();
        }
        let Some(process) = &self.process else { return };
        match whose(&process.top) {
            Whose::Ours => {
                let _ = rustix::process::pidfd_send_signal(&process.top, Signal::KILL);
            }
            Whose::Nobodys => {}
            Whose::Others => {
                log::warn!("a function named a process that is not its own as its init; all of it is ended");
                zygote.let_go();
            }
        }
    }
}

/// Whose init a process id descriptor leads to. A function can send one in place of ours, of any process it has a socket
/// to (SO_PEERPIDFD), the server among them; signalled unseen, the server would kill on its behalf.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    /// The init of a pid namespace as deep below ours as only Instances are.
    Ours,
    /// Of a process that is gone.
    Nobodys,
    Others,
}

/// Pid namespaces an Instance's init has below the server's: its tree's, its zygote's, its own.
const NAMESPACES_BELOW: usize = 3;

fn whose(pidfd: &OwnedFd) -> Whose {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    info.map_or(Whose::Others, |info| whose_info(&info))
}

/// Reads the `NSpid` line of a process id descriptor's fdinfo: its process's ids in each namespace, ours first.
fn whose_info(info: &str) -> Whose {
    let Some(ids) = info.lines().find_map(|line| line.strip_prefix("NSpid:")) else { return Whose::Others };
    let ids: Vec<&str> = ids.split_ascii_whitespace().collect();
    match ids[..] {
        ["-1"] => Whose::Nobodys,
        [_, .., "1"] if ids.len() > NAMESPACES_BELOW => Whose::Ours,
        _ => Whose::Others,
    }
}

impl Drop for Instance {
    /// Everything the Instance started dies with it.
    fn drop(&mut self) {
        self.kill();
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

    fn into_instance(self, origin: Origin) -> Instance {
        Instance { event: self.event, pipes: self.pipes, process: None, origin }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_init_far_below_us_is_an_instances() {
        for (ids, whose) in [
            ("4242\t40\t7\t1", Whose::Ours),
            ("4242", Whose::Others),
            ("1", Whose::Others),
            ("4242\t1", Whose::Others),
            ("4242\t40\t7\t2", Whose::Others),
            ("0", Whose::Others),
            ("-1", Whose::Nobodys),
        ] {
            let info = format!("pos:\t0\nflags:\t02\nPid:\t4242\nNSpid:\t{ids}\n");
            assert_eq!(whose_info(&info), whose, "{ids}");
        }
        assert_eq!(whose_info("pos:\t0\nflags:\t02\n"), Whose::Others, "no process's");
    }
}
