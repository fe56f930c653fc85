//! Functions that keep their state where the cloud tells them to, since nothing survives a run: in a database, in caches. The
//! servers are Debian's, the clients pure Python that the function brings with it; `scripts/test` installs both.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::function::{Function, source};
use crate::keeping::text;
use crate::server::{Server, program, spawn};
use crate::wait;

/// A server of somebody else's, which ends with its value.
struct Other {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Other {
    /// Starts what `command` makes of a free port and a folder.
    fn start(command: impl Fn(u16, &Path) -> Command) -> Other {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let made = command(port, folder.path());
        // It must not outlive the tests, however they end.
        let mut held = program("setpriv");
        held.args(["--pdeathsig", "KILL", "--"]).arg(made.get_program()).args(made.get_args());
        held.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(held);
        wait::until("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        Other { child, port, folder }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Fails only for one that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A function with the clients beside it.
fn with_clients(text: &str) -> Function {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bundled");
    assert!(place.join("list.txt").exists(), "the clients are not there: scripts/test installs them");
    let mut function = source(text);
    let mut folders = vec![place.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                let name = path.strip_prefix(&place).unwrap().to_str().unwrap();
                function = function.file(name, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    function
}

/// Runs it ten times, five at once; each run is told the number that it has made of the one before.
#[track_caller]
fn counts_to_ten(server: &Server, name: &str, port: u16) {
    let event = json!({ "port": port }).to_string();
    let mut seen: Vec<u64> = Vec::new();
    for _ in 0..2 {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..5).map(|_| scope.spawn(|| server.invoke(name, &event))).collect();
            for run in runs {
                seen.push(run.join().unwrap().returned().as_u64().unwrap());
            }
        });
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=10).collect::<Vec<u64>>());
}

#[test]
fn a_function_counts_in_redis() {
    let redis = Other::start(|port, _| {
        let mut command = program("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command
    });
    let server = Server::shared();
    let text = "
import redis
def main_handler(event, context):
    return redis.Redis(port=event['port'], socket_timeout=5).incr('runs')
";
    server.deploy("in-redis", &with_clients(text));
    counts_to_ten(server, "in-redis", redis.port);
}

#[test]
fn a_function_counts_in_memcached() {
    let memcached = Other::start(|port, _| {
        let mut command = program("memcached");
        command.args(["-p", &port.to_string(), "-l", "127.0.0.1", "-u", "nobody", "-t", "1"]);
        command
    });
    let server = Server::shared();
    let text = "
from pymemcache.client.base import Client
def main_handler(event, context):
    client = Client(('127.0.0.1', event['port']), timeout=5)
    client.add('runs', '0', noreply=False)
    return client.incr('runs', 1)
";
    server.deploy("in-memcached", &with_clients(text));
    counts_to_ten(server, "in-memcached", memcached.port);
}

#[test]
fn a_function_counts_in_mariadb() {
    let data = tempfile::tempdir().unwrap();
    let made = program("mariadb-install-db")
        .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"])
        .arg(format!("--datadir={}", data.path().display()))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let mariadb = Other::start(|port, folder| {
        let mut command = program("mariadbd");
        command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg(format!("--datadir={}", data.path().display()));
        command.arg(format!("--socket={}", folder.join("s").display()));
        command.arg("--innodb-buffer-pool-size=8M");
        command
    });
    let socket = format!("--socket={}", mariadb.folder.path().join("s").display());
    let statements = "CREATE DATABASE app; CREATE TABLE app.runs (n INT NOT NULL); INSERT INTO app.runs VALUES (0);
        CREATE USER 'fn'@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT, UPDATE ON app.runs TO 'fn'@'127.0.0.1';";
    let prepared = program("mariadb").args([&socket, "-u", "root", "-e", statements]).output().unwrap();
    assert!(prepared.status.success(), "{}", text(&prepared));
    let server = Server::shared();
    let text = "
import os, pymysql
def main_handler(event, context):
    connection = pymysql.connect(host='127.0.0.1', port=event['port'], user='fn', password=os.environ['PASSWORD'],
                                 database='app', connect_timeout=5)
    with connection, connection.cursor() as cursor:
        cursor.execute('UPDATE runs SET n = LAST_INSERT_ID(n + 1)')
        number = cursor.lastrowid
        connection.commit()
        return number
";
    let function = with_clients(text).with("env", json!({ "PASSWORD": "secret" })).with("timeout_s", 20);
    server.deploy("in-mariadb", &function);
    counts_to_ten(server, "in-mariadb", mariadb.port);
}
