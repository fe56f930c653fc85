//! schemathesis against the API: requests made from `/openapi.json`, sound and unsound ones. No answer may be a failure of
//! the server, or one that the description does not tell of: no other status, media type, or shape.
//!
//! `scripts/test` installs the tool into `target/schemathesis`. What it should know of the API beside the description is in
//! `tests/schemathesis/hooks.py`. The seed is fixed; `scripts/test --all` tries more cases, and other seeds.

use std::path::Path;

use crate::function::expression;
use crate::server::{Server, program};

/// Checks that hold here as well, but not as the tool means them: a wrong key gets 429 when there were many, and code
/// that fits the schema can still be no archive.
const EXCLUDED: &str = "ignored_auth,positive_data_acceptance";
/// Its answer has no end, for which the tool would wait.
const ENDLESS: &str = "tailLogs";

#[test]
fn the_description_is_true_for_whatever_is_made_from_it() {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis");
    if !tool.exists() {
        eprintln!("SKIPPED: schemathesis is not in {}; scripts/test installs it", tool.display());
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
    let is_long = std::env::var_os("FNLITE_TEST_ALL").is_some();
    let rounds: &[(&str, &str)] =
        if is_long { &[("1", "300"), ("2", "300"), ("3", "300")] } else { &[("1", "20")] };
    for (seed, examples) in rounds {
        run(&tool, seed, examples);
    }
}

fn run(tool: &Path, seed: &str, examples: &str) {
    let server = Server::start(&[]);
    server.deploy("hello", &expression("event"));
    let request_id = server.invoke("hello", "{}").request_id;
    let mut command = program(tool);
    command.args(["run", &format!("{}/openapi.json", server.url()), "--seed", seed, "-n", examples]);
    command.args(["--header", &format!("Authorization: Bearer {}", server.place().key())]);
    command.args([
        "--exclude-checks",
        EXCLUDED,
        "--exclude-operation-id",
        ENDLESS,
        "--continue-on-failure",
        "--no-color",
        "--max-failures",
        "20",
    ]);
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("FNLITE_RUN", request_id);
    command.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis"));
    // Its own records of what it tried go where the server's files are.
    command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(server.place().db().parent().unwrap());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{}", said.lines().rfind(|line| line.contains("generated")).unwrap_or_default());
    assert_eq!(server.get("/v1/functions/hello")["name"], "hello", "server, key and function have survived");
    let said = server.place().said();
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
}
