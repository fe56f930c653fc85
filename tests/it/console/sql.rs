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

    let answer = ask("SELECT 'a' AS name, 3 AS runs, 9.5 AS ms", "bars");
    assert_eq!(answer.text().matches("<rect").count(), 2, "every column of numbers: {}", answer.text());
    assert!(words(ask("SELECT 'a' AS name, 1 AS n WHERE 0", "bars").text()).contains("no rows"));
    let answer = ask("SELECT 'x' AS \"b#\", 1 AS \"a#\"", "table");
    for head in ["\"\" scope=\"col\">b#</th>", "\"number\" scope=\"col\">a#</th>"] {
        assert!(answer.text().contains(head), "{head}: {}", answer.text());
    }

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
}

#[test]
fn what_is_left_out_is_told() {
    let reader = Visitor::with_key(Server::shared(), "sql reader of much", "read");
    let ask = |count: u32, shown: &str| {
        let statement = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {count}) SELECT i FROM n"
        );
        reader.post("/console/sql", &[("statement", &statement), ("as", shown)])
    };
    let many = ask(5000, "table");
    assert!(words(many.text()).contains("there are more"), "{}", many.status);
    for (count, lines, name) in [(5000, 5001, "\"rows.csv\""), (10_001, 10_001, "\"first-10000-rows.csv\"")] {
        let file = ask(count, "csv");
        assert_eq!(file.text().lines().count(), lines, "the head and the rows");
        assert!(file.header("Content-Disposition").unwrap().contains(name), "{name}: {}", file.status);
    }
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
    assert_eq!(count, 7);
}
