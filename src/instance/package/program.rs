//! The program in a package of a language that loads itself: that it is there, and that this machine can start it. Found out at
//! the deploy, where somebody reads what is wrong with it, and not at the first run.

use std::io::{self, Write};

use crate::error::{Error, Result};
use crate::instance::package::archive::{Archive, Entry};
use crate::model::runtime::{Language, Runtime};

/// How much of a program is looked at, bytes: the head of an ELF file (elf(5)), or a first line as long as the kernel reads.
const HEAD_BYTES: usize = 256;

/// Of elf(5): the machine this server was built for, as `e_machine`.
#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str, &str) = (62, "x86-64", "amd64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str, &str) = (183, "64-bit ARM", "arm64");

/// Fails with `Invalid`, saying what to do, where the archive has no program of that name that can be started. The archive has
/// been checked.
pub fn check(bytes: &[u8], name: &str, runtime: Runtime) -> Result<()> {
    let mut archive = Archive::open(bytes)?;
    let refused = |why: String| Err(Error::invalid(format!("{name}, which {} starts, {why}", runtime.name)));
    let found = archive.entries().iter().position(|entry| entry.path() == name);
    let Some(index) = found else {
        return refused("is not in the code archive; it must be at the top, in no folder".to_owned());
    };
    let Entry::File { executable, .. } = archive.entries()[index].clone() else {
        return refused("is a folder".to_owned());
    };
    let mut head = Head(Vec::new());
    archive.read(index, &mut head)?;
    let head = head.0;
    let first_line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_script = first_line.starts_with(b"#!");
    if is_script && first_line.ends_with(b"\r") {
        return refused(
            "was saved with Windows line ends (CRLF), so that its first line names no program; save it with LF"
                .to_owned(),
        );
    }
    let is_started = is_own_elf(&head) || is_script && runtime.language == Language::Custom;
    if !is_started {
        let (_, machine, go) = MACHINE;
        return refused(match runtime.language {
            Language::Go => {
                format!("is no program for Linux on {machine}; build it with GOOS=linux GOARCH={go}")
            }
            _ => format!("is neither a script that begins with #! nor a program for Linux on {machine}"),
        });
    }
    if !executable {
        return refused(format!(
            "is not marked as executable: run chmod +x {name} before packing it; an archive made on Windows loses the mark"
        ));
    }
    Ok(())
}

/// Whether it begins as a 64-bit, little-endian ELF file of this machine does.
fn is_own_elf(head: &[u8]) -> bool {
    let machine = MACHINE.0.to_le_bytes();
    head.starts_with(b"\x7fELF\x02\x01") && head.get(18..20) == Some(&machine[..])
}

/// Keeps the beginning of what is written.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = HEAD_BYTES - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::instance::package::pack::{Source, pack};

    fn elf(machine: u16) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(18, 0);
        bytes.extend(machine.to_le_bytes());
        bytes.resize(100, 0);
        bytes
    }

    /// What is said of a program, `None` if nothing.
    fn said(runtime: &str, path: &str, content: &[u8], executable: bool) -> Option<String> {
        let source = Source { content: content.to_vec(), executable };
        let archive = pack(&BTreeMap::from([(path.to_owned(), source)])).unwrap();
        let runtime = Runtime::parse(runtime).unwrap();
        let name = if runtime.language == Language::Go { "main" } else { "bootstrap" };
        check(&archive, name, runtime).err().map(|error| error.message)
    }

    #[test]
    fn what_can_be_started_is_accepted() {
        assert_eq!(said("Go1", "main", &elf(MACHINE.0), true), None);
        assert_eq!(said("CustomRuntime", "bootstrap", &elf(MACHINE.0), true), None);
        assert_eq!(said("CustomRuntime", "bootstrap", b"#!/bin/bash\necho\r\n", true), None);
        assert_eq!(said("CustomRuntime", "bootstrap", b"#!/bin/bash", true), None);
    }

    #[test]
    fn what_cannot_is_refused_with_what_to_do() {
        let own = elf(MACHINE.0);
        for (runtime, path, content, executable, why) in [
            (
                "CustomRuntime",
                "bin/bootstrap",
                &b"#!/bin/sh\n"[..],
                true,
                "bootstrap, which CustomRuntime starts, is not in",
            ),
            ("CustomRuntime", "bootstrap/x", b"#!/bin/sh\n", true, "is not in the code archive"),
            ("CustomRuntime", "bootstrap", b"#!/bin/sh\n", false, "run chmod +x bootstrap"),
            ("CustomRuntime", "bootstrap", b"#!/bin/sh\r\necho\r\n", true, "Windows line ends (CRLF)"),
            ("CustomRuntime", "bootstrap", b"echo hello\n", true, "neither a script that begins with #!"),
            ("CustomRuntime", "bootstrap", b"", true, "neither a script that begins with #!"),
            ("Go1", "main", &own, false, "run chmod +x main"),
            ("Go1", "index", &own, true, "main, which Go1 starts, is not in the code archive"),
            ("Go1", "main", &elf(3), true, "build it with GOOS=linux GOARCH="),
            ("Go1", "main", b"MZ\x90\0", true, "build it with GOOS=linux"),
            ("Go1", "main", b"#!/bin/sh\n", true, "is no program for Linux"),
            ("Go1", "main", b"\x7fELF", true, "is no program for Linux"),
        ] {
            let said = said(runtime, path, content, executable).unwrap_or_default();
            assert!(said.contains(why), "{runtime} {path}: {said}");
        }
    }
}
