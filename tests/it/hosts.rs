//! What hosts give that give little: a server without rights, a host that denies user namespaces, containers. Each is made
//! for real by `tests/hosts/become.py`, which takes the rights away from the server it starts and from nobody else.
//!
//! Whatever level comes of it, every run ends as it should, `doctor` says why it is not more, a server that wants more does
//! not start, and no process survives one that is killed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Stdio;
use std::time::Duration;

use crate::endings;
use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::processes;
use crate::server::{Place, Server, program};
use crate::wait;

/// A user with nothing: no name, no home, no group.
pub(crate) const NOBODY: u32 = 64_321;

/// A kind of host, and what it gives.
pub(crate) struct Host {
    /// What makes it, in `tests/hosts`, and what it is told.
    pub script: &'static str,
    pub rights: &'static [&'static str],
    /// Who the server is.
    pub uid: u32,
    pub level: u64,
    /// What `doctor` says of the level, in part.
    pub says: &'static [&'static str],
}

const UNPRIVILEGED: Host = Host {
    script: "become.py",
    rights: &["uid=64321"],
    uid: NOBODY,
    level: 3,
    says: &["own namespaces, root view"],
};

const NAMESPACES_DENIED: Host = Host {
    script: "become.py",
    rights: &["no-user-namespaces", "uid=64321"],
    uid: NOBODY,
    level: 2,
    says: &["$TMPDIR takes the place of /tmp", "no namespaces: ", "sysctl user.max_user_namespaces"],
};

const CONTAINER: Host = Host {
    script: "become.py",
    rights: &["masked-proc", "docker"],
    uid: 0,
    level: 2,
    says: &["$TMPDIR takes the place of /tmp", "no namespaces: ", "not permitted, as in most containers"],
};

const CONTAINER_OF_NOBODY: Host =
    Host { script: "become.py", rights: &["masked-proc", "docker", "uid=64321"], uid: NOBODY, ..CONTAINER };

const MASKED_PROC: Host = Host {
    script: "become.py",
    rights: &["masked-proc", "uid=64321"],
    uid: NOBODY,
    level: 3,
    says: &["own namespaces, root view", "a fresh /proc cannot be mounted here, so functions see none"],
};

impl Host {
    /// Says so where this machine cannot play it.
    pub(crate) fn is_possible(&self) -> bool {
        let root = rustix::process::geteuid().is_root();
        if !root {
            eprintln!("SKIPPED: only root can take rights away as {:?} does", self.rights);
        }
        root
    }

    /// A place for a server of that user, with a program that it may run wherever this project is.
    fn place(&self) -> Place {
        let place = Place::new();
        fs::copy(env!("CARGO_BIN_EXE_fnlite"), place.file("fnlite")).unwrap();
        let folder = place.file(".");
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        chown(&folder, Some(self.uid), Some(self.uid)).unwrap();
        place
    }

    /// The words that start something with those rights.
    fn launcher(&self) -> Vec<String> {
        let script = format!("{}/tests/hosts/{}", env!("CARGO_MANIFEST_DIR"), self.script);
        let words = ["/usr/bin/python3", "-B", &script].into_iter().chain(self.rights.iter().copied());
        words.chain(["--"]).map(str::to_owned).collect()
    }

    fn serve(&self, options: &[&str]) -> Server {
        let launcher = self.launcher();
        let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
        self.place().serve_by(&launcher, options)
    }

    pub(crate) fn check(&self) {
        if !self.is_possible() {
            return;
        }
        self.check_with(&[]);
        self.check_refusal();
    }

    /// All but the refusal.
    pub(crate) fn check_with(&self, options: &[&str]) {
        let server = self.serve(options);
        self.check_level(&server);
        endings::check_all_on(&server);
        self.check_copies(&server);
        check_killed(server);
    }

    fn check_level(&self, server: &Server) {
        assert_eq!(server.get("/readyz")["isolation_level"], self.level, "{:?}", self.rights);
        let checks = server.get("/v1/doctor");
        let isolation =
            checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "isolation");
        let detail = isolation.unwrap()["detail"].as_str().unwrap();
        for words in self.says {
            assert!(detail.contains(words), "{:?}: {detail}", self.rights);
        }
        eprintln!("{:?}: {detail}", self.rights);
    }

    /// That each run gets a faithful copy of what was loaded, with a /proc to tell by or without.
    fn check_copies(&self, server: &Server) {
        for (name, module) in [
            ("memory", "import mmap\nm = mmap.mmap(-1, 4096)\ndef use(): m[0] += 1; return m[0]"),
            (
                "thread",
                "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\ndef use(): return threading.active_count()",
            ),
            ("plain", "def use(): return 5"),
        ] {
            server.deploy(
                name,
                &source(&format!("{module}\n\ndef main_handler(event, context):\n    return use()\n")),
            );
            let first = server.invoke(name, "{}").returned();
            for _ in 0..3 {
                assert_eq!(server.invoke(name, "{}").returned(), first, "{:?}: {name}", self.rights);
            }
        }
    }

    /// A server that is to have more than there is.
    fn check_refusal(&self) {
        let place = self.place();
        let mut command = program("timeout");
        let wanted = (self.level + 1).to_string();
        command.arg("10").args(self.launcher()).arg(env!("CARGO_BIN_EXE_fnlite"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--isolation-min", &wanted]);
        let ran = command.current_dir(place.file(".")).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        let expected = format!("isolation-min is {wanted} and this host gives level {}: ", self.level);
        assert!(said.contains(&expected), "{:?}: {said}", self.rights);
        assert_eq!(ran.status.code(), Some(78), "{:?}: {said}", self.rights);
    }
}

/// Parked, running, with children, and killed.
fn check_killed(server: Server) {
    let gate = Gate::new();
    server.deploy("parked", &expression("1"));
    server.deploy("running", &folder("gate").with("timeout_s", 60));
    server.invoke("parked", "{}").returned();
    std::thread::scope(|scope| {
        let mut caller = server.caller();
        let event = gate.event();
        // No answer comes: its server is killed.
        scope.spawn(move || drop(caller.try_call("POST", "/v1/functions/running/invoke", event.as_bytes())));
        let held = gate.arrival();
        let all = processes::below(server.pid());
        assert!(all.len() > 4, "{all:?}");
        let place = server.kill9();
        let gone = || all.iter().all(|process| !process.is_alive()).then_some(());
        assert!(wait::within(Duration::from_secs(5), gone).is_some(), "{all:?}");
        drop((held, place));
    });
}

#[test]
fn a_server_without_rights_gives_level_3_where_users_may_make_namespaces() {
    UNPRIVILEGED.check();
}

#[test]
fn a_server_without_rights_gives_level_2_where_namespaces_are_denied() {
    NAMESPACES_DENIED.check();
}

#[test]
fn a_server_that_is_root_of_a_container_gives_level_2() {
    CONTAINER.check();
}

#[test]
fn a_server_without_rights_in_a_container_gives_level_2() {
    CONTAINER_OF_NOBODY.check();
}

#[test]
fn where_proc_is_masked_functions_have_none_and_all_else() {
    MASKED_PROC.check();
}
