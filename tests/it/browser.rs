//! The console in a browser: the programs of `tests/console`, each with a Chromium and a server of its own.
//!
//! `scripts/test` installs Chromium, and axe-core in `target/browser`. Pictures of all pages are in `target/console` afterwards.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::sdk::node;
use crate::server::{Server, program, spawn, test_data};

/// Longest that one program may take; all of them wait for states only, and never this long for one.
const TIMEOUT_S: &str = "300";

fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end; neither it nor its browser outlives this. The browser ends when its pipe closes.
fn run(name: &str) {
    if !is_browser_there() {
        eprintln!("SKIPPED: there is no Chromium; scripts/test installs it where it can be had");
        return;
    }
    let server = Server::start(&[]);
    let node = node();
    let mut command = program("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "timeout", "--kill-after", "5", TIMEOUT_S]);
    command.arg(node.get_program()).arg(place("tests/console").join(name));
    command.env("FNLITE_URL", server.url()).env("FNLITE_KEY", server.place().key());
    command.env("FNLITE_LINK", server.console_url()).env("FNLITE_BLNS", test_data().join("blns.json"));
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
    if let Some(asked) = std::env::var_os("FNLITE_TEST_ALL") {
        command.env("FNLITE_TEST_ALL", asked);
    }
    // A browser that had to be killed leaves its profile; it goes with the server's files.
    command.env("TMPDIR", server.place().db().parent().unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = spawn(command).wait_with_output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{said}{complained}", output.status);
    eprint!("{said}");
    let said = server.place().said();
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
}

fn is_browser_there() -> bool {
    let folders = ["/usr/local/bin", "/usr/bin"];
    let names = ["chromium", "chromium-browser", "google-chrome"];
    folders.iter().any(|folder| names.iter().any(|name| Path::new(folder).join(name).exists()))
}

#[test]
fn signing_in_and_keeping_others_out() {
    run("access.mjs");
}

#[test]
fn whatever_functions_say_is_text() {
    run("xss.mjs");
}

#[test]
fn every_page_for_every_screen_and_every_hand() {
    run("look.mjs");
}

#[test]
fn from_a_template_to_a_run_found_again() {
    run("flow.mjs");
}

#[test]
fn a_thousand_lines_a_second_freeze_no_page() {
    run("tail.mjs");
}
