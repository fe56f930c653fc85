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

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, UnshareFlags};
use serde_json::{Value, json};

use crate::base::sys;
use crate::instance::network::{self, router};
use crate::instance::protocol::{self, LaunchOrder, Reach, Report, Role, Walls};
use crate::instance::view::{self, Step};
use crate::instance::wire;
use crate::instance::{filter, runtime, shim, users};
use crate::model::limits;

/// Bytes a process may map beyond its MemorySize: interpreter, libraries' data, thread stacks (D9).
const DATA_MARGIN_BYTES: u64 = 128 << 20;

/// Stack of each thread the user's code starts (D9); the main thread's is raised by the shim.
const THREAD_STACK_BYTES: u64 = 1 << 20;

/// What functions begin with, whatever the server was started with.
const FUNCTION_UMASK: u32 = 0o022;

/// The user and group id a function sees as its own.
const INNER_ID: u32 = 1000;

/// The launcher's `main`. Returns only when something failed, after telling the server what.
pub fn main() -> ExitCode {
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
        self.order.walls.fresh_proc = view::enter(&self.order, runtime::python::BOOTSTRAP)?;
        self.become_user()?;
        self.enter_inner_namespaces(&own)?;
        if self.order.role == Role::Probe {
            return Err(self.probe());
        }
        if self.order.role == Role::Zygote {
            self.start_inner_init()?;
            keep_mount_right().map_err(|e| Step("capabilities", e.into()))?;
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

    fn start_interpreter(&self) -> Result<Child, Step> {
        self.limit().map_err(|e| Step("limits", e.into()))?;
        rustix::thread::set_no_new_privs(true).map_err(|e| Step("no_new_privs", e.into()))?;
        let paths = self.paths()?;
        let main_fd = self.event.as_ref().unwrap_or(&self.control);
        let init = shim::memory_file("init", shim::INIT).map_err(|e| Step("init", e))?;
        let _keep = hand_over_both(main_fd, &init)?;
        if self.order.walls.seccomp {
            filter::install(self.order.walls.namespaces).map_err(|e| Step("seccomp", e))?;
        }
        let config = self.bootstrap_config(&paths.shim);
        let mut start = command(&self.order.interpreter.program);
        start.args(&self.order.interpreter.args).arg(&paths.bootstrap).arg(config.to_string());
        start.env_clear().envs(self.order.env.iter().map(|(key, value)| (key, value)));
        start.current_dir(&paths.code).stdin(Stdio::null());
        start.spawn().map_err(|e| Step("interpreter", e))
    }

    fn limit(&self) -> rustix::io::Result<()> {
        // Never above what the server itself was given, which the function's user could not do.
        let set = |resource, soft: u64, hard: u64| {
            let given = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let limit = Rlimit { current: Some(soft.min(given)), maximum: Some(hard.min(given)) };
            rustix::process::setrlimit(resource, limit)
        };
        let data = (u64::from(self.order.memory_mb) << 20) + DATA_MARGIN_BYTES;
        set(Resource::Core, 0, 0)?;
        set(Resource::Nofile, limits::OPEN_FILES_MAX, limits::OPEN_FILES_MAX)?;
        set(Resource::Fsize, limits::TMP_BYTES, limits::TMP_BYTES)?;
        set(Resource::Data, data, data)?;
        if self.order.walls.namespaces || self.order.uid.is_some() {
            // Counted per user: without a user of its own this would count the whole server's processes.
            // As many again for what is parked or dying, which is counted too.
            set(Resource::Nproc, 2 * limits::PROCESSES_MAX, 2 * limits::PROCESSES_MAX)?;
        }
        set(Resource::Stack, THREAD_STACK_BYTES, 8 << 20)
    }

    fn paths(&self) -> Result<Paths, Step> {
        if self.order.walls.namespaces {
            let at = |name: &str| format!("{}/{name}", view::RUNTIME);
            return Ok(Paths {
                bootstrap: at("bootstrap"),
                shim: at("python.so"),
                code: view::CODE.to_owned(),
                _keep: vec![],
            });
        }
        let mut keep = Vec::new();
        let mut memory = |name, bytes| -> Result<String, Step> {
            let file = shim::memory_file(name, bytes).map_err(|e| Step("memory file", e))?;
            sys::hand_over(borrow(&file), file.as_raw_fd()).map_err(|e| Step("memory file", e))?;
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            keep.push(file);
            Ok(path)
        };
        let bootstrap = memory("bootstrap", runtime::python::BOOTSTRAP.as_bytes())?;
        let shim = memory("python", shim::PYTHON)?;
        let code = self.order.package.to_string_lossy().into_owned();
        Ok(Paths { bootstrap, shim, code, _keep: keep })
    }

    /// What bootstrap.py is told.
    fn bootstrap_config(&self, shim: &str) -> Value {
        let walls = self.order.walls;
        let inside = walls.namespaces;
        let forks = self.order.role == Role::Zygote;
        let mut config = self.order.function.clone();
        config["single"] = json!(!forks);
        config["shim"] = json!(shim);
        config["code"] = json!(if inside { Path::new(view::CODE) } else { &self.order.package });
        config["layers"] = json!(view::LAYERS);
        config["site_packages"] = json!(self.order.interpreter.packages);
        config["isolation"] = json!({
            "pid_namespace": inside && forks,
            "fresh_mounts": inside && forks,
            "fresh_proc": inside && forks && walls.fresh_proc,
            "groups": if forks { walls.groups } else { 0 },
            "landlock_abi": walls.landlock_abi,
            "landlock_rules": self.landlock_rules(),
            "tmp_options": view::tmp_options(),
            "tmp": self.order.tmp.as_deref().unwrap_or(Path::new("")),
        });
        config
    }

    /// Lines for the shim's `landlock`: mode and path. A path with a line end in it could not be told; there is none.
    fn landlock_rules(&self) -> String {
        let mut rules: Vec<(char, String)> = ["null", "zero", "full", "random", "urandom"]
            .iter()
            .map(|device| ('f', format!("/dev/{device}")))
            .collect();
        if self.order.walls.namespaces {
            rules.extend([('r', "/".to_owned()), ('w', "/tmp".to_owned()), ('w', "/dev/shm".to_owned())]);
        } else {
            let read =
                ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc"].map(str::to_owned);
            rules.extend(read.map(|path| ('r', path)));
            rules.push(('r', self.order.interpreter.prefix.to_string_lossy().into_owned()));
            rules.push(('r', self.order.package.to_string_lossy().into_owned()));
        }
        rules.iter().map(|(mode, path)| format!("{mode}{path}\n")).collect()
    }

    /// Does what each Instance will do for itself, in a child, and reports; the returned step ends the probe.
    fn probe(&self) -> Step {
        let walls =
            |fresh_proc| serde_json::to_string(&Walls { fresh_proc, ..self.order.walls }).unwrap_or_default();
        match sys::fork_single_threaded() {
            Ok(None) => {
                let tried = sys::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWIPC)
                    .and_then(|()| view::mount_private_tmp());
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

/// Where the interpreter finds what it needs, and the descriptors behind paths that lead to some.
struct Paths {
    bootstrap: String,
    shim: String,
    code: String,
    _keep: Vec<OwnedFd>,
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

/// Makes the kernel end functions before it ends anything else of the host, inherited by all that follows. Done while
/// there is still a /proc; raising it is never refused.
fn raise_oom_score() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    fd.as_fd()
}

/// Keeps over exec the one right an Instance needs until it has built its own mounts.
fn keep_mount_right() -> rustix::io::Result<()> {
    let right = CapabilitySet::SYS_ADMIN;
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable |= right;
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::configure_capability_in_ambient_set(right, true)
}

/// Root that has nobody else to become is root no more for what it starts: no right comes with the number 0.
fn lower_root() -> rustix::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    rustix::thread::set_capabilities_secure_bits(bits)
}

/// Puts both descriptors under their fixed numbers for the interpreter. What has those numbers now is moved out of the way
/// first, and kept open by the result.
fn hand_over_both(main: &OwnedFd, init: &OwnedFd) -> Result<[OwnedFd; 2], Step> {
    let away = |fd: &OwnedFd| {
        rustix::io::fcntl_dupfd_cloexec(fd, shim::HIGH_FD)
            .map_err(|e| Step("descriptors", io::Error::from(e)))
    };
    let moved = [away(main)?, away(init)?];
    sys::hand_over(borrow(&moved[0]), protocol::EVENT_FD).map_err(|e| Step("descriptors", e))?;
    sys::hand_over(borrow(&moved[1]), protocol::INIT_FD).map_err(|e| Step("descriptors", e))?;
    Ok(moved)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::instance::protocol::Interpreter;

    fn launcher(namespaces: bool, tmp: Option<&str>) -> Launcher {
        let interpreter = Interpreter {
            program: PathBuf::from("/opt/python/bin/python3"),
            args: Vec::new(),
            prefix: PathBuf::from("/opt/python"),
            packages: Vec::new(),
        };
        let order = LaunchOrder {
            role: Role::Zygote,
            token: String::new(),
            walls: Walls { namespaces, fresh_proc: true, landlock_abi: 6, seccomp: true, groups: 0 },
            reach: Reach::Host,
            uid: None,
            package: PathBuf::from("/srv/code"),
            interpreter,
            env: Vec::new(),
            memory_mb: 128,
            tmp: tmp.map(PathBuf::from),
            function: json!({ "handler_file": "index" }),
        };
        let (control, _) = wire::message_pair().unwrap();
        Launcher { order, control, event: None, network: Vec::new(), groups: Vec::new() }
    }

    /// What may be written below, of the rules.
    fn writable(launcher: &Launcher) -> Vec<String> {
        launcher
            .landlock_rules()
            .lines()
            .filter_map(|rule| rule.strip_prefix('w'))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_view_of_its_own_is_read_only_but_for_temporary_files() {
        let launcher = launcher(true, None);
        assert_eq!(writable(&launcher), ["/tmp", "/dev/shm"]);
        assert!(launcher.landlock_rules().lines().any(|rule| rule == "r/"));
        assert_eq!(launcher.bootstrap_config("/x")["code"], view::CODE);
    }

    #[test]
    fn in_the_hosts_view_only_what_it_needs_is_to_be_read() {
        let launcher = launcher(false, Some("/srv/tmp/1"));
        assert!(writable(&launcher).is_empty(), "the shim adds its part of the temporary folder");
        assert_eq!(launcher.bootstrap_config("/x")["isolation"]["tmp"], "/srv/tmp/1");
        let rules = launcher.landlock_rules();
        for needed in ["r/usr", "r/opt/python", "r/srv/code"] {
            assert!(rules.lines().any(|rule| rule == needed), "{needed}");
        }
        assert!(!rules.lines().any(|rule| ["r/", "r/home", "r/srv", "w/tmp"].contains(&rule)), "{rules}");
        let config = launcher.bootstrap_config("/x");
        assert_eq!((&config["code"], &config["handler_file"]), (&json!("/srv/code"), &json!("index")));
        assert_eq!(config["isolation"]["fresh_mounts"], false, "they would be the host's");
    }
}
