//! Lines found, counted, and on their way to being followed.

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::server::Server;

const PRINTING: &str = "
def main_handler(event, context):
    print('needle', event.get('n'))
    print('<script>alert(1)</script>\"><img src=x onerror=alert(2)>')
    if event.get('bad'):
        raise ValueError('bad')
    return 1
";

#[test]
fn lines_are_found_counted_and_narrowed() {
    let server = Server::shared();
    server.deploy("printing", &source(PRINTING));
    let admin = Visitor::admin(server);
    for n in 0..3 {
        server.invoke("printing", format!(r#"{{"n":{n}}}"#));
    }
    let failed = server.invoke("printing", r#"{"n":"last","bad":1}"#).request_id;
    let page = admin.page("/console/logs?function=printing");
    let said = words(&page);
    assert!(said.contains("needle 0") && said.contains("<script>alert(1)</script>"), "{said}");
    assert!(!page.contains("<script>alert") && !page.contains("<img"), "what is printed is text");
    let found = admin.page("/console/logs?function=printing&q=needle");
    let said = words(&found);
    assert!(
        said.contains("4 lines, from") && said.contains("needle last") && !said.contains("<script>"),
        "{said}"
    );
    assert!(
        found.contains("<svg class=\"lines\"") && found.contains(&format!("/console/invocations/{failed}"))
    );

    // The links that narrow lead to fewer lines: a level, a stretch of time, the lines around, a file.
    let link = |page: &str, part: &str| {
        let links =
            page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"));
        links.into_iter().find(|link| link.contains(part)).unwrap_or_else(|| panic!("{part}: {page}"))
    };
    let errors = admin.page(&link(&page, "SCF_Level%3A%22ERROR"));
    assert!(words(&errors).contains("1 line, from") && errors.contains("Traceback"), "{errors}");
    let stretch = admin.page(&link(&found, "until="));
    assert!(words(&stretch).contains("needle"), "{stretch}");
    let around = admin.page(&link(&found, "context=3"));
    assert!(words(&around).contains("<script>alert(1)") && around.contains("around"), "{around}");
    let file = admin.get(&link(&found, "format=csv"));
    assert_eq!((file.status, file.text().lines().count()), (200, 5), "{file:?}");

    let by_status = words(&admin.page(&link(&found, "SCF_StatusCode%3A%22430")));
    assert!(by_status.contains("1 line, from") && by_status.contains("needle last"), "{by_status}");
    let none = admin.page("/console/logs?q=nowhere-at-all");
    assert!(words(&none).contains("No line is like that since then."), "{none}");
    assert!(none.contains("href=\"/console/logs?q=nowhere-at-all&amp;since=\""), "{none}");
    let none = words(&admin.page("/console/logs?q=nowhere-at-all&since="));
    assert!(none.contains("No line is like that."), "{none}");
}

#[test]
fn a_request_id_finds_the_run_and_its_lines() {
    let server = Server::shared();
    server.deploy("printing-once", &source(PRINTING));
    let admin = Visitor::admin(server);
    let id = server.invoke("printing-once", r#"{"n":"one"}"#).request_id;
    server.invoke("printing-once", r#"{"n":"two"}"#);
    let page = admin.page(&format!("/console/logs?q={id}"));
    let said = words(&page);
    assert!(
        said.contains("The run of printing-once with that request ID") && said.contains("succeeded"),
        "{said}"
    );
    assert!(page.contains(&format!("<a class=\"id\" href=\"/console/invocations/{id}\">")), "{page}");
    assert!(said.contains("needle one") && !said.contains("needle two"), "{said}");
}

#[test]
fn a_mistaken_query_is_told_and_kept() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let wrong = admin.get("/console/logs?q=%28error+OR");
    assert_eq!(wrong.status, 400);
    assert!(
        words(wrong.text()).contains("column") && wrong.text().contains("value=\"(error OR\""),
        "{wrong:?}"
    );
    let wrong = admin.get("/console/logs?since=yesterday");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("value=\"yesterday\""), "{wrong:?}");
}

#[test]
fn whoever_may_look_may_follow() {
    let server = Server::shared();
    let reader = Visitor::with_key(server, "log reader", "read");
    let page = reader.page("/console/logs/tail?q=a%26b&function=printing");
    assert!(page.contains("data-tail=\"/console/v1/logs/tail?q=a%26b&amp;function=printing\""), "{page}");
    assert!(words(&page).contains("without JavaScript"));
    assert!(reader.page("/console/logs").contains("How to ask"));
}
