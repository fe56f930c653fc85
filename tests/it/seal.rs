//! `--seal-key`: what a function's environment holds is in no file but the key's owner can read, and the key is the only one
//! that opens it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fnlite::base::clock::SystemClock;
use fnlite::error::Kind;
use fnlite::store::{Options, Store};
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::function::{Function, expression};
use crate::server::{Place, Server};

/// Words that stand in environments and must be found nowhere else; one in a text of some pages.
const SECRETS: [&str; 4] =
    ["harmless-as-it-looks", "replaced-long-ago", "of-one-who-is-gone", "as-long-as-a-certificate"];

/// A function that shows that it has the secret, without telling it: what it returns is on record.
fn tells(secret: &str) -> Function {
    let env = json!({ "SECRET": secret, "LONG": format!("{}{secret}", "x".repeat(3000)) });
    let shown = "__import__('hashlib').sha256(__import__('os').environ['SECRET'].encode()).hexdigest()";
    expression(shown).with("env", env)
}

/// What such a function returns.
fn shown(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Deploys all secrets: one stands, one was replaced, one deleted.
fn deploy_all(server: &Server) {
    for (name, secret) in [("kept", 1), ("kept", 0), ("gone", 2), ("long", 3)] {
        server.deploy(name, &tells(SECRETS[secret]));
    }
    assert_eq!(server.call("DELETE", "/v1/functions/gone", b"").status, 204);
}

#[test]
fn what_is_sealed_from_the_start_is_in_no_file() {
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    check_tells(&server);
    let backup = server.place().file("backup.db");
    assert!(server.fnlite(&["backup", "backup.db"]).status.success());
    assert_eq!(secrets_beside(server.place()), Vec::<String>::new());
    let place = server.kill9();
    assert_eq!(secrets_beside(&place), Vec::<String>::new());
    assert!(backup.exists());
    check_tells(&place.serve(&["--seal-key", "key"]));
}

/// Also of what had been replaced and deleted before, in free space that no row reaches.
#[test]
fn nothing_is_left_of_what_was_plain_once_there_is_a_key() {
    let server = Server::start(&[]);
    deploy_all(&server);
    // Or the write-ahead log is all there is.
    let (_, place) = server.stop();
    let server = place.serve(&[]);
    server.deploy("later", &tells(SECRETS[0]));
    let place = server.kill9();
    let found = secrets_beside(&place);
    assert!(
        ["fnlite.db", "fnlite.db-wal"].iter().all(|name| found.iter().any(|file| file == name)),
        "{found:?}"
    );

    let server = place.serve(&["--seal-key", "key"]);
    assert_eq!(secrets_beside(server.place()), Vec::<String>::new());
    check_tells(&server);
    let (_, place) = server.stop();
    assert_eq!(secrets_beside(&place), Vec::<String>::new());
    let server = place.serve(&["--seal-key", "key"]);
    assert_eq!(server.place().said().matches("is written anew").count(), 1, "once is enough");
    check_tells(&server);
}

#[test]
fn functions_that_are_gone_leave_nothing_either() {
    let server = Server::start(&[]);
    deploy_all(&server);
    for name in ["kept", "long"] {
        assert_eq!(server.call("DELETE", &format!("/v1/functions/{name}"), b"").status, 204);
    }
    let (_, place) = server.stop();
    assert_eq!(secrets_beside(&place), ["fnlite.db"]);
    let server = place.serve(&["--seal-key", "key"]);
    assert_eq!(secrets_beside(server.place()), Vec::<String>::new());
}

#[test]
fn a_start_that_was_cut_off_before_the_file_was_swept_is_made_up_for() {
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    let (_, place) = server.stop();
    // As a server leaves it that was killed within its first start with a key.
    let left = "UPDATE version SET env = replace(env, 'sealed:', 'sealing:');
        CREATE TABLE left_over (text); INSERT INTO left_over VALUES ('replaced-long-ago'); DROP TABLE left_over;";
    Connection::open(place.db()).unwrap().execute_batch(left).unwrap();
    assert_eq!(secrets_beside(&place), ["fnlite.db"]);
    let server = place.serve(&["--seal-key", "key"]);
    assert_eq!(secrets_beside(server.place()), Vec::<String>::new());
    check_tells(&server);
}

/// The write-ahead log cannot be emptied while another program reads an old state of the database.
#[test]
fn a_file_that_cannot_be_swept_is_not_served() {
    let server = Server::start(&[]);
    deploy_all(&server);
    let place = server.kill9();
    let options =
        Options { path: place.db(), external_checkpointer: false, seal_key: Some(place.file("key")) };
    let reader = Connection::open(place.db()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM version;").unwrap();
    let refused = Store::open(&options, Arc::new(SystemClock)).unwrap_err();
    assert_eq!(refused.kind, Kind::Busy, "{refused}");
    assert!(refused.message.starts_with("another program is reading the database"), "{refused}");
    drop(reader);
    let server = place.serve(&["--seal-key", "key"]);
    assert_eq!(secrets_beside(server.place()), Vec::<String>::new());
    check_tells(&server);
}

#[test]
fn without_its_key_a_database_is_not_served() {
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    assert!(server.fnlite(&["backup", "backup.db"]).status.success());
    let (_, place) = server.stop();
    write_key(&place.file("other"), &"0123456789abcdef".repeat(4), 0o600);
    write_key(&place.file("short"), "0123456789abcdef", 0o600);
    write_key(&place.file("open"), &fs::read_to_string(place.file("key")).unwrap(), 0o640);
    for (key, said) in [
        (None, "the environments in the database are sealed; --seal-key FILE names the key"),
        (Some("other"), "the secrets in the database are sealed with another key than that in other"),
        (Some("nowhere"), "the environments in the database are sealed, and there is no key at nowhere"),
        (Some("short"), "the seal key short cannot be used: it does not hold 64 hexadecimal digits"),
        (Some("open"), "the seal key open cannot be used: others may read it (mode 640); chmod 600 it"),
    ] {
        for db in ["fnlite.db", "backup.db"] {
            check_refused(&place, db, key, said);
        }
    }
    assert!(!place.file("nowhere").exists(), "a key was made that opens nothing");
    check_tells(&place.serve(&["--seal-key", "key"]));
}

/// As systemd does with its credentials, whose access list shows as a right of the group.
#[test]
fn a_key_may_be_handed_to_the_server_by_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give a file away");
        return;
    }
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    let (_, place) = server.stop();
    let key = place.file("key");
    std::os::unix::fs::chown(&key, Some(64_123), None).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o444)).unwrap();
    let said = "the seal key key cannot be used: others may read it (mode 444); chmod 600 it";
    check_refused(&place, "fnlite.db", Some("key"), said);
    fs::set_permissions(&key, Permissions::from_mode(0o440)).unwrap();
    check_tells(&place.serve(&["--seal-key", "key"]));
}

/// From the variable and the file as well as by the flag, as every option; a copy of the database needs the same key.
#[test]
fn a_backup_is_served_with_the_key() {
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    assert!(server.fnlite(&["backup", "copy.db"]).status.success());
    let copy = Place::new().with_key_of(&server);
    fs::copy(server.place().file("copy.db"), copy.db()).unwrap();
    let key = fs::read_to_string(server.place().file("key")).unwrap();
    assert_eq!(fs::metadata(server.place().file("key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(key.len() == 65 && key.ends_with('\n'), "{key}");
    write_key(&copy.file("key"), &key, 0o400);
    fs::write(copy.file("fnlite.toml"), "[serve]\nseal-key = 'key'\n").unwrap();
    let server = copy.serve(&[]);
    check_tells(&server);
    let place = server.kill9();
    fs::remove_file(place.file("fnlite.toml")).unwrap();
    check_tells(&place.serve_by(&["env", "FNLITE_SEAL_KEY=key"], &[]));
}

#[test]
fn a_sealed_environment_opens_for_its_own_function_only() {
    let server = Server::start(&["--seal-key", "key"]);
    deploy_all(&server);
    server.deploy("thief", &expression("str(__import__('os').environ)").with("env", json!({ "A": "b" })));
    let (_, place) = server.stop();
    let moved = "UPDATE version SET env = (SELECT env FROM version v JOIN function f ON f.id = v.function_id
            WHERE f.name = 'kept')
        WHERE function_id = (SELECT id FROM function WHERE name = 'thief')";
    assert_eq!(Connection::open(place.db()).unwrap().execute(moved, []).unwrap(), 1);
    let server = place.serve(&["--seal-key", "key"]);
    let answer = server.call("POST", "/v1/functions/thief/invoke", b"{}");
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(answer.refusal().contains("environment does not open"), "{}", answer.text());
    check_tells(&server);
    server.deploy("thief", &tells("reformed"));
    assert_eq!(server.invoke("thief", "{}").returned(), shown("reformed"));
}

#[test]
fn doctor_says_whether_environments_are_sealed() {
    let server = Server::start(&["--seal-key", "key"]);
    let said = |server: &Server| String::from_utf8(server.fnlite(&["doctor"]).stdout).unwrap();
    assert!(said(&server).contains("environments of functions are sealed"), "{}", said(&server));
    let plain = Server::shared();
    assert!(said(plain).contains("in the database as they are"), "{}", said(plain));
}

/// What stands is handed to its function, and told to those who may deploy it.
#[track_caller]
fn check_tells(server: &Server) {
    for (name, secret) in [("kept", SECRETS[0]), ("long", SECRETS[3])] {
        assert_eq!(server.invoke(name, "{}").returned(), shown(secret));
        assert_eq!(server.get(&format!("/v1/functions/{name}"))["env"]["SECRET"], secret);
    }
}

/// With exit code 78 and one sentence.
#[track_caller]
fn check_refused(place: &Place, db: &str, key: Option<&str>, said: &str) {
    let mut words = vec!["serve", "--listen", "127.0.0.1:0", "--db", db];
    words.extend(key.iter().flat_map(|key| ["--seal-key", key]));
    let output = place.fnlite_for_moments(&words);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), error.trim_end()), (Some(78), format!("fnlite: {said}").as_str()));
}

fn write_key(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The files of a server in which a secret stands, by name.
fn secrets_beside(place: &Place) -> Vec<String> {
    let folder = place.db().parent().unwrap().to_owned();
    let mut found: Vec<String> = files(&folder)
        .into_iter()
        .filter(|path| {
            let bytes = fs::read(path).unwrap_or_default();
            SECRETS.iter().any(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
        })
        .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
        .collect();
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() && !path.is_symlink() {
                return files(&path);
            }
            if path.is_file() { vec![path] } else { Vec::new() }
        })
        .collect()
}
