//! Dead letters, keys, and the server itself.

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::server::{Place, Server};

const FAILING: &str = "
import os
def main_handler(event, context):
    if not event.get('good'):
        raise ValueError('<b>not good</b>')
    return event
";

/// An event that was given up; its request id.
pub(super) fn dead_letter(server: &Server, name: &str) -> String {
    server.deploy(name, &source(FAILING));
    let place = format!("/v1/functions/{name}/event-config");
    assert_eq!(server.call("PUT", &place, br#"{"retry_num":0}"#).status, 200);
    let request_id = server.accept(name, r#"{"good": false}"#);
    server.over(&request_id);
    request_id
}

#[test]
fn dead_letters_are_replayed_and_dropped() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let (first, second) = (dead_letter(server, "given_up"), dead_letter(server, "given_up"));
    let place = "/console/dead-letters";
    let page = admin.page(&format!("{place}?function=given_up"));
    assert!(page.contains(&first) && page.contains(&second), "{page}");
    let run = admin.page(&format!("/console/invocations/{first}"));
    let said = words(&run);
    assert!(
        said.contains("Replay it") && said.contains("<b>not good</b>") && !run.contains("<b>not"),
        "{said}"
    );

    let none = admin.post(place, &[("do", "drop")]);
    assert_eq!(none.status, 400);
    admin.done(place, &[("id", &first), ("do", "replay")]);
    assert_eq!(server.call("GET", &format!("/v1/dead-letters/{first}"), b"").status, 404);
    let page = admin.done(place, &[("id", &second), ("do", "drop")]);
    assert!(!page.contains(&second), "{page}");
    let gone = admin.post(place, &[("id", &second), ("do", "drop")]);
    assert_eq!(gone.status, 404);
    assert!(words(gone.text()).contains("0 of 1 were dropped"), "{gone:?}");
    let typed = admin.get(&format!("{place}?function=no+name"));
    assert_eq!(typed.status, 400);
    assert!(typed.text().contains(r#"value="no name""#), "the form stays");
}

#[test]
fn several_dead_letters_go_at_once_and_the_list_stays_that_of_the_function() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let letters: Vec<String> = (0..3).map(|_| dead_letter(server, "several")).collect();
    let other = dead_letter(server, "several_others");
    let place = "/console/dead-letters?function=several";
    assert!(admin.page(place).contains(&format!(r#"action="{place}""#)));
    let page = admin.done(place, &[("id", &letters[0]), ("id", &letters[2]), ("do", "drop")]);
    let is_there = |id: &String| page.contains(id);
    assert_eq!(letters.iter().map(is_there).collect::<Vec<_>>(), [false, true, false], "{page}");
    assert!(!is_there(&other), "{page}");
}

#[test]
fn who_may_only_read_is_given_no_forms_and_told_why() {
    let server = Server::shared();
    let letter = dead_letter(server, "not_to_be_touched");
    let reader = Visitor::with_key(server, "reader of letters", "read");
    for path in ["/console/dead-letters", &format!("/console/invocations/{letter}"), "/console/about"] {
        let page = reader.page(path);
        let posts = page.matches(r#"method="post""#).count();
        assert_eq!(posts, 1, "only the way out, {path}: {page}");
    }
    assert!(reader.page("/console/dead-letters?function=not_to_be_touched").contains(&letter));
    for (path, fields, scope) in [
        ("/console/dead-letters", [("id", letter.as_str()), ("do", "drop")].as_slice(), "scope admin"),
        ("/console/dead-letters", &[("id", letter.as_str()), ("do", "replay")], "scope invoke"),
        ("/console/about", &[], "scope admin"),
        ("/console/v1/backup", &[], "scope admin"),
    ] {
        let refused = reader.post(path, fields);
        assert_eq!(refused.status, 403, "{path}");
        assert!(words(refused.text()).contains(scope), "{path}: {}", refused.text());
    }
    assert_eq!(
        server.call("GET", &format!("/v1/dead-letters/{letter}"), b"").status,
        200,
        "it is still there"
    );

    let runner = Visitor::with_key(server, "runner of letters", "invoke");
    for path in
        ["/console/dead-letters?function=not_to_be_touched", &format!("/console/invocations/{letter}")]
    {
        let page = runner.page(path);
        assert!(page.contains(r#"value="replay""#) && !page.contains(r#"value="drop""#), "{path}: {page}");
    }
    runner.done("/console/dead-letters", &[("id", &letter), ("do", "replay")]);
}

#[test]
fn keys_are_made_shown_once_and_revoked() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let made = admin.post("/console/keys", &[("do", "create"), ("name", "<till>"), ("scope", "read")]);
    assert_eq!(made.status, 200, "{made:?}");
    let said = words(made.text());
    let secret = said.split_whitespace().find(|word| word.starts_with("fnl_")).unwrap().to_owned();
    assert!(said.contains("<till>") && !made.text().contains("<till>"));
    assert!(!admin.page("/console/keys").contains(&secret));
    let mut reader = Visitor::stranger(server);
    let answer = reader.post("/console/sign-in", &[("key", &secret)]);
    reader.keep_cookie(&answer);
    assert!(words(&reader.page("/console/keys")).contains("shown to admin keys only"));
    assert_eq!(
        reader.post("/console/keys", &[("do", "create"), ("name", "x"), ("scope", "admin")]).status,
        403
    );

    let again = admin.post("/console/keys", &[("do", "create"), ("name", "<till>"), ("scope", "read")]);
    assert_eq!(again.status, 409);
    let pair = admin
        .post("/console/keys", &[("do", "create"), ("name", "pair"), ("scope", "invoke"), ("tencent", "1")]);
    assert!(pair.text().contains("TENCENTCLOUD_SECRET_ID=AKID"), "{pair:?}");
    let keys = server.get("/v1/keys");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == "<till>").unwrap();
    admin.done("/console/keys", &[("do", "revoke"), ("id", &key["id"].to_string())]);
    assert_eq!(reader.get("/console/").status, 303, "its session is over");
}

#[test]
fn the_server_tells_of_itself() {
    let server = Place::new().serve(&[]);
    let admin = Visitor::admin(&server);
    assert_eq!(server.call("PUT", "/v1/namespaces/shop", br#"{"description":"<tills>"}"#).status, 201);
    let page = admin.page("/console/about");
    let said = words(&page);
    assert!(
        said.contains(env!("CARGO_PKG_VERSION")) && said.contains("isolation") && said.contains("<tills>"),
        "{said}"
    );
    assert!(page.contains("/console/functions?namespace=shop"));
    let checked = admin.post("/console/about", &[]);
    assert!(words(checked.text()).contains("It is sound."), "{checked:?}");
    let backup = admin.post("/console/v1/backup", &[]);
    assert_eq!((backup.status, backup.body.starts_with(b"SQLite format 3\0")), (200, true));
    assert!(backup.header("Content-Disposition").unwrap().contains("fnlite.db"));
}
