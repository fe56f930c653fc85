//! Requests that run functions, sent by curl: as events of the cloud's gateway and URLs, and as responses of what is returned.

use std::process::Output;

use serde_json::{Value, json};

use super::{add, change, runs, show};
use crate::function::{expression, folder, source};
use crate::keeping::text;
use crate::sdk::node;
use crate::server::{Place, Server, program};
use crate::wait;

/// Says back what it was sent, or what the query tells it to.
const WEB: &str = "
import json, time
def main_handler(event, context):
    query = event.get('queryString', {})
    if 'raise' in query:
        raise ValueError('as asked')
    if 'sleep' in query:
        time.sleep(float(query['sleep']))
    if 'value' in query:
        return json.loads(query['value'])
    return {'isBase64Encoded': False, 'statusCode': 200, 'headers': {'Content-Type': 'application/json'},
            'body': json.dumps(event)}
";

/// What curl was answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {self:?}"))
    }
}

#[track_caller]
fn curl(words: &[&str]) -> Reply {
    let said: Output = program("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20", "-H", "Expect:"])
        .args(words)
        .output()
        .unwrap();
    assert!(said.status.success(), "{words:?}: {}", text(&said));
    let end = said.stdout.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(said.stdout[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Reply { status, headers: lines.map(header).collect(), body: said.stdout[end + 4..].to_vec() }
}

/// A function with a URL; where it is, without the slash at its end.
fn url(server: &Server, name: &str, spec: &Value) -> String {
    server.deploy(name, &source(WEB));
    let made = add(server, name, &json!({ "type": "http", "spec": spec }));
    made["address"].as_str().unwrap().trim_end_matches('/').to_owned()
}

/// An API; where it is.
fn api(server: &Server, name: &str, trigger: &str, spec: &Value) -> String {
    let made = add(server, name, &json!({ "type": "apigw", "name": trigger, "spec": spec }));
    made["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_url_sends_what_the_cloud_sends() {
    let server = Server::shared();
    let url = url(server, "tango", &json!({}));
    let reply = curl(&[
        &format!("{url}/tango?a=1"),
        "-A",
        "curl/8.5.0",
        "-H",
        "Content-Type: application/json",
        "-H",
        "X-Scf-Remote-Addr: 6.6.6.6",
        "-d",
        r#"{"test":"edge"}"#,
    ]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let id = reply.header("x-scf-request-id").unwrap();
    let host = server.address().to_string();
    let expected = json!({
        "body": "{\"test\":\"edge\"}",
        "headers": {
            "accept": "*/*",
            "content-length": "15",
            "content-type": "application/json",
            "user-agent": "curl/8.5.0",
            "x-scf-remote-addr": "127.0.0.1",
            "x-scf-request-domain": host,
            "x-scf-request-id": id,
        },
        "httpMethod": "POST",
        "path": "/tango",
        "queryString": { "a": "1" },
        "headerParameters": {},
        "isBase64Encoded": false,
        "pathParameters": {},
        "queryStringParameters": {},
        "requestContext": { "sourceIp": "127.0.0.1" },
    });
    assert_eq!(reply.json(), expected);
    let record = server.record(id);
    assert_eq!((record.source.as_str(), record.status), ("http", 200));
    let got = curl(&[&url]);
    assert_eq!((&got.json()["body"], &got.json()["path"]), (&json!(""), &json!("/")));
}

#[test]
fn the_gateway_sends_what_the_cloud_sends() {
    let server = Server::shared();
    server.deploy("readings", &source(WEB));
    let spec = json!({ "service": "service-edge0001", "path": "/readings/{id}" });
    api(server, "readings", "one", &spec);
    let host = "service-edge0001-1250000000.gz.apigw.tencentcs.com";
    let base = server.url();
    let named = format!("Host: {host}");
    let reply = curl(&[
        &format!("{base}/release/readings/t-7?unit=c"),
        "-A",
        "curl/8.5.0",
        "-H",
        &named,
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"sensor":"t-7","celsius":21.5}"#,
    ]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let id = reply.header("x-api-requestid").unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let expected = json!({
        "body": "{\"sensor\":\"t-7\",\"celsius\":21.5}",
        "headerParameters": {},
        "headers": {
            "accept": "*/*",
            "host": host,
            "requestsource": "APIGW",
            "user-agent": "curl/8.5.0",
            "x-api-requestid": id,
            "x-api-scheme": "http",
            "x-b3-traceid": id,
            "x-qualifier": "$LATEST",
            "content-length": "31",
            "content-type": "application/json",
        },
        "httpMethod": "POST",
        "isBase64Encoded": false,
        "path": "/readings/t-7",
        "pathParameters": { "id": "t-7" },
        "queryString": { "unit": "c" },
        "queryStringParameters": {},
        "requestContext": {
            "httpMethod": "ANY",
            "identity": {},
            "path": "/readings/{id}",
            "serviceId": "service-edge0001",
            "sourceIp": "127.0.0.1",
            "stage": "release",
        },
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(server.record(id).source, "apigw");
    // The same by path, where a domain of its own is too much to ask.
    let by_path = format!("{base}/apigw/service-edge0001/release/readings/t-7");
    let got = curl(&[&format!("{by_path}?tag=a&tag=b&unit=c&verbose")]).json();
    assert!(got.get("body").is_none(), "a request without a body has none");
    assert_eq!(got["queryString"], json!({ "tag": ["a", "b"], "unit": "c", "verbose": true }));
    let png = server.place().file("png");
    std::fs::write(&png, b"\x89PNG\x00\x01\x02\x03").unwrap();
    let sent = format!("@{}", png.display());
    let got = curl(&[&by_path, "-X", "PUT", "-H", "Content-Type: image/png", "--data-binary", &sent]).json();
    assert_eq!((&got["body"], &got["isBase64Encoded"]), (&json!("iVBORwABAgM="), &json!(true)));
}

#[test]
fn what_an_integrated_function_returns_is_the_response() {
    let server = Server::shared();
    server.deploy("integrated", &source(WEB));
    let address = api(server, "integrated", "api", &json!({ "path": "/integrated" }));
    let ask = |value: &str| curl(&["-G", &address, "--data-urlencode", &format!("value={value}")]);
    let reply = ask(
        r#"{"isBase64Encoded":false,"statusCode":201,"headers":{"Content-Type":"text/plain","Set-Cookie":["a=1; Path=/","b=2; Path=/"]},"body":"created"}"#,
    );
    assert_eq!((reply.status, reply.body.as_slice()), (201, &b"created"[..]));
    let cookies: Vec<&str> = reply
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2; Path=/"]);
    let reply = ask(
        r#"{"isBase64Encoded":true,"statusCode":200,"headers":{"Content-Type":"image/png"},"body":"iVBORw=="}"#,
    );
    assert_eq!((reply.header("content-type"), reply.body.as_slice()), (Some("image/png"), &b"\x89PNG"[..]));
    for malformed in
        [r#"{"a":1}"#, "null", r#"{"statusCode":"200"}"#, r#"{"statusCode":200,"headers":{"X":"a\nb"}}"#]
    {
        let reply = ask(malformed);
        let expected = json!({ "errno": 403, "error": "Invalid scf response format. please check your scf response format." });
        assert_eq!((reply.status, reply.json()), (403, expected), "{malformed}");
    }
    let state = wait::until("it is counted", || {
        Some(show(server, "integrated", "api")).filter(|state| state["failed"] == 4)
    });
    assert_eq!(state["fired"], 6);
    let raised = curl(&[&format!("{address}?raise")]);
    assert_eq!((raised.status, &raised.json()["errorMessage"]), (502, &json!("user code exception caught")));
}

#[test]
fn what_a_passed_through_function_returns_is_the_body() {
    let server = Server::shared();
    server.deploy("passed", &source(WEB));
    let address = api(server, "passed", "api", &json!({ "path": "/passed", "is_integrated": false }));
    let ask = |value: &str| curl(&["-G", &address, "--data-urlencode", &format!("value={value}")]);
    for value in [r#"{"a": 1.1}"#, r#""text""#, "null", r#"{"statusCode": 404}"#] {
        let reply = ask(value);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{value}");
        assert_eq!(String::from_utf8(reply.body).unwrap(), value);
    }
    let raised = curl(&[&format!("{address}?raise")]);
    assert_eq!((raised.status, &raised.json()["errorMessage"]), (200, &json!("user code exception caught")));
}

#[test]
fn what_a_url_gets_is_inferred() {
    let server = Server::shared();
    let url = url(server, "inferred", &json!({}));
    let ask = |value: &str| curl(&["-G", &url, "--data-urlencode", &format!("value={value}")]);
    let reply = ask("\"Hello\"");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.body, b"\"Hello\"");
    let reply = ask(r#"{"statusCode":404,"headers":{"Content-Type":"text/plain"},"body":"none"}"#);
    assert_eq!((reply.status, reply.body.as_slice()), (404, &b"none"[..]));
    let raised = curl(&[&format!("{url}?raise")]);
    assert_eq!((raised.status, raised.header("x-scf-error-type")), (502, Some("UnhandledInvocationErr")));
    assert_eq!(raised.json()["errorMessage"], "user code exception caught");
    let head = curl(&["--head", &url]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.deploy("inferred", &source(WEB).with("reserved_mb", 0));
    let busy = curl(&[&url]);
    assert_eq!((busy.status, busy.header("x-scf-error-type")), (429, Some("ScfCommonError")));
}

#[test]
fn addresses_lead_to_one_function_or_to_none() {
    let server = Server::shared();
    let base = server.url();
    for (name, path, method) in
        [("users", "/user/{id}", "ANY"), ("me", "=/user/me", "GET"), ("shop", "/shop", "POST")]
    {
        server.deploy(name, &expression(&format!("{{'statusCode': 200, 'body': '{name}'}}")));
        api(server, name, "api", &json!({ "service": "routes", "path": path, "method": method }));
    }
    let at = |path: &str| format!("{base}/apigw/routes/release{path}");
    for (path, expected) in [("/user/7", "users"), ("/user/me", "me")] {
        assert_eq!(curl(&[&at(path)]).body, expected.as_bytes(), "{path}");
    }
    assert_eq!(curl(&[&at("/shopping/list"), "-d", ""]).body, b"shop");
    let other = curl(&[&at("/shop")]);
    assert_eq!((other.status, other.header("allow")), (405, Some("POST")));
    for path in [
        "/apigw/routes/test/user/7",
        "/apigw/routes/release/other",
        "/apigw/nobody/release/user/7",
        "/apigw/routes",
        "/url/nobody/",
    ] {
        assert_eq!(curl(&[&format!("{base}{path}")]).status, 404, "{path}");
    }
    // What is off or gone has no address any more.
    change(server, "me", "api", &json!({ "enabled": false }));
    assert_eq!(curl(&[&at("/user/me")]).body, b"users");
    assert_eq!(server.call("DELETE", "/v1/functions/users", b"").status, 204);
    assert_eq!(curl(&[&at("/user/me")]).status, 404);
}

#[test]
fn a_path_leads_to_one_function() {
    let server = Server::start(&[]);
    let deploy = |target: &str| server.call("PUT", target, expression("1").body().as_bytes()).status;
    assert_eq!((deploy("/v1/functions/shop"), deploy("/v1/functions/shop?namespace=dev")), (201, 201));
    let make = |target: &str, spec: Value| {
        let body = json!({ "type": "apigw", "name": format!("api{}", spec["method"].as_str().unwrap_or("")), "spec": spec });
        server.call("POST", target, body.to_string().as_bytes()).status
    };
    let (prod, dev) = ("/v1/functions/shop/triggers", "/v1/functions/shop/triggers?namespace=dev");
    assert_eq!(make(prod, json!({})), 201);
    assert_eq!(make(dev, json!({})), 409, "the same default path");
    assert_eq!(make(dev, json!({ "path": "/shop", "method": "GET" })), 409);
    assert_eq!(make(dev, json!({ "path": "/shop", "environment": "test", "method": "GET" })), 201);
    assert_eq!(make(dev, json!({ "path": "/shop", "environment": "test", "method": "POST" })), 201);
    let moved = json!({ "spec": { "path": "/shop", "environment": "release" } }).to_string();
    let target = "/v1/functions/shop/triggers/apiGET?namespace=dev";
    assert_eq!(server.call("PUT", target, moved.as_bytes()).status, 409, "nor may it be moved there");
}

/// Two who change different things of a trigger at once both get what they said.
#[test]
fn changes_at_once_do_not_undo_each_other() {
    let server = Server::shared();
    server.deploy("changed", &expression("1"));
    api(server, "changed", "api", &json!({ "service": "changes" }));
    for round in 0..20 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                change(server, "changed", "api", &json!({ "spec": { "path": format!("/p{round}") } }))
            });
            scope.spawn(|| {
                change(server, "changed", "api", &json!({ "spec": { "service": format!("s{round}") } }))
            });
        });
        let spec = show(server, "changed", "api")["spec"].clone();
        assert_eq!(
            (&spec["path"], &spec["service"]),
            (&json!(format!("/p{round}")), &json!(format!("s{round}")))
        );
    }
}

#[test]
fn methods_are_those_of_the_api_whatever_is_asked_leave_for() {
    let server = Server::shared();
    server.deploy("got", &source(WEB));
    let address = api(server, "got", "api", &json!({ "path": "/got", "method": "GET" }));
    let asks =
        ["-X", "OPTIONS", "-H", "Origin: https://a.example", "-H", "Access-Control-Request-Method: GET"];
    let ask = || curl(&[&[address.as_str()][..], &asks].concat());
    assert_eq!(ask().status, 405);
    assert_eq!(runs(server, "got").len(), 0);
    change(server, "got", "api", &json!({ "spec": { "enables_cors": true } }));
    assert_eq!(ask().status, 204);
    assert_eq!(runs(server, "got").len(), 0);
}

/// Nobody fills the server with bodies that lead nowhere, or that are not signed.
#[test]
fn what_leads_nowhere_is_refused_before_its_body() {
    let server = Server::start(&[]);
    server.deploy("guarded", &expression("1"));
    let signed = add(&server, "guarded", &json!({ "type": "http", "spec": { "is_signed": true } }));
    let keyed = api(&server, "guarded", "api", &json!({ "path": "/guarded", "auth_required": true }));
    // Read once, so that the addresses are known.
    assert_eq!(curl(&[&keyed]).status, 401);
    for (address, status) in [
        (format!("{}/url/nobody/", server.url()), 404),
        (format!("{}/apigw/nobody/release/", server.url()), 404),
        (signed["address"].as_str().unwrap().to_owned(), 401),
        (keyed, 401),
    ] {
        // A client that waits for leave sends nothing where there is none.
        let said = program("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}", "--max-time", "20"])
            .args([
                "-H",
                "Expect: 100-continue",
                "--expect100-timeout",
                "10",
                "-d",
                &"x".repeat(100_000),
                &address,
            ])
            .output()
            .unwrap();
        assert_eq!(text(&said), format!("{status} 0"), "{address}");
    }
}

#[test]
fn who_may_call_is_up_to_the_trigger() {
    let server = Server::start(&[]);
    let made = server.call("POST", "/v1/keys", br#"{"name":"app","scope":"invoke","tencent":true}"#).json();
    let (id, secret) = (made["secret_id"].as_str().unwrap(), made["secret_key"].as_str().unwrap());
    server.deploy("guarded", &source(WEB));
    let address = api(&server, "guarded", "api", &json!({ "path": "/guarded", "auth_required": true }));
    let sign = |secret: &str, date: &str| {
        let script = "import base64,hashlib,hmac,sys;print(base64.b64encode(hmac.new(sys.argv[1].encode(),sys.argv[2].encode(),hashlib.sha1).digest()).decode())";
        let signed = format!("x-date: {date}\nsource: shop");
        let out = program("python3").args(["-c", script, secret, &signed]).output().unwrap();
        let signature = text(&out).trim().to_owned();
        format!(
            "Authorization: hmac id=\"{id}\", algorithm=\"hmac-sha1\", headers=\"x-date source\", signature=\"{signature}\""
        )
    };
    let now = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date_of = |second: i64| {
        now.timestamp_to_rfc9110_string(&jiff::Timestamp::from_second(second).unwrap()).unwrap()
    };
    let now_s = server.get("/v1/functions/guarded/triggers/api")["created_us"].as_i64().unwrap() / 1_000_000;
    let call = |authorization: &str, date: &str| {
        curl(&[&address, "-H", authorization, "-H", &format!("X-Date: {date}"), "-H", "Source: shop"])
    };
    let date = date_of(now_s);
    let reply = call(&sign(secret, &date), &date);
    assert_eq!(
        (reply.status, &reply.json()["requestContext"]["identity"]),
        (200, &json!({ "secretId": id }))
    );
    let ran = runs(&server, "guarded").len();
    assert_eq!(curl(&[&address]).status, 401);
    assert_eq!(call(&sign("guess", &date), &date).status, 401);
    assert_eq!(call(&sign(secret, &date), &date_of(now_s - 60)).status, 401, "another date than was signed");
    let old = date_of(now_s - 3600);
    assert_eq!(call(&sign(secret, &old), &old).status, 401);
    assert_eq!(runs(&server, "guarded").len(), ran, "nobody else has run anything");
    let told = (0..12).map(|_| call(&sign("guess", &date), &date)).find(|reply| reply.status == 429);
    assert!(told.is_some_and(|reply| reply.header("retry-after").is_some()), "guessing is told to wait");
    assert_eq!(call(&sign(secret, &date), &date).status, 200, "who has the key is let in all the same");
}

/// Signs as the SDKs of the cloud's API do, over `/` or over the path, and sends it.
const SIGNED: &str = "
import hashlib, hmac, sys, time, urllib.error, urllib.request
url, id, secret, uri, host = sys.argv[1:]
body, now = b'{\"a\":1}', int(time.time())
date = time.strftime('%Y-%m-%d', time.gmtime(now))
sha = lambda data: hashlib.sha256(data).hexdigest()
mac = lambda key, text: hmac.new(key, text.encode(), hashlib.sha256).digest()
canonical = '\\n'.join(['POST', uri, '', 'content-type:application/json', 'host:' + host, '', 'content-type;host', sha(body)])
to_sign = '\\n'.join(['TC3-HMAC-SHA256', str(now), date + '/scf/tc3_request', sha(canonical.encode())])
key = mac(mac(mac(('TC3' + secret).encode(), date), 'scf'), 'tc3_request')
signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
credential = 'TC3-HMAC-SHA256 Credential=%s/%s/scf/tc3_request, SignedHeaders=content-type;host, Signature=%s'
headers = {'Content-Type': 'application/json', 'X-TC-Timestamp': str(now), 'Authorization': credential % (id, date, signature)}
try:
    print(urllib.request.urlopen(urllib.request.Request(url, body, headers)).status)
except urllib.error.HTTPError as error:
    print(error.code)
";

#[test]
fn a_signed_url_wants_a_signature() {
    let server = Server::start(&[]);
    let key = |scope: &str| {
        let body = json!({ "name": scope, "scope": scope, "tencent": true }).to_string();
        let made = server.call("POST", "/v1/keys", body.as_bytes()).json();
        (made["secret_id"].as_str().unwrap().to_owned(), made["secret_key"].as_str().unwrap().to_owned())
    };
    let url = url(&server, "signed", &json!({ "is_signed": true })) + "/orders/7";
    let host = server.address().to_string();
    let path = &url[url.find("/url/").unwrap()..];
    let (id, secret) = key("invoke");
    let ask = |id: &str, secret: &str, uri: &str| {
        let out = program("python3").args(["-c", SIGNED, &url, id, secret, uri, &host]).output().unwrap();
        text(&out).trim().to_owned()
    };
    assert_eq!(curl(&[&url]).status, 401);
    for uri in ["/", path] {
        assert_eq!(ask(&id, &secret, uri), "200", "{uri}");
    }
    assert_eq!(ask(&id, &secret, "/other"), "401");
    assert_eq!(ask(&id, "guess", "/"), "401");
    assert_eq!(ask("AKIDnobody", &secret, "/"), "401");
    let (id, secret) = key("read");
    assert_eq!(ask(&id, &secret, "/"), "403", "a key that may only read runs nothing");
}

#[test]
fn what_is_too_large_is_refused_and_nothing_runs() {
    let server = Server::shared();
    let url = url(server, "large", &json!({}));
    let file = server.place().file("large");
    std::fs::write(&file, vec![0xff; 5_000_000]).unwrap();
    let sent = format!("@{}", file.display());
    // Base64 makes it longer than an event may be.
    let reply = curl(&["--data-binary", &sent, &url]);
    assert_eq!((reply.status, reply.header("x-scf-error-type")), (413, Some("ScfCommonError")));
    std::fs::write(&file, vec![b'x'; 7_000_000]).unwrap();
    assert_eq!(curl(&["--data-binary", &sent, &url]).status, 413);
    assert_eq!(runs(server, "large").len(), 0);
    std::fs::write(&file, vec![b'x'; 2_000_000]).unwrap();
    let reply = curl(&["--data-binary", &sent, &url]);
    assert_eq!((reply.status, reply.json()["body"].as_str().unwrap().len()), (200, 2_000_000));
}

#[test]
fn pages_of_other_origins_ask_and_are_told() {
    let server = Server::shared();
    let cors = json!({ "origins": ["https://shop.example"], "methods": ["POST"], "headers": ["content-type"],
                       "expose_headers": ["x-a"], "max_age_s": 10, "credentials": true });
    let url = url(server, "shared", &json!({ "cors": cors }));
    let asks = |origin: &str| {
        let origin = format!("Origin: {origin}");
        curl(&[
            "-X",
            "OPTIONS",
            &url,
            "-H",
            &origin,
            "-H",
            "Access-Control-Request-Method: POST",
            "-H",
            "Access-Control-Request-Headers: content-type",
        ])
    };
    let before = runs(server, "shared").len();
    let reply = asks("https://shop.example");
    assert_eq!(reply.status, 204);
    for (name, expected) in [
        ("access-control-allow-origin", "https://shop.example"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "10"),
    ] {
        assert_eq!(reply.header(name), Some(expected), "{name}");
    }
    assert_eq!(asks("https://evil.example").header("access-control-allow-origin"), None);
    assert_eq!(runs(server, "shared").len(), before, "the function is not asked");
    let reply = curl(&[&url, "-H", "Origin: https://shop.example"]);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(reply.header("access-control-expose-headers"), Some("x-a"));
}

/// As a page in a browser asks: by `fetch`, which follows redirects, sends forms and JSON, and reads what comes.
const PAGE: &str = "
const url = process.argv[1];
const ask = async (path, options) => {
    const answer = await fetch(url + path, options);
    return [answer.status, answer.url.slice(url.length), await answer.text()];
};
(async () => {
    const json = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ 'ключ': '值' }) };
    const sent = JSON.parse((await ask('/json', json))[2]);
    const form = JSON.parse((await ask('/form', { method: 'POST', body: new URLSearchParams({ a: '1 & 2' }) }))[2]);
    const data = new FormData();
    data.append('file', new Blob([new Uint8Array([0, 255, 1])]), 'x.bin');
    const upload = JSON.parse((await ask('/upload', { method: 'PUT', body: data }))[2]);
    const there = encodeURIComponent(JSON.stringify({ statusCode: 302, headers: { Location: url + '/there' } }));
    const many = await Promise.all(Array.from({ length: 20 }, (_, n) => ask('/many?n=' + n)));
    const gone = encodeURIComponent(JSON.stringify({ statusCode: 404, body: 'gone' }));
    console.log(JSON.stringify({
        body: JSON.parse(sent.body), form: form.body, kind: form.headers['content-type'],
        upload: [upload.isBase64Encoded, Buffer.from(upload.body, 'base64').includes(Buffer.from([0, 255, 1]))],
        redirected: (await ask('/here?value=' + there)).slice(0, 2),
        many: many.map((answer) => JSON.parse(answer[2]).queryString.n),
        gone: await ask('/x?value=' + gone), preflight: (await ask('/', { method: 'OPTIONS' }))[0],
    }));
})();
";

#[test]
fn pages_fetch_as_from_any_server() {
    let server = Server::shared();
    let url = url(server, "fetched", &json!({}));
    let said = node().args(["-e", PAGE, &url]).output().unwrap();
    assert!(said.status.success(), "{}", text(&said));
    let seen: Value = serde_json::from_slice(&said.stdout).unwrap();
    let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let expected = json!({
        "body": { "ключ": "值" },
        "form": "a=1+%26+2",
        "kind": "application/x-www-form-urlencoded;charset=UTF-8",
        "upload": [true, true],
        "redirected": [200, "/there"],
        "many": many,
        "gone": [404, "/x?value=%7B%22statusCode%22%3A404%2C%22body%22%3A%22gone%22%7D", "gone"],
        "preflight": 200,
    });
    assert_eq!(seen, expected);
}

/// What a function answers at this server's own address is of no origin to a browser, so that it cannot ask the console.
#[test]
fn pages_of_functions_are_kept_apart_where_they_share_a_host() {
    let server = Server::shared();
    let url = url(server, "kept_apart", &json!({}));
    let by_path = curl(&[&url]);
    assert!(by_path.header("content-security-policy").unwrap().starts_with("sandbox "), "{by_path:?}");
    let cookies = r#"{"statusCode":200,"headers":{"Set-Cookie":"fnlite_1=x; Path=/console","X-A":"b","Clear-Site-Data":"*"},"body":""}"#;
    let taken = curl(&["-G", &url, "--data-urlencode", &format!("value={cookies}")]);
    let headers = ["set-cookie", "clear-site-data", "x-a"].map(|name| taken.header(name));
    assert_eq!(headers, [None, None, Some("b")], "{taken:?}");
    let script = curl(&[&url, "-H", "Sec-Fetch-Site: same-origin", "-H", "Sec-Fetch-Dest: script"]);
    assert_eq!(script.status, 403, "{script:?}");
    let id = url.rsplit('/').next().unwrap();
    let host = format!("Host: 1250000000-{id}.localhost");
    let by_host = curl(&[&server.url(), "-H", &host]);
    assert_eq!((by_host.status, by_host.header("content-security-policy")), (200, None), "{by_host:?}");
}

#[test]
fn the_gateway_does_not_wait_for_ever() {
    let server = Server::start(&["--gateway-timeout", "1s", "--drain-timeout", "20s"]);
    server.deploy("slow", &source(WEB).with("timeout_s", 10));
    let address = api(&server, "slow", "api", &json!({ "path": "/slow" }));
    let reply = curl(&[&format!("{address}?sleep=3")]);
    assert_eq!((reply.status, &reply.json()["errno"]), (504, &json!(504)));
    let id = reply.header("x-api-requestid").unwrap();
    // Of an alias the slower of its versions counts, whichever it is sent to.
    for timeout_s in [1, 10] {
        server.deploy("two", &source(WEB).with("timeout_s", timeout_s));
        assert_eq!(server.call("POST", "/v1/functions/two/versions", b"").status, 201);
    }
    let alias = br#"{"version":"1","other_version":"2","weight":1}"#;
    assert_eq!(server.call("PUT", "/v1/functions/two/aliases/ab", alias).status, 201);
    let two = add(
        &server,
        "two",
        &json!({ "type": "apigw", "name": "api", "qualifier": "ab", "spec": { "path": "/two" } }),
    );
    let slow = format!("{}?sleep=3", two["address"].as_str().unwrap());
    assert_eq!(curl(&[&slow]).status, 504);
    // The run goes on, also while the server stops, and has its record.
    let server = server.stop_in_order().serve(&[]);
    let record = server.record(id);
    assert_eq!((record.state.as_str(), record.status), ("succeeded", 200));
    assert!(record.duration_us >= 3_000_000, "{record:?}");
}

#[test]
fn urls_may_be_for_networks_of_ones_own() {
    let server = Server::shared();
    let url = url(server, "near", &json!({ "intranet": true, "extranet": false }));
    assert_eq!(curl(&[&url]).status, 200);
    change(server, "near", "url", &json!({ "spec": { "intranet": false } }));
    let reply = curl(&[&url]);
    assert_eq!((reply.status, reply.header("x-scf-error-type")), (403, Some("ScfCommonError")));
}

#[test]
fn a_url_stays_what_it_is() {
    let server = Server::start(&[]);
    let before = url(&server, "steady", &json!({}));
    change(&server, "steady", "url", &json!({ "spec": { "is_signed": false, "url_id": "mine" } }));
    let server = server.kill9().serve(&["--public-url", "https://box.example/"]);
    let after = show(&server, "steady", "url")["address"].as_str().unwrap().to_owned();
    let id = before.rsplit('/').next().unwrap();
    assert_eq!(after, format!("https://box.example/url/{id}/"));
    assert_eq!(curl(&[&format!("{}/url/{id}", server.url())]).status, 200);
    let by_host = format!("Host: 1250000000-{id}.ap-guangzhou.tencentscf.com");
    let reply = curl(&[&format!("{}/v1/functions", server.url()), "-H", &by_host]);
    assert_eq!((reply.status, &reply.json()["path"]), (200, &json!("/v1/functions")));
}

#[test]
fn templates_are_events_to_try_functions_with() {
    let server = Server::shared();
    server.deploy("tried", &expression("list(event)"));
    let templates = server.get("/v1/event-templates")["templates"].as_array().unwrap().clone();
    let names: Vec<&str> = templates.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["hello_world", "cos_put", "cos_post", "cos_delete", "ckafka", "apigw", "timer"]);
    for name in names {
        let said = server.fnlite(&["trigger", "test", "tried", "--template", name]);
        assert!(said.status.success(), "{name}: {}", text(&said));
        let keys: Vec<String> = serde_json::from_slice(&said.stdout).unwrap();
        assert!(!keys.is_empty(), "{name}");
    }
    let said = server.fnlite(&["trigger", "test", "tried", "--template", "x"]);
    assert_eq!(said.status.code(), Some(2), "{}", text(&said));
}

#[test]
fn the_commands_make_list_switch_and_remove() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    let run = |words: &[&str]| {
        let said = server.fnlite(words);
        assert!(said.status.success(), "{words:?}: {}", text(&said));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    let cron = run(&["trigger", "add", "timer", "hello", "nightly", "30 2 * * *", "--zone", "Europe/Berlin"]);
    assert_eq!(cron, "0 30 2 * * * * Europe/Berlin");
    let url = run(&["trigger", "add", "http", "hello", "--cors", "*"]);
    assert_eq!(curl(&[&url]).status, 200);
    run(&["trigger", "add", "apigw", "hello", "/orders/{id}", "--method", "get", "--passthrough"]);
    run(&["trigger", "add", "cos", "hello", "photos-1250000000", "--suffix", ".jpg", "--off"]);
    let listed = run(&["trigger", "list", "hello"]);
    for expected in ["nightly", "url", "GET http://", "photos-1250000000/*.jpg cos:ObjectCreated:*", "off"] {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }
    run(&["trigger", "disable", "hello", "url"]);
    assert_eq!(curl(&[&url]).status, 404);
    run(&["trigger", "enable", "hello", "url"]);
    assert_eq!(curl(&[&url]).status, 200);
    run(&["trigger", "remove", "hello", "nightly"]);
    let all: Value = serde_json::from_str(&run(&["trigger", "list", "--json"])).unwrap();
    assert_eq!(all["triggers"].as_array().unwrap().len(), 3);
    let said = server.fnlite(&["trigger", "remove", "hello", "nightly"]);
    assert_eq!(said.status.code(), Some(4), "{}", text(&said));
    let said = server.fnlite(&["delete", "hello"]);
    assert!(
        text(&said).contains("deleted hello and its 3 triggers; its runs and logs stay"),
        "{}",
        text(&said)
    );
    assert_eq!(server.get("/v1/triggers")["triggers"], json!([]));
    assert_eq!(curl(&[&url]).status, 404);
}

/// Requests could not be told apart by what a part is called: the first would take all of them.
#[test]
fn paths_that_differ_only_in_the_names_of_their_parts_are_one() {
    let server = Server::start(&[]);
    server.deploy("orders", &folder("hello"));
    server.deploy("others", &folder("hello"));
    let add = |function: &str, name: &str, path: &str, method: &str| {
        let spec = json!({ "path": path, "method": method });
        let body = json!({ "type": "apigw", "name": name, "spec": spec }).to_string();
        server.call("POST", &format!("/v1/functions/{function}/triggers"), body.as_bytes()).status
    };
    assert_eq!(add("orders", "a", "/orders/{id}", "ANY"), 201);
    assert_eq!(add("others", "b", "/orders/{nr}", "ANY"), 409);
    assert_eq!(add("others", "c", "/orders/{nr}", "GET"), 409);
    assert_eq!(add("orders", "d", "/orders/{nr}", "GET"), 409, "of the same function as well");
    for (name, path) in
        [("e", "/orders/{id}/lines"), ("f", "/orders"), ("g", "/{id}/orders"), ("h", "=/orders/{nr}")]
    {
        assert_eq!(add("others", name, path, "ANY"), 201, "{path}");
    }
    let change = json!({ "spec": { "path": "/orders/{number}" } }).to_string();
    let changed = |name: &str| {
        let path = format!("/v1/functions/others/triggers/{name}");
        server.call("PUT", &path, change.as_bytes()).status
    };
    assert_eq!(changed("f"), 409);
}

/// Whatever was answered is on record, however the server ends.
#[test]
fn what_was_answered_is_on_record_when_the_server_dies() {
    let server = Server::start(&[]);
    let url = url(&server, "web", &json!({}));
    let mut answered = Vec::new();
    for _ in 0..20 {
        answered.push(curl(&[&url]).header("x-scf-request-id").unwrap().to_owned());
    }
    let place: Place = server.kill9();
    let server = place.serve(&[]);
    for id in answered {
        assert_eq!(server.record(&id).status, 200, "{id}");
    }
}
