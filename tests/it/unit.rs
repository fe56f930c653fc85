//! `scripts/fnlite.service`: how little it lets the server do, and that the server does all it should with it.
//!
//! Where the tests run there need be no systemd, so `tests/hosts/unit.py` does what it would do, and says what it leaves out.

use std::path::Path;

use crate::hosts::{Host, NOBODY};
use crate::server::program;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/fnlite.service");

/// The most that `systemd-analyze security` may find exposed, in tenths.
const EXPOSURE_MAX: &str = "30";

fn has_systemd_analyze() -> bool {
    let there = Path::new("/usr/bin/systemd-analyze").exists();
    if !there {
        eprintln!(
            "SKIPPED: systemd-analyze is missing and cannot be installed here (Debian: apt-get install systemd)"
        );
    }
    there
}

#[test]
fn the_unit_exposes_little() {
    if !has_systemd_analyze() {
        return;
    }
    let mut command = program("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_MAX, UNIT]);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("Overall exposure level"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
}

/// What would end functions or their walls, however good it looks in the figure above.
#[test]
fn the_unit_leaves_functions_what_they_need() {
    let unit = std::fs::read_to_string(UNIT).unwrap();
    let set: Vec<&str> =
        unit.lines().filter(|line| !line.starts_with('#')).filter(|line| line.contains('=')).collect();
    for needed in [
        "Delegate=yes",
        "KillMode=mixed",
        "TasksMax=infinity",
        "LimitNOFILE=1048576",
        "OOMPolicy=continue",
        "Type=notify",
    ] {
        assert!(set.contains(&needed), "{needed} is missing");
    }
    for broken in [
        "RestrictNamespaces",
        "ProtectHostname",
        "ProtectControlGroups",
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectProc",
        "ProcSubset",
        "MemoryDenyWriteExecute",
        "PrivateNetwork",
        "IPAddressDeny",
    ] {
        let found = set.iter().find(|line| line.split('=').next() == Some(broken));
        assert_eq!(found, None, "{broken} would break functions");
    }
    for group in ["@mount", "@privileged", "@resources", "@process", "@setuid"] {
        let filter = set.iter().find(|line| line.starts_with("SystemCallFilter=~")).unwrap();
        assert!(!filter.contains(group), "{filter}");
    }
}

#[test]
fn under_the_unit_functions_are_held_at_level_3_and_more() {
    if !has_systemd_analyze() {
        return;
    }
    let host = Host {
        script: "unit.py",
        rights: &["uid=64321"],
        uid: NOBODY,
        level: 3,
        says: &["own namespaces, root view, Landlock and system-call filter for every run"],
    };
    host.check();
}

#[test]
fn under_the_unit_as_root_functions_have_users_of_their_own() {
    if !has_systemd_analyze() {
        return;
    }
    let host = Host {
        script: "unit.py",
        rights: &["uid=0"],
        uid: 0,
        level: 3,
        says: &["own namespaces, root view"],
    };
    if host.is_possible() {
        // More than that is the host's to give.
        host.check_with(&["--isolation-max", "3"]);
    }
}
