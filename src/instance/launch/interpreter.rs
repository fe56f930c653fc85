//! The interpreter: its limits, its filter, its descriptors, and what its bootstrap is told.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, Rlimit};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Launcher, borrow, command};
use crate::base::sys;
use crate::instance::protocol::{self, Role};
use crate::instance::runtime::Kit;
use crate::instance::view::{self, Step};
use crate::instance::{filter, shim};
use crate::model::limits;
use crate::model::runtime::Language;

/// Bytes a process may map beyond its MemorySize: interpreter, libraries' data, thread stacks (D9).
const DATA_MARGIN_BYTES: u64 = 128 << 20;

/// Stack of each thread the user's code starts (D9); the main thread's is raised by the shim.
const THREAD_STACK_BYTES: u64 = 1 << 20;

impl Launcher {
    /// Starts it with its limits and its filter, under the names and numbers it counts on.
    pub(super) fn start_interpreter(&self) -> Result<Child, Step> {
        self.limit().map_err(|e| Step("limits", e.into()))?;
        rustix::thread::set_no_new_privs(true).map_err(|e| Step("no_new_privs", e.into()))?;
        let kit = self.order.kit().ok_or_else(|| Step("kit", io::Error::other("no such runtime")))?;
        let paths = self.paths(kit)?;
        let main_fd = self.event.as_ref().unwrap_or(&self.control);
        let init = shim::memory_file("init", shim::INIT).map_err(|e| Step("init", e))?;
        let _keep = hand_over_both(main_fd, &init)?;
        if self.order.walls.seccomp {
            filter::install(self.order.walls.namespaces, self.order.language() == Some(Language::Go))
                .map_err(|e| Step("seccomp", e))?;
        }
        let mut start = if kit.bootstrap.is_empty() { self.starter(&paths) } else { self.language(&paths) };
        start.env_clear().envs(self.order.env.iter().map(|(key, value)| (key, value)));
        start.current_dir(&paths.code).stdin(Stdio::null());
        start.spawn().map_err(|e| Step("interpreter", e))
    }

    /// The language's own interpreter, told to run our bootstrap.
    fn language(&self, paths: &Paths) -> Command {
        let mut start = command(&self.order.interpreter.program);
        start.args(self.order.options()).arg(&paths.bootstrap);
        start.arg(self.bootstrap_config(&paths.shim).to_string());
        start
    }

    /// The starter of programs that load themselves; its words are explained in `shim/starter.c`.
    fn starter(&self, paths: &Paths) -> Command {
        let isolation = self.isolation();
        let is_set = |is: bool| if is { "1" } else { "0" };
        let mut start = command(&paths.shim);
        start.arg(if self.order.language() == Some(Language::Go) { "g" } else { "h" });
        start.args([isolation.cell, isolation.fresh_proc].map(is_set));
        start.args([isolation.groups.to_string(), isolation.landlock_abi.to_string()]);
        start.args([isolation.tmp_options, isolation.landlock_rules]).arg(isolation.tmp);
        start.arg(&self.order.interpreter.program);
        start
    }

    fn limit(&self) -> rustix::io::Result<()> {
        // Never above what the server itself was given, which the function's user could not do.
        let set = |resource, soft: u64, hard: u64| {
            let given = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let limit = Rlimit { current: Some(soft.min(given)), maximum: Some(hard.min(given)) };
            rustix::process::setrlimit(resource, limit)
        };
        let data = (u64::from(self.order.memory_mb) << 20) + DATA_MARGIN_BYTES + self.order.reserved_bytes();
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

    fn paths(&self, kit: Kit) -> Result<Paths, Step> {
        if self.order.walls.namespaces {
            let at = |name: &str| format!("{}/{name}", view::RUNTIME);
            return Ok(Paths {
                bootstrap: at("bootstrap"),
                shim: at(kit.shim.0),
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
        let bootstrap = memory("bootstrap", kit.bootstrap.as_bytes())?;
        let shim = memory(kit.shim.0, kit.shim.1)?;
        let code = self.order.package.to_string_lossy().into_owned();
        Ok(Paths { bootstrap, shim, code, _keep: keep })
    }

    /// What the bootstrap is told.
    fn bootstrap_config(&self, shim: &str) -> Value {
        let forks = self.order.role == Role::Zygote;
        let mut config = self.order.function.clone();
        config["single"] = json!(!forks);
        config["shim"] = json!(shim);
        config["code"] =
            json!(if self.order.walls.namespaces { Path::new(view::CODE) } else { &self.order.package });
        let shown = Path::new(view::LAYERS);
        config["layers"] = json!(match &self.order.layers {
            Some(layers) if !self.order.walls.namespaces => layers,
            _ => shown,
        });
        config["site_packages"] = json!(self.order.interpreter.packages);
        config["isolation"] = json!(self.isolation());
        config
    }

    fn isolation(&self) -> Isolation {
        let walls = self.order.walls;
        let forks = self.order.role == Role::Zygote;
        let inside = walls.namespaces && forks;
        Isolation {
            cell: inside,
            fresh_proc: inside && walls.fresh_proc,
            groups: if forks { walls.groups } else { 0 },
            landlock_abi: walls.landlock_abi,
            landlock_rules: self.landlock_rules(),
            tmp_options: view::tmp_options(),
            tmp: self.order.tmp.clone().unwrap_or_default(),
        }
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
            rules.extend(self.order.layers.iter().map(|layers| ('r', layers.to_string_lossy().into_owned())));
        }
        rules.iter().map(|(mode, path)| format!("{mode}{path}\n")).collect()
    }
}

/// How an Instance is walled in: `struct isolation` of `shim/shim.h`.
#[derive(Serialize)]
struct Isolation {
    cell: bool,
    fresh_proc: bool,
    groups: usize,
    landlock_abi: i32,
    landlock_rules: String,
    tmp_options: String,
    tmp: PathBuf,
}

/// Where the interpreter finds what it needs, and the descriptors behind paths that lead to some.
struct Paths {
    bootstrap: String,
    shim: String,
    code: String,
    _keep: Vec<OwnedFd>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::protocol::{Interpreter, LaunchOrder, Reach, Walls};
    use crate::instance::wire;

    fn launcher(namespaces: bool, tmp: Option<&str>) -> Launcher {
        let interpreter = Interpreter {
            program: PathBuf::from("/opt/python/bin/python3"),
            args: Vec::new(),
            prefix: PathBuf::from("/opt/python"),
            packages: Vec::new(),
        };
        let order = LaunchOrder {
            role: Role::Zygote,
            runtime: "Python3.10".to_owned(),
            token: String::new(),
            walls: Walls { namespaces, fresh_proc: true, landlock_abi: 6, seccomp: true, groups: 0 },
            reach: Reach::Host,
            uid: None,
            package: PathBuf::from("/srv/code"),
            layers: None,
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
        assert_eq!(config["isolation"]["cell"], false, "its mounts would be the host's");
    }
}
