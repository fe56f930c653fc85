//! `fnlite check`, with a server and without.

use serde_json::{Value, json};

use crate::function::folder;
use crate::keeping::sql;
use crate::server::{Place, Server};

#[test]
fn a_check_asks_the_server_or_looks_at_the_file_and_finds_the_same() {
    let server = Server::start(&[]);
    server.deploy("hello", &folder("hello"));
    server.invoke("hello", "{}").returned();
    let check = |place: &Place, words: &[&str]| {
        let output = place.fnlite(&[&["check"], words].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check(server.place(), &["--json"]);
    let online: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &online["sound"]), (Some(0), &json!(true)), "{said}");
    assert_eq!(online["invocations"], json!({ "succeeded": 1 }));
    let (code, said) = check(server.place(), &[]);
    assert!(code == Some(0) && said.starts_with("sound\n") && said.contains("1 succeeded"), "{said}");

    let (_, place) = server.stop();
    let (code, said) = check(&place, &["--json"]);
    let offline: Value = serde_json::from_str(&said).unwrap();
    for field in ["sound", "problems", "functions", "invocations", "lines", "queued", "dead_letters"] {
        assert_eq!((code, &offline[field]), (Some(0), &online[field]), "{field}");
    }
    sql(&place.db(), "UPDATE invocation SET state = 3");
    let (code, said) = check(&place, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 invocations wait that are not queued"), "{said}");
    assert_eq!(check(&place, &["--db", "nothing.db"]).0, Some(78));
    assert!(!place.file("nothing.db").exists());
}
