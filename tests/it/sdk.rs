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
        Signed::on(Place::new().serve(&[]))
    }

    fn on(server: Server) -> Signed {
        let (secret_id, secret_key) = signing_key(&server, "sdk", "admin");
        Signed { server, secret_id, secret_key }
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

/// A new pair that signs, of that scope.
pub(crate) fn signing_key(server: &Server, name: &str, scope: &str) -> (String, String) {
    let out = server.fnlite(&["keys", "create", name, "--scope", scope, "--tencent", "--json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let key: Value = serde_json::from_slice(&out.stdout).unwrap();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    (text("secret_id"), text("secret_key"))
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
fn python_error_codes() {
    python("codes.py");
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

/// The object storage's own SDK needs an address of the storage's own, or names that lead here; and keys of every scope.
#[test]
fn python_cos() {
    let interpreter = place("target/sdk/python/bin/python");
    assert!(interpreter.exists(), "the SDK is missing: run scripts/test, which installs it in target/sdk");
    let signed = Signed::on(Place::new().serve(&["--cos-listen", "127.0.0.1:0"]));
    let mut command = program(&interpreter);
    command.args(["-B", "cos.py"]).env("FNLITE_COS", signed.server.cos_address().to_string());
    for scope in ["read", "invoke"] {
        let (id, key) = signing_key(&signed.server, scope, scope);
        let name = scope.to_uppercase();
        command.env(format!("{name}_ID"), id).env(format!("{name}_KEY"), key);
    }
    check(&signed.run(command), "cos.py");
}

#[test]
fn python_every_action_answers() {
    python("actions.py");
}

/// A current Node.js: the host's, or the one that `scripts/test` installs.
pub(crate) fn node() -> Command {
    let ours = place("target/node/package/bin/node");
    program(if ours.exists() { ours } else { PathBuf::from("node") })
}

#[test]
fn nodejs_every_action() {
    let modules = place("target/sdk/node_modules");
    assert!(modules.exists(), "the SDK is missing: run scripts/test, which installs it in target/sdk");
    // Where the host's is too old, this is the one that scripts/test has installed.
    let mut command = node();
    command.arg("every_action.cjs").env("NODE_PATH", modules);
    check(&Signed::new().run(command), "every_action.cjs");
}

/// 665 MB of SDKs come with it, so it is installed for `scripts/test --all` alone.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
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

/// The fenced block of that language in the README's page about the SDKs.
fn snippet(language: &str) -> String {
    snippet_of("Use it with the Tencent Cloud SDK", language)
}

fn snippet_of(page: &str, language: &str) -> String {
    let readme = std::fs::read_to_string(place("README.md")).unwrap();
    let page = readme.split(&format!("## {page}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap();
    block.to_owned()
}

/// Writes a snippet, with the server's own address for the usual one, to be run as whoever reads the page would.
fn told(signed: &Signed, language: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let here = signed.server.address().to_string();
    let text = snippet(language);
    std::fs::write(file.path(), text.replace("127.0.0.1:9980", &here)).unwrap();
    file
}

fn as_told(signed: &Signed, mut command: Command) -> String {
    command
        .env("TENCENTCLOUD_SECRET_ID", &signed.secret_id)
        .env("TENCENTCLOUD_SECRET_KEY", &signed.secret_key);
    let out = signed.run(command);
    check(&out, "a snippet of the README");
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_readmes_snippets_do_what_they_say() {
    let signed = Signed::new();
    let file = told(&signed, "python");
    let mut command = program(place("target/sdk/python/bin/python"));
    command.arg("-B").arg(file.path());
    let said = as_told(&signed, command);
    assert!(said.starts_with("{\"key\": \"value\"} ") && said.contains("\ncalled\n"), "{said}");

    let file = told(&signed, "javascript");
    let mut command = node();
    command.arg(file.path()).env("NODE_PATH", place("target/sdk/node_modules"));
    let said = as_told(&signed, command);
    assert!(said.starts_with("{\"key\": \"value\"}\nSTART RequestId: "), "{said}");

    let tccli = place("target/tccli/bin/tccli");
    if !tccli.exists() {
        eprintln!("SKIPPED: tccli is installed by scripts/test --all only");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let alias = format!(
        "set -e\ntcscf() {{ {} scf \"$@\" --endpoint http://{}; }}\n",
        tccli.display(),
        signed.server.address()
    );
    let mut command = program("bash");
    command.arg("-c").arg(alias + &snippet("sh"));
    command.env("HOME", home.path()).env("TENCENTCLOUD_REGION", "ap-guangzhou").env("NO_PROXY", "127.0.0.1");
    let said = as_told(&signed, command);
    assert!(said.contains("\"FunctionVersion\": \"1\""), "{said}");
}

/// Over the socket file the command line does not know where the server listens: the server says so.
#[test]
fn what_is_pasted_for_tccli_names_the_servers_own_address() {
    let server = Server::start(&[]);
    for (words, endpoint) in [
        (&["tccli-env"][..], server.address().to_string()),
        (&["tccli-env", "--key", "other", "--endpoint", "edge.lan:80"][..], "edge.lan:80".to_owned()),
    ] {
        let out = server.fnlite(words);
        check(&out, "tccli-env");
        let said = String::from_utf8(out.stdout).unwrap();
        assert!(said.contains(&format!("--endpoint http://{endpoint}'")), "{said}");
    }
}

#[test]
fn the_readmes_object_is_put_and_got() {
    let signed = Signed::on(Place::new().serve(&["--cos-listen", "127.0.0.1:0"]));
    let file = tempfile::NamedTempFile::new().unwrap();
    let here = signed.server.cos_address();
    let text = snippet_of("Object storage", "python")
        .replace("Port=9500", &format!("Port={}", here.port()))
        .replace("127.0.0.1:9500", &here.to_string());
    std::fs::write(file.path(), text).unwrap();
    let mut command = program(place("target/sdk/python/bin/python"));
    command.arg("-B").arg(file.path());
    assert_eq!(as_told(&signed, command), "some bytes\n['photos-1250000000']\n");
}

/// `FNLITE_GOLDEN=write` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn the_readme_has_the_table_of_actions() {
    let readme = std::fs::read_to_string(place("README.md")).unwrap();
    let (before, rest) = readme.split_once("<!-- actions -->\n").unwrap();
    let (found, after) = rest.split_once("<!-- /actions -->").unwrap();
    let table = fnlite::api::tencent::actions::table();
    if std::env::var_os("FNLITE_GOLDEN").is_some() {
        let whole = format!("{before}<!-- actions -->\n{table}<!-- /actions -->{after}");
        std::fs::write(place("README.md"), whole).unwrap();
    } else {
        assert_eq!(found, table, "run this test with FNLITE_GOLDEN=write");
    }
}
