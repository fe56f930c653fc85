//! The first page, and a function's monitoring.

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::server::{Place, Server};

const SOMETIMES: &str = "
def main_handler(event, context):
    if event.get('bad'):
        raise ValueError('bad')
    return 1
";

#[test]
fn a_new_box_says_how_to_begin_and_a_used_one_what_it_did() {
    let server = Place::new().serve(&[]);
    let admin = Visitor::admin(&server);
    let page = admin.page("/console/");
    assert!(words(&page).contains("Nothing is deployed yet.") && page.contains("0 runs by time"), "{page}");

    server.deploy("sometimes", &source(SOMETIMES));
    for _ in 0..3 {
        server.invoke("sometimes", "{}").returned();
    }
    let failed = server.invoke("sometimes", r#"{"bad":true}"#).request_id;
    server.deploy("another", &source(SOMETIMES));
    server.invoke("another", "{}").returned();
    for span in ["", "?span=24h", "?span=7d", "?span=never"] {
        let page = admin.page(&format!("/console/{span}"));
        assert!(
            page.contains("5 runs by time, 1 of them failed") && page.contains(&failed),
            "{span}: {page}"
        );
    }
    assert!(!words(&admin.page("/console/")).contains("Nothing is deployed"));

    let page = admin.page("/console/functions/sometimes/monitoring");
    assert!(page.contains("4 runs by time, 1 of them failed") && page.contains(&failed), "{page}");
    let page = admin.page("/console/functions/another/monitoring?span=24h");
    assert!(page.contains("1 run by time, 0 of them failed") && !page.contains(&failed), "{page}");
}

#[test]
fn what_is_counted_as_failed_is_listed_as_such() {
    let server = Place::new().serve(&[]);
    let admin = Visitor::admin(&server);
    let given_up = super::others::dead_letter(&server, "left");
    server.invoke("left", r#"{"good":true}"#).returned();
    let page = admin.page("/console/");
    let (said, link) = (words(&page), "/console/invocations?since=1h&amp;status=unsuccessful");
    assert!(page.contains("2 runs by time, 1 of them failed") && page.contains(link), "{page}");
    assert!(page.contains(&given_up), "a run that was given up has failed: {page}");
    assert!(said.contains("(p50), 99 of 100 at most"), "{said}");
    let listed = admin.page("/console/invocations?since=1h&status=unsuccessful");
    assert!(listed.contains(&given_up) && listed.contains(r#"value="unsuccessful" selected"#), "{listed}");
}

#[test]
fn what_somebody_should_see_to_is_said_first() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    super::others::dead_letter(server, "left_dead");
    let said = words(&admin.page("/console/"));
    assert!(said.contains("to look at, in all namespaces: events that were given up"), "{said}");
    assert!(said.find("to look at") < said.find("Memory of runs"), "{said}");
    let reader = Visitor::with_key(server, "overview reader", "read");
    assert!(reader.page("/console/").contains("Overview"));
}
