//! The pages of functions: made, edited, tried, configured, versioned, triggered, deleted; by forms.

use serde_json::json;

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::server::Server;
use crate::wait;

/// A place of `/v1` that is not there any more, or not yet.
fn is_gone(server: &Server, target: &str) -> bool {
    server.call("GET", target, b"").status == 404
}

#[test]
fn a_function_is_made_edited_and_tried() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let page = admin.done("/console/functions", &[("name", "made_here"), ("template", "python")]);
    assert!(words(&page).contains("The function is deployed") && page.contains("def main_handler"), "{page}");
    let again = admin.post("/console/functions", &[("name", "made_here"), ("template", "php")]);
    assert_eq!(again.status, 409);
    assert!(again.text().contains(r#"value="made_here""#), "what was typed stays");

    let code = "import helper\r\ndef main_handler(event, context):\r\n    print('<b>' + helper.WORD)\r\n    return {'got': event}\r\n";
    let place = "/console/functions/made_here";
    admin.done(place, &[("was", ""), ("path", "helper.py"), ("content", "WORD = 'naïve'")]);
    let page = admin.done(place, &[("was", "index.py"), ("path", "index.py"), ("content", code)]);
    assert!(page.contains("import helper\ndef main_handler"), "line ends are the file's own: {page}");

    let stale =
        admin.post(place, &[("of", "0000"), ("was", "index.py"), ("path", "index.py"), ("content", "lost?")]);
    assert_eq!(stale.status, 409);
    assert!(
        words(stale.text()).contains("Somebody has deployed this function") && stale.text().contains("lost?"),
        "{stale:?}"
    );

    let event = r#"{"n": 9007199254740993, "s": "<i>"}"#;
    let answer =
        admin.post(&format!("{place}/test"), &[("event", event), ("qualifier", "$LATEST"), ("how", "sync")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = words(answer.text());
    assert!(
        said.contains("It returned") && said.contains("9007199254740993") && said.contains("<b>naïve"),
        "{said}"
    );
    assert!(!answer.text().contains("<b>naïve") && !answer.text().contains("\"<i>\""), "text stays text");

    let moved =
        admin.done(place, &[("was", "helper.py"), ("path", "lib/helper.py"), ("content", "WORD = 'x'")]);
    assert!(moved.contains("lib/helper.py"));
    let failed = admin.post(&format!("{place}/test"), &[("event", "{}"), ("how", "sync")]);
    let said = words(failed.text());
    assert!(
        said.contains("It failed") && said.contains("ModuleNotFoundError") && said.contains("430"),
        "{said}"
    );
    admin.done(place, &[("was", "lib/helper.py"), ("delete", "1")]);
    let last = admin.post(place, &[("was", "index.py"), ("delete", "1")]);
    assert_eq!(last.status, 400);

    let wrong = admin.post(&format!("{place}/test"), &[("event", "{no"), ("how", "sync")]);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("{no") && words(wrong.text()).contains("JSON"), "{wrong:?}");
    let queued = admin.done(&format!("{place}/test"), &[("event", "{}"), ("how", "event")]);
    assert!(queued.contains("made_here") && queued.contains("Source"));

    let page = admin.done(&format!("{place}/delete"), &[]);
    assert!(words(&page).contains("is deleted") && is_gone(server, "/v1/functions/made_here"));
}

#[test]
fn other_languages_begin_from_a_template_too() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    for template in ["nodejs", "php", "custom"] {
        let name = format!("made_{template}");
        admin.done("/console/functions", &[("name", &name), ("template", template)]);
        let answer = admin.post(
            &format!("/console/functions/{name}/test"),
            &[("event", r#"{"key":"Ada"}"#), ("how", "sync")],
        );
        let said = words(answer.text());
        assert!(said.contains("It returned") && said.contains(r#""hello": "Ada""#), "{said}");
    }
}

#[test]
fn the_configuration_is_a_form() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    admin.done("/console/functions", &[("name", "configured"), ("template", "python")]);
    let place = "/console/functions/configured/configuration";
    let fields = |timeout: &'static str, env: &'static str| {
        [
            ("runtime", "Python3.10"),
            ("handler", "index.main_handler"),
            ("description", "a <line>"),
            ("timeout_s", timeout),
            ("memory_mb", "256"),
            ("network", "none"),
            ("env", env),
            ("reuse", "1"),
        ]
    };
    let page = admin.done(place, &fields("7", "A=1\r\nB=x=y\r\n"));
    assert!(page.contains("a &lt;line&gt;"), "{page}");
    let function = server.get("/v1/functions/configured");
    assert_eq!(function["env"], json!({ "A": "1", "B": "x=y" }));
    assert_eq!([&function["timeout_s"], &function["memory_mb"]], [&json!(7), &json!(256)]);
    assert_eq!(
        [&function["reuse"], &function["spawn"], &function["network"]],
        [&json!(true), &json!(false), &json!("none")]
    );
    for (timeout, env, sentence) in [
        ("901", "", "timeout_s must be"),
        ("x", "", "Time-out must be a whole number"),
        ("7", "A", "a line that is not KEY=VALUE"),
    ] {
        let refused = admin.post(place, &fields(timeout, env));
        assert_eq!(refused.status, 400);
        assert!(words(refused.text()).contains(sentence), "{refused:?}");
        assert!(
            refused.text().contains(&format!(r#"name="timeout_s" value="{timeout}""#)),
            "what was typed stays"
        );
    }
    assert_eq!(server.get("/v1/functions/configured"), function, "nothing of it was taken");
    let of = |page: &str| {
        let (_, rest) = page.split_once(r#"name="of" value=""#).unwrap();
        rest.split_once("\">").unwrap().0.replace("&quot;", "\"")
    };
    let opened = of(&admin.page(place));
    admin.done(place, &fields("8", "B=theirs"));
    let save = |of: &str| admin.post(place, &[&fields("9", "A=mine")[..], &[("of", of)]].concat());
    let stale = save(&opened);
    assert_eq!(stale.status, 409);
    assert!(
        words(stale.text()).contains("Somebody has deployed this function")
            && stale.text().contains("A=mine")
    );
    assert_eq!(server.get("/v1/functions/configured")["env"], json!({ "B": "theirs" }));
    assert_eq!(save(&of(stale.text())).status, 303, "once more is on purpose");
    assert_eq!(server.get("/v1/functions/configured")["env"], json!({ "A": "mine" }));
    let reader = Visitor::with_key(server, "configuration reader", "read");
    let page = reader.page(place);
    assert!(!page.contains("x=y") && !page.contains("<textarea"), "{page}");
}

#[test]
fn versions_aliases_and_triggers_are_forms() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    admin.done("/console/functions", &[("name", "noun"), ("template", "python")]);
    let (versions, triggers) = ("/console/functions/noun/versions", "/console/functions/noun/triggers");
    admin.done(versions, &[("do", "publish"), ("description", "first")]);
    admin.done(
        versions,
        &[
            ("do", "alias"),
            ("alias", "prod"),
            ("version", "$LATEST"),
            ("other_version", "1"),
            ("weight", "25"),
        ],
    );
    assert!(words(&admin.page(versions)).contains("1 for 25 %"));
    let taken = admin.post(versions, &[("do", "delete-version"), ("version", "1")]);
    assert_eq!(taken.status, 409);
    admin.done(versions, &[("do", "delete-alias"), ("alias", "prod")]);
    admin.done(versions, &[("do", "delete-version"), ("version", "1")]);
    assert!(is_gone(server, "/v1/functions/noun/aliases/prod"));

    let timer = [("do", "add"), ("type", "timer"), ("name", "nightly"), ("cron", "0 30 2 * * * *")];
    let page = admin.done(triggers, &timer);
    assert!(words(&page).contains("0 30 2 * * * *"));
    let wrong = admin.post(triggers, &[("do", "add"), ("type", "timer"), ("name", "n2"), ("cron", "never")]);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains(r#"value="never""#) && wrong.text().contains("<details open"), "{wrong:?}");
    admin.done(
        triggers,
        &[("do", "add"), ("type", "http"), ("origins", "https://a.example, https://b.example")],
    );
    admin.done(
        triggers,
        &[("do", "add"), ("type", "apigw"), ("name", "api"), ("path", "/noun/{id}"), ("method", "GET")],
    );
    let told = server.get("/v1/functions/noun/triggers");
    let kinds: Vec<&str> =
        told["triggers"].as_array().unwrap().iter().map(|t| t["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["apigw", "http", "timer"]);
    assert_eq!(
        told["triggers"][1]["spec"]["cors"]["origins"],
        json!(["https://a.example", "https://b.example"])
    );
    let which = [("name", "nightly"), ("type", "timer"), ("qualifier", "$LATEST")];
    let with = |what: &'static str| [&[("do", what)], which.as_slice()].concat();
    admin.done(triggers, &with("off"));
    assert_eq!(server.get("/v1/functions/noun/triggers/nightly")["enabled"], json!(false));
    admin.done(triggers, &with("on"));
    admin.done(triggers, &with("delete"));
    assert!(is_gone(server, "/v1/functions/noun/triggers/nightly"));
}

#[test]
fn an_archive_is_sent_as_it_is() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let made = admin.done("/console/functions", &[("name", "packed"), ("template", "python")]);
    assert!(made.contains("/console/v1/functions/packed/code"));
    let archive = admin.get("/console/v1/functions/packed/code");
    let more = format!("Origin: {}\r\nContent-Type: application/zip\r\n", server.url());
    let target = "/console/functions/unpacked/upload?runtime=Python3.10&handler=index.main_handler";
    let answer = admin.send("POST", target, &more, &archive.body);
    assert_eq!(answer.header("Location"), Some("/console/functions/unpacked?done=created"), "{answer:?}");
    assert_eq!(
        server.get("/v1/functions/unpacked")["code_sha256"],
        server.get("/v1/functions/packed")["code_sha256"]
    );
    assert_eq!(admin.send("POST", target, &more, &archive.body).status, 409);
    let answer = admin.send("POST", "/console/functions/unpacked/upload", &more, b"no zip");
    assert_eq!(answer.status, 400);
    assert!(words(answer.text()).contains("zip"), "{answer:?}");
}

#[test]
fn a_run_that_was_ended_is_not_looked_at_again_and_again() {
    let server = Server::shared();
    let slow = "import time\n\ndef main_handler(event, context):\n    time.sleep(2)\n";
    server.deploy("ended_in_between", &source(slow));
    let id = server.accept("ended_in_between", "{}");
    let admin = Visitor::admin(server);
    assert!(admin.page(&format!("/console/invocations/{id}")).contains("data-reload"), "it runs");
    assert_eq!(server.call("POST", &format!("/v1/invocations/{id}/terminate"), b"").status, 204);
    let page = wait::until("it is ended", || {
        let page = admin.page(&format!("/console/invocations/{id}"));
        page.contains("aborted").then_some(page)
    });
    assert!(!page.contains("data-reload"), "{page}");
    let said = words(&page);
    assert!(said.contains("it was ended on request") && !said.contains("Return value"), "{said}");
}

#[test]
fn a_namespace_stays_while_one_goes_about() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let page = admin.done("/console/functions?namespace=shop", &[("name", "till"), ("template", "python")]);
    assert!(page.contains("/console/functions/till/test?namespace=shop"), "{page}");
    let answer =
        admin.post("/console/functions/till/test?namespace=shop", &[("event", "{}"), ("how", "sync")]);
    assert!(words(answer.text()).contains("It returned"));
    assert!(is_gone(server, "/v1/functions/till"));
    assert!(admin.page("/console/invocations?namespace=shop").contains("till"));
}
