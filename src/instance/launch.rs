//! The launcher: the first process of every tree. It is this same binary, started as `fnlite __launch` with its control
//! socket as standard input; it reads one order, builds the walls, starts the interpreter and turns into the tiny init
//! that reaps the tree. No user code has run before the walls stand.
//!
//! With namespaces the tree is: the supervisor (outside, holds the leash) > pid 1 of an outer pid namespace, which built
//! the root view > the interpreter. A zygote additionally gets an inner pid namespace with an init of its own, since only
//! a namespace owned by its own user namespace can be returned to after each fork. Mounts are built outside the inner user
//! namespace and are therefore locked inside it.
//!
//! Order matters and is the order of the functions below: the view before the change of user (it needs the host's files),
//! the user before the inner namespaces (they belong to whoever makes them), capabilities and the filter last.

mod interpreter;

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::PidfdFlags;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, ThreadNameSpaceType, UnshareFlags};

use crate::base::sys;
use crate::instance::network::{self, router};
use crate::instance::protocol::{LaunchOrder, Reach, Report, Role, Walls};
use crate::instance::view::{self, Step};
use crate::instance::wire;
use crate::instance::{shim, users};

/// What functions begin with, whatever the server was started with.
const FUNCTION_UMASK: u32 = 0o022;

/// The user and group id a function sees as its own.
const INNER_ID: u32 = 1000;

/// The launcher's `main`. Returns only when something failed, after telling the server what.
pub fn main() -> ExitCode {
    // Libraries in the server open some that an exec does not close, and no function is to have those.
    if let Err(cause) = sys::close_inherited() {
        tell_failed(rustix::stdio::stdin(), "", &Step("descriptors", cause));
        return ExitCode::FAILURE;
    }
    let (mut launcher, leash) = match Launcher::receive() {
        Ok(received) => received,
        Err(cause) => {
            tell_failed(rustix::stdio::stdin(), "", &Step("order", cause));
            return ExitCode::FAILURE;
        }
    };
    // The server's own may keep a function's user out of the view that is built here.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(FUNCTION_UMASK));
    let Err(step) = launcher.bind_tree(&leash);
    tell_failed(&launcher.control, &launcher.order.token, &step);
    ExitCode::FAILURE
}

fn tell_failed(control: impl AsFd, token: &str, Step(name, cause): &Step) {
    tell(control, token, "L", &format!("{name}: {cause}"));
}

fn tell(control: impl AsFd, token: &str, kind: &str, text: &str) {
    // A server that is gone needs no telling.
    let _ = wire::send(control, &report(token, kind, text), &[]);
}

fn report(token: &str, kind: &str, text: &str) -> Vec<u8> {
    let report = Report { kind: kind.to_owned(), text: text.to_owned(), load_us: 0, token: token.to_owned() };
    serde_json::to_vec(&report).expect("strings are JSON")
}

struct Launcher {
    order: LaunchOrder,
    control: OwnedFd,
    event: Option<OwnedFd>,
    /// Namespaces of the network to join.
    network: Vec<OwnedFd>,
    /// Entries of the tree's control groups.
    groups: Vec<OwnedFd>,
}

impl Launcher {
    /// The order, and the leash that came with it.
    fn receive() -> io::Result<(Launcher, OwnedFd)> {
        // Away from the low numbers, which the interpreter's descriptors will take.
        let away = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, shim::HIGH_FD);
        let control = away(rustix::stdio::stdin())?;
        let (bytes, fds) = wire::receive(&control)?;
        let order: LaunchOrder = serde_json::from_slice(&bytes)?;
        let mut fds = fds.into_iter();
        let leash = fds.next().ok_or_else(|| io::Error::other("no leash came"))?;
        let event = if order.role == Role::Single { fds.next() } else { None };
        let network = fds.by_ref().take(order.reach.fd_count()).collect();
        Ok((Launcher { order, control, event, network, groups: fds.collect() }, away(borrow(&leash))?))
    }

    /// Ends in an exec, or with the step that failed.
    fn bind_tree(&mut self, leash: &OwnedFd) -> Result<Infallible, Step> {
        // Made before there is a process that a failure here would leave alone.
        let (init, _keep) = init_outside()?;
        let main = if self.order.role == Role::Router {
            self.fork_main(Launcher::be_router)?
        } else if self.order.walls.namespaces {
            self.enter_outer_namespaces()?;
            self.fork_main(Launcher::be_first_of_namespace)?
        } else {
            raise_oom_score();
            self.enter_groups()?;
            self.become_user()?;
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                .map_err(|e| Step("subreaper", e.into()))?;
            rustix::process::Pid::from_child(&self.start_interpreter()?)
        };
        let args = ["s".to_owned(), leash.as_raw_fd().to_string(), main.as_raw_nonzero().to_string()];
        let failed = match sys::hand_over(borrow(leash), leash.as_raw_fd()) {
            Ok(()) => exec(&init, &args),
            Err(cause) => Step("leash", cause),
        };
        // Nobody would hold it.
        let _ = rustix::process::kill_process(main, rustix::process::Signal::KILL);
        Err(failed)
    }

    /// Forks the main process of the tree, which ends with the step that failed.
    fn fork_main(
        &mut self,
        be: impl FnOnce(&mut Launcher) -> Result<Infallible, Step>,
    ) -> Result<rustix::process::Pid, Step> {
        if let Some(pid) = sys::fork_single_threaded().map_err(|e| Step("fork", e))? {
            return Ok(pid);
        }
        let Err(step) = be(self);
        tell_failed(&self.control, &self.order.token, &step);
        // A forked child must not run its parent's way out of main.
        std::process::exit(1)
    }

    /// Everything that is started from here on is in them, too.
    fn enter_groups(&mut self) -> Result<(), Step> {
        self.groups.drain(..).try_for_each(|entry| {
            rustix::io::write(&entry, b"0").map(drop).map_err(|e| Step("control group", e.into()))
        })
    }

    fn enter_outer_namespaces(&self) -> Result<(), Step> {
        let mut flags = UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        // Whoever owns the network it joins has made the user namespace already.
        let new_user = !uid.is_root() && !matches!(self.order.reach, Reach::Joined { .. });
        flags.set(UnshareFlags::NEWUSER, new_user);
        flags.set(UnshareFlags::NEWNET, self.order.reach == Reach::Own);
        if let Reach::Joined { .. } = self.order.reach {
            network::join(&self.network).map_err(|e| Step("network", e))?;
        }
        sys::unshare(flags).map_err(|e| Step("namespaces", explained(e)))?;
        if new_user {
            let own = open_self()?;
            users::map_ids(&own, (0, uid.as_raw()), (0, gid.as_raw())).map_err(|e| Step("id maps", e))?;
        }
        if self.order.reach == Reach::Own {
            network::raise_loopback().map_err(|e| Step("loopback", e))?;
        }
        rustix::system::sethostname(b"fnlite").map_err(|e| Step("host name", e.into()))
    }

    /// The main process of a network's tree.
    fn be_router(&mut self) -> Result<Infallible, Step> {
        router::offer_tunnel(self.order.uid)?;
        self.become_user()?;
        router::keep(&self.order.interpreter.program, |namespaces| {
            wire::send(&self.control, &report("", "Z", ""), &namespaces.each_ref().map(borrow))
        })
    }

    /// Pid 1 of the outer pid namespace: builds the rest, then reaps.
    fn be_first_of_namespace(&mut self) -> Result<Infallible, Step> {
        raise_oom_score();
        self.enter_groups()?;
        // Opened while the host's /proc is still there: inside a container the view may have none.
        let own = open_self()?;
        // Here and not before the fork: the supervisor stays in the host's view, where its /proc is.
        sys::unshare(UnshareFlags::NEWNS).map_err(|e| Step("mount namespace", e))?;
        self.order.walls.fresh_proc = view::enter(&self.order)?;
        self.become_user()?;
        self.enter_inner_namespaces(&own)?;
        if self.order.role == Role::Probe {
            return Err(self.probe());
        }
        if self.order.role == Role::Zygote {
            self.start_inner_init()?;
            keep_mount_rights().map_err(|e| Step("capabilities", e.into()))?;
        }
        let main = self.start_interpreter()?;
        let args = ["m".to_owned(), main.id().to_string()];
        Err(exec(&format!("{}/init", view::RUNTIME), &args))
    }

    /// The user and mount namespaces the code lives in, and for a zygote the pid namespace it returns to.
    fn enter_inner_namespaces(&self, own: &OwnedFd) -> Result<(), Step> {
        let mut flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
        if self.order.role != Role::Single {
            flags |= UnshareFlags::NEWPID;
        }
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        sys::unshare(flags).map_err(|e| Step("inner namespaces", e))?;
        users::map_ids(own, (INNER_ID, uid), (INNER_ID, gid)).map_err(|e| Step("inner id maps", e))
    }

    /// Pid 1 of the inner namespace. The next pid is used up on purpose: the zygote must not have the number its
    /// Instances will have (2, behind their own init), or code that tells a fork by a changed getpid, such as OpenSSL's
    /// random generator and Python's tempfile, would not notice one.
    fn start_inner_init(&self) -> Result<(), Step> {
        let init = format!("{}/init", view::RUNTIME);
        let start = |args: &[&str]| command(&init).args(args).spawn().map_err(|e| Step("inner init", e));
        start(&[])?;
        start(&["x"])?.wait().map_err(|e| Step("inner init", e))?;
        Ok(())
    }

    /// Becomes the function's user for good; where there is none to become it stays the server's.
    fn become_user(&self) -> Result<(), Step> {
        let Some(id) = self.order.uid else { return lower_root().map_err(|e| Step("secure bits", e.into())) };
        let (uid, gid) = (rustix::process::Uid::from_raw(id), rustix::process::Gid::from_raw(id));
        let change = || {
            rustix::thread::set_thread_groups(&[])?;
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
            // The change made /proc/self root's; the id maps are written there.
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
        };
        change().map_err(|errno| Step("user id", errno.into()))
    }

    /// Does what each Instance will do for itself, in a child, and reports; the returned step ends the probe.
    fn probe(&self) -> Step {
        let walls =
            |fresh_proc| serde_json::to_string(&Walls { fresh_proc, ..self.order.walls }).unwrap_or_default();
        match sys::fork_single_threaded() {
            Ok(None) => {
                let tried = sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWIPC)
                    .and_then(|()| view::mount_private_tmp())
                    .and_then(|()| be_joined());
                match tried {
                    Ok(()) => tell(&self.control, "", "P", &walls(view::mount_proc().is_ok())),
                    Err(cause) => tell(&self.control, "", "L", &format!("an Instance's own mounts: {cause}")),
                }
                // A forked child must not run its parent's way out of main.
                std::process::exit(0)
            }
            Ok(Some(pid)) => {
                let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
                // The probe has said all; its namespaces end with it.
                std::process::exit(0)
            }
            Err(cause) => Step("fork", cause),
        }
    }
}

fn open_self() -> Result<OwnedFd, Step> {
    users::open_self().map_err(|e| Step("/proc/self", e))
}

/// Why there are none, as whoever runs the server can do something about it: the kernel's words say nothing of switches.
fn explained(cause: io::Error) -> io::Error {
    match cause.raw_os_error() {
        Some(libc::ENOSPC) => io::Error::other(
            "all user namespaces that this host allows are taken, or it allows none (sysctl user.max_user_namespaces)",
        ),
        Some(libc::EPERM | libc::EACCES) => io::Error::other(
            "not permitted, as in most containers; a host may also keep them from who is not root (sysctl \
             kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)",
        ),
        _ => cause,
    }
}

/// Has a child enter the namespaces of this process, as Instances enter those of their cell's init: some hosts let nobody.
#[expect(clippy::exit, reason = "a forked child must not run its parent's way out of main")]
fn be_joined() -> io::Result<()> {
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let Some(child) = sys::fork_single_threaded()? else {
        let kinds = ThreadNameSpaceType::MOUNT | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION;
        let joined = rustix::thread::move_into_thread_name_spaces(own.as_fd(), kinds);
        std::process::exit(joined.map_or_else(rustix::io::Errno::raw_os_error, |()| 0))
    };
    match rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())? {
        Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
        Some((_, status)) => {
            Err(status.exit_status().map_or(io::ErrorKind::Other.into(), io::Error::from_raw_os_error))
        }
        None => Err(io::ErrorKind::Other.into()),
    }
}

/// Makes the kernel end functions before it ends anything else of the host, inherited by all that follows. Done while
/// there is still a /proc; raising it is never refused.
fn raise_oom_score() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    fd.as_fd()
}

/// Keeps over exec the rights that cells are made with, and that an Instance needs until it has entered one: to mount, and to change its
/// mount namespace, which takes that of chroot as well (setns(2)).
fn keep_mount_rights() -> rustix::io::Result<()> {
    let rights = [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_CHROOT];
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable.extend(rights);
    rustix::thread::set_capabilities(None, sets)?;
    rights.iter().try_for_each(|right| rustix::thread::configure_capability_in_ambient_set(*right, true))
}

/// Root that has nobody else to become is root no more for what it starts: no right comes with the number 0.
fn lower_root() -> rustix::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits)
}

/// The init program as a path usable outside the view; the descriptor behind it must live until the exec.
fn init_outside() -> Result<(String, OwnedFd), Step> {
    let file = shim::memory_file("init", shim::INIT).map_err(|e| Step("init", e))?;
    Ok((format!("/proc/self/fd/{}", file.as_raw_fd()), file))
}

#[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

fn exec(program: &str, args: &[String]) -> Step {
    Step("exec of init", command(program).arg0("init").args(args).env_clear().exec())
}
