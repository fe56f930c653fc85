//! Where attempts are made: a server of its own in a temporary folder, a victim, and the hostile functions.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::appliance::Server;
use crate::base::id::{IdSource, SystemIds};
use crate::base::thread;
use crate::cli::api::{Answer, Api, function_path};
use crate::cli::exit::{Exit, Failure};
use crate::cli::self_test::attempts::{Attempt, Form, Proof};
use crate::cli::self_test::judge::{self, Finding, Seen, Told};
use crate::cli::self_test::outside::Outside;
use crate::config::typed::{TypedPlace, TypedServe};
use crate::config::{self, Client, Reach};
use crate::instance::sandbox::NETWORKS_LEVEL;

/// The hostile code, file by file.
const EVIL: &[(&str, &str)] = &[
    ("bombs.py", include_str!("evil/bombs.py")),
    ("evil.py", include_str!("evil/evil.py")),
    ("files.py", include_str!("evil/files.py")),
    ("frames.py", include_str!("evil/frames.py")),
    ("kernel.py", include_str!("evil/kernel.py")),
    ("life.py", include_str!("evil/life.py")),
    ("load_daemon.py", include_str!("evil/load_daemon.py")),
    ("load_flood.py", include_str!("evil/load_flood.py")),
    ("load_forever.py", include_str!("evil/load_forever.py")),
    ("load_forger.py", include_str!("evil/load_forger.py")),
    ("load_impostor.py", include_str!("evil/load_impostor.py")),
    ("load_shared.py", include_str!("evil/load_shared.py")),
    ("network.py", include_str!("evil/network.py")),
    ("remains.py", include_str!("evil/remains.py")),
    ("tools.py", include_str!("evil/tools.py")),
];
const VICTIM: &str = include_str!("evil/victim.py");

/// Forks asked for where nothing is known to bound them.
const FORKS_UNBOUND: u32 = 100;
/// Forks asked for otherwise: more than a function may have.
const FORKS_BOUND: u32 = 3000;
/// Megabytes printed, in the short form and in the heavy one.
const FLOOD_MB: [u32; 2] = [16, 1024];

/// A server with a victim and hostile functions.
#[derive(Debug)]
pub(super) struct Stage {
    server: Server,
    api: Api,
    outside: Outside,
    secret: String,
    /// What of the network hostile functions ask for.
    network: &'static str,
    /// What every attempt is told.
    facts: Map<String, Value>,
    /// Distinguishes attempts.
    made: usize,
    /// Other services of the host.
    _bait_port: TcpListener,
    _bait_socket: UnixListener,
    folder: tempfile::TempDir,
}

impl Stage {
    /// A stage at that level; nothing where the host does not give it.
    pub(super) fn open(level: u8, heavy: bool) -> Result<Option<Stage>, Failure> {
        let folder = tempfile::tempdir()?;
        // Functions run as users of their own, who must get to their code where they see the host's file system.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        let server = serve(folder.path(), level)?;
        if server.ready.isolation_level < level {
            server.stop(None)?;
            return Ok(None);
        }
        let secret = format!("secret-{}", SystemIds.request_id(0).as_str());
        let outside = Outside::lay_out(folder.path(), &secret)?;
        let mut api = api(&server)?;
        let network = strictest_network(&mut api, level)?;
        let bait_port = TcpListener::bind("127.0.0.1:0")?;
        let hidden = format!("fnlite-bait-{secret}");
        let bait_socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&hidden)?)?;
        let mut facts = facts(&server, folder.path(), &outside, heavy);
        facts.insert("host_port".to_owned(), bait_port.local_addr()?.port().into());
        facts.insert("abstract".to_owned(), hidden.into());
        let (made, _bait_port, _bait_socket) = (0, bait_port, bait_socket);
        let mut stage =
            Stage { server, api, outside, secret, network, facts, made, _bait_port, _bait_socket, folder };
        stage.cast()?;
        Ok(Some(stage))
    }

    /// Deploys who plays: the victim with its secrets, and the function that makes most attempts, in two tempers.
    fn cast(&mut self) -> Result<(), Failure> {
        let files = json!({ "index.py": VICTIM, "secret.txt": self.secret });
        let env = json!({ "SECRET": self.secret });
        self.deploy(
            "victim",
            &json!({ "handler": "index.main_handler", "env": env, "code": { "files": files } }),
        )?;
        for (name, timeout_s) in [("evil", 15), ("evil-brief", 1)] {
            self.deploy(
                name,
                &json!({
                    "handler": "evil.main_handler",
                    "timeout_s": timeout_s,
                    "network": self.network,
                    "code": evil(),
                }),
            )?;
        }
        match self.health() {
            Some(amiss) => Err(Failure::new(Exit::Error, format!("no attempt can be made: {amiss}"))),
            // It has run by now, so its code is unpacked.
            None => self.find_victim(),
        }
    }

    fn find_victim(&mut self) -> Result<(), Failure> {
        let packages = fs::read_dir(self.folder.path().join("fnlite.db.d/packages"))?;
        let mut folders = packages.flatten().map(|entry| entry.path());
        let victim = folders.find(|folder| folder.join("secret.txt").exists());
        let victim = victim.ok_or_else(|| Failure::new(Exit::Error, "the victim's code is not unpacked"))?;
        self.facts.insert("victim".to_owned(), json!(victim));
        Ok(())
    }

    /// Makes an attempt and says what came of it.
    pub(super) fn make(&mut self, attempt: &'static Attempt) -> Result<Finding, Failure> {
        self.made += 1;
        // A process's name has at most 15 characters.
        let mark = format!("ev{}-{}", std::process::id(), self.made);
        let mut seen = match attempt.form {
            Form::Event => self.run("evil", attempt, &mark)?,
            Form::Brief => self.run("evil-brief", attempt, &mark)?,
            Form::BesideListener => self.run_beside_listener(attempt, &mark)?,
            Form::Loading => self.load(attempt, &mark)?,
        };
        seen.amiss = self.outside.amiss(&mark).or_else(|| self.health());
        self.outside.restore()?;
        Ok(judge::judge(attempt, seen, &self.secret))
    }

    /// Runs it once, or twice where the second run is the proof.
    fn run(&mut self, function: &str, attempt: &Attempt, mark: &str) -> Result<Seen, Failure> {
        let (status, told) = self.invoke(function, &self.event(attempt, mark, false))?;
        let again = attempt.proof == Proof::NextRun && status == 200;
        if again {
            // A run that has been answered may still be ending.
            self.outside.settle(mark);
        }
        let second =
            if again { Some(self.invoke(function, &self.event(attempt, mark, true))?.1) } else { None };
        Ok(Seen { status, told, second, amiss: None })
    }

    fn run_beside_listener(&mut self, attempt: &Attempt, mark: &str) -> Result<Seen, Failure> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        self.facts.insert("instance_port".to_owned(), port.into());
        let mut listening = api(&self.server)?;
        let event = json!({ "listen": port }).to_string();
        let listener = thread::spawn("listener", move || {
            // Whether somebody came is told by who came.
            let _ = listening.send("POST", &function_path("victim", "/invoke"), Vec::new(), event.as_bytes());
        })?;
        let seen = self.run("evil", attempt, mark);
        // It ends by itself when nobody comes.
        let _ = listener.join();
        seen
    }

    /// Runs it as a function of its own, which is deleted afterwards.
    fn load(&mut self, attempt: &Attempt, mark: &str) -> Result<Seen, Failure> {
        let name = attempt.name.replace('_', "-");
        let body = json!({
            "handler": format!("{}.main_handler", attempt.name),
            "init_timeout_s": 3,
            "network": self.network,
            "env": { "MARK": mark },
            "code": evil(),
        });
        self.deploy(&name, &body)?;
        let mut seen = self.run(&name, attempt, mark)?;
        // What a run started is gone when it has ended; what its loading did, when nobody will run it again.
        if seen.status == 200 && attempt.proof == Proof::Outside {
            seen.amiss = self.outside.amiss(mark);
        }
        self.api.send("DELETE", &function_path(&name, ""), Vec::new(), b"")?.accepted()?;
        Ok(seen)
    }

    /// What is wrong with the server or with other runs, if anything is.
    fn health(&mut self) -> Option<String> {
        let victim = self.api.send("POST", &function_path("victim", "/invoke"), Vec::new(), b"{}");
        match victim {
            Ok(answer) if answer.body() == b"5" => {}
            Ok(answer) => return Some(format!("another function failed: {}", text(&answer))),
            Err(failure) => return Some(format!("the server does not answer: {}", failure.message)),
        }
        for function in ["evil", "evil-brief"] {
            match self.api.send(
                "POST",
                &function_path(function, "/invoke"),
                Vec::new(),
                br#"{"attempt":"nothing"}"#,
            ) {
                Ok(answer) if answer.body() == br#"{"got": null}"# => {}
                Ok(answer) => return Some(format!("the next run failed: {}", text(&answer))),
                Err(failure) => return Some(failure.message),
            }
        }
        None
    }

    fn event(&self, attempt: &Attempt, mark: &str, again: bool) -> Vec<u8> {
        let mut event = self.facts.clone();
        event.extend([
            ("attempt".to_owned(), attempt.name.into()),
            ("mark".to_owned(), mark.into()),
            ("again".to_owned(), again.into()),
        ]);
        Value::Object(event).to_string().into_bytes()
    }

    fn deploy(&mut self, name: &str, body: &Value) -> Result<(), Failure> {
        let mut body = body.clone();
        body["runtime"] = json!("Python3.13");
        let body = body.to_string();
        self.api.send("PUT", &function_path(name, ""), Vec::new(), body.as_bytes())?.accepted().map(drop)
    }

    /// The status a run ended with, and what it said.
    fn invoke(&mut self, function: &str, event: &[u8]) -> Result<(u16, Told), Failure> {
        let answer = self.api.send("POST", &function_path(function, "/invoke"), Vec::new(), event)?;
        let status = answer.header("X-Fnlite-Status").and_then(|status| status.parse().ok());
        let Some(status) = status else { return Err(Failure::new(Exit::Error, text(&answer))) };
        let told = if status == 200 { answer.json().unwrap_or_default() } else { Told::default() };
        Ok((status, told))
    }

    /// Stops the server and removes everything.
    pub(super) fn close(self) -> Result<(), Failure> {
        self.server.stop(None)?;
        Ok(self.folder.close()?)
    }
}

/// What functions whose walls are tried ask for at that level: the policy with the most to hold, where the host gives it.
fn strictest_network(api: &mut Api, level: u8) -> Result<&'static str, Failure> {
    if level < NETWORKS_LEVEL {
        return Ok("host");
    }
    let ready: Value = api.get("/readyz", Vec::new())?.json()?;
    let is_given =
        |policy| ready["network_policies"].as_array().is_some_and(|given| given.contains(&json!(policy)));
    Ok(if is_given("no-local") { "no-local" } else { "none" })
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// The whole hostile code as the body of a deploy has it.
fn evil() -> Value {
    let files: Map<String, Value> =
        EVIL.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
    json!({ "files": files })
}

fn serve(folder: &Path, level: u8) -> Result<Server, Failure> {
    let place = TypedPlace {
        config: None,
        db: Some(folder.join("fnlite.db")),
        socket: Some(folder.join("fnlite.sock")),
    };
    let typed = TypedServe {
        listen: Some("127.0.0.1:0".to_owned()),
        isolation_min: Some(1),
        isolation_max: Some(level),
        ..TypedServe::default()
    };
    let options = config::serve(place, typed).map_err(|error| Failure::unusable(&error))?;
    Ok(Server::start(options)?)
}

fn api(server: &Server) -> Result<Api, Failure> {
    let url = format!("http://{}", server.ready.address);
    let reach = Reach::Url { url, key: server.ready.first_key.clone() };
    Api::new(Client { reach, namespace: crate::model::function::NAMESPACE_DEFAULT.to_owned() })
}

fn facts(server: &Server, folder: &Path, outside: &Outside, heavy: bool) -> Map<String, Value> {
    let level = server.ready.isolation_level;
    let is_bounded = level >= 3 || rustix::process::geteuid().is_root();
    let facts = json!({
        "level": level,
        "server_pid": std::process::id(),
        "port": server.ready.address.port(),
        "db": folder.join("fnlite.db"),
        "socket": folder.join("fnlite.sock"),
        "folder": folder,
        "packages": folder.join("fnlite.db.d/packages"),
        "bait": outside.bait,
        "bait_open": outside.bait_open,
        "bound": if is_bounded { FORKS_BOUND } else { FORKS_UNBOUND },
        "flood_mb": FLOOD_MB[usize::from(heavy)],
    });
    let Value::Object(facts) = facts else { unreachable!("an object was written") };
    facts
}

/// Whether there is code for that row.
#[cfg(test)]
pub(super) fn has_code(attempt: &Attempt) -> bool {
    code_names().iter().any(|name| name == attempt.name)
}

/// Every attempt there is code for: functions of one parameter `event` in the groups, and files whose loading is one.
#[cfg(test)]
pub(super) fn code_names() -> Vec<String> {
    let groups = ["bombs.py", "files.py", "frames.py", "kernel.py", "life.py", "network.py", "remains.py"];
    let texts = EVIL.iter().filter(|(name, _)| groups.contains(name)).map(|(_, text)| text);
    let functions = texts
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("def ")?.strip_suffix("(event):").map(str::to_owned));
    let files =
        EVIL.iter().filter_map(|(name, _)| name.strip_suffix(".py").filter(|name| name.starts_with("load_")));
    functions.chain(files.map(str::to_owned)).collect()
}
