//! Asks what goes by an interpreter's name for itself: a version manager's stand-in or a link is not what we want to start
//! each time.

use std::io::{self, Read};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::instance::tree;

/// How long an interpreter may be silent; a cold disk delays one by a second or two.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Longer than any answer: a few paths.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The line a program answers the question with, from whatever goes by an interpreter's name. It is ended at its line's
/// end, or when it has said nothing for too long: a stand-in may wait for something, a deploy must not.
pub(crate) fn answer(program: &Path, args: &[&str]) -> io::Result<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "instance/ is where child processes are started")]
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let line = child.stdout.as_mut().map_or(Ok(Vec::new()), read_line);
    // It has said all, or too little; there is nobody to end where it has ended.
    let _ = child.kill();
    child.wait()?;
    line
}

fn read_line(from: &mut ChildStdout) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut chunk = [0; ANSWER_BYTES_MAX];
    while !line.ends_with(b"\n") && line.len() < ANSWER_BYTES_MAX {
        if !tree::wait_readable(&*from, ANSWERED_WITHIN) {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        match from.read(&mut chunk)? {
            0 => break,
            length => line.extend_from_slice(&chunk[..length]),
        }
    }
    Ok(line)
}
