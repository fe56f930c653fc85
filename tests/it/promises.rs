//! What the README promises names tests, and the tests are there.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust below a folder, as one text.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(kind) if kind == "rs" => fs::read_to_string(&path).unwrap(),
        _ => String::new(),
    };
    entries.map(text).collect()
}

#[test]
fn every_promise_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("### What we promise\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).collect();
    let sources = sources(&root.join("tests/it")) + &sources(&root.join("src"));
    let mut named = 0;
    for row in rows.iter().filter(|row| !row.contains("**") && !row.contains("| promise |")) {
        let tests: Vec<&str> = row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty() || row.contains("the same two"), "{row} names no test");
        for test in tests {
            let (modules, name) = test.rsplit_once("::").unwrap();
            let is_there = match name {
                // A whole module of tests.
                "" => sources.contains(&format!("mod {modules};")),
                name => sources.contains(&format!("fn {name}(")),
            };
            assert!(is_there, "{test} is not there");
            named += 1;
        }
    }
    assert!(named > 20, "{named} tests are named");
}
