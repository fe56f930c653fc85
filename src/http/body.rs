//! Request bodies: in memory while they are small and the budget lasts, else in a file without a name.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use super::budget::{Budget, Lease};
use super::limits::Options;
use super::refusal::Refusal;
use crate::error::{Error, Result};

/// A whole request body. Its share of the budget is given back when it is dropped or taken apart.
#[derive(Debug)]
pub struct Body {
    content: Content,
    length: u64,
    _lease: Option<Lease>,
}

#[derive(Debug)]
enum Content {
    Memory(Vec<u8>),
    File(File),
}

impl Body {
    /// A body in memory that counts against no budget; for tests and bodies made by ourselves.
    pub fn new(bytes: Vec<u8>) -> Body {
        Body { length: bytes.len() as u64, content: Content::Memory(bytes), _lease: None }
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes, if they are in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// All bytes in memory; reads the file if there is one.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        match self.content {
            Content::Memory(bytes) => Ok(bytes),
            Content::File(mut file) => {
                let mut bytes = Vec::with_capacity(usize::try_from(self.length).unwrap_or(0));
                rewind(&mut file)?;
                file.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
        }
    }

    /// The bytes as a stream, from the beginning.
    pub fn reader(&mut self) -> Result<impl Read + Seek + '_> {
        Ok(match &mut self.content {
            Content::Memory(bytes) => Reader::Memory(Cursor::new(bytes)),
            Content::File(file) => {
                rewind(file)?;
                Reader::File(file)
            }
        })
    }
}

fn rewind(file: &mut File) -> Result<()> {
    file.rewind().map_err(|cause| Error::internal("the body cannot be read back").because(cause))
}

enum Reader<'a> {
    Memory(Cursor<&'a [u8]>),
    File(&'a mut File),
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Reader::Memory(cursor) => cursor.read(buffer),
            Reader::File(file) => file.read(buffer),
        }
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match self {
            Reader::Memory(cursor) => cursor.seek(to),
            Reader::File(file) => file.seek(to),
        }
    }
}

/// A body that is arriving.
#[derive(Debug)]
pub(super) struct BodyWriter {
    content: Content,
    length: u64,
    length_max: u64,
    lease: Lease,
}

impl BodyWriter {
    /// An empty body that may grow to `length_max` bytes.
    pub(super) fn new(budget: &Arc<Budget>, length_max: u64) -> BodyWriter {
        BodyWriter { content: Content::Memory(Vec::new()), length: 0, length_max, lease: budget.lease() }
    }

    /// Bytes so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes, or says why the request ends here.
    pub(super) fn push(&mut self, bytes: &[u8], options: &Options) -> std::result::Result<(), Refusal> {
        let length = self.length + bytes.len() as u64;
        if length > self.length_max {
            return Err(Refusal::BodyTooLarge);
        }
        if let Content::Memory(memory) = &mut self.content {
            if memory.len() + bytes.len() <= options.body_memory_bytes
                && self.lease.take_memory(bytes.len() as u64)
            {
                memory.extend_from_slice(bytes);
                self.length = length;
                return Ok(());
            }
            self.move_to_file(&options.spool_dir)?;
        }
        self.length = length;
        self.write(bytes)
    }

    fn move_to_file(&mut self, folder: &Path) -> std::result::Result<(), Refusal> {
        let file = spool_file(folder).ok_or(NO_ROOM)?;
        if let Content::Memory(memory) = std::mem::replace(&mut self.content, Content::File(file)) {
            self.write(&memory)?;
        }
        self.lease.give_memory_back();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> std::result::Result<(), Refusal> {
        let Content::File(file) = &mut self.content else {
            unreachable!("bodies in memory are extended by push")
        };
        if !self.lease.take_spool(bytes.len() as u64) {
            return Err(NO_ROOM);
        }
        file.write_all(bytes).map_err(|cause| {
            log::warn!("a request body cannot be spooled: {cause}");
            NO_ROOM
        })
    }

    /// The whole body.
    pub(super) fn finish(self) -> Body {
        Body { content: self.content, length: self.length, _lease: Some(self.lease) }
    }
}

const NO_ROOM: Refusal = Refusal::Busy("no room for the body now");

/// A file that has no name in `folder`, so nothing of it stays whatever happens to us.
pub(super) fn spool_file(folder: &Path) -> Option<File> {
    tempfile::tempfile_in(folder)
        .inspect_err(|cause| log::warn!("no file can be made in {}: {cause}", folder.display()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &Path) -> Options {
        Options { body_memory_bytes: 8, spool_dir: folder.to_owned(), ..Options::default() }
    }

    /// Whether a body of these pieces ends in memory, and its bytes.
    fn write(pieces: &[&[u8]], budget: &Arc<Budget>) -> std::result::Result<(bool, Vec<u8>), Refusal> {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = BodyWriter::new(budget, 20);
        for piece in pieces {
            writer.push(piece, &options(folder.path()))?;
        }
        let body = writer.finish();
        Ok((body.in_memory().is_some(), body.into_bytes().unwrap()))
    }

    #[test]
    fn large_bodies_go_to_a_file() {
        let budget = Budget::new(100, 100);
        assert_eq!(write(&[b"1234", b"5678"], &budget), Ok((true, b"12345678".to_vec())));
        assert_eq!(write(&[b"1234", b"56789", b"0"], &budget), Ok((false, b"1234567890".to_vec())));
        assert_eq!(write(&[&[0; 21]], &budget), Err(Refusal::BodyTooLarge));
        let all_back = budget.lease().take_memory(100) && budget.lease().take_spool(100);
        assert!(all_back, "budget given back");
    }

    #[test]
    fn without_memory_small_bodies_go_to_a_file_too() {
        assert_eq!(write(&[b"12", b"34"], &Budget::new(3, 100)), Ok((false, b"1234".to_vec())));
        assert_eq!(write(&[b"12", b"34"], &Budget::new(3, 3)), Err(NO_ROOM));
    }

    #[test]
    fn bodies_are_read_from_the_start_each_time() {
        let mut body = Body::new(b"abc".to_vec());
        for _ in 0..2 {
            let mut text = String::new();
            body.reader().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "abc");
        }
    }
}
