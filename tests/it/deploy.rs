//! Deploying, replacing, deleting; and everything that is refused with a sentence before anything is stored.

use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::function::{expression, folder, source};
use crate::gate::Gate;
use crate::processes;
use crate::server::Server;
use crate::wait;

#[test]
fn a_deployed_function_is_found_as_it_was_given() {
    let server = Server::shared();
    let function = expression("1")
        .with("timeout_s", 9)
        .with("memory_mb", 64)
        .with("reserved_mb", 640)
        .with("description", "zählt")
        .with("env", json!({ "B": "2", "A": "1" }));
    let answer = server.call("PUT", "/v1/functions/given", function.body().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let found = server.get("/v1/functions/given");
    for (field, value) in [
        ("namespace", json!("default")),
        ("name", json!("given")),
        ("runtime", json!("Python3.10")),
        ("handler", json!("index.main_handler")),
        ("timeout_s", json!(9)),
        ("init_timeout_s", json!(65)),
        ("memory_mb", json!(64)),
        ("reserved_mb", json!(640)),
        ("description", json!("zählt")),
    ] {
        assert_eq!(found[field], value, "{field}");
        assert_eq!(answer.json()[field], value, "{field}");
    }
    assert_eq!(found["env"].to_string(), r#"{"B":"2","A":"1"}"#, "in the order given");
    assert_eq!(server.call("PUT", "/v1/functions/given", function.body().as_bytes()).status, 200);
    let listed = server.get("/v1/functions?limit=1000");
    let listed = listed["functions"].as_array().unwrap().iter().find(|one| one["name"] == "given").unwrap();
    assert_eq!(listed["handler"], "index.main_handler");
}

#[test]
fn an_interpreter_that_stands_in_is_named() {
    let server = Server::shared();
    let answer = server.deploy("old", &expression("1").with("runtime", "python3.6"));
    assert_eq!(answer["runtime"], "Python3.6");
    // Unless the host has that very one.
    let notes = answer["notes"].to_string();
    assert!(notes == "[]" || notes.contains("Python3.6 is not on this host"), "{answer}");
    assert_eq!(server.invoke("old", "{}").returned(), 1);
}

#[test]
fn code_comes_back_as_it_was_sent_in_every_way_to_send_it() {
    let server = Server::shared();
    let archive = zip(&[
        ("index.py", b"def main_handler(event, context):\n    return 'zipped'\n"),
        ("data/x.bin", b"\0\xff"),
    ]);
    let target = "/v1/functions/zipped?runtime=Python3.10&handler=index.main_handler&env=A=b%3Dc&timeout_s=5";
    let answer = server.call("PUT", target, &archive);
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!((&answer.json()["env"], &answer.json()["timeout_s"]), (&json!({ "A": "b=c" }), &json!(5)));
    let encoded = expression("1").with("code", json!({ "zip_base64": STANDARD.encode(&archive) }));
    server.deploy("encoded", &encoded);
    for name in ["zipped", "encoded"] {
        assert_eq!(server.invoke(name, "{}").returned(), "zipped");
        let code = server.call("GET", &format!("/v1/functions/{name}/code"), b"");
        assert!(code.status == 200 && code.body == archive, "{name}: {}", code.status);
    }
}

#[test]
fn namespaces_keep_functions_apart() {
    let server = Server::shared();
    for (space, value) in [("default", "1"), ("other", "2")] {
        let target = format!("/v1/functions/spaced?namespace={space}");
        assert_eq!(server.call("PUT", &target, expression(value).body().as_bytes()).status, 201);
    }
    for (query, value) in [("", "1"), ("?namespace=default", "1"), ("?namespace=other", "2")] {
        let answer = server.call("POST", &format!("/v1/functions/spaced/invoke{query}"), b"{}");
        assert_eq!(answer.text(), value, "{query}");
    }
    assert_eq!(server.call("DELETE", "/v1/functions/spaced?namespace=other", b"").status, 204);
    assert_eq!(server.invoke("spaced", "{}").returned(), 1);
    let records = server.get("/v1/invocations?namespace=other&function=spaced");
    assert_eq!(records["invocations"][0]["namespace"], "other", "{records}");
}

#[test]
fn no_run_that_begins_after_a_redeploy_uses_the_old_code() {
    let server = Server::shared();
    let gate = Gate::new();
    server.deploy("replaced", &folder("gate").with("timeout_s", 60));
    std::thread::scope(|scope| {
        let old = scope.spawn(|| server.invoke("replaced", gate.event()));
        let held = gate.arrival();
        server.deploy("replaced", &expression("'new'"));
        for _ in 0..20 {
            assert_eq!(server.invoke("replaced", "{}").returned(), "new");
        }
        drop(held);
        assert_eq!(old.join().unwrap().returned(), "passed", "what ran goes on");
    });
}

#[test]
fn redeploys_under_load_never_go_back() {
    let server = Server::start(&[]);
    let version = |number: u64| expression(&number.to_string());
    server.deploy("counted", &version(0));
    let (deployed, deploying) = (AtomicU64::new(0), AtomicU64::new(0));
    const LAST: u64 = 15;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut caller = server.caller();
                while deployed.load(Ordering::SeqCst) < LAST {
                    let at_least = deployed.load(Ordering::SeqCst);
                    let used = caller.invoke("counted", "{}").returned().as_u64().unwrap();
                    let at_most = deploying.load(Ordering::SeqCst);
                    assert!((at_least..=at_most).contains(&used), "{used} is not of {at_least} to {at_most}");
                }
            });
        }
        for number in 1..=LAST {
            deploying.store(number, Ordering::SeqCst);
            server.deploy("counted", &version(number));
            deployed.store(number, Ordering::SeqCst);
        }
    });
    assert_eq!(server.invoke("counted", "{}").returned(), LAST);
}

#[test]
fn a_deleted_function_is_gone_but_its_runs_are_found() {
    let server = Server::start(&[]);
    let gate = Gate::new();
    server.deploy("deleted", &folder("gate").with("timeout_s", 60).with("env", json!({ "MARK": "deleted" })));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke("deleted", gate.event()));
        let held = gate.arrival();
        assert_eq!(server.call("DELETE", "/v1/functions/deleted", b"").status, 204);
        for (method, target) in [
            ("GET", "/v1/functions/deleted"),
            ("GET", "/v1/functions/deleted/code"),
            ("POST", "/v1/functions/deleted/invoke"),
            ("DELETE", "/v1/functions/deleted"),
        ] {
            let answer = server.call(method, target, b"");
            assert_eq!(
                (answer.status, answer.refusal().contains("deleted")),
                (404, true),
                "{method} {target}"
            );
        }
        drop(held);
        let run = call.join().unwrap();
        assert_eq!(run.returned(), "passed", "what ran goes on");
        assert_eq!(server.printed(&run.request_id), ["at the gate"]);
        let records = server.get("/v1/invocations?function=deleted");
        assert_eq!(records["invocations"][0]["request_id"], run.request_id);
        assert!(server.get("/v1/logs?function=deleted").to_string().contains("at the gate"));
    });
    wait::until("nothing of it runs", || processes::marked("MARK=deleted").is_empty().then_some(()));
    server.deploy("deleted", &expression("'again'"));
    assert_eq!(server.invoke("deleted", "{}").returned(), "again");
    assert_eq!(server.get("/v1/invocations?function=deleted")["invocations"].as_array().unwrap().len(), 2);
}

#[test]
fn a_deploy_that_is_refused_leaves_the_function_as_it_was() {
    let server = Server::shared();
    server.deploy("standing", &expression("'old'"));
    let before = server.get("/v1/functions/standing");
    for wrong in [
        source("x").with("handler", "no-dot"),
        source("x").with("timeout_s", 0),
        source("x").with("code", json!({ "zip_base64": "AAAA" })),
    ] {
        assert_eq!(server.call("PUT", "/v1/functions/standing", wrong.body().as_bytes()).status, 400);
    }
    assert_eq!(server.get("/v1/functions/standing"), before);
    assert_eq!(server.invoke("standing", "{}").returned(), "old");
}

#[test]
fn a_deploy_may_depend_on_what_is_there() {
    let server = Server::shared();
    let put = |header: &str, value: &str, text: &str| {
        let body = expression(text).body();
        server.caller().call_with(&[(header, value)], "PUT", "/v1/functions/watched", body.as_bytes())
    };
    assert_eq!(put("If-Match", "\"1\"", "0").status, 412, "there is none");
    let made = put("If-None-Match", "*", "1");
    assert_eq!(made.status, 201);
    let first = made.tag.clone();
    assert_eq!(put("If-None-Match", "*", "2").refusal(), "there is a function watched in default already");
    let seen = server.call("GET", "/v1/functions/watched", b"");
    assert_eq!(seen.tag, first);
    let second = put("If-Match", &first, "3");
    assert_eq!(second.status, 200);
    assert_ne!(second.tag, first);
    let late = put("If-Match", &first, "4");
    assert_eq!((late.status, server.invoke("watched", "{}").returned()), (412, json!(3)));
    for (header, value) in [("If-Match", "*"), ("If-Match", "7"), ("If-None-Match", "\"7\"")] {
        assert_eq!(put(header, value, "5").status, 400, "{header}: {value}");
    }
}

/// Checks that a deploy of that body is refused with a sentence that has these words, and that nothing is stored.
#[track_caller]
fn refused(server: &Server, body: &[u8], statuses: &[u16], said: &str) {
    let answer = server.call("PUT", "/v1/functions/wrong", body);
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    assert!(statuses.contains(&answer.status), "{} for {shown}: {}", answer.status, answer.text());
    assert!(answer.refusal().contains(said), "{shown}: {}", answer.refusal());
    assert_eq!(server.call("GET", "/v1/functions/wrong", b"").status, 404, "{shown}");
}

#[test]
fn wrong_fields_are_refused_by_name_and_range() {
    let server = Server::shared();
    for (field, value, said) in [
        ("runtime", json!(null), "runtime is required"),
        ("runtime", json!(""), "runtime must be one of"),
        ("runtime", json!("Ruby3.0"), "runtime must be one of"),
        ("runtime", json!("Java8"), "runtime Java8 is not run"),
        ("runtime", json!("Java11"), "runtime Java11 is not run"),
        ("runtime", json!(3), "runtime must be a string"),
        ("handler", json!(null), "handler is required"),
        ("handler", json!("index"), "handler must be"),
        ("handler", json!("../index.main_handler"), "handler must be"),
        ("handler", json!("/etc/passwd.x"), "handler must be"),
        ("handler", json!("src/index.main_handler"), "handler must be"),
        ("handler", json!("index.main.handler"), "handler must be"),
        ("handler", json!("index.main_handler\0"), "handler must be"),
        ("handler", json!("índex.main_handler"), "handler must be"),
        ("timeout_s", json!(0), "timeout_s must be 1 to 900"),
        ("timeout_s", json!(901), "timeout_s must be 1 to 900"),
        ("timeout_s", json!(-1), "timeout_s must be"),
        ("timeout_s", json!(1.5), "timeout_s must be"),
        ("timeout_s", json!("3"), "timeout_s must be"),
        ("timeout_s", json!(18_446_744_073_709_551_615_u64), "timeout_s must be"),
        ("init_timeout_s", json!(0), "init_timeout_s must be 1 to 300"),
        ("init_timeout_s", json!(301), "init_timeout_s must be 1 to 300"),
        ("memory_mb", json!(0), "memory_mb must be 64, or 128 to 3072"),
        ("memory_mb", json!(100), "memory_mb must be 64, or 128 to 3072"),
        ("memory_mb", json!(3200), "memory_mb must be 64, or 128 to 3072"),
        ("reserved_mb", json!(-128), "reserved_mb must be"),
        ("reserved_mb", json!(u32::MAX), "reserved_mb must be 0 to "),
        ("env", json!([]), "env must be"),
        ("env", json!({ "A": 1 }), "env must be"),
        ("env", json!({ "A-B": "1" }), "env keys"),
        ("env", json!({ "": "1" }), "env keys"),
        ("env", json!({ "SCF_NAMESPACE": "x" }), "env keys must not begin with SCF_"),
        ("env", json!({ "TENCENTCLOUD_REGION": "x" }), "env keys must not begin with TENCENTCLOUD_"),
        ("env", json!({ "A": "" }), "env value of A"),
        ("env", json!({ "A": "x\0" }), "env value of A"),
        ("env", json!({ "A": "x".repeat(5000) }), "env must be at most 4096 bytes"),
        ("description", json!("x".repeat(1001)), "description must be at most 1000"),
        ("description", json!("\0"), "description must be"),
        ("timeout", json!(3), "no field timeout"),
        ("code", json!(null), "code is required"),
        ("code", json!("x"), "code must be a JSON object"),
        ("code", json!({}), "code must hold either"),
        ("code", json!({ "files": {}, "zip_base64": "" }), "code must hold either"),
        ("code", json!({ "files": { "index.py": 1 } }), "code.files must be"),
        ("code", json!({ "zip_base64": "!" }), "code.zip_base64 must be"),
        ("code", json!({ "zip_base64": "QQ" }), "code.zip_base64 must be"),
        ("code", json!({ "zip_base64": "aGVsbG8=" }), "zip"),
        ("code", json!({ "files": { "../index.py": "" } }), "code"),
        ("code", json!({ "files": { "/index.py": "" } }), "code"),
        ("code", json!({ "files": { "a/../b.py": "" } }), "code"),
        ("code", json!({ "files": { "": "" } }), "code"),
        ("code", json!({ "files": { "a\0.py": "" } }), "code"),
        ("code", json!({ "files": { "a": "", "a/b.py": "" } }), "code"),
        ("code", json!({ "files": { "a".repeat(2000): "" } }), "code"),
    ] {
        refused(server, expression("1").with(field, value).body().as_bytes(), &[400], said);
    }
}

#[test]
fn bodies_that_are_no_deploy_are_refused() {
    let server = Server::shared();
    let deep = |count: usize| format!("{{\"env\": {}{}}}", "[".repeat(count), "]".repeat(count));
    for (body, said) in [
        (&b""[..], "JSON"),
        (b"[]", "JSON object"),
        (b"{", "JSON"),
        (b"{\"runtime\": \"Python3.10\"} x", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"\0\0\0\0", "JSON"),
        (b"{\"runtime\": \"Python3.10\", \"runtime\": \"Python3.10\"}", "runtime is given twice"),
        (deep(10_000).as_bytes(), "deep"),
        (deep(1_000_000).as_bytes(), "deep"),
    ] {
        refused(server, body, &[400], said);
    }
}

#[test]
fn archives_that_are_not_what_they_should_be_are_refused() {
    let server = Server::shared();
    let good = zip(&[("index.py", b"def main_handler(event, context): return 1\n")]);
    let cut = good[..good.len() - 10].to_vec();
    let many: Vec<(String, &[u8])> = (0..10_001).map(|number| (format!("{number}.py"), &b""[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    for (archive, said) in [
        (cut, "zip"),
        (b"PK\x03\x04 and nothing behind it".to_vec(), "zip"),
        (zip(&[("../slip.py", b"")]), "slip"),
        (zip(&[("/slip.py", b"")]), "slip"),
        (zip(&[("a/../../slip.py", b"")]), "slip"),
        (zip(&[("a\\..\\..\\slip.py", b"")]), "slip"),
        (zip(&[("nul\0.py", b"")]), "code"),
        (zip(&many), "10000"),
        (zip(&[("bomb.bin", &vec![0; 300 << 20])]), "bomb"),
        (zip(&[("a.py", b""), ("a.py/b.py", b"")]), "a.py"),
        (linked(), "no plain file"),
        (encrypted(&good), "encrypt"),
    ] {
        let target = "/v1/functions/wrong?runtime=Python3.10&handler=index.main_handler";
        let answer = server.call("PUT", target, &archive);
        assert!(matches!(answer.status, 400 | 413), "{said}: {} {}", answer.status, answer.text());
        assert!(answer.refusal().contains(said), "{said}: {}", answer.refusal());
        assert_eq!(server.call("GET", "/v1/functions/wrong", b"").status, 404);
    }
}

#[test]
fn packages_beyond_the_limit_are_refused() {
    let server = Server::shared();
    let noise: Vec<u8> = (0..51 << 20)
        .scan(1_u32, |state, _: u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 24).to_le_bytes()[0])
        })
        .collect();
    let answer = server.call(
        "PUT",
        "/v1/functions/wrong?runtime=Python3.10&handler=index.main_handler",
        &zip(&[("noise.bin", &noise)]),
    );
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.refusal().contains("52428800"), "{}", answer.refusal());
}

#[test]
fn names_outside_the_grammar_are_refused() {
    let server = Server::shared();
    let long = "a".repeat(61);
    for name in [
        "a",
        "1ab",
        "-ab",
        "ab-",
        "ab_",
        "a%20b",
        "a.b",
        "..%2f..%2fetc",
        "%2e%2e",
        "ab%00",
        "h%C3%A9llo",
        "a%0Ab",
        &long,
    ] {
        for (method, below) in
            [("PUT", ""), ("GET", ""), ("DELETE", ""), ("GET", "/code"), ("POST", "/invoke")]
        {
            let answer = server.call(
                method,
                &format!("/v1/functions/{name}{below}"),
                expression("1").body().as_bytes(),
            );
            assert_eq!(answer.status, 400, "{method} {name}{below}: {}", answer.text());
            let sentence = answer.refusal();
            assert!(
                sentence.starts_with("name must be") || sentence.contains("target"),
                "{name}: {sentence}"
            );
        }
    }
    for namespace in ["", "a", "..", "a/b", "x%20y"] {
        let answer = server.call("GET", &format!("/v1/functions?namespace={namespace}"), b"");
        assert_eq!(answer.status, 400, "{namespace}");
        assert!(answer.refusal().starts_with("namespace must be"), "{}", answer.refusal());
    }
}

#[test]
fn queries_are_checked() {
    let server = Server::shared();
    server.deploy("queried", &expression("1"));
    for (method, target, said) in [
        ("GET", "/v1/functions?limt=1", "limt"),
        ("GET", "/v1/functions?limit=0", "limit must be 1 to 1000"),
        ("GET", "/v1/functions?limit=1001", "limit must be 1 to 1000"),
        ("GET", "/v1/functions?limit=x", "limit must be"),
        ("GET", "/v1/functions?limit=1&limit=2", "limit is given twice"),
        ("GET", "/v1/functions/queried?x=1", "\"x\""),
        ("GET", "/v1/functions/queried/code?x", "\"x\""),
        ("DELETE", "/v1/functions/queried?force=1", "\"force\""),
        ("PUT", "/v1/functions/queried?timeout_s=1", "timeout_s"),
        ("POST", "/v1/functions/queried/invoke?async=1", "\"async\""),
        ("GET", "/v1/invocations?status=odd", "status must be"),
        ("GET", "/v1/invocations?since=yesterday", "since must be"),
        ("GET", "/v1/invocations?until=x", "until must be"),
        ("GET", "/v1/invocations?cursor=x", "cursor must be"),
        ("GET", "/v1/invocations?function=a/b", "function must be"),
        ("GET", "/v1/invocations/not-an-id", "request id must be"),
        ("GET", "/v1/logs?order=up", "order must be"),
        ("GET", "/v1/logs?request_id=1", "request_id must be"),
        ("GET", "/v1/logs?cursor=-1", "cursor must be"),
        ("GET", "/v1/keys?x=1", "\"x\""),
        ("POST", "/v1/backup?path=/etc/x", "\"path\""),
        ("GET", "/v1/doctor?x=%zz", "\"x\""),
    ] {
        let answer = server.call(method, target, expression("1").body().as_bytes());
        assert_eq!(answer.status, 400, "{method} {target}: {}", answer.text());
        assert!(answer.refusal().contains(said), "{method} {target}: {}", answer.refusal());
    }
    assert_eq!(server.invoke("queried", "{}").returned(), 1, "it is still as it was");
}

#[test]
fn wrong_methods_are_told_the_right_ones() {
    let server = Server::shared();
    for (method, target, allowed) in [
        ("POST", "/v1/functions/x", ["GET", "PUT", "DELETE"].as_slice()),
        ("PATCH", "/v1/functions/x", &["GET", "PUT", "DELETE"]),
        ("GET", "/v1/functions/x/invoke", &["POST"]),
        ("PUT", "/v1/functions/x/code", &["GET"]),
        ("POST", "/v1/functions", &["GET"]),
        ("DELETE", "/v1/invocations", &["GET"]),
        ("POST", "/v1/logs", &["GET"]),
        ("PUT", "/v1/keys", &["GET", "POST"]),
        ("GET", "/v1/backup", &["POST"]),
        ("DELETE", "/healthz", &["GET"]),
        ("OPTIONS", "/version", &["GET"]),
    ] {
        let answer = server.call(method, target, b"");
        assert_eq!(answer.status, 405, "{method} {target}");
        assert!(!answer.refusal().is_empty());
        let told: Vec<&str> = answer.allow.split(", ").collect();
        assert!(allowed.iter().all(|method| told.contains(method)), "{target}: {told:?}");
        assert!(!told.contains(&method), "{target}: {told:?}");
    }
    let answer = server.call("GET", "/v2/functions", b"");
    assert_eq!((answer.status, answer.refusal().is_empty()), (404, false));
}

/// An archive of these entries, names as they are.
fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn linked() -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("index.py", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap().into_inner()
}

/// The archive with the flag that says its entries are encrypted (APPNOTE 4.4.4), in both headers.
fn encrypted(archive: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    for (signature, flags_at) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = bytes.windows(4).position(|four| four == signature).unwrap();
        bytes[at + flags_at] |= 1;
    }
    bytes
}

/// What the language cannot say differently comes back as it was sent; everything else as the same value.
#[test]
fn values_survive_the_way_through_a_function() {
    let server = Server::shared();
    server.deploy("echo", &folder("echo"));
    for same in [
        "null",
        "true",
        "0",
        "-1",
        "9007199254740993",
        "123456789012345678901234567890",
        "1.5",
        "\"\"",
        "[]",
        "{}",
        r#""中文 é 😀""#,
        r#"{"b": 1, "a": [1, {"c": null}]}"#,
        r#""\"\\/\b\f\n\r\t\u0001""#,
    ] {
        assert_eq!(server.invoke("echo", same).body, same);
    }
    for (sent, came) in [
        ("1e2", "100.0"),
        ("1.10", "1.1"),
        (r#""\u00e9\/\ud83d\ude00""#, "\"é/😀\""),
        (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
        (" [ 1 , 2 ] ", "[1, 2]"),
    ] {
        let run = server.invoke("echo", sent);
        assert_eq!((run.body.as_str(), server.record(&run.request_id).event.get()), (came, sent.trim()));
    }
}

#[test]
fn what_is_no_json_is_refused_as_an_event() {
    let server = Server::shared();
    server.deploy("strict", &folder("echo"));
    let deep = "[".repeat(100_000);
    for wrong in [
        " ",
        "nul",
        "True",
        "NaN",
        "-Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "0x10",
        "1_000",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\" 1}",
        "{a: 1}",
        "{\"a\": 1,}",
        "[1]]",
        "{}{}",
        "[1] x",
        "// x\n1",
        "/**/1",
        "\u{feff}{}",
        "\u{a0}1",
        "[1\u{2028},2]",
        &deep,
    ] {
        let answer = server.call("POST", "/v1/functions/strict/invoke", wrong.as_bytes());
        assert_eq!(answer.status, 400, "{:?}", &wrong[..wrong.len().min(40)]);
        assert!(answer.refusal().contains("event"), "{}", answer.refusal());
    }
    for wrong in [&b"\xff"[..], b"\"\xed\xa0\x80\"", b"\"\xc0\xaf\"", b"[\0]", b"\xfe\xff\0{\0}", b"{}\0"] {
        assert_eq!(server.call("POST", "/v1/functions/strict/invoke", wrong).status, 400, "{wrong:?}");
    }
}

/// Nicolas Seriot's JSONTestSuite, where it lies beside the project (`FNLITE_TEST_DATA` names another place): every `n_` is
/// refused, every `y_` comes back as the same value, and of `i_` none does harm.
#[test]
fn the_json_test_suite_passes_through_a_function() {
    let server = Server::shared();
    server.deploy("suite", &folder("echo").with("memory_mb", 256));
    let mut caller = server.caller();
    for (name, bytes) in suite() {
        let answer = caller.call("POST", "/v1/functions/suite/invoke", &bytes);
        let expected: &[u16] = match &name[..2] {
            // An event of no bytes is an empty object here.
            "n_" if bytes.is_empty() => &[200],
            "n_" => &[400],
            "y_" => &[200],
            _ => &[200, 400, 502],
        };
        assert!(expected.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        if name.starts_with("y_") {
            let sent: Value = serde_json::from_slice(&bytes).unwrap();
            assert!(is_same(&answer.json(), &sent), "{name}: {}", answer.text());
        }
    }
    assert_eq!(server.invoke("suite", "[1]").returned(), json!([1]));
}

/// Whether two values are the same to a language whose integers know no `-0`.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| is_same(value, other)))
        }
        _ => one == other,
    }
}

fn suite() -> Vec<(String, Vec<u8>)> {
    let place = crate::server::test_data().join("json-test-suite/test_parsing");
    let Ok(files) = std::fs::read_dir(place) else { return Vec::new() };
    let files = files
        .flatten()
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap()));
    files.collect()
}
