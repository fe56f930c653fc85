//! The invariants of `src/lib.rs` that can be read off the source: floors, and what may be named where.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. Modules of one entry may use each other.
const FLOORS: &[&[&str]] = &[
    &["base", "error"],
    &["model"],
    &["search"],
    &["store"],
    &["instance"],
    &["pool"],
    &["service"],
    &["trigger"],
    &["http"],
    &["api"],
    &["config", "appliance", "cli"],
];

/// Words and the only places they may stand in.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["src/store/"]),
    ("unsafe {", &["src/base/sys.rs"]),
    ("Command::new", &["src/instance/"]),
    ("SystemTime::now", &["src/base/clock.rs"]),
    ("Instant::now", &["src/base/clock.rs"]),
    ("env::var", &["src/config.rs", "src/config/"]),
    (
        "std::fs",
        &[
            "src/store/",
            "src/instance/",
            "src/http/",
            "src/appliance.rs",
            "src/cli/",
            "src/config",
            "src/base/",
        ],
    ),
];

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(env!("CARGO_MANIFEST_DIR"))
                    .unwrap_or(Path::new(""))
                    .display()
                    .to_string();
                files.push((name, code_of(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

/// The source without comments and without the test module at its end.
fn code_of(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |mut code, line| {
        code.push_str(line);
        code.push('\n');
        code
    })
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn a_module_names_only_floors_below_its_own() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        let module = file.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default().to_owned();
        let Some(own) = floor_of(&module) else { continue };
        for named in code.split("crate::").skip(1) {
            let named: String = named.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if floor_of(&named).is_some_and(|floor| floor > own) && !file.contains("/tests") {
                wrong.push(format!("{file} names {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_has_a_home_stands_nowhere_else() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (word, homes) in HOMES {
            let at_home = homes.iter().any(|home| file.starts_with(home)) || file.contains("/tests");
            if !at_home && code.contains(word) {
                wrong.push(format!("{word} stands in {file}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_nouns_know_no_json() {
    for (file, code) in sources().iter().filter(|(file, _)| file.starts_with("src/model/")) {
        assert!(!code.contains("serde"), "{file}");
    }
}
