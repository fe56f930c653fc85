//! One launched process tree and the leash that holds it.
//!
//! The leash is a socket: shutting it down, or dying by any means, makes the supervisor at the other end kill whatever is
//! in the tree. So a tree never outlives its `Tree` value, nor the server.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, Shutdown};
use rustix::process::PidfdFlags;

use crate::error::{Error, Result};
use crate::instance::cgroup::{Groups, Lease};
use crate::instance::network::Network;
use crate::instance::protocol::LaunchOrder;
use crate::instance::scratch::Folder;
use crate::instance::wire;

/// How long a killed tree may take to be gone before we say so in the log and go on.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What a tree is given for its time and gives back after its end.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// Its temporary files, where /tmp cannot be private.
    pub(crate) folder: Option<Folder>,
    /// What its processes are counted in; the Instances of a zygote have groups of their own.
    pub(crate) group: Option<Lease>,
    /// What it joins, which lasts as long as it does.
    pub(crate) network: Option<Arc<Network>>,
}

/// A process tree of ours.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The control socket: the launcher's failures, then the zygote's report and answers.
    pub(crate) control: OwnedFd,
    supervisor: Child,
    leash: OwnedFd,
    holdings: Holdings,
}

impl Tree {
    /// Starts a tree with what its order says it uses. `event` becomes a single's event socket; output of loading goes to
    /// `stdout` and `stderr`.
    pub(crate) fn start(
        order: &LaunchOrder,
        event: Option<OwnedFd>,
        [stdout, stderr]: [OwnedFd; 2],
        holdings: Holdings,
    ) -> Result<Tree> {
        let failed = |cause: io::Error| Error::internal("a process could not be started").because(cause);
        let (control, theirs) = wire::message_pair().map_err(failed)?;
        // What is reported then comes with the sender's process id as we see it.
        rustix::net::sockopt::set_socket_passcred(&control, true).map_err(|e| failed(e.into()))?;
        let (leash, leash_end) = wire::message_pair().map_err(failed)?;
        let bytes = serde_json::to_vec(order).map_err(|e| failed(e.into()))?;
        let mut fds = vec![leash_end.as_fd()];
        fds.extend(event.as_ref().map(AsFd::as_fd));
        fds.extend(holdings.network.iter().flat_map(|network| network.fds()));
        fds.extend(holdings.group.iter().flat_map(Lease::entries));
        wire::send(&control, &bytes, &fds).map_err(failed)?;
        #[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
        let mut command = Command::new("/proc/self/exe");
        command.arg("__launch").env_clear().stdin(Stdio::from(theirs));
        let supervisor =
            command.stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr)).spawn().map_err(failed)?;
        Ok(Tree { control, supervisor, leash, holdings })
    }

    /// The wait status of the tree's main process, if it has ended by itself or does so within `patience`.
    pub(crate) fn main_status(&self, patience: Duration) -> Option<i32> {
        status_on(&self.leash, patience)
    }

    /// Whether its main process has ended, or the network it joined; its supervisor may hear of the former a little later
    /// than the control socket does.
    pub(crate) fn is_gone(&self) -> bool {
        let unconnected = || self.holdings.network.as_ref().is_some_and(|network| network.is_gone());
        wait_readable(&self.leash, Duration::ZERO)
            || wait_hangup(&self.control, Duration::ZERO)
            || unconnected()
    }

    /// Groups for what is forked in it: a set of its own.
    pub(crate) fn groups_apart(&self) -> Option<Arc<Groups>> {
        self.holdings.group.as_ref().map(Lease::apart)
    }

    /// Its temporary files, where it has some of its own.
    pub(crate) fn folder(&self) -> Option<&Folder> {
        self.holdings.folder.as_ref()
    }

    /// Whether the kernel ended a process of it for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.holdings.group.as_ref().is_some_and(Lease::ran_out_of_memory)
    }

    /// The supervisor's process id, whose descendants are the tree.
    pub(crate) fn supervisor_pid(&self) -> u32 {
        self.supervisor.id()
    }

    /// Has the tree killed, without waiting for it.
    pub(crate) fn let_go(&self) {
        let_go(&self.leash);
    }

    fn kill(&mut self) -> io::Result<()> {
        self.let_go();
        let pid = rustix::process::Pid::from_child(&self.supervisor);
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        if !wait_readable(&pidfd, GONE_WITHIN) {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        self.supervisor.wait().map(drop)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Err(cause) = self.kill() {
            log::error!("a process tree under pid {} is not gone yet: {cause}", self.supervisor.id());
        }
    }
}

/// Has the supervisor at the other end of a leash kill its tree.
pub(crate) fn let_go(leash: &OwnedFd) {
    // Already gone is as good as shut down.
    let _ = rustix::net::shutdown(leash, Shutdown::Both);
}

/// The wait status a supervisor wrote on its leash, if it does within `patience`.
pub(crate) fn status_on(leash: &OwnedFd, patience: Duration) -> Option<i32> {
    if !wait_readable(leash, patience) {
        return None;
    }
    let mut status = [0; 4];
    let (length, _) = wire::receive_into(leash, &mut status, RecvFlags::DONTWAIT).ok()?;
    (length == status.len()).then(|| i32::from_le_bytes(status))
}

/// Waits until nobody holds the other end of a socket.
pub(crate) fn wait_hangup(socket: &OwnedFd, patience: Duration) -> bool {
    wait(socket, PollFlags::empty(), patience)
}

/// Waits until there is something to read, or the end, on a descriptor.
pub(crate) fn wait_readable(fd: impl AsFd, patience: Duration) -> bool {
    wait(fd, PollFlags::IN, patience)
}

/// Waits until something can be written to a descriptor, or nothing ever.
pub(crate) fn wait_writable(fd: impl AsFd, patience: Duration) -> bool {
    wait(fd, PollFlags::OUT, patience)
}

fn wait(fd: impl AsFd, what: PollFlags, patience: Duration) -> bool {
    let timeout = patience.try_into().ok();
    let mut waits = [PollFd::new(&fd, what)];
    matches!(rustix::event::poll(&mut waits, timeout.as_ref()), Ok(1..))
}
