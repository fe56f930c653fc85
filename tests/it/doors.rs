//! Who is let in, over real sockets: keys, the socket file, and where a secret must never be found again.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::json;

use crate::function::{expression, source};
use crate::raw::{Answer, Raw};
use crate::server::{Place, Server};
use crate::wait;

/// A user that owns nothing on any host.
const STRANGER: u32 = 0x7fff_0001;

/// Sends a head and nothing more, and gives what is answered.
fn answer_to_head(server: &Server, line: &str, headers: &str) -> Answer {
    Raw::connect(server.address()).send(format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")).answer()
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

fn new_key(server: &Server, name: &str, scope: &str) -> String {
    let made = server.call("POST", "/v1/keys", json!({"name": name, "scope": scope}).to_string().as_bytes());
    made.json()["key"].as_str().unwrap().to_owned()
}

/// A package is 75 MB: nobody who may not deploy makes the server take one.
#[test]
fn a_package_is_refused_by_its_head_alone() {
    let server = Server::start(&[]);
    let reader = new_key(&server, "reader", "read");
    let right = bearer(server.place().key());
    for length in ["Content-Length: 75000000\r\n", "Transfer-Encoding: chunked\r\n"] {
        for (status, line, authorization) in [
            (401, "PUT /v1/functions/big", String::new()),
            (401, "PUT /v1/functions/big", bearer("fnl_wrong")),
            (403, "PUT /v1/functions/big", bearer(&reader)),
            (404, "PUT /v1/nothing", right.clone()),
            (405, "PUT /v1/keys", right.clone()),
        ] {
            for expect in ["", "Expect: 100-continue\r\n"] {
                let answer = answer_to_head(&server, line, &format!("{authorization}{expect}{length}"));
                assert_eq!(answer.status, status, "{line} {authorization}{expect}{length}");
                assert_eq!(answer.header("connection"), Some("close"), "{line}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{line}");
            }
        }
        let welcome = answer_to_head(
            &server,
            "PUT /v1/functions/big",
            &format!("{right}Expect: 100-continue\r\n{length}"),
        );
        assert_eq!(welcome.status, 100);
    }
    let too_large =
        answer_to_head(&server, "PUT /v1/functions/big", &format!("{right}Content-Length: 99000000\r\n"));
    assert_eq!((too_large.status, too_large.header("content-type")), (413, Some("application/json")));
}

#[test]
fn guessing_is_told_to_stop_and_logged_and_locks_nobody_out() {
    let server = Server::start(&[]);
    let mut stranger = server.caller_with(Some("fnl_guess"));
    let statuses: Vec<u16> = (0..30).map(|_| stranger.call("GET", "/v1/functions", b"").status).collect();
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 20]);
    assert_eq!(server.call("GET", "/v1/functions", b"").status, 200, "the right key from the same address");
    let said = server.place().said();
    let told: Vec<&str> = said.lines().filter(|line| line.contains("wrong key")).collect();
    assert_eq!(told.len(), 2, "{said}");
    assert!(told.iter().all(|line| line.contains("127.0.0.1")), "{said}");
}

/// Whatever way a key is shown, right or wrong, and whatever is wrong with the request: it is in no log, no record and no
/// file, even where the server says all it can say.
#[test]
fn keys_are_found_in_no_log_and_no_file() {
    let server = Server::start(&["--log", "trace"]);
    let right = server.place().key().to_owned();
    let reader = new_key(&server, "reader", "read");
    let wrong = format!("{}x", &right[..right.len() - 1]);
    server.deploy("echo", &expression("[event, dict(context)]"));
    for key in [&right, &reader, &wrong] {
        show_everywhere(&server, key);
    }
    let records =
        server.get("/v1/invocations?limit=1000").to_string() + &server.get("/v1/logs?limit=1000").to_string();
    let (status, place) = server.stop();
    assert!(status.success());
    let mut searched = vec![("the records".to_owned(), records.into_bytes())];
    collect_files(place.db().parent().unwrap(), &mut searched);
    assert!(searched.iter().any(|(name, bytes)| name.ends_with("server.log")
        && String::from_utf8_lossy(bytes).contains("a wrong key came from")));
    assert!(searched.iter().any(|(name, bytes)| name.ends_with("fnlite.db") && bytes.len() > 1000));
    for key in [&right, &reader, &wrong] {
        // Without the prefix that all have.
        let secret = &key.as_bytes()[4..40];
        for (name, bytes) in &searched {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{name}");
        }
    }
}

/// Shows a key in every place that somebody may think of.
fn show_everywhere(server: &Server, key: &str) {
    let run = "POST /v1/functions/echo/invoke";
    let body = "Content-Length: 2\r\n\r\n{}";
    for (line, headers) in [
        (run, format!("{}{body}", bearer(key))),
        (run, format!("authorization: bearer   {key}\r\n{body}")),
        (run, format!("Authorization: {key}\r\n{body}")),
        (run, format!("Authorization: Basic {key}\r\n{body}")),
        (run, format!("Authorization: Bearer {key} {key}\r\n{body}")),
        (run, format!("X-Api-Key: {key}\r\nCookie: key={key}\r\n{body}")),
        (run, format!("{}X-Bad: {key}\u{1}\r\n{body}", bearer(key))),
        (run, format!("{}Expect: {key}\r\n{body}", bearer(key))),
        (run, format!("{}Content-Length: {key}\r\n\r\n", bearer(key))),
        (&format!("GET /v1/functions?key={key}"), bearer(key)),
        (&format!("GET /v1/functions?cursor={key}"), bearer(key)),
        (&format!("GET /v1/functions/{key}"), bearer(key)),
        (&format!("POST /v1/functions/{key}/invoke"), format!("{}{body}", bearer(key))),
        (&format!("GET /v1/invocations/{key}"), bearer(key)),
        (&format!("DELETE /v1/keys/{key}"), bearer(key)),
        (&format!("GET /{key}"), String::new()),
        (&format!("GET http://user:{key}@host/v1/functions"), String::new()),
        (&format!("{key} /v1/functions"), String::new()),
        (&format!("GET {key}"), String::new()),
    ] {
        let mut client = Raw::connect(server.address());
        client.send(format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n")).finish_sending();
        assert!(!client.answers_until_close().is_empty(), "{line}");
    }
    let mut local = UnixStream::connect(server.place().file("fnlite.sock")).unwrap();
    write!(local, "{run} HTTP/1.1\r\nHost: h\r\n{}{body}", bearer(key)).unwrap();
    assert_eq!(Raw::new(local).answer().status, 200);
}

/// Every plain file below a folder with what is in it.
fn collect_files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            collect_files(&path, found);
        } else if kind.is_file() {
            found.push((path.to_string_lossy().into_owned(), fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn nothing_that_can_be_typed_switches_keys_off() {
    let server = Server::shared();
    let description = server.get("/openapi.json");
    let mut asked = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (verb, operation) in operations.as_object().unwrap() {
            let is_open = operation["security"].as_array().unwrap().is_empty();
            let answer =
                server.caller_with(None).call(&verb.to_uppercase(), &path.replace(['{', '}'], ""), b"");
            assert_eq!(answer.status == 401, !is_open, "{verb} {path}: {}", answer.text());
            asked += usize::from(!is_open);
        }
    }
    assert!(asked > 10);
    let help = server.place().fnlite(&["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options: Vec<&str> = help.split_whitespace().filter(|word| word.starts_with("--")).collect();
    assert!(options.len() > 10, "{help}");
    for word in ["auth", "no-", "insecure", "open", "trust", "anonymous"] {
        assert!(!options.iter().any(|option| option.contains(word)), "{word} in {options:?}");
    }
}

/// Asks for the list of keys over the socket file, without one.
fn keys_by_socket(place: &Place) -> u16 {
    let mut local = UnixStream::connect(place.file("fnlite.sock")).unwrap();
    local.write_all(b"GET /v1/keys HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    Raw::new(local).answer().status
}

/// A server that is root gives functions other users, and at level 3 they do not see the file: opening it says enough.
#[test]
fn the_socket_file_asks_for_no_key_where_functions_cannot_open_it() {
    let levels = if rustix::process::geteuid().is_root() { 1..=3 } else { 3..=3 };
    for level in levels {
        let place = Server::at_level(level).place();
        assert_eq!(keys_by_socket(place), 200, "level {level}");
        assert!(!place.file("fnlite.sock.key").exists(), "level {level}");
        assert_eq!(fs::metadata(place.file("fnlite.sock")).unwrap().mode() & 0o777, 0o600);
    }
}

/// Tries the socket file from within, with whatever key can be found.
const INTRUDER: &str = r#"
import socket

def main_handler(event, context):
    try:
        key = open(event["key"]).read().strip()
    except OSError as error:
        key = "fnl_" + type(error).__name__
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(event["socket"])
    except OSError as error:
        return [key, type(error).__name__]
    client.sendall(f"GET /v1/keys HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return [key, client.recv(100).decode().split(" ")[1]]
"#;

/// Below level 3 a server without rights shares its user with its functions, which then can open the socket file.
#[test]
fn the_socket_file_asks_for_a_key_where_functions_can_open_it() {
    let place = Place::new();
    let user = STRANGER.to_string();
    let become_user =
        ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--pdeathsig", "KILL", "--"];
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(place.db().parent().unwrap(), Some(STRANGER), Some(STRANGER)).unwrap();
    }
    let server = place.serve_by(if is_root { &become_user } else { &[] }, &["--isolation-max", "2"]);
    let place = server.place();
    let key_file = place.file("fnlite.sock.key");
    assert_eq!(fs::metadata(&key_file).unwrap().mode() & 0o777, 0o600);
    assert_eq!(keys_by_socket(place), 401);
    let listed = server.fnlite(&["keys", "list", "--json"]);
    assert!(
        listed.status.success(),
        "the command line shows the key: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    server.deploy("intruder", &source(INTRUDER));
    let event = json!({"key": &key_file, "socket": place.file("fnlite.sock")}).to_string();
    let [key, status]: [String; 2] =
        serde_json::from_value(server.invoke("intruder", event).returned()).unwrap();
    assert_eq!(key, "fnl_PermissionError", "the key file cannot be read");
    assert_ne!(status, "200");
    let (_, place) = server.stop();
    wait::until("the key is gone with the server", || {
        (!place.file("fnlite.sock.key").exists()).then_some(())
    });
}
