//! Messages with descriptors over Unix sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::instance::protocol;

/// Most descriptors that travel with one message.
const FDS_MAX: usize = 8;

/// Two connected sockets: messages keep their bounds.
pub(crate) fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::SEQPACKET)
}

/// Two connected sockets: a stream of bytes, for frames larger than a message may be.
pub(crate) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(SocketType::STREAM)
}

fn pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message with descriptors; a full socket is an error, never a wait.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    if !fds.is_empty() {
        assert!(
            ancillary.push(SendAncillaryMessage::ScmRights(fds)),
            "at most {FDS_MAX} descriptors travel together"
        );
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)?;
    Ok(())
}

/// Waits for one message; empty bytes mean that the other end is gone.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; protocol::CONTROL_BYTES_MAX];
    let (length, fds) = receive_into(socket, &mut bytes, RecvFlags::empty())?;
    bytes.truncate(length);
    Ok((bytes, fds))
}

/// Waits for one message, and tells the sender's process id as this process sees it; empty bytes mean that the other end is
/// gone. Descriptors that came along are closed.
pub(crate) fn receive_from(socket: impl AsFd) -> io::Result<(Vec<u8>, u32)> {
    let mut bytes = vec![0; protocol::CONTROL_BYTES_MAX];
    let (length, pid, _) = receive_with_sender(socket, &mut bytes, RecvFlags::CMSG_CLOEXEC)?;
    bytes.truncate(length);
    Ok((bytes, pid))
}

/// Takes one byte if it is there, with the sender's process id as this process sees it and the descriptors that came along.
pub(crate) fn receive_announcement(
    socket: impl AsFd,
    byte: &mut [u8; 1],
) -> io::Result<(usize, u32, Vec<OwnedFd>)> {
    receive_with_sender(socket, byte, RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC)
}

fn receive_with_sender(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, u32, Vec<OwnedFd>)> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX), ScmCredentials(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut room);
    let message = loop {
        match rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let (mut pid, mut fds) = (0, Vec::new());
    for part in ancillary.drain() {
        match part {
            RecvAncillaryMessage::ScmRights(rights) => fds.extend(rights),
            RecvAncillaryMessage::ScmCredentials(sender) => {
                pid = sender.pid.as_raw_nonzero().get().cast_unsigned()
            }
            _ => {}
        }
    }
    Ok((message.bytes, pid, fds))
}

/// Takes what is there, with the descriptors that came along.
pub(crate) fn receive_into(
    socket: impl AsFd,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive_with_sender(socket, buffer, flags | RecvFlags::CMSG_CLOEXEC).map(|(length, _, fds)| (length, fds))
}
