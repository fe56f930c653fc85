//! The official SDKs and tools of Tencent Cloud, unmodified, against a real server: the programs of `tests/sdk`.
//!
//! `scripts/test` installs the SDKs in `target/sdk`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::server::{Place, Server, program};

/// Where things stand in this checkout.
fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A server with a key that signs.
struct Signed {
    server: Server,
    secret_id: String,
    secret_key: String,
}

impl Signed {
    fn new() -> Signed {
        let server = Place::new().serve(&[]);
        let out = server.fnlite(&["keys", "create", "sdk", "--tencent", "--json"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let key: Value = serde_json::from_slice(&out.stdout).unwrap();
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Signed { server, secret_id: text("secret_id"), secret_key: text("secret_key") }
    }

    /// Runs a program of `tests/sdk` to its end.
    fn run(&self, mut command: Command) -> Output {
        command
            .current_dir(place("tests/sdk"))
            .env("FNLITE_ENDPOINT", self.server.address().to_string())
            .env("SECRET_ID", &self.secret_id)
            .env("SECRET_KEY", &self.secret_key)
            .stdin(Stdio::null());
        command.output().unwrap()
    }
}

#[track_caller]
fn check(out: &Output, what: &str) {
    let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{what}: {}\n{said}{complained}", out.status);
}

#[track_caller]
fn python(name: &str) {
    let interpreter = place("target/sdk/python/bin/python");
    assert!(interpreter.exists(), "the SDK is missing: run scripts/test, which installs it in target/sdk");
    let mut command = program(&interpreter);
    command.args(["-B", name]);
    check(&Signed::new().run(command), name);
}

#[test]
fn python_functions() {
    python("functions.py");
}

#[test]
fn python_invoke() {
    python("invoke.py");
}

#[test]
fn python_versions_and_aliases() {
    python("versions.py");
}

#[test]
fn python_namespaces_layers_concurrency_account() {
    python("nouns.py");
}

#[test]
fn python_events_and_logs() {
    python("events.py");
}

#[test]
fn python_triggers() {
    python("triggers.py");
}

#[test]
fn python_log_service() {
    python("cls.py");
}

#[test]
fn python_every_action_answers() {
    python("actions.py");
}

#[test]
fn nodejs_every_action() {
    let modules = place("target/sdk/node_modules");
    assert!(modules.exists(), "the SDK is missing: run scripts/test, which installs it in target/sdk");
    // Where the host's is too old, this is the one that scripts/test has installed.
    let ours = place("target/node/package/bin/node");
    let mut command = program(if ours.exists() { ours } else { PathBuf::from("node") });
    command.arg("every_action.cjs").env("NODE_PATH", modules);
    check(&Signed::new().run(command), "every_action.cjs");
}

/// 665 MB of SDKs come with it, so it is installed for `scripts/test --all` alone.
#[test]
fn tccli_manages_and_calls() {
    let tccli = place("target/tccli/bin/tccli");
    if !tccli.exists() {
        assert!(std::env::var_os("FNLITE_TEST_ALL").is_none(), "tccli is missing: run scripts/test --all");
        eprintln!("SKIPPED: tccli is installed by scripts/test --all only");
        return;
    }
    let signed = Signed::new();
    let mut command = program("bash");
    command.args(["tccli.sh"]).env("TCCLI", tccli).env("FNLITE", env!("CARGO_BIN_EXE_fnlite"));
    command.env("FNLITE_URL", format!("http://{}", signed.server.address()));
    command.env("FNLITE_KEY", signed.server.place().key());
    check(&signed.run(command), "tccli.sh");
}
