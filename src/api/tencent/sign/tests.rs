//! Signatures: those of the contract are right, and whatever is changed is refused.

use super::*;

const DOCS_ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
const BODY: &str = r#"{"FunctionName": "hello", "Event": "{\"key1\":\"v\"}", "LogType": "Tail"}"#;
const OURS: &str = "526d20fa28d796d288061f76974c66281d864a8b8eb832708c1bb76bde51499f";
const NOW_S: i64 = 1_700_000_000;

fn secret_of(id: &str) -> Option<(String, Scope)> {
    let secret = match id {
        DOCS_ID => "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
        "AKIDtest" => "secrettest",
        _ => return None,
    };
    Some((secret.to_owned(), Scope::Invoke))
}

fn code(line: &str, headers: &str, body: &str, now_s: i64) -> String {
    let head = Head::parse(format!("{line} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    match verify(&head, body.as_bytes(), &secret_of, now_s) {
        Ok(signed) => signed.scope.as_str().to_owned(),
        Err(fault) => fault.code.to_owned(),
    }
}

fn headers(host: &str, service: &str, signature: &str) -> String {
    format!(
        "Host: {host}\r\nContent-Type: application/json\r\nX-TC-Action: Invoke\r\nX-TC-Timestamp: {NOW_S}\r\n\
         Authorization: TC3-HMAC-SHA256 Credential=AKIDtest/2023-11-14/{service}/tc3_request, \
         SignedHeaders=content-type;host, Signature={signature}\r\n"
    )
}

#[test]
fn the_vectors_of_the_contract_are_right() {
    let docs = |content_type: &str, at_s: i64, date: &str, signature: &str| {
        format!(
            "Host: cvm.tencentcloudapi.com\r\nContent-Type: {content_type}\r\nX-TC-Action: x\r\nX-TC-Timestamp: {at_s}\r\n\
             Authorization: TC3-HMAC-SHA256 Credential={DOCS_ID}/{date}/cvm/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}\r\n"
        )
    };
    let get = docs(
        "application/x-www-form-urlencoded",
        1_539_084_154,
        "2018-10-09",
        "5da7a33f6993f0614b047e5df4582db9e9bf4672ba50567dba16c6ccf174c474",
    );
    assert_eq!(code("GET /?Limit=10&Offset=0", &get, "", 1_539_084_154), "invoke");
    let post = docs(
        "application/json; charset=utf-8",
        1_551_113_065,
        "2019-02-25",
        "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
    );
    let body = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    assert_eq!(code("POST /", &post, body, 1_551_113_065), "invoke");
    for (host, service, signature) in [
        ("127.0.0.1:9980", "scf", OURS),
        ("127.0.0.1:9980", "127", "5326a548edbe14d370a92055b8ad586b5123c202f3bd7a0f8659ef20436341fe"),
        (
            "localhost:9980",
            "localhost:9980",
            "a9f74c0d867cde96345340e010c5bce8fc8daad77321eac452fd6a848ef65ed7",
        ),
        ("http://127.0.0.1:9980", "scf", OURS),
    ] {
        assert_eq!(
            code("POST /", &headers(host, service, signature), BODY, NOW_S),
            "invoke",
            "{host} {service}"
        );
    }
}

#[test]
fn the_older_vectors_are_right() {
    let host = "Host: 127.0.0.1:9980\r\n";
    let sha256 = "Action=ListFunctions&Limit=10&Nonce=11886&Region=ap-guangzhou&SecretId=AKIDtest\
                  &SignatureMethod=HmacSHA256&Timestamp=1700000000&Version=2018-04-16\
                  &Signature=eWodB2GcHWmC7gq4oa0lSeJ%2B3Z%2B%2BSM%2FqxdB6EJdoNUI%3D";
    let sha1 = "Limit=10&Action=ListFunctions&Nonce=11886&Region=ap-guangzhou&SecretId=AKIDtest\
                &Timestamp=1700000000&Version=2018-04-16&Signature=LgfO1%2FA0DREZsgi6NtQlqOhVC%2Fc%3D";
    for query in [sha256, sha1] {
        assert_eq!(code(&format!("GET /?{query}"), host, "", NOW_S), "invoke");
        let changed = query.replace("Limit=10", "Limit=11");
        assert_eq!(code(&format!("GET /?{changed}"), host, "", NOW_S), "AuthFailure.SignatureFailure");
        let stranger = query.replace("AKIDtest", "AKIDother");
        assert_eq!(code(&format!("GET /?{stranger}"), host, "", NOW_S), "AuthFailure.SecretIdNotFound");
        assert_eq!(code(&format!("GET /?{query}"), host, "", NOW_S + 301), "AuthFailure.SignatureExpire");
    }
    let other = sha256.replace("HmacSHA256", "none");
    assert_eq!(code(&format!("GET /?{other}"), host, "", NOW_S), "AuthFailure.InvalidAuthorization");
}

#[test]
fn whatever_is_changed_is_refused() {
    let good = headers("127.0.0.1:9980", "scf", OURS);
    let check = |what: &str, line: &str, headers: &str, body: &str, now_s: i64, expected: &str| {
        assert_eq!(code(line, headers, body, now_s), format!("AuthFailure.{expected}"), "{what}");
    };
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replace(from, to)
    };
    check("method", "PUT /", &good, BODY, NOW_S, "SignatureFailure");
    check("body", "POST /", &good, &BODY.replace("hello", "hallo"), NOW_S, "SignatureFailure");
    check(
        "time",
        "POST /",
        &changed("Timestamp: 1700000000", "Timestamp: 1700000001"),
        BODY,
        NOW_S,
        "SignatureFailure",
    );
    check("date", "POST /", &changed("2023-11-14", "2023-11-15"), BODY, NOW_S, "SignatureFailure");
    check("service", "POST /", &changed("/scf/", "/cvm/"), BODY, NOW_S, "SignatureFailure");
    check("id", "POST /", &changed("AKIDtest", "AKIDtesu"), BODY, NOW_S, "SecretIdNotFound");
    check("key of another", "POST /", &changed("AKIDtest", DOCS_ID), BODY, NOW_S, "SignatureFailure");
    check(
        "order of headers",
        "POST /",
        &changed("content-type;host", "host;content-type"),
        BODY,
        NOW_S,
        "SignatureFailure",
    );
    check(
        "less signed",
        "POST /",
        &changed("content-type;host", "host"),
        BODY,
        NOW_S,
        "InvalidAuthorization",
    );
    check(
        "a header twice",
        "POST /",
        &format!("{good}Content-Type: x\r\n"),
        BODY,
        NOW_S,
        "InvalidAuthorization",
    );
    check(
        "content type",
        "POST /",
        &changed("application/json", "application/json; charset=utf-8"),
        BODY,
        NOW_S,
        "SignatureFailure",
    );
    check("host", "POST /", &changed("127.0.0.1:9980", "127.0.0.2:9980"), BODY, NOW_S, "SignatureFailure");
    check(
        "signature's case",
        "POST /",
        &changed(OURS, &OURS.to_uppercase()),
        BODY,
        NOW_S,
        "SignatureFailure",
    );
    check("signature's length", "POST /", &changed(OURS, &OURS[..63]), BODY, NOW_S, "SignatureFailure");
    check("too late", "POST /", &good, BODY, NOW_S + 301, "SignatureExpire");
    check("too early", "POST /", &good, BODY, NOW_S - 301, "SignatureExpire");
    check(
        "end of scope",
        "POST /",
        &changed("tc3_request", "tc4_request"),
        BODY,
        NOW_S,
        "InvalidAuthorization",
    );
    check(
        "skipped",
        "POST /",
        &changed("TC3-HMAC-SHA256 Credential", "SKIP"),
        BODY,
        NOW_S,
        "InvalidAuthorization",
    );
    assert_eq!(code("POST /", &good, BODY, NOW_S + 300), "invoke");
}

#[test]
fn nonsense_is_refused_and_nothing_panics() {
    let good = headers("127.0.0.1:9980", "scf", OURS);
    let mut seed: u64 = 1;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % 65_536).unwrap()
    };
    for _ in 0..20_000 {
        let mut bytes = format!("POST / HTTP/1.1\r\n{good}\r\n").into_bytes();
        for _ in 0..1 + next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = u8::try_from(next() % 256).unwrap();
        }
        let Ok(head) = Head::parse(&bytes) else { continue };
        let verified = verify(&head, BODY.as_bytes(), &secret_of, NOW_S);
        // What is not signed may be changed; what is must not be.
        if verified.is_ok() {
            assert_eq!(head.header_text("host").map(str::len), Some(14));
            let content_type = head.header_text("content-type").map(str::to_ascii_lowercase);
            assert_eq!(content_type.as_deref(), Some("application/json"));
        }
    }
}

/// As some clients sign (contract 7.2, 7.5). All computed apart from this code.
#[test]
fn other_ways_to_sign_the_same_are_right_too() {
    let url = "124de0eead6bb74b669c1a281470952a96d24b052a1d8d95d45695b33e8d83a8";
    assert_eq!(code("POST /", &headers("http://127.0.0.1:9980", "scf", url), BODY, NOW_S), "invoke");
    let lowered = "9c0cee205acf2d987518b4a6d1835a5fefadea3c239cdd96dcb54641a81f8250";
    let more = headers("127.0.0.1:9980", "scf", lowered)
        .replace("SignedHeaders=content-type;host", "SignedHeaders=content-type;host;x-tc-action");
    assert_eq!(code("POST /", &more, BODY, NOW_S), "invoke");
    let other = more.replace("X-TC-Action: Invoke", "X-TC-Action: DeleteFunction");
    assert_eq!(code("POST /", &other, BODY, NOW_S), "AuthFailure.SignatureFailure", "what is signed counts");
    let gone =
        more.replace("X-TC-Timestamp", "X-Other: 1\r\nX-TC-Timestamp").replace(";x-tc-action", ";x-none");
    assert_eq!(code("POST /", &gone, BODY, NOW_S), "AuthFailure.InvalidAuthorization", "it is not there");
}

#[test]
fn a_body_that_is_not_signed_may_be_any_but_only_where_that_was_signed() {
    let unsigned = "58581e751f3677fd91c610b745669f1336fb719ffae4243bd91a097dbf566e9b";
    let said = "X-TC-Content-SHA256: UNSIGNED-PAYLOAD\r\n";
    let told = format!("{}{said}", headers("127.0.0.1:9980", "scf", unsigned));
    assert_eq!(code("POST /", &told, BODY, NOW_S), "invoke");
    assert_eq!(code("POST /", &told, "{}", NOW_S), "invoke");
    let untold = told.replace(said, "");
    assert_eq!(code("POST /", &untold, BODY, NOW_S), "AuthFailure.SignatureFailure");
    let added = format!("{}{said}", headers("127.0.0.1:9980", "scf", OURS));
    assert_eq!(code("POST /", &added, "{}", NOW_S), "AuthFailure.SignatureFailure", "no way around the body");
}

#[test]
fn a_query_is_signed_as_it_was_sent() {
    let signed = "75b7c388ae12de7559ce006b1f2bade0e042ce4379d2eca727e82b62f4401198";
    let get = headers("127.0.0.1:9980", "scf", signed)
        .replace("Content-Type: application/json\r\n", "")
        .replace("SignedHeaders=content-type;host", "SignedHeaders=host");
    assert_eq!(code("GET /?Limit=10&SearchKey=a%20b", &get, "", NOW_S), "invoke");
    for query in
        ["Limit=11&SearchKey=a%20b", "SearchKey=a%20b&Limit=10", "Limit=10&SearchKey=a+b", "Limit=10"]
    {
        let refused = code(&format!("GET /?{query}"), &get, "", NOW_S);
        assert_eq!(refused, "AuthFailure.SignatureFailure", "{query}");
    }
    assert_eq!(code("POST /?Limit=10&SearchKey=a%20b", &get, "", NOW_S), "AuthFailure.InvalidAuthorization");
}

#[test]
fn the_older_signature_knows_both_ways_to_write_a_name() {
    let rest = "Action=ListFunctions&My_Key=1&Nonce=11886&SecretId=AKIDtest&SignatureMethod=HmacSHA256\
                &Timestamp=1700000000&Version=2018-04-16&Signature=";
    for signature in [
        "2cQYmXOtxWZ8MBrkX3dbopcsRg9qLb4odcw%2FnW5WZSI%3D",
        "2Rugr51ejYfg39DZP1aac3%2ByROeyRqCDvJYqHTKs6PE%3D",
    ] {
        let asked =
            |host: &str| code(&format!("GET /?{rest}{signature}"), &format!("Host: {host}\r\n"), "", NOW_S);
        assert_eq!(asked("127.0.0.1"), "invoke");
        assert_eq!(asked("127.0.0.1:9980"), "invoke", "signed without the port");
        assert_eq!(asked("127.0.0.2"), "AuthFailure.SignatureFailure", "sent to another");
    }
}
