//! `pasta` (Debian's package `passt`): a program that carries the packets of a network namespace to the world by sockets of its
//! own, with no rights but its user's. It walls itself in once it runs.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Pid;

use crate::instance::network::router;

/// The device it makes in the namespace it joins.
pub(super) const DEVICE: &str = "out";

/// Longest complaint that is passed on, characters.
const COMPLAINT_CHARS_MAX: usize = 200;

/// No port is carried in either direction, and no address stands for the host: left to itself it would do both.
const OPTIONS: &[&str] = &[
    "--foreground",
    "--quiet",
    "--no-map-gw",
    "--no-netns-quit",
    "--no-dhcp",
    "--no-dhcpv6",
    "--no-ra",
    "--tcp-ports",
    "none",
    "--udp-ports",
    "none",
    "--tcp-ns",
    "none",
    "--udp-ns",
    "none",
    "--ns-ifname",
    DEVICE,
];

/// The program, in one of these folders.
pub(super) fn find(search: &[PathBuf]) -> Option<PathBuf> {
    search.iter().map(|folder| folder.join("pasta")).find(|program| program.is_file())
}

/// Becomes it, for the namespaces of that process; returns if it cannot.
pub(super) fn exec(program: &Path, joins: Pid, words: OwnedFd) -> io::Error {
    let namespace = |kind: &str| format!("/proc/{}/ns/{kind}", joins.as_raw_nonzero());
    #[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
    let mut command = Command::new(program);
    command.args(OPTIONS).arg("--userns").arg(namespace("user")).arg("--netns").arg(namespace("net"));
    for ends in router::INSIDE {
        command.arg("--address").arg(ends.function.to_string());
        command.arg("--gateway").arg(ends.router.to_string());
        if ends.function.is_ipv4() {
            command.arg("--netmask").arg(ends.link.bits.to_string());
        }
    }
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(words));
    command.exec()
}

/// What it ended for: the last thing it said that is not about the system's log.
pub(super) fn complaint(words: &str) -> String {
    let told = words.lines().rfind(|line| !line.is_empty() && !line.contains("syslog"));
    told.unwrap_or("it said nothing").chars().take(COMPLAINT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_what_it_said_last() {
        let words =
            "Failed to send 42 bytes to syslog\nNo external interface\nFailed to send 7 bytes to syslog\n\n";
        assert_eq!(complaint(words), "No external interface");
        assert_eq!(complaint(""), "it said nothing");
    }
}
