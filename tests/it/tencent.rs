//! The TencentCloud API where the SDKs do not look: bytes on the wire, who may do what, requests sent twice, crashes between what
//! was sent and what is in force, and secrets in the file. What the SDKs see is in `sdk`.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fnlite::base::clock::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::function::expression;
use crate::processes;
use crate::server::{Answer, Caller, Place, Server};
use crate::wait;

/// A key that signs, and a connection to sign on.
pub(crate) struct Client {
    caller: Caller,
    host: String,
    secret_id: String,
    secret_key: String,
}

impl Client {
    /// A client with a new key of that scope.
    pub(crate) fn new(server: &Server, scope: &str) -> Client {
        let out = server.fnlite(&["keys", "create", scope, "--scope", scope, "--tencent", "--json"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Client::of(server, &serde_json::from_slice(&out.stdout).unwrap())
    }

    fn of(server: &Server, key: &Value) -> Client {
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Client {
            caller: server.caller_with(None),
            host: server.address().to_string(),
            secret_id: text("secret_id"),
            secret_key: text("secret_key"),
        }
    }

    /// The same key, on another server.
    pub(crate) fn on(self, server: &Server) -> Client {
        Client { caller: server.caller_with(None), host: server.address().to_string(), ..self }
    }

    /// Headers of a request as the SDKs sign it (contract 7.2).
    fn sign(&self, action: &str, body: &str, at_s: i64) -> Vec<(&'static str, String)> {
        let instant = jiff::Timestamp::from_second(at_s).unwrap();
        let date = jiff::tz::Offset::UTC.to_datetime(instant).strftime("%Y-%m-%d").to_string();
        let request = format!(
            "POST\n/\n\ncontent-type:application/json\nhost:{}\n\ncontent-type;host\n{}",
            self.host,
            hex(&Sha256::digest(body))
        );
        let scope = format!("{date}/scf/tc3_request");
        let text = format!("TC3-HMAC-SHA256\n{at_s}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let key = hmac(format!("TC3{}", self.secret_key).as_bytes(), &date);
        let key = hmac(&hmac(&key, "scf"), "tc3_request");
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=content-type;host, Signature={}",
            self.secret_id,
            hex(&hmac(&key, &text))
        );
        vec![
            ("Content-Type", "application/json".to_owned()),
            ("X-TC-Action", action.to_owned()),
            ("X-TC-Version", "2018-04-16".to_owned()),
            ("X-TC-Timestamp", at_s.to_string()),
            ("Authorization", authorization),
        ]
    }

    fn send(&mut self, headers: &[(&'static str, String)], body: &str) -> Value {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        checked(&self.caller.call_with(&headers, "POST", "/", body.as_bytes()))
    }

    pub(crate) fn call(&mut self, action: &str, fields: Value) -> Value {
        let (body, at_s) = (fields.to_string(), SystemClock.wall_us() / 1_000_000);
        let headers = self.sign(action, &body, at_s);
        self.send(&headers, &body)
    }

    /// The same, where it must succeed.
    #[track_caller]
    pub(crate) fn done(&mut self, action: &str, fields: Value) -> Value {
        let answer = self.call(action, fields);
        assert_eq!(answer.get("Error"), None, "{action}: {answer}");
        answer
    }

    fn create(&mut self, name: &str, code: &str) {
        let fields = json!({
            "FunctionName": name, "Runtime": "Python3.10", "Handler": "index.main_handler",
            "Code": { "ZipFile": zipped(code) },
        });
        self.done("CreateFunction", fields);
    }

    fn status(&mut self, name: &str) -> String {
        self.done("GetFunction", json!({ "FunctionName": name }))["Status"].as_str().unwrap().to_owned()
    }
}

/// What every answer of this door is (contract 7.4): its fields.
#[track_caller]
fn checked(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.kind.as_str()), (200, "application/json"), "{}", answer.text());
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["Response"]);
    let response = body["Response"].clone();
    assert!(response["RequestId"].as_str().is_some_and(|id| id.len() == 36), "{response}");
    response
}

fn code_of(response: &Value) -> &str {
    response["Error"]["Code"].as_str().unwrap_or("none")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn zipped(code: &str) -> String {
    let files = [("index.py".to_owned(), code.to_owned())];
    STANDARD.encode(fnlite::instance::package::pack::from_files(&files).unwrap())
}

const ECHO: &str = "def main_handler(event, context):\n    return [event, context['function_version']]\n";

/// Loads for a while: long enough to be met on the way.
const SLOW: &str = "import time\ntime.sleep(3)\ndef main_handler(event, context):\n    return 'slow'\n";

#[test]
fn every_answer_is_of_the_one_shape_the_sdks_understand() {
    let server = Server::start(&[]);
    let mut client = Client::new(&server, "admin");
    client.done("ListFunctions", json!({}));
    let now_s = SystemClock.wall_us() / 1_000_000;
    let mut check = |what: &str, headers: Vec<(&'static str, String)>, body: &str, expected: &str| {
        assert_eq!(code_of(&client.send(&headers, body)), expected, "{what}");
    };
    let other = Client::new(&server, "read");
    let good = |body: &str| other.sign("ListFunctions", body, now_s);
    check("as it should be", good("{}"), "{}", "none");
    let with = |name: &str, value: &str| {
        let mut headers = good("{}");
        headers
            .iter_mut()
            .filter(|(known, _)| *known == name)
            .for_each(|(_, known)| *known = value.to_owned());
        headers
    };
    check("no signature", with("Authorization", "SKIP"), "{}", "AuthFailure.InvalidAuthorization");
    check("another body", good("{}"), "{ }", "AuthFailure.SignatureFailure");
    check("too old", other.sign("ListFunctions", "{}", now_s - 400), "{}", "AuthFailure.SignatureExpire");
    check("another version", with("X-TC-Version", "2017-01-01"), "{}", "NoSuchVersion");
    check("no such action", with("X-TC-Action", "MakeCoffee"), "{}", "InvalidAction");
    check("no object", good("[1]"), "[1]", "InvalidParameter");
    check("no JSON", good("{"), "{", "InvalidParameter");
    check("another type", with("Content-Type", "text/plain"), "{}", "UnsupportedProtocol");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check("too deep", good(&deep), &deep, "InvalidParameter");
}

#[test]
fn a_key_may_do_what_its_scope_says_until_it_is_revoked() {
    let server = Server::start(&[]);
    server.deploy("hello", &expression("event"));
    let (mut reads, mut invokes) = (Client::new(&server, "read"), Client::new(&server, "invoke"));
    let hello = || json!({ "FunctionName": "hello" });
    reads.done("ListFunctions", json!({}));
    assert_eq!(code_of(&reads.call("Invoke", hello())), "AuthFailure.UnauthorizedOperation");
    assert_eq!(
        code_of(&reads.call("GetFunction", hello())),
        "AuthFailure.UnauthorizedOperation",
        "it shows secrets"
    );
    assert_eq!(invokes.done("Invoke", hello())["Result"]["RetMsg"], "{}");
    assert_eq!(code_of(&invokes.call("DeleteFunction", hello())), "AuthFailure.UnauthorizedOperation");
    // A secret that signs is no bearer's.
    assert_eq!(server.caller_with(Some(&invokes.secret_key)).call("GET", "/v1/functions", b"").status, 401);
    let keys = server.get("/v1/keys");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == "invoke").unwrap();
    assert_eq!((&key["secret_id"], key.get("secret_key")), (&json!(invokes.secret_id), None));
    assert_eq!(server.call("DELETE", &format!("/v1/keys/{}", key["id"]), b"").status, 204);
    assert_eq!(code_of(&invokes.call("Invoke", hello())), "AuthFailure.SecretIdNotFound");
}

#[test]
fn a_change_that_is_overheard_cannot_be_sent_again() {
    let server = Server::start(&[]);
    server.deploy("hello", &expression("event"));
    let mut client = Client::new(&server, "admin");
    let (body, at_s) = (json!({ "Namespace": "shop" }).to_string(), SystemClock.wall_us() / 1_000_000);
    let headers = client.sign("CreateNamespace", &body, at_s);
    assert_eq!(code_of(&client.send(&headers, &body)), "none");
    client.done("DeleteNamespace", json!({ "Namespace": "shop" }));
    // An honest client may mean it twice within a second; after that it is a replay.
    wait::until("the request is known", || {
        let code = code_of(&client.send(&headers, &body)).to_owned();
        assert!(
            ["none", "ResourceInUse.Namespace", "AuthFailure.SignatureFailure"].contains(&code.as_str()),
            "{code}"
        );
        (code == "AuthFailure.SignatureFailure").then_some(())
    });
    let call = json!({ "FunctionName": "hello" }).to_string();
    let headers = client.sign("Invoke", &call, at_s);
    for _ in 0..3 {
        assert_eq!(code_of(&client.send(&headers, &call)), "none", "the same call is signed alike");
    }
}

#[test]
fn what_is_under_way_when_the_server_dies_is_loaded_by_the_next() {
    let server = Server::start(&[]);
    let mut client = Client::new(&server, "admin");
    client.create("old", ECHO);
    wait::until("the first code is in force", || (client.status("old") == "Active").then_some(()));
    client.create("new", SLOW);
    let update = json!({ "FunctionName": "old", "ZipFile": zipped(SLOW) });
    client.done("UpdateFunctionCode", update);
    assert_eq!([client.status("new"), client.status("old")], ["Creating", "Updating"]);
    let server = server.kill9().serve(&[]);
    let mut client = client.on(&server);
    let before = client.done("Invoke", json!({ "FunctionName": "old" }));
    assert!(
        before["Result"]["RetMsg"].as_str().unwrap().contains("$LATEST"),
        "the old code serves: {before}"
    );
    for name in ["new", "old"] {
        wait::until("it is in force", || (client.status(name) == "Active").then_some(()));
        assert_eq!(client.done("Invoke", json!({ "FunctionName": name }))["Result"]["RetMsg"], "\"slow\"");
    }
}

/// A deploy that is in force at once takes the place of what is under way.
#[test]
fn a_deploy_overtakes_what_is_under_way() {
    let server = Server::start(&[]);
    let mut client = Client::new(&server, "admin");
    client.create("hello", SLOW);
    assert_eq!(client.status("hello"), "Creating");
    let refused = server.call("POST", "/v1/functions/hello/invoke", b"{}");
    assert_eq!(refused.status, 409, "{}", refused.text());
    server.deploy("hello", &expression("'at once'"));
    assert_eq!(client.status("hello"), "Active");
    assert_eq!(server.invoke("hello", "{}").returned(), json!("at once"));
    wait::until("nobody loads the other any more", || {
        let listed = server.get("/v1/functions/hello");
        assert_eq!(listed["status"], "Active");
        (server.metric("fnlite_pool_instances_parked") > 0).then_some(())
    });
    assert_eq!(server.invoke("hello", "{}").returned(), json!("at once"));
}

#[test]
fn versions_stay_loaded_and_parked_through_deploys_and_restarts() {
    let server = Server::start(&[]);
    server.deploy("hello", &expression("[context['function_version'], 1]"));
    assert_eq!(server.call("POST", "/v1/functions/hello/versions", b"").status, 201);
    let body = br#"{"instances":2}"#;
    let answer = server.call("PUT", "/v1/functions/hello/versions/1/provisioned", body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    let parked =
        |server: &Server| server.get("/v1/functions/hello/concurrency")["provisioned"][0]["parked"].clone();
    wait::until("two are parked", || (parked(&server) == json!(2)).then_some(()));
    server.deploy("hello", &expression("[context['function_version'], 2]"));
    assert_eq!(parked(&server), json!(2), "a deploy is none of a version's business");
    let version = |server: &Server, qualifier: &str| {
        server
            .call("POST", &format!("/v1/functions/hello/invoke?qualifier={qualifier}"), b"")
            .run()
            .returned()
    };
    assert_eq!(version(&server, "1"), json!(["1", 1]));
    assert_eq!(version(&server, "$LATEST"), json!(["$LATEST", 2]));
    let server = server.stop_in_order().serve(&[]);
    wait::until("two are parked again, though nobody came", || (parked(&server) == json!(2)).then_some(()));
    assert_eq!(version(&server, "1"), json!(["1", 1]));
    assert_eq!(server.call("DELETE", "/v1/functions/hello", b"").status, 204);
    wait::until("all processes are gone", || {
        (server.metric("fnlite_pool_instances_parked") == 0).then_some(())
    });
}

#[test]
fn what_stays_parked_is_loaded_again_when_it_dies() {
    let server = Server::start(&[]);
    let name = format!("kept-{}", std::process::id());
    server.deploy(&name, &expression("context['function_version']"));
    assert_eq!(server.call("POST", &format!("/v1/functions/{name}/versions"), b"").status, 201);
    let path = format!("/v1/functions/{name}/versions/1/provisioned");
    assert_eq!(server.call("PUT", &path, br#"{"instances":2}"#).status, 204);
    // $LATEST was never run, so that the only one is the version's.
    let zygote = wait::until("it is loaded", || processes::zygote_of(&name));
    kill_process(Pid::from_raw(zygote.pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    wait::until("another is loaded, though nobody came", || {
        processes::zygote_of(&name).filter(|other| other.pid != zygote.pid)
    });
    wait::until("two are parked", || {
        let concurrency = server.get(&format!("/v1/functions/{name}/concurrency"));
        (concurrency["provisioned"][0]["parked"] == json!(2)).then_some(())
    });
    let answer = server.call("POST", &format!("/v1/functions/{name}/invoke?qualifier=1"), b"");
    assert_eq!(answer.run().returned(), json!("1"));
}

/// An event keeps the version that it was accepted for, whatever its alias means when it runs.
#[test]
fn an_event_goes_to_the_version_it_was_accepted_for() {
    let server = Server::start(&[]);
    server.deploy("hello", &expression("context['function_version']"));
    for _ in 0..2 {
        assert_eq!(server.call("POST", "/v1/functions/hello/versions", b"").status, 201);
    }
    let move_to = |version: &str| {
        let body = json!({ "version": version }).to_string();
        let answer = server.call("PUT", "/v1/functions/hello/aliases/prod", body.as_bytes());
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
    };
    move_to("1");
    let off = server.call("PUT", "/v1/functions/hello/concurrency", br#"{"reserved_mb":0}"#);
    assert_eq!(off.status, 204, "{}", off.text());
    let answer = server.call("POST", "/v1/functions/hello/invoke?type=event&qualifier=prod", b"{}");
    let id = answer.json()["request_id"].as_str().unwrap().to_owned();
    move_to("2");
    assert_eq!(server.call("PUT", "/v1/functions/hello/concurrency", br#"{"reserved_mb":null}"#).status, 204);
    server.over(&id);
    let record = server.get(&format!("/v1/invocations/{id}"));
    assert_eq!(
        (&record["result"], &record["qualifier"], &record["alias"]),
        (&json!("1"), &json!("1"), &json!("prod"))
    );
    let found = server.get("/v1/logs?q=SCF_Alias:prod%20AND%20SCF_Qualifier:1");
    assert!(!found["lines"].as_array().unwrap().is_empty(), "{found}");
}

#[test]
fn who_guesses_is_told_to_wait_and_nobody_else() {
    let server = Server::start(&[]);
    let mut client = Client::new(&server, "read");
    let mut guesser = Client { secret_key: "wrong".to_owned(), ..Client::new(&server, "admin") };
    let codes: Vec<String> =
        (0..12).map(|_| code_of(&guesser.call("ListFunctions", json!({}))).to_owned()).collect();
    assert_eq!(codes[..10], ["AuthFailure.SignatureFailure"; 10].map(str::to_owned));
    assert_eq!(codes[10..], ["RequestLimitExceeded"; 2].map(str::to_owned));
    let mut unknown = Client { secret_id: "AKIDnobody".to_owned(), ..guesser };
    assert_eq!(code_of(&unknown.call("ListFunctions", json!({}))), "RequestLimitExceeded");
    client.done("ListFunctions", json!({}));
    let said = server.place().said();
    assert!(said.contains("10 wrong keys within 60 s came from 127.0.0.1"), "{said}");
}

#[test]
fn what_signs_is_sealed_with_the_rest() {
    let server = Server::start(&["--seal-key", "key"]);
    let mut client = Client::new(&server, "admin");
    client.done("ListFunctions", json!({}));
    let place = server.kill9();
    let secret = client.secret_key.clone();
    assert!(!is_in_a_file(&place, &secret), "it was sealed");
    let server = place.serve(&["--seal-key", "key"]);
    let mut client = client.on(&server);
    client.done("ListFunctions", json!({}));
    let place = server.stop_in_order();
    let out = place.fnlite_for_moments(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(out.status.code(), Some(78), "without the key file it is no use");
    // One that was plain is sealed at the first start with a key, and nothing of it is left.
    let server = Server::start(&[]);
    let plain = Client::new(&server, "admin");
    let place = server.stop_in_order();
    assert!(is_in_a_file(&place, &plain.secret_key));
    let server = place.serve(&["--seal-key", "key"]);
    plain.on(&server).done("ListFunctions", json!({}));
    let place = server.stop_in_order();
    let opened = place.serve(&["--seal-key", "key"]);
    let key = opened.get("/v1/keys")["keys"][1]["secret_id"].clone();
    assert!(key.is_string(), "it is there still");
}

/// Whether a text is in any file beside the database.
fn is_in_a_file(place: &Place, text: &str) -> bool {
    ["fnlite.db", "fnlite.db-wal"].iter().any(|name| {
        let bytes = fs::read(place.file(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
