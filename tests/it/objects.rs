//! The object storage where its SDK does not look: bytes on the wire, hosts, a queue that is full, another storage's
//! notifications, and a server that is killed. What the SDK sees is in `sdk`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fnlite::base::clock::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::function::{expression, source};
use crate::keeping::sql;
use crate::length::Rounds;
use crate::raw::{Answer, Raw};
use crate::sdk::signing_key;
use crate::server::{Place, Server, program};
use crate::tencent::Client;
use crate::{triggers, wait};

const BUCKET: &str = "photos-1250000000";
const HOST: &str = "photos-1250000000.cos.ap-guangzhou.myqcloud.com";
const ALONE: [&str; 2] = ["--cos-listen", "127.0.0.1:0"];
const MIB: usize = 1024 * 1024;

/// A key that signs, and where to.
#[derive(Clone)]
struct Cos {
    address: SocketAddr,
    id: String,
    key: String,
}

impl Cos {
    /// A new key of the administrator's, for the storage's own address.
    fn new(server: &Server) -> Cos {
        let (id, key) = signing_key(server, "objects", "admin");
        Cos { address: server.cos_address(), id, key }
    }

    /// The same with the bucket made.
    fn with_bucket(server: &Server) -> Cos {
        let cos = Cos::new(server);
        assert_eq!(cos.ask("PUT", "/", b"").status, 200);
        cos
    }

    /// A request, signed over its host.
    fn request(&self, line: (&str, &str), host: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let (method, target) = line;
        let now_s = SystemClock.wall_us() / 1_000_000;
        let time = format!("{};{}", now_s - 60, now_s + 600);
        let path = target.split('?').next().unwrap();
        let to_hash =
            format!("{}\n{path}\n\nhost={}\n", method.to_ascii_lowercase(), host.replace(':', "%3A"));
        let to_sign = format!("sha1\n{time}\n{}\n", hex(&Sha1::digest(to_hash)));
        let sign_key = hex(&hmac(self.key.as_bytes(), &time));
        let signature = hex(&hmac(sign_key.as_bytes(), &to_sign));
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nAuthorization: q-sign-algorithm=sha1&q-ak={}&q-sign-time={time}&q-key-time={time}&q-header-list=host&q-url-param-list=&q-signature={signature}\r\n",
            body.len(),
            self.id
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", body].concat()
    }

    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.ask_with(&[], method, target, body)
    }

    fn ask_with(&self, headers: &[(&str, &str)], method: &str, target: &str, body: &[u8]) -> Answer {
        let mut raw = Raw::connect(self.address);
        raw.send(self.request((method, target), HOST, headers, body));
        let answer = if method == "HEAD" { raw.head_answer() } else { raw.answer() };
        assert_eq!(answer.header("server"), Some("tencent-cos"), "{answer:?}");
        assert!(answer.header("x-cos-request-id").is_some_and(|id| id.len() > 20), "{answer:?}");
        answer
    }

    #[track_caller]
    fn put(&self, key: &str, body: &[u8]) -> Answer {
        let answer = self.ask("PUT", &format!("/{key}"), body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    fn get(&self, key: &str) -> Answer {
        self.ask("GET", &format!("/{key}"), b"")
    }
}

/// The text of the first element of that name.
fn element<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let text = answer.text();
    text.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, element(answer, "Code")), (status, code), "{answer:?}");
    for name in ["Message", "Resource", "RequestId", "TraceId"] {
        assert!(!element(answer, name).is_empty(), "{name}: {answer:?}");
    }
    assert_eq!(answer.header("x-cos-request-id"), Some(element(answer, "RequestId")));
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has a function run on what happens to objects of the bucket.
fn trigger(server: &Server, function: &str, desc: Value) {
    let fields = json!({
        "FunctionName": function, "TriggerName": HOST, "Type": "cos", "TriggerDesc": desc.to_string(), "Enable": "OPEN",
    });
    Client::new(server, "admin").done("CreateTrigger", fields);
}

/// Files of objects that are on the disk.
fn files(place: &Place) -> BTreeSet<PathBuf> {
    let folder = place.file("fnlite.db.d/objects");
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries(&folder).flat_map(|folder| entries(&folder).collect::<Vec<_>>()).collect()
}

#[test]
fn what_is_not_signed_right_is_refused_before_its_body_comes() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    let mut raw = Raw::connect(cos.address);
    // None of the five gigabytes was sent: the answer comes all the same.
    raw.send(format!("PUT /a HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5000000000\r\n\r\n"));
    refused(&raw.answer(), 403, "AccessDenied");
    let wrong = Cos { key: "x".into(), ..cos.clone() };
    refused(&wrong.ask("PUT", "/a", b"body"), 403, "SignatureDoesNotMatch");
    let nobody = Cos { id: "AKIDnobody".into(), ..cos.clone() };
    refused(&nobody.ask("GET", "/a", b""), 403, "InvalidAccessKeyId");
    for _ in 0..8 {
        wrong.get("a");
    }
    refused(&wrong.get("a"), 429, "RequestLimitExceeded");
    assert_eq!(cos.put("a", b"body").header("etag"), Some("\"841a2d689ad86bd1611447453c22c6fc\""));
    let mut raw = Raw::connect(cos.address);
    let too_large = format!("Content-Length: {}", 5 * 1024 * MIB + 1);
    let request = String::from_utf8(cos.request(("PUT", "/a"), HOST, &[], b"")).unwrap();
    raw.send(request.replace("Content-Length: 0", &too_large));
    refused(&raw.answer(), 413, "EntityTooLarge");
}

#[test]
fn the_main_address_serves_it_by_host() {
    let server = Server::start(&[]);
    let (id, key) = signing_key(&server, "objects", "admin");
    let cos = Cos { address: server.address(), id, key };
    assert_eq!(cos.ask("PUT", "/", b"").status, 200);
    cos.put("v1/functions", b"no function");
    assert_eq!(cos.get("v1/functions").body, b"no function");
    let mut raw = Raw::connect(cos.address);
    raw.send(cos.request(("GET", "/"), "service.cos.myqcloud.com", &[], b""));
    assert_eq!(element(&raw.answer(), "Name"), BUCKET);
    assert_eq!(server.get("/v1/functions")["functions"], json!([]), "every other host is as before");
}

#[test]
fn an_address_of_its_own_takes_any_name_that_begins_with_a_bucket() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    cos.put("a", b"body");
    let mut raw = Raw::connect(cos.address);
    for (host, status) in
        [("photos-1250000000.edge.lan:9500", 200), ("127.0.0.1:9500", 404), ("nobody-1250000000.x", 404)]
    {
        raw.send(cos.request(("GET", "/a"), host, &[], b""));
        let answer = raw.answer();
        assert_eq!(answer.status, status, "{host} {answer:?}");
        if status == 404 {
            refused(&answer, 404, "NoSuchBucket");
        }
    }
    raw.send(cos.request(("GET", "/v1/functions"), "edge.lan", &[], b""));
    assert_eq!(raw.answer().status, 404, "nothing but objects is there");
}

#[test]
fn an_object_is_read_in_every_way_http_has() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    let body: Vec<u8> = (0..3 * MIB).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let etag = cos.put("large", &body).header("etag").unwrap().to_owned();
    assert_eq!(cos.get("large").body, body);
    for (range, from, length) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-2999999", 1_000_000, 2_000_000),
        ("bytes=-5", 3 * MIB - 5, 5),
        ("bytes=3145000-", 3_145_000, 728),
    ] {
        let answer = cos.ask_with(&[("Range", range)], "GET", "/large", b"");
        assert_eq!((answer.status, answer.body.as_slice()), (206, &body[from..from + length]), "{range}");
        let told = format!("bytes {from}-{}/{}", from + length - 1, body.len());
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
    }
    let changed = cos.ask_with(&[("Range", "bytes=0-0"), ("If-Range", "\"x\"")], "GET", "/large", b"");
    assert_eq!((changed.status, changed.body.len()), (200, body.len()));
    let known = cos.ask_with(&[("If-None-Match", &etag)], "GET", "/large", b"");
    assert_eq!((known.status, known.header("etag"), known.body.len()), (304, Some(etag.as_str()), 0));
    let head = cos.ask("HEAD", "/large", b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("3145728")));
    assert_eq!(cos.ask("HEAD", "/nobody", b"").status, 404);
    refused(&cos.ask_with(&[("Range", "bytes=9999999-")], "GET", "/large", b""), 416, "InvalidRange");
    refused(&cos.ask("GET", "/large?response-content-type=a%0d%0ab", b""), 400, "InvalidArgument");
    refused(&cos.ask("POST", "/?delete", b"<Delete>"), 400, "MalformedXML");
    refused(
        &cos.ask_with(&[("x-cos-forbid-overwrite", "true")], "PUT", "/large", b""),
        409,
        "FileAlreadyExists",
    );
    let copied = cos.ask_with(&[("x-cos-copy-source", &format!("{HOST}/large"))], "PUT", "/copy", b"");
    assert_eq!(element(&copied, "ETag"), etag, "{copied:?}");
    let onto_itself =
        [("x-cos-copy-source", HOST.to_owned() + "/large"), ("x-cos-metadata-directive", "Replaced".into())];
    let onto_itself = onto_itself.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(cos.ask_with(&onto_itself, "PUT", "/large", b"").status, 200);
    assert_eq!(cos.get("large").body, body);
    assert_eq!(cos.ask("DELETE", "/large", b"").status, 204);
    assert_eq!(cos.get("copy").body, body, "the bytes are those of the copy, too");
    assert_eq!(files(server.place()).len(), 1, "and of nobody else");
}

#[test]
fn a_full_queue_refuses_the_upload_and_nothing_has_changed() {
    let server = Server::start(&[&ALONE[..], &["--queue-events", "1"]].concat());
    let cos = Cos::with_bucket(&server);
    server.deploy("blocked", &expression("1").with("reserved_mb", 128));
    let blocked = server.call("PUT", "/v1/functions/blocked/concurrency", br#"{"reserved_mb":0}"#);
    assert_eq!(blocked.status, 204, "{}", blocked.text());
    trigger(&server, "blocked", json!({ "event": "cos:ObjectCreated:*", "filter": { "Prefix": "in/" } }));
    cos.put("in/first", b"1");
    refused(&cos.ask("PUT", "/in/second", b"2"), 503, "SlowDown");
    assert_eq!(cos.get("in/second").status, 404);
    refused(&cos.ask("PUT", "/in/first", b"2"), 503, "SlowDown");
    assert_eq!(cos.get("in/first").body, b"1");
    cos.put("elsewhere", b"3");
    assert_eq!(files(server.place()).len(), 2, "what was refused is not on the disk");
}

#[test]
fn an_upload_is_taken_although_what_its_trigger_runs_is_gone() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    server.deploy("seen", &expression("event['Records'][0]['event']['eventQueue']"));
    assert_eq!(server.call("POST", "/v1/functions/seen/versions", b"").status, 201);
    assert_eq!(server.call("PUT", "/v1/functions/seen/aliases/prod", br#"{"version":"1"}"#).status, 201);
    let spec = json!({ "event": "cos:ObjectCreated:*", "prefix": "", "suffix": ".jpg" });
    let made = json!({ "name": BUCKET, "type": "cos", "qualifier": "prod", "spec": spec });
    triggers::add(&server, "seen", &made);
    cos.put("a.jpg", b"1");
    let ran = wait::until("it has run", || {
        triggers::runs(&server, "seen").pop().filter(|run| run["state"] == "succeeded")
    });
    assert_eq!((&ran["qualifier"], &ran["source"]), (&json!("1"), &json!("cos")));
    let record = server.record(ran["request_id"].as_str().unwrap());
    let queue = "\"qcs:0:scf:ap-guangzhou:appid/1250000000:default.seen.prod\"";
    assert_eq!(record.result.unwrap().get(), queue);
    assert_eq!(server.call("DELETE", "/v1/functions/seen/aliases/prod", b"").status, 204);
    cos.put("b.jpg", b"2");
    let told = triggers::show(&server, "seen", BUCKET);
    assert_eq!((&told["fired"], &told["failed"]), (&json!(2), &json!(1)), "{told}");
    assert!(told["error"].as_str().unwrap().contains("prod"), "{told}");
    assert_eq!(cos.get("b.jpg").body, b"2");
    assert_eq!(triggers::runs(&server, "seen").len(), 1);
}

#[test]
fn other_storages_tell_of_theirs() {
    let server = Server::start(&[]);
    server.deploy("told", &expression("event"));
    trigger(&server, "told", json!({ "event": "cos:ObjectCreated:*", "filter": { "Prefix": "in/" } }));
    let notification = |key: &str, sequencer: &str| {
        json!({
            "EventName": "s3:ObjectCreated:Put", "Key": format!("photos/{key}"),
            "Records": [{
                "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2025-11-24T02:06:40.123Z",
                "eventName": "s3:ObjectCreated:Put", "userIdentity": { "principalId": "edgeuser" },
                "requestParameters": { "principalId": "edgeuser", "region": "", "sourceIPAddress": "192.0.2.10" },
                "responseElements": { "x-amz-id-2": "dd90", "x-amz-request-id": "18A5EDGE0001" },
                "s3": {
                    "s3SchemaVersion": "1.0", "configurationId": "Config",
                    "bucket": { "name": "photos", "ownerIdentity": { "principalId": "edgeuser" }, "arn": "arn:aws:s3:::photos" },
                    "object": {
                        "key": key, "size": 20481, "eTag": "9b2cf535f27731c974343645a3985328", "contentType": "image/jpeg",
                        "userMetadata": { "X-Amz-Meta-Site": "plant-2", "content-type": "image/jpeg" }, "sequencer": sequencer,
                    },
                },
                "source": { "host": "192.0.2.10", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7" },
            }],
        })
        .to_string()
    };
    let tell = |body: &str| {
        let answer = server.call("POST", "/v1/events/s3/photos", body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    assert_eq!(tell(&notification("in%2Fcat+01.jpg", "18A5")), json!({ "accepted": 1, "ignored": 0 }));
    let again = tell(&notification("in%2Fcat+01.jpg", "18A5"));
    assert_eq!(again, json!({ "accepted": 0, "ignored": 0 }), "it is known");
    let counted = triggers::show(&server, "told", HOST);
    assert_eq!((&counted["fired"], &counted["failed"]), (&json!(1), &json!(0)), "{counted}");
    assert_eq!(tell(&notification("out%2Fcat+01.jpg", "18A6")), json!({ "accepted": 0, "ignored": 0 }));
    let touched = notification("in%2Fcat+01.jpg", "18A7").replace("Created:Put", "Created:PutTagging");
    assert_eq!(tell(&touched), json!({ "accepted": 0, "ignored": 1 }));
    server.invoke("told", "1").returned();
    let of_rest = server.get("/v1/invocations?source=rest");
    assert_eq!(of_rest["invocations"].as_array().unwrap().len(), 1, "{of_rest}");
    assert_eq!(server.call("GET", "/v1/invocations?source=x", b"").status, 400);
    let found = server.get("/v1/invocations?function=told&source=cos");
    let found = found["invocations"].as_array().unwrap();
    assert_eq!(found.len(), 1, "told twice, it is one: {found:?}");
    assert_eq!(found[0]["source"], "cos");
    let record = server.over(found[0]["request_id"].as_str().unwrap());
    let event: Value = serde_json::from_str(record.result.unwrap().get()).unwrap();
    let expected = json!({ "Records": [{
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {
                "url": format!("http://{HOST}/in/cat%2001.jpg"),
                "meta": {
                    "Content-Type": "image/jpeg", "ETag": "\"9b2cf535f27731c974343645a3985328\"",
                    "x-cos-meta-site": "plant-2", "x-cos-request-id": "18A5EDGE0001",
                },
                "vid": "", "key": "/1250000000/photos/in/cat 01.jpg", "size": 20481,
            },
            "cosBucket": {
                "region": "gz", "cosRegion": "ap-guangzhou", "s3Region": "ap-guangzhou", "name": "photos", "appid": "1250000000",
            },
            "cosNotificationId": "unkown",
        },
        "event": {
            "eventName": "cos:ObjectCreated:Put", "eventVersion": "1.0", "eventTime": 1_763_950_000, "eventSource": "qcs::cos",
            "requestParameters": { "requestSourceIP": "192.0.2.10", "requestHeaders": { "Authorization": "" } },
            "eventQueue": "qcs:0:scf:ap-guangzhou:appid/1250000000:default.told.$LATEST", "reservedInfo": "", "reqid": 0,
        },
    }] });
    assert_eq!(event, expected);
    assert_eq!(server.call("POST", "/v1/events/s3/photos", b"{\"Records\":1}").status, 400);
}

/// What can never fire is refused; what does not fire as things are is told of.
#[test]
fn triggers_of_buckets_that_are_not_here_say_so() {
    let server = Server::start(&[]);
    let (id, key) = signing_key(&server, "objects", "admin");
    let cos = Cos { address: server.address(), id, key };
    server.deploy("told", &expression("1"));
    let body =
        |name: &str| json!({ "type": "cos", "name": name, "spec": { "event": "cos:ObjectCreated:*" } });
    let mut client = Client::new(&server, "admin");
    for name in
        ["photos", "photos.cos.ap-guangzhou.myqcloud.com", "Photos-1250000000", "http://photos-1250000000"]
    {
        let path = "/v1/functions/told/triggers";
        let refused = server.call("POST", path, body(name).to_string().as_bytes());
        assert_eq!(refused.status, 400, "{name}: {}", refused.text());
        assert!(refused.refusal().contains("NAME-APPID"), "{name}: {}", refused.text());
        let fields = json!({
            "FunctionName": "told", "TriggerName": name, "Type": "cos", "TriggerDesc": "{\"event\":\"cos:ObjectCreated:*\"}",
        });
        let answer = client.call("CreateTrigger", fields);
        assert_eq!(answer["Error"]["Code"], "InvalidParameterValue.TriggerName", "{name}: {answer}");
    }
    let said = server.fnlite(&["trigger", "add", "cos", "told", BUCKET]);
    let complained = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && complained.contains("warning: there is no bucket"), "{complained}");
    let listed = server.fnlite(&["trigger", "list", "told"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("there is no bucket"), "{listed:?}");
    assert_eq!(cos.ask("PUT", "/", b"").status, 200);
    let told = triggers::show(&server, "told", BUCKET);
    assert_eq!(told.get("warning"), None, "{told}");

    // Another store may have a bucket that none of this server can be.
    let elsewhere = triggers::add(&server, "told", &body("photos-7"));
    assert!(elsewhere["warning"].as_str().unwrap().contains("another store"), "{elsewhere}");
    let notification = json!({ "Records": [{
        "eventName": "s3:ObjectCreated:Put", "eventTime": "2025-11-24T02:06:40.123Z",
        "s3": { "bucket": { "name": "photos-7" }, "object": { "key": "a", "size": 1, "sequencer": "1" } },
    }] });
    let told = server.call("POST", "/v1/events/s3/photos-7", notification.to_string().as_bytes()).json();
    assert_eq!(told["accepted"], 1, "{told}");
    let fired = triggers::show(&server, "told", "photos-7");
    assert_eq!((&fired["fired"], fired.get("warning")), (&json!(1), None), "{fired}");
}

#[test]
fn files_that_nobody_has_go_and_those_that_are_missed_are_told_of() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    cos.put("kept", b"kept");
    cos.put("replaced", b"1");
    cos.put("replaced", b"2");
    let kept = files(server.place());
    assert_eq!(kept.len(), 2, "what was replaced is gone");
    let place = server.stop_in_order();
    let orphan = place.file("fnlite.db.d/objects/00/00000000000000000000000000000000");
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "never finished").unwrap();
    let server = place.serve(&ALONE);
    wait::until("it is swept", || (!orphan.exists()).then_some(()));
    assert_eq!(files(server.place()), kept);
    assert!(server.fnlite(&["check"]).status.success());
    fs::remove_file(kept.first().unwrap()).unwrap();
    let out = server.fnlite(&["check"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!out.status.success() && said.contains("1 files of objects are not there"), "{said}");
    let place = server.stop_in_order();
    let said = String::from_utf8_lossy(&place.fnlite(&["check"]).output().unwrap().stdout).into_owned();
    assert!(said.contains("1 files of objects are not there"), "{said}");
}

#[test]
fn a_backup_takes_objects_along() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    cos.put("a", b"one");
    cos.put("b", b"two");
    let out = server.fnlite(&["backup", "copy.db", "--objects", "copies"]);
    assert!(out.status.success(), "{out:?}");
    cos.put("a", b"later");
    let again = server.fnlite(&["backup", "later.db", "--objects", "copies", "--json"]);
    let said: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&said["objects"], &said["objects_bytes"]), (&json!(2), &json!(8)));
    let elsewhere = Place::new().with_key_of(&server);
    fs::copy(server.place().file("copy.db"), elsewhere.db()).unwrap();
    fs::create_dir(elsewhere.file("fnlite.db.d")).unwrap();
    let mut copy = program("cp");
    copy.arg("-r").arg(server.place().file("copies")).arg(elsewhere.file("fnlite.db.d/objects"));
    assert!(copy.status().unwrap().success());
    let restored = elsewhere.serve(&ALONE);
    let there = Cos { address: restored.cos_address(), ..cos.clone() };
    assert_eq!((there.get("a").body, there.get("b").body), (b"one".to_vec(), b"two".to_vec()));
    assert!(restored.fnlite(&["check"]).status.success());
    let out = server.fnlite(&["backup", "-", "--objects", "copies"]);
    assert!(!out.status.success(), "objects need a file to belong to");
}

fn rounds() -> usize {
    Rounds { short: 4, all: 40, soak: 400 }.asked()
}

/// Bytes of an object that tell whether they are whole, some so many that they come through a file.
fn bytes(lane: usize, number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(5) { MIB + 1000 * number } else { 10 + number };
    (0..length).map(|at| u8::try_from((at + lane * 31 + number * 7) % 251).unwrap()).collect()
}

/// Three lanes write objects, at once and in parts, until the server is killed; what was answered, by key.
fn upload_until_killed(server: &Server, cos: &Cos, round: usize, enough: usize) -> BTreeMap<String, Vec<u8>> {
    let (answered, count, over) = (Mutex::new(BTreeMap::new()), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for lane in 0..3 {
            let (answered, count, over, cos) = (&answered, &count, &over, cos.clone());
            scope.spawn(move || {
                for number in 0.. {
                    let key = format!("in/{round}-{lane}-{number}");
                    let body = bytes(lane, number);
                    // Whatever fails once the server is gone fails by a panic of the connection.
                    let put = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match lane {
                        2 => put_in_parts(&cos, &key, &body),
                        _ => cos.ask("PUT", &format!("/{key}"), &body).status == 200,
                    }));
                    if over.load(Ordering::SeqCst) || !put.unwrap_or(false) {
                        break;
                    }
                    answered.lock().unwrap().insert(key, body);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait::until("some were answered", || (count.load(Ordering::SeqCst) >= enough).then_some(()));
        server.kill();
        over.store(true, Ordering::SeqCst);
    });
    answered.into_inner().unwrap()
}

fn put_in_parts(cos: &Cos, key: &str, body: &[u8]) -> bool {
    let begun = cos.ask("POST", &format!("/{key}?uploads"), b"");
    let id = element(&begun, "UploadId").to_owned();
    let mut named = String::new();
    let (first, rest) = body.split_at(if body.len() > MIB { MIB } else { body.len() });
    let pieces = [first, rest].into_iter().filter(|piece| !piece.is_empty());
    for (number, piece) in (1..).zip(pieces) {
        let put = cos.ask("PUT", &format!("/{key}?partNumber={number}&uploadId={id}"), piece);
        let Some(etag) = put.header("etag") else { return false };
        named += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let body = format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>");
    cos.ask("POST", &format!("/{key}?uploadId={id}"), body.as_bytes()).status == 200
}

#[test]
fn what_was_answered_before_a_kill_is_whole_and_has_its_event() {
    let options = [&ALONE[..], &["--event-pace", "0.002"]].concat();
    let mut server = Place::new().serve(&options);
    let mut cos = Cos::with_bucket(&server);
    server.deploy(
        "seen",
        &source(
            "def main_handler(event, context):\n    return event['Records'][0]['cos']['cosObject']['key']\n",
        ),
    );
    trigger(&server, "seen", json!({ "event": "cos:ObjectCreated:*" }));
    let mut answered = BTreeMap::new();
    for round in 0..rounds() {
        answered.extend(upload_until_killed(&server, &cos, round, 12 + 7 * round % 20));
        server = server.kill9().serve(&options);
        cos.address = server.cos_address();
        for (key, body) in &answered {
            let found = cos.get(key);
            assert_eq!((found.status, found.body.len()), (200, body.len()), "{key}");
            assert!(found.body == *body, "{key} is not what was sent");
        }
        let db = server.place().db();
        let objects: BTreeSet<String> =
            sql(&db, "SELECT '/1250000000/photos/' || key FROM objects").lines().map(str::to_owned).collect();
        let told = "SELECT json_extract(event, '$.Records[0].cos.cosObject.key') FROM invocations WHERE source = 'cos'";
        let events: Vec<String> = sql(&db, told).lines().map(str::to_owned).collect();
        let of_events: BTreeSet<String> = events.iter().cloned().collect();
        assert_eq!(objects, of_events, "no object without its event, and no event without its object");
        assert_eq!(events.len(), of_events.len(), "and one for each");
        let named = "SELECT count(*) FROM (SELECT file FROM object UNION ALL SELECT file FROM upload_part)";
        wait::until("files that no row names are gone", || {
            let rows: usize = sql(&db, named).parse().unwrap();
            (files(server.place()).len() == rows).then_some(())
        });
        assert!(server.fnlite(&["check"]).status.success());
    }
    wait::until("every event has run", || {
        let left = "SELECT count(*) FROM invocations WHERE source = 'cos' AND state <> 'succeeded'";
        (sql(&server.place().db(), left) == "0").then_some(())
    });
}

/// Reads what was uploaded from the storage itself, and puts what it makes of it beside it.
const SHOUTS: &str = "
import hashlib, hmac, os, time, urllib.request
def ask(method, key, body=None):
    host = 'photos-1250000000.cos.ap-guangzhou.myqcloud.com'
    now = int(time.time())
    span = f'{now - 60};{now + 600}'
    mac = lambda key, text: hmac.new(key.encode(), text.encode(), hashlib.sha1).hexdigest()
    request = f'{method.lower()}\\n/{key}\\n\\nhost={host}\\n'
    signature = mac(mac(os.environ['KEY'], span), 'sha1\\n%s\\n%s\\n' % (span, hashlib.sha1(request.encode()).hexdigest()))
    authorization = f\"q-sign-algorithm=sha1&q-ak={os.environ['ID']}&q-sign-time={span}&q-key-time={span}\" \\
                    f'&q-header-list=host&q-url-param-list=&q-signature={signature}'
    headers = {'Host': host, 'Authorization': authorization, 'Content-Type': 'text/plain'}
    asked = urllib.request.Request(f\"http://{os.environ['AT']}/{key}\", data=body, method=method, headers=headers)
    return urllib.request.urlopen(asked, timeout=10).read()
def main_handler(event, context):
    key = event['Records'][0]['cos']['cosObject']['key'].removeprefix('/1250000000/photos/')
    ask('PUT', 'out/' + key.removeprefix('in/'), ask('GET', key).upper())
";

#[test]
fn a_function_makes_objects_of_objects() {
    let server = Server::start(&ALONE);
    let cos = Cos::with_bucket(&server);
    let env = json!({ "AT": cos.address.to_string(), "ID": cos.id, "KEY": cos.key });
    server.deploy("shouts", &source(SHOUTS).with("env", env).with("timeout_s", 20));
    let spec = json!({ "event": "cos:ObjectCreated:*", "prefix": "in/" });
    triggers::add(&server, "shouts", &json!({ "type": "cos", "name": BUCKET, "spec": spec }));
    for name in ["a", "b", "c"] {
        cos.put(&format!("in/{name}.txt"), format!("hello {name}").as_bytes());
    }
    for name in ["a", "b", "c"] {
        let made = wait::until("it is made", || {
            Some(cos.get(&format!("out/{name}.txt"))).filter(|answer| answer.status == 200)
        });
        assert_eq!(made.text(), format!("HELLO {}", name.to_uppercase()));
    }
    let runs = triggers::runs(&server, "shouts");
    assert_eq!(runs.len(), 3, "what it makes runs nothing");
    let id = runs[0]["request_id"].as_str().unwrap();
    assert_eq!(server.record(id).source, "cos");
}
