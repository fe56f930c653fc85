//! Our ends of a process's standard output and error.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::pipe::PipeFlags;

use crate::base::clock::Clock;
use crate::instance::output::Output;
use crate::model::log::Stream;

/// Most reads of one pipe in one go; a flood goes on at the next turn, so that deadlines are looked at in between.
const READS_MAX: usize = 64;

/// Two pipes, each until its end was read.
#[derive(Debug)]
pub(crate) struct Pipes([Option<File>; 2]);

impl Pipes {
    /// Ours, never blocking, and the child's: stdout, stderr.
    pub(crate) fn open_pair() -> io::Result<(Pipes, [OwnedFd; 2])> {
        let (ours_out, out) = pipe()?;
        let (ours_err, err) = pipe()?;
        Ok((Pipes([Some(ours_out), Some(ours_err)]), [out, err]))
    }

    /// Those whose end was not read yet. A closed pipe must not be polled: it is always ready.
    pub(crate) fn open(&self) -> impl Iterator<Item = &File> {
        self.0.iter().flatten()
    }

    /// That for stderr, if its end was not read yet. Who waits for it alone and then drains both has their order no less.
    pub(crate) fn open_stderr(&self) -> impl Iterator<Item = &File> {
        self.0[1].iter()
    }

    /// Reads what is there.
    pub(crate) fn drain(&mut self, output: &mut Output, clock: &dyn Clock) {
        for (slot, stream) in self.0.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            if slot.as_mut().is_some_and(|pipe| !drain_one(pipe, stream, output, clock)) {
                *slot = None;
            }
        }
    }
}

/// False once the end was read.
fn drain_one(pipe: &mut File, stream: Stream, output: &mut Output, clock: &dyn Clock) -> bool {
    let mut buffer = [0; 16 * 1024];
    for _ in 0..READS_MAX {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                output.push(stream, &buffer[..length], clock.wall_us());
                if length < buffer.len() {
                    return true;
                }
            }
            Err(cause) => {
                return matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            }
        }
    }
    true
}

fn pipe() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader.into(), writer))
}
