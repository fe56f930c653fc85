//! What this host gives to functions: walls, interpreters, user ids, and the environment and context the contract promises
//! (2.2, 2.5). Turns a Version into an order to launch it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::base::sys;
use crate::error::{Error, Result};
use crate::instance::network::{Network, Policies};
use crate::instance::package::cache::Unpacked;
use crate::instance::protocol::{LaunchOrder, Reach, Role};
use crate::instance::runtime::{self, Found, Search};
use crate::instance::sandbox::{self, Sandbox};
use crate::instance::scratch::{Folder, Scratch};
use crate::instance::tree::Holdings;
use crate::instance::users::Users;
use crate::instance::view;
use crate::model::function::{Config, NetworkPolicy, Version};
use crate::model::invocation::FunctionNames;
use crate::model::runtime::{RUNTIMES, Runtime};

/// What functions are told about where they run: the cloud's words with values of our own (D15).
#[derive(Clone, Debug)]
pub struct Account {
    /// `TENCENTCLOUD_REGION`.
    pub region: String,
    /// `TENCENTCLOUD_APPID`, digits.
    pub appid: String,
    /// `TENCENTCLOUD_UIN`, digits.
    pub uin: String,
}

/// What this host gives, found out once.
#[derive(Debug)]
pub struct Host {
    /// The walls and their level.
    pub sandbox: Sandbox,
    account: Account,
    /// Folders to look for interpreters in, in order.
    search: Vec<PathBuf>,
    /// Folders for temporary files where /tmp cannot be private.
    scratch: Arc<Scratch>,
    users: Option<Users>,
    /// Whether a `no-local` network stood when it was last tried; building one takes longer than all else of a start.
    no_local: Mutex<Option<std::result::Result<(), String>>>,
    found: Mutex<HashMap<&'static str, Arc<Found>>>,
}

/// Where code and layers stand for whoever runs them.
#[derive(Clone, Copy)]
struct Stands<'a> {
    code: &'a Path,
    layers: &'a Path,
}

/// What a runtime name means here.
#[derive(Clone, Debug)]
pub struct RuntimeFound {
    /// The runtime's name.
    pub runtime: &'static str,
    /// The interpreter that runs it, or why there is none.
    pub program: std::result::Result<PathBuf, String>,
    /// Set where another version stands in: what a user should know.
    pub note: Option<String>,
}

impl Host {
    /// Probes the walls up to `level_max`; interpreters are looked for when they are first needed. `server` tells this
    /// server from others on the host, for example by its database's inode.
    pub fn new(
        level_max: u8,
        account: Account,
        search: Vec<PathBuf>,
        scratch: &Path,
        server: u64,
    ) -> Result<Host> {
        let users = Users::find(server);
        let mut sandbox = sandbox::probe(level_max, users.map(|users| users.of_function(0)));
        if let Some(closed) = closed_to_functions(&sandbox, users, scratch) {
            sandbox.notes.push(format!(
                "functions cannot reach their code: {} is closed to other users; keep the database elsewhere",
                closed.display()
            ));
        }
        let scratch = Scratch::open(scratch)?;
        let (no_local, found) = (Mutex::default(), Mutex::default());
        Ok(Host { sandbox, account, search, scratch, users, no_local, found })
    }

    /// The network policies that functions can have here. One that could not be had is tried again: its program may have been
    /// installed since, or the host have got a way out.
    pub fn policies(&self) -> Policies {
        let known = self.policies_known();
        if known.none.is_err() || known.no_local.is_ok() {
            return known;
        }
        let no_local = self.try_no_local();
        *self.no_local.lock().expect("no holder of this lock can panic") = Some(no_local.clone());
        Policies { no_local, ..known }
    }

    /// The same, as it was when it was last tried; who asks first tries it, and others wait for that.
    pub fn policies_known(&self) -> Policies {
        if let Some(why) = &self.sandbox.no_networks {
            return Policies::absent(why);
        }
        let mut known = self.no_local.lock().expect("no holder of this lock can panic");
        Policies { none: Ok(()), no_local: known.get_or_insert_with(|| self.try_no_local()).clone() }
    }

    fn try_no_local(&self) -> std::result::Result<(), String> {
        self.network_of(0).map(drop).map_err(|error| error.message)
    }

    /// A network for a Version that asks for `no-local`.
    pub(crate) fn build_network(&self, version: &Version) -> Result<Network> {
        self.check_network(version)?;
        self.network_of(version.function_id)
    }

    fn network_of(&self, function_id: i64) -> Result<Network> {
        let uid = self.users.map(|users| users.of_function(function_id));
        Network::build(&self.search, self.sandbox.walls, uid)
    }

    /// Fails where there are no network namespaces to keep the Version's policy with.
    fn check_network(&self, version: &Version) -> Result<()> {
        let policy = version.config.network;
        match &self.sandbox.no_networks {
            Some(why) if policy != NetworkPolicy::Host => Err(Error::internal(format!(
                "the function's network is to be {}, which this host cannot give: {why}",
                policy.as_str()
            ))),
            _ => Ok(()),
        }
    }

    /// What `runtime` means here; an error names what to install.
    pub fn runtime(&self, runtime: Runtime) -> Result<RuntimeFound> {
        let found = self.find(runtime)?;
        let (major, minor) = found.version;
        let note = (!runtime.is_met_by(found.version)).then(|| {
            format!(
                "{} is not on this host; {} {major}.{minor} stands in",
                runtime.name,
                runtime.language.name()
            )
        });
        Ok(RuntimeFound { runtime: runtime.name, program: Ok(found.interpreter.program.clone()), note })
    }

    /// What every runtime name means here, for people.
    pub fn runtimes(&self) -> Vec<RuntimeFound> {
        let told = |runtime: &Runtime| {
            self.runtime(*runtime).unwrap_or_else(|error| RuntimeFound {
                runtime: runtime.name,
                program: Err(error.message),
                note: None,
            })
        };
        RUNTIMES.iter().map(told).collect()
    }

    fn find(&self, runtime: Runtime) -> Result<Arc<Found>> {
        if !runtime.language.is_loaded_by_us() {
            return runtime::find(runtime, Search { folders: &[], reachable: &|_| true }).map(Arc::new);
        }
        let mut known = self.found.lock().expect("no holder of this lock can panic");
        if let Some(found) = known.get(runtime.name).filter(|found| found.interpreter.program.exists()) {
            return Ok(Arc::clone(found));
        }
        let reachable = |program: &Path| closed_to_functions(&self.sandbox, self.users, program).is_none();
        let found =
            Arc::new(runtime::find(runtime, Search { folders: &self.search, reachable: &reachable })?);
        known.insert(runtime.name, Arc::clone(&found));
        Ok(found)
    }

    /// How to launch `version`, whose code is unpacked at `package`, and what its tree is to hold; `network` is what it is to
    /// join, if any.
    pub(crate) fn order(
        &self,
        version: &Version,
        names: &FunctionNames,
        package: &Unpacked,
        role: Role,
        network: Option<Arc<Network>>,
    ) -> Result<(LaunchOrder, Holdings)> {
        self.check_network(version)?;
        let reach = match version.config.network {
            NetworkPolicy::Host => Reach::Host,
            NetworkPolicy::None => Reach::Own,
            NetworkPolicy::NoLocal => {
                network.as_ref().ok_or_else(|| Error::internal("there is no network to join"))?.wall()
            }
        };
        let walls = self.sandbox.walls;
        let uid = self.users.map(|users| users.of_function(version.function_id));
        let folder = if walls.namespaces { None } else { Some(self.folder(uid)?) };
        let tmp = folder.as_ref().map(|folder| folder.path().to_owned());
        let found = self.find(version.config.runtime)?;
        let code = if walls.namespaces { PathBuf::from(view::CODE) } else { package.code.clone() };
        let layers = package.layers.as_ref().filter(|_| !walls.namespaces);
        let layers = layers.map_or(Path::new(view::LAYERS), PathBuf::as_path);
        let mut interpreter = found.interpreter.clone();
        if let Some(program) = self.program(&version.config) {
            interpreter.program = code.join(program);
        }
        let order = LaunchOrder {
            role,
            runtime: version.config.runtime.name.to_owned(),
            token: token(),
            walls,
            reach,
            uid,
            package: package.code.clone(),
            layers: package.layers.clone(),
            env: self.env(
                version,
                names,
                &interpreter.program,
                Stands { code: &code, layers },
                tmp.as_deref(),
            ),
            interpreter,
            memory_mb: version.config.memory_mb,
            tmp,
            function: self.function(version, names),
        };
        let failed = |cause| Error::internal("a process cannot be counted").because(cause);
        let groups = self.sandbox.groups.as_ref();
        let group = groups.map(|groups| groups.take(order.memory_mb)).transpose().map_err(failed)?;
        Ok((order, Holdings { folder, group, network }))
    }

    /// Holds all functions together to what runs at once, MB, and a quarter of the host's memory for what they keep in /tmp
    /// (D9), and to the processors' worth of time. Only control groups can do that; nothing happens where there are none.
    pub fn limit_memory(&self, total_mb: u32) {
        let info = rustix::system::sysinfo();
        let quarter = info.totalram * u64::from(info.mem_unit) / 4;
        if let Some(groups) = &self.sandbox.groups {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            groups.limit_all((u64::from(total_mb) << 20) + quarter, cores);
        }
    }

    /// The program that a function so configured brings along, by its path in the package, where its language loads itself.
    pub fn program<'a>(&self, config: &'a Config) -> Option<&'a str> {
        runtime::program(config.runtime.language, config.handler.file())
    }

    /// Whether a process of a function so configured runs many events: it asks for that, and nothing of one is left for the
    /// next, which only a namespace makes sure of.
    pub fn reuses(&self, config: &Config) -> bool {
        config.processes.reuse && self.sandbox.walls.namespaces
    }

    /// Whether each function has a user id of its own (D8); else they all have the server's.
    pub fn gives_users(&self) -> bool {
        self.users.is_some()
    }

    fn folder(&self, uid: Option<u32>) -> Result<Folder> {
        let failed = |cause| Error::internal("a folder for temporary files cannot be made").because(cause);
        self.scratch.folder(uid).map_err(failed)
    }

    /// Built from nothing (D15): the contract's variables (2.5), then the user's.
    fn env(
        &self,
        version: &Version,
        names: &FunctionNames,
        program: &Path,
        stands: Stands<'_>,
        tmp: Option<&Path>,
    ) -> Vec<(String, String)> {
        let (code, layers) = (stands.code.to_string_lossy(), stands.layers.to_string_lossy());
        let mut env: Vec<(String, String)> = Vec::with_capacity(32);
        let mut set = |key: &str, value: &str| env.push((key.to_owned(), value.to_owned()));
        set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        set("HOME", "/home/qcloud");
        set("USER", "qcloud");
        set("LOGNAME", "qcloud");
        set("SHELL", "/bin/bash");
        set("SHLVL", "3");
        set("HOSTNAME", "fnlite");
        set("LANG", "C.UTF-8");
        set("LC_ALL", "C.UTF-8");
        set("TZ", "UTC");
        set("PWD", &code);
        set("_", &program.to_string_lossy());
        set("_SCF_SERVER_PORT", "28902");
        set("TENCENTCLOUD_RUNENV", "SCF");
        set("TENCENTCLOUD_REGION", &self.account.region);
        set("TENCENTCLOUD_APPID", &self.account.appid);
        set("TENCENTCLOUD_UIN", &self.account.uin);
        set("TENCENTCLOUD_TZ", "UTC");
        set("USER_CODE_ROOT", &format!("{}/", code.trim_end_matches('/')));
        set("SCF_RUNTIME", version.config.runtime.name);
        set("SCF_FUNCTIONNAME", &names.name);
        set("SCF_FUNCTIONVERSION", &version.qualifier);
        set("SCF_NAMESPACE", &names.namespace);
        for (key, value) in runtime::env(version, names, &code, &layers) {
            set(key, &value);
        }
        if !version.layer_packages.is_empty() {
            set("LD_LIBRARY_PATH", &format!("{code}:{layers}"));
        }
        if let Some(tmp) = tmp {
            set("TMPDIR", &tmp.join("0").to_string_lossy());
        }
        for (key, value) in &version.config.env {
            env.retain(|(other, _)| other != key);
            env.push((key.clone(), value.clone()));
        }
        env
    }

    /// The handler, and the context with every field of the contract (2.2); the request id is filled in per run.
    fn function(&self, version: &Version, names: &FunctionNames) -> serde_json::Value {
        let pair = format!("SCF_NAMESPACE={}", names.namespace);
        json!({
            "reuse": self.reuses(&version.config),
            "handler": version.config.handler.as_str(),
            "handler_file": version.config.handler.file(),
            "handler_function": version.config.handler.function(),
            "context": {
                "memory_limit_in_mb": version.config.memory_mb,
                "time_limit_in_ms": version.config.timeout_s * 1000,
                "request_id": "",
                "environment": json!({ "SCF_NAMESPACE": names.namespace }).to_string(),
                // The doubled pair is what the cloud really gives.
                "environ": format!("{pair};{pair}"),
                "function_version": version.qualifier,
                "function_name": names.name,
                "namespace": names.namespace,
                "tencentcloud_region": self.account.region,
                "tencentcloud_appid": self.account.appid,
                "tencentcloud_uin": self.account.uin,
            },
        })
    }
}

/// What a launcher is to show for its failures to be believed, another for each.
fn token() -> String {
    let mut bytes = [0; 16];
    sys::random_bytes(&mut bytes);
    u128::from_ne_bytes(bytes).to_string()
}

/// The folder on the way to `path` that keeps functions out, where they are another user and have no view of their own.
fn closed_to_functions(sandbox: &Sandbox, users: Option<Users>, path: &Path) -> Option<PathBuf> {
    const OTHERS_MAY_PASS: u32 = 0o001;
    if sandbox.walls.namespaces || users.is_none() {
        return None;
    }
    let mode = |folder: &Path| {
        std::fs::metadata(folder).map(|meta| std::os::unix::fs::PermissionsExt::mode(&meta.permissions()))
    };
    let closed = |folder: &&Path| mode(folder).is_ok_and(|mode| mode & OTHERS_MAY_PASS == 0);
    path.ancestors().skip(1).find(closed).map(Path::to_owned)
}
