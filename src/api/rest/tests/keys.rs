//! Who may do what.

use super::Door;
use crate::api::rest::route::Access;
use crate::api::rest::routes::ROUTES;
use crate::http::request::Peer;
use crate::model::key::Scope;

const SCOPES: [Scope; 3] = [Scope::Read, Scope::Invoke, Scope::Admin];

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

fn local() -> Peer {
    Peer::Unix { uid: 0, pid: 1 }
}

/// A request line for every route, of things that are not there.
fn lines() -> impl Iterator<Item = (Access, String)> {
    let concrete = |path: &str| {
        path.replace("{name}", "nothing")
            .replace("{request_id}", "00000000-0000-7000-8000-000000000000")
            .replace("{id}", "999")
    };
    ROUTES.iter().map(move |route| {
        (route.access, format!("{} {}", route.verb.lower().to_uppercase(), concrete(route.path)))
    })
}

#[test]
fn only_health_and_version_are_open() {
    let door = Door::new();
    let mut open = Vec::new();
    for (_, line) in lines() {
        let reply = door.ask_with(&[], &line, "");
        if reply.status == 401 {
            assert_eq!(reply.header("WWW-Authenticate"), Some("Bearer"));
            assert!(reply.refused(401).contains("Authorization: Bearer"));
        } else {
            open.push(line);
        }
    }
    assert_eq!(open, ["GET /healthz", "GET /readyz", "GET /version"]);
}

#[test]
fn each_scope_includes_the_ones_before_it_and_nothing_else() {
    let door = Door::new();
    for has in SCOPES {
        let secret = bearer(&door.key(has));
        for (access, line) in lines() {
            let reply = door.ask_with(&[("Authorization", &secret)], &line, "");
            match access {
                Access::Needs(needed) if has < needed => {
                    assert!(reply.refused(403).contains(needed.as_str()), "{line}");
                }
                _ => assert!(!matches!(reply.status, 401 | 403), "{line}: {}", reply.status),
            }
        }
    }
}

#[test]
fn keys_are_shown_in_the_usual_ways_only() {
    let door = Door::new();
    let ask = |header: &str| door.ask_with(&[("Authorization", header)], "GET /v1/functions", "").status;
    assert_eq!(ask(&bearer(&door.admin)), 200);
    assert_eq!(ask(&format!("bearer  {}", door.admin)), 200);
    for wrong in [door.admin.clone(), format!("Basic {}", door.admin), "Bearer".to_owned(), bearer("fnl_x")] {
        assert_eq!(ask(&wrong), 401, "{wrong}");
    }
}

#[test]
fn guessing_is_told_to_stop_and_locks_nobody_out() {
    let door = Door::new();
    let guess = |secret: &str| door.ask_with(&[("Authorization", &bearer(secret))], "GET /v1/functions", "");
    for n in 0..10 {
        guess(&format!("fnl_{n}")).refused(401);
    }
    let stopped = guess("fnl_11");
    assert!(stopped.refused(429).contains("too many"));
    assert!(stopped.header("Retry-After").unwrap().parse::<u64>().unwrap() <= 60);
    assert_eq!(guess(&door.admin).status, 200);
    let elsewhere = Peer::Tcp("192.0.2.2:40000".parse().unwrap());
    door.ask_from(elsewhere, &[("Authorization", "Bearer fnl_1")], "GET /v1/functions", "").refused(401);
}

#[test]
fn the_socket_file_needs_a_key_only_where_it_is_told_to() {
    let ask = |needs_key| Door::with(needs_key).ask_from(local(), &[], "GET /v1/keys", "").status;
    assert_eq!((ask(false), ask(true)), (200, 401));
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let door = Door::new();
    let made = door.ask("POST /v1/keys", r#"{"name":"ci","scope":"invoke"}"#);
    assert_eq!((made.status, made.header("Cache-Control")), (201, Some("no-store")));
    let (id, secret) = (made.json()["id"].clone(), made.json()["key"].as_str().unwrap().to_owned());
    let list = door.ask("GET /v1/keys", "");
    assert!(!String::from_utf8_lossy(&list.body).contains(&secret));
    assert_eq!(list.json()["keys"][1]["name"], "ci");
    let as_ci = || door.ask_with(&[("Authorization", &bearer(&secret))], "GET /v1/functions", "").status;
    assert_eq!(as_ci(), 200);
    assert_eq!(door.ask(&format!("DELETE /v1/keys/{id}"), "").status, 204);
    assert_eq!(as_ci(), 401);
    door.ask(&format!("DELETE /v1/keys/{id}"), "").refused(404);
    door.ask("DELETE /v1/keys/one", "").refused(400);
}

#[test]
fn a_wrong_order_for_a_key_names_the_field() {
    let door = Door::new();
    for (body, part) in [
        ("", "JSON"),
        ("[]", "must be a JSON object"),
        (r#"{"scope":"admin"}"#, "name is required"),
        (r#"{"name":7,"scope":"admin"}"#, "name must be a string"),
        (r#"{"name":"","scope":"admin"}"#, "name must be 1 to 60"),
        (r#"{"name":"x","scope":"root"}"#, "scope must be"),
        (r#"{"name":"x"}"#, "scope must be"),
        (r#"{"name":"x","scope":"read","more":1}"#, "no field more"),
    ] {
        let message = door.ask("POST /v1/keys", body).refused(400);
        assert!(message.contains(part), "{body}: {message}");
    }
    door.ask("POST /v1/keys", r#"{"name":"first","scope":"read"}"#).refused(409);
}
