//! Statements, as a table, as bars, as a file.

use super::visitor::{Visitor, words};
use crate::function::source;
use crate::server::Server;

#[test]
fn a_statement_is_run_and_shown_in_three_ways() {
    let server = Server::shared();
    server.deploy("counted", &source("def main_handler(event, context):\n    return 1\n"));
    server.invoke("counted", "{}");
    let reader = Visitor::with_key(server, "sql reader", "read");
    let ask = |statement: &str, shown: &str| {
        reader.post("/console/sql", &[("statement", statement), ("as", shown)])
    };
    let counted = "SELECT '<b>' || function AS name, count(*) AS runs, NULL AS missing\nFROM invocations WHERE function = 'counted' GROUP BY 1";
    let answer = ask(counted, "table");
    let said = words(answer.text());
    assert!(said.contains("1 row in") && said.contains("<b>counted") && said.contains("NULL"), "{said}");
    assert!(
        !answer.text().contains("<b>counted") && answer.text().contains("GROUP BY 1"),
        "text, and what was typed"
    );
    let answer = ask(counted, "bars");
    assert!(
        answer.text().contains("<rect class=\"bar\"") && words(answer.text()).contains("<b>counted"),
        "{answer:?}"
    );
    let answer = ask("SELECT '=1+1' AS a, 'x,y' AS b, -2 AS c", "csv");
    assert_eq!(answer.text(), "a,b,c\r\n'=1+1,\"x,y\",-2\r\n");
    assert!(answer.header("Content-Type").unwrap().starts_with("text/csv"));

    let answer = ask("SELECT 'only words' AS a", "bars");
    assert_eq!(answer.status, 400);
    assert!(
        words(answer.text()).contains("a column of numbers") && words(answer.text()).contains("only words")
    );
    for refused in ["SELEC 1", "DELETE FROM invocation", "SELECT secret_sha256 FROM key"] {
        let answer = ask(refused, "table");
        assert_eq!(answer.status, 400, "{refused}");
        assert!(
            words(answer.text()).contains(refused) && answer.text().contains("role=\"alert\""),
            "{answer:?}"
        );
    }
    let many = ask(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i FROM n",
        "table",
    );
    assert!(words(many.text()).contains("there are more"), "{}", many.status);
}

#[test]
fn statements_to_begin_with_all_run() {
    let server = Server::shared();
    let admin = Visitor::admin(server);
    let page = admin.page("/console/sql");
    assert!(
        words(&page).contains("memory_used_mb") && words(&page).contains("percentile"),
        "the schema is at hand"
    );
    let statements =
        page.split("/console/sql?statement=").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for statement in statements {
        let filled = admin.page(&format!("/console/sql?statement={statement}"));
        assert!(filled.contains("SELECT"));
        let statement = fnlite::base::percent::decode(statement).unwrap();
        let answer = admin.post("/console/sql", &[("statement", &statement), ("as", "table")]);
        assert_eq!(answer.status, 200, "{statement}: {}", words(answer.text()));
        count += 1;
    }
    assert_eq!(count, 6);
}
